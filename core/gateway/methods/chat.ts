import type { ThinkingLevel } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { ChatSendParams } from '../../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../../agent/service.ts';
import { imagesOf } from '../attachments.ts';
import type { Call, MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { readHistory } from '../history.ts';
import { compact, untilEnd } from './agent.ts';

const STOP_WORDS = new Set([
  '/stop',
  'stop',
  'abort',
  'esc',
  'wait',
  'exit',
  'interrupt',
  'halt',
  'please stop',
  'stop please',
  'stopp',
  'anhalten',
  'para',
  'detente',
  'arrête',
  'pare',
  'стоп',
  '停止',
  'やめて',
]);
/** Only an administrator may say that a message came from elsewhere. */
const ORIGIN_FIELDS = ['originatingChannel', 'originatingTo', 'originatingAccountId', 'originatingThreadId', 'systemInputProvenance'] as const;

export function chatMethods(context: GatewayContext): MethodFamily<'chat.send' | 'chat.abort' | 'chat.history'> {
  const { agent, idempotency, runs, sessions } = context;

  const start = async (params: ChatSendParams, call: Call): Promise<AcceptedRun> => {
    const request = runRequest(params, call);
    runs.begin({ runId: request.runId, sessionKey: params.sessionKey, connection: call.connection });
    try {
      return await agent.accept(request);
    } catch (error) {
      runs.forget(request.runId);
      throw error;
    }
  };

  const follow = async (key: string, runId: string) => {
    idempotency.finish(key, await untilEnd(context, runId));
    runs.forget(runId);
  };

  return {
    async 'chat.send'(params, call) {
      if (isStopWord(params.message)) {
        const { aborted, runIds } = abortAllowed(context, call, params.sessionKey, 'stop');
        return { ok: true, aborted, runIds };
      }
      const key = `chat:${params.idempotencyKey}`;
      const present = idempotency.get<AcceptedRun, RunResult>(key);
      if (present !== undefined) {
        const { runId } = await present.accepted;
        const final = present.final;
        if (final === undefined) return { runId, status: 'in_flight' };
        return final.status === 'ok' ? { runId, status: 'ok' } : { runId, status: 'error', summary: final.error?.message ?? 'the run failed' };
      }
      const { accepted } = idempotency.begin<AcceptedRun, RunResult>(key, start(params, call));
      const { runId } = await accepted;
      // After the response of this call, which is written when this function has returned.
      setImmediate(() => {
        runs.release(runId);
        follow(key, runId).catch((error) => context.log.error('the end of a chat run could not be read', { runId, reason: String(error) }));
      });
      return { runId, status: 'started' };
    },

    'chat.abort'({ sessionKey, runId }, call) {
      const { aborted, runIds } = runId === undefined ? abortAllowed(context, call, sessionKey, 'rpc') : abortOne(context, call, sessionKey, runId);
      return { ok: true, aborted, runIds };
    },

    async 'chat.history'({ sessionKey, limit = 200, maxChars = 12_000 }) {
      const session = await sessions.get(sessions.canonicalKey(sessionKey));
      if (session === undefined) return { sessionKey, messages: [], thinkingLevel: 'off' };
      const messages = await readHistory(sessions, session, { limit, maxChars });
      return {
        sessionKey,
        sessionId: session.sessionId,
        messages,
        thinkingLevel: session.thinkingLevel ?? 'off',
        ...(session.verboseLevel === undefined ? {} : { verboseLevel: session.verboseLevel }),
      };
    },
  };
}

function runRequest(params: ChatSendParams, { client }: Call): RunRequest {
  const isAdmin = client.can(ADMIN_SCOPE);
  if (!isAdmin && ORIGIN_FIELDS.some((field) => params[field] !== undefined)) throw new ProtocolError('INVALID_REQUEST', `missing scope: ${ADMIN_SCOPE}`);
  const images = imagesOf(params.attachments, 'chat.send');
  if (params.message.trim() === '' && images.length === 0) throw new ProtocolError('INVALID_REQUEST', 'message or attachment required');
  return compact({
    runId: params.idempotencyKey,
    message: params.message,
    sessionKey: params.sessionKey,
    images: images.length === 0 ? undefined : images,
    thinking: params.thinking as ThinkingLevel | undefined,
    timeoutSeconds: params.timeoutMs ? Math.ceil(params.timeoutMs / 1000) : undefined,
    trigger: 'user' as const,
    channel: params.originatingChannel ?? INTERNAL_CHANNEL,
    senderId: client.deviceId,
    senderIsOwner: isAdmin,
    provenance: params.systemInputProvenance,
  });
}

function isStopWord(message: string): boolean {
  return STOP_WORDS.has(
    message
      .trim()
      .toLowerCase()
      .replace(/[.!…]+$/, ''),
  );
}

/** Everybody may stop what their own device started; an administrator may stop anything. */
function mayAbort(context: GatewayContext, { client }: Call, runId: string): boolean {
  if (client.can(ADMIN_SCOPE)) return true;
  const owner = context.runs.owner(runId);
  return owner !== undefined && (owner.deviceId === undefined ? owner.connId === client.connId : owner.deviceId === client.deviceId);
}

function abortOne(context: GatewayContext, call: Call, sessionKey: string, runId: string): { aborted: boolean; runIds: string[] } {
  const active = context.agent.active().find((run) => run.runId === runId);
  if (active === undefined) return { aborted: false, runIds: [] };
  if (active.sessionKey !== context.sessions.canonicalKey(sessionKey)) throw new ProtocolError('INVALID_REQUEST', 'runId does not match sessionKey');
  if (!mayAbort(context, call, runId)) throw new ProtocolError('INVALID_REQUEST', 'unauthorized');
  return context.agent.abort({ runId, origin: 'rpc' });
}

function abortAllowed(context: GatewayContext, call: Call, sessionKey: string, origin: 'rpc' | 'stop'): { aborted: boolean; runIds: string[] } {
  const active = context.agent.active(context.sessions.canonicalKey(sessionKey));
  const allowed = active.filter(({ runId }) => mayAbort(context, call, runId));
  if (active.length > 0 && allowed.length === 0) throw new ProtocolError('INVALID_REQUEST', 'unauthorized');
  const runIds = allowed.flatMap(({ runId }) => context.agent.abort({ runId, origin }).runIds);
  return { aborted: runIds.length > 0, runIds };
}
