import { randomUUID } from 'node:crypto';
import { errorCode, errorText } from '../../../sdk/errors.ts';
import type { SessionRecord } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { SessionsSendParams } from '../../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import { abortRun, abortSession } from '../abort.ts';
import { imagesOf } from '../attachments.ts';
import type { Call, MethodFamily } from '../call.ts';
import { assertContent, type ChatRequest, type ChatStart, secondsOf, startChat } from '../chat-run.ts';
import type { GatewayContext } from '../context.ts';
import { assertSendable } from '../send-policy.ts';
import { assertLabelFree } from '../session-label.ts';
import { labelOf, thinkingLevel } from '../session-patch.ts';
import { sessionEntry } from '../session-row.ts';
import { compact, unknownAgent } from './agent.ts';

type Names = 'sessions.create' | 'sessions.send' | 'sessions.steer' | 'sessions.abort';

export function sessionRunMethods(context: GatewayContext): MethodFamily<Names> {
  const { agent, sessions, source, sessionEvents } = context;

  /** The session of a key. Throws INVALID_REQUEST. */
  const existing = async (key: string): Promise<SessionRecord> => {
    const session = await sessions.get(sessions.canonicalKey(key));
    if (session === undefined) throw new ProtocolError('INVALID_REQUEST', `session not found: ${key}`);
    return session;
  };

  const send = async (params: Omit<SessionsSendParams, 'key'>, sentKey: string, session: SessionRecord, call: Call, steer: boolean): Promise<ChatStart> => {
    const { idempotencyKey, message, thinking, attachments, timeoutMs } = params;
    const { client } = call;
    const prepare = async (): Promise<ChatRequest> => {
      const images = imagesOf(attachments, steer ? 'sessions.steer' : 'sessions.send');
      assertContent(message, images);
      assertSendable(session, session.key, source.current().config.session?.sendPolicy);
      const request = compact({
        runId: idempotencyKey,
        message,
        sessionKey: session.key,
        images: images.length === 0 ? undefined : images,
        thinking: thinkingLevel(thinking, 'thinking'),
        timeoutSeconds: secondsOf(timeoutMs),
        trigger: 'user' as const,
        channel: INTERNAL_CHANNEL,
        senderId: client.deviceId,
        senderIsOwner: client.can(ADMIN_SCOPE),
        scopes: client.scopes,
      });
      return { request };
    };
    const started = await startChat(context, call, { key: idempotencyKey, sentKey, prepare, placed: true, steer });
    if (started.status === 'started') sessionEvents.changed(session.key, steer ? 'steer' : 'send');
    return started;
  };

  /** The row that a new session begins with. */
  const firstRow = async (params: { agentId: string; label?: string | undefined; model?: string | undefined; parentSessionKey?: string | undefined }) => {
    const { agentId, model, parentSessionKey } = params;
    const label = params.label === undefined ? undefined : labelOf(params.label);
    const parent = parentSessionKey === undefined ? undefined : await sessions.get(sessions.canonicalKey(parentSessionKey, agentId));
    if (parentSessionKey !== undefined && parent === undefined) throw new ProtocolError('INVALID_REQUEST', `unknown parent session: ${parentSessionKey}`);
    const chosen = model === undefined ? undefined : await agent.models.choose({ agentId, ref: model });
    return compact({
      label,
      parentSessionKey: parent?.key,
      modelOverride: chosen === undefined ? undefined : `${chosen.provider}/${chosen.model}`,
    });
  };

  return {
    async 'sessions.create'({ key, agentId, label, model, parentSessionKey, task, message }, call) {
      const wanted = agentId ?? agentOf(sessions.canonicalKey(key));
      const canonical = sessions.canonicalKey(key ?? `agent:${wanted ?? 'main'}:dashboard:${randomUUID()}`, agentId);
      const owner = agentOf(canonical) ?? wanted;
      if (agentId !== undefined && owner !== agentId.toLowerCase()) {
        throw new ProtocolError('INVALID_REQUEST', `invalid sessions.create params: the key belongs to agent "${owner}", not to "${agentId}"`);
      }
      const create = await firstRow({ agentId: owner ?? 'main', label, model, parentSessionKey });
      if (create.label !== undefined) await assertLabelFree(sessions, create.label, canonical);
      const opened = await agent.session({ sessionKey: canonical, agentId: owner, create }).catch((error) => {
        throw unknownAgent(error, 'sessions.create', owner);
      });
      const session = opened.created || Object.keys(create).length === 0 ? opened.session : await sessions.patch(canonical, create);
      const entry = sessionEntry(session, await sessions.sessionFile(session));
      sessionEvents.changed(canonical, 'create');
      const answer = { ok: true as const, key: canonical, sessionId: session.sessionId, entry };
      const first = [message, task].find((text) => text !== undefined && text.trim() !== '');
      if (first === undefined) return { ...answer, runStarted: false };
      try {
        const { runId, status, messageSeq } = await send({ message: first, idempotencyKey: randomUUID() }, canonical, session, call, false);
        return { ...answer, runStarted: true, runId, status, ...(messageSeq === undefined ? {} : { messageSeq }) };
      } catch (error) {
        return { ...answer, runStarted: false, runError: { code: errorCode(error) ?? 'UNAVAILABLE', message: errorText(error) } };
      }
    },

    'sessions.send': async ({ key, ...params }, call) => send(params, key, await existing(key), call, false),
    'sessions.steer': async ({ key, ...params }, call) => send(params, key, await existing(key), call, true),

    async 'sessions.abort'({ key, runId }, call) {
      const session = await existing(key);
      const { runIds } = runId === undefined ? abortSession(context, call, session.key, 'rpc') : abortRun(context, call, session.key, runId);
      const [abortedRunId = null] = runIds;
      if (abortedRunId !== null) sessionEvents.changed(session.key, 'abort');
      return { ok: true, abortedRunId, status: abortedRunId === null ? 'no-active-run' : 'aborted' };
    },
  };
}

function agentOf(key: string): string | undefined {
  return /^agent:([^:]+):/.exec(key)?.[1];
}
