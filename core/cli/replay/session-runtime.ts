import { randomUUID } from 'node:crypto';
import { durarError, type PluginRuntime } from '../../../sdk/index.ts';
import type { AgentService } from '../../agent/service.ts';
import { spawnableAgents } from '../../agent/subagents/subagents-limits.ts';
import { isSubagentKey } from '../../agent/subagents/subagents-row.ts';
import type { Host } from '../../kernel/host.ts';
import type { SessionService } from '../../sessions/service.ts';

interface Rooms {
  host: Host;
  sessions: SessionService;
  agent: AgentService;
}
type Room = <Name extends keyof Rooms>(name: Name) => Rooms[Name];

/** `api.runtime.sessions`: what sessions say to each other. */
export function createSessionTalk(room: Room): Pick<PluginRuntime['sessions'], 'send' | 'reply'> {
  return {
    async send({ sessionKey, message, fromSessionKey, extraSystemPrompt }) {
      const sessions = room('sessions');
      const key = sessions.canonicalKey(sessionKey);
      if ((await sessions.get(key)) === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key });
      const { runId } = await room('agent').accept({
        runId: randomUUID(),
        sessionKey: key,
        message,
        provenance: { kind: 'inter_session', sourceSessionKey: sessions.canonicalKey(fromSessionKey), sourceTool: 'sessions_send' },
        ...(isSubagentKey(key) ? { lane: 'subagent' } : {}),
        ...(extraSystemPrompt === undefined ? {} : { extraSystemPrompt }),
      });
      return { runId };
    },

    async reply({ runId, timeoutMs }) {
      const result = await room('agent').wait(runId, timeoutMs);
      if (result === undefined) return { status: 'timeout' };
      const text = result.payloads.filter((one) => one.isError !== true && one.isReasoning !== true && one.text !== undefined).at(-1)?.text;
      return { status: result.status, ...(text === undefined ? {} : { text }), ...(result.error === undefined ? {} : { error: result.error.message }) };
    },
  };
}

/** `api.runtime.subagent`, as far as it is about sub-agents of a session. */
export function createSubagentHandles(room: Room): Pick<PluginRuntime['subagent'], 'spawn' | 'list' | 'kill' | 'send' | 'agents'> {
  return {
    spawn: (request) => room('agent').subagents.spawn(request),
    list: async (params) => room('agent').subagents.list(params),
    kill: (params) => room('agent').subagents.kill(params),
    send: (params) => room('agent').subagents.send(params),
    agents: async ({ agentId }) => spawnableAgents(room('host').current().config, agentId.toLowerCase()),
  };
}
