import { randomUUID } from 'node:crypto';
import { type AssistantMessage, emptyUsage, INJECTED_MODEL } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { ChatSendParams } from '../../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import { isStopWord } from '../../agent/service.ts';
import { abortRun, abortSession } from '../abort.ts';
import { imagesOf } from '../attachments.ts';
import type { Call, MethodFamily } from '../call.ts';
import { assertContent, type ChatRequest, secondsOf, startChat } from '../chat-run.ts';
import type { GatewayContext } from '../context.ts';
import { readHistory } from '../history.ts';
import { replyRoute } from '../reply-route.ts';
import { assertSendable } from '../send-policy.ts';
import { thinkingLevel } from '../session-patch.ts';
import { resetByMessage } from '../session-reset.ts';
import { compact } from './agent.ts';

/** Only an administrator may say that a message came from elsewhere. */
const ORIGIN_FIELDS = [
  'originatingChannel',
  'originatingTo',
  'originatingAccountId',
  'originatingThreadId',
  'systemInputProvenance',
  'systemProvenanceReceipt',
] as const;
/** Commands that write what only an administrator may write. */
const ADMIN_COMMANDS = /^\/config\s+(?:set|unset)\b/i;

export function chatMethods(context: GatewayContext): MethodFamily<'chat.send' | 'chat.abort' | 'chat.history' | 'chat.inject'> {
  const { sessions, source, hub } = context;

  return {
    async 'chat.send'(params, call) {
      if (isStopWord(params.message)) return { ok: true, ...abortSession(context, call, params.sessionKey, 'stop') };
      const { sessionKey, idempotencyKey } = params;
      return startChat(context, call, { key: idempotencyKey, sentKey: sessionKey, prepare: () => prepare(context, params, call) });
    },

    'chat.abort'({ sessionKey, runId }, call) {
      const result = runId === undefined ? abortSession(context, call, sessionKey, 'rpc') : abortRun(context, call, sessionKey, runId);
      return { ok: true, ...result };
    },

    async 'chat.history'({ sessionKey, limit = 200, maxChars = 12_000 }) {
      const session = await sessions.get(sessions.canonicalKey(sessionKey));
      const thinking = session?.thinkingLevel ?? source.current().config.agents?.defaults?.thinkingDefault ?? 'off';
      if (session === undefined) return { sessionKey, messages: [], thinkingLevel: thinking };
      const messages = await readHistory(sessions, session, { limit, maxChars });
      const fastMode = session.extra?.fastMode;
      return {
        sessionKey,
        sessionId: session.sessionId,
        messages,
        thinkingLevel: thinking,
        ...(typeof fastMode === 'boolean' ? { fastMode } : {}),
        ...(session.verboseLevel === undefined ? {} : { verboseLevel: session.verboseLevel }),
      };
    },

    async 'chat.inject'({ sessionKey, message, label }) {
      const session = await sessions.get(sessions.canonicalKey(sessionKey));
      if (session === undefined) throw new ProtocolError('INVALID_REQUEST', 'session not found');
      const note: AssistantMessage = {
        role: 'assistant',
        content: [{ type: 'text', text: label === undefined || label === '' ? message : `[${label}]\n\n${message}` }],
        timestamp: Date.now(),
        stopReason: 'stop',
        usage: emptyUsage(),
        api: 'openai-responses',
        provider: 'openclaw',
        model: INJECTED_MODEL,
      };
      const [entry] = await sessions.append(session, [{ type: 'message', message: note }]);
      const messageId = entry?.id ?? randomUUID();
      hub.broadcast('chat', { runId: `inject-${messageId}`, sessionKey: session.key, seq: 0, state: 'final', message: note });
      return { ok: true, messageId };
    },
  };
}

/** Everything that may refuse the message, then what it asks to be done before its run. */
async function prepare(context: GatewayContext, params: ChatSendParams, call: Call): Promise<ChatRequest> {
  const { sessions, source } = context;
  const { client } = call;
  const isAdmin = client.can(ADMIN_SCOPE);
  const needsAdmin = ADMIN_COMMANDS.test(params.message.trim()) || ORIGIN_FIELDS.some((field) => params[field] !== undefined);
  if (!isAdmin && needsAdmin) throw new ProtocolError('INVALID_REQUEST', `missing scope: ${ADMIN_SCOPE}`);
  const images = imagesOf(params.attachments, 'chat.send');
  assertContent(params.message, images);
  const key = sessions.canonicalKey(params.sessionKey);
  const { sendPolicy } = source.current().config.session ?? {};
  const record = await sessions.get(key);
  assertSendable(record, key, sendPolicy);
  const { deliver, originatingChannel: channel, originatingTo: to, originatingAccountId: accountId, originatingThreadId: threadId } = params;
  const route = replyRoute(context, compact({ deliver, bestEffortDeliver: true, channel, to, accountId, threadId }), record, false);
  const thinking = thinkingLevel(params.thinking, 'thinking');
  const reset = await resetByMessage(context, call, { sessionKey: key, message: params.message });
  const receipt = params.systemProvenanceReceipt?.trim();
  const { message } = reset ?? params;
  const request = compact({
    runId: params.idempotencyKey,
    message: receipt ? `${receipt}\n\n${message}` : message,
    sessionKey: params.sessionKey,
    images: images.length === 0 ? undefined : images,
    thinking,
    timeoutSeconds: secondsOf(params.timeoutMs),
    trigger: 'user' as const,
    channel: channel ?? INTERNAL_CHANNEL,
    to,
    accountId,
    threadId,
    senderId: client.deviceId,
    senderIsOwner: isAdmin,
    scopes: client.scopes,
    provenance: reset?.provenance ?? params.systemInputProvenance,
    autoReply: true as const,
    // by its route, if it has one
    deliver: false as const,
  });
  return { request, route };
}
