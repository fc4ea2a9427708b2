import { errorCode } from '../../../sdk/errors.ts';
import { isControlUi, isWebchat } from '../../../sdk/protocol/clients.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { SessionsPatchParams } from '../../../sdk/protocol/generated/types.ts';
import type { Call, MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { assertLabelFree } from '../session-label.ts';
import { labelOf, patchOf } from '../session-patch.ts';
import { sessionEntry } from '../session-row.ts';
import { unknownAgent } from './agent.ts';

type Names = 'sessions.patch' | 'sessions.reset' | 'sessions.delete' | 'sessions.compact';

export function sessionChangeMethods(context: GatewayContext): MethodFamily<Names> {
  const { agent, sessions, source, sessionEvents } = context;
  /** Patches go one after the other: a label must stay unique, and what one writes the next must see. */
  let patches: Promise<unknown> = Promise.resolve();

  const patch = async (params: SessionsPatchParams) => {
    const key = sessions.canonicalKey(params.key);
    const { session } = await agent.session({ sessionKey: key }).catch((error) => {
      throw unknownAgent(error, 'sessions.patch', /^agent:([^:]+):/.exec(key)?.[1]);
    });
    const { agentId } = session;
    const label = params.label === undefined || params.label === null ? params.label : labelOf(params.label);
    if (typeof label === 'string') await assertLabelFree(sessions, label, key);
    const ref = params.model === null || params.model?.trim().toLowerCase() === 'default' ? null : params.model;
    const override = ref === undefined ? session.modelOverride : undefined;
    const chosen = await agent.models.choose({ agentId, ...(ref ? { ref } : {}), ...(override === undefined ? {} : { override }) });
    const fields = {
      ...patchOf(params, session.extra, chosen.reasons),
      ...(label === undefined ? {} : { label }),
      ...(ref === undefined ? {} : { modelOverride: ref === null ? null : `${chosen.provider}/${chosen.model}` }),
    };
    const patched = Object.keys(fields).length === 0 ? session : await sessions.patch(key, fields);
    const entry = sessionEntry(patched, await sessions.sessionFile(patched));
    sessionEvents.changed(key, 'patch');
    return {
      ok: true as const,
      path: `store:${source.current().plan.slots.sessionStore.key}`,
      key,
      entry,
      resolved: { modelProvider: chosen.provider, model: chosen.model },
    };
  };

  return {
    'sessions.patch'(params, call) {
      refuseWebchat(call, 'patch');
      const done = patches.then(() => patch(params));
      patches = done.catch(() => undefined);
      return done;
    },

    async 'sessions.reset'({ key: sent, reason = 'reset' }) {
      const key = sessions.canonicalKey(sent);
      const session = await agent.reset({ sessionKey: key, reason });
      const entry = sessionEntry(session, await sessions.sessionFile(session));
      sessionEvents.changed(key, reason);
      return { ok: true, key, entry };
    },

    async 'sessions.delete'({ key: sent, deleteTranscript = true, emitLifecycleHooks = true }, call) {
      refuseWebchat(call, 'delete');
      const key = sessions.canonicalKey(sent);
      if (key === sessions.canonicalKey(undefined)) throw new ProtocolError('INVALID_REQUEST', `Cannot delete the main session (${key}).`);
      const { deleted, archived } = await agent.remove({ sessionKey: key, deleteTranscript, quiet: !emitLifecycleHooks });
      if (deleted) sessionEvents.changed(key, 'delete', { gone: true });
      return { ok: true, key, deleted, archived };
    },

    async 'sessions.compact'({ key: sent, maxLines }) {
      const key = sessions.canonicalKey(sent);
      const session = await sessions.get(key);
      if (session === undefined) return { ok: true, key, compacted: false, reason: 'no sessionId' };
      const before = (await sessions.context(session)).messages.length;
      if (maxLines !== undefined && before <= maxLines) return { ok: true, key, compacted: false, kept: before };
      try {
        const { compacted, reason } = await agent.compact({ sessionKey: key });
        const { messages } = await sessions.context(session);
        sessionEvents.changed(key, 'compact', { compacted });
        return { ok: true, key, compacted, kept: messages.length, ...(reason === undefined ? {} : { reason }) };
      } catch (error) {
        // it was deleted meanwhile
        if (errorCode(error) === 'DUR_SESSION_UNKNOWN') return { ok: true, key, compacted: false, reason: 'no sessionId' };
        throw error;
      }
    },
  };
}

/** Chat widgets speak for whoever looks at their page. */
function refuseWebchat({ client }: Call, what: string): void {
  if (isWebchat(client.info) && !isControlUi(client.info)) throw new ProtocolError('INVALID_REQUEST', `webchat clients cannot ${what} sessions`);
}
