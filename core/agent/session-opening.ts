import { durarError, type SessionRecord } from '../../sdk/index.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { OpenSession, SessionService } from '../sessions/service.ts';
import type { AcceptedRun, RunRequest } from './run-request.ts';
import { type AgentPaths, agentEntry, agentWorkspaceDir, defaultAgentId } from './settings.ts';

/** The way from a key to its session. */
export interface SessionOpening {
  /** Opens the session of a key, as a run would. Throws `DUR_SESSION_KEY`, `DUR_AGENT_UNKNOWN`. */
  session(params: { sessionKey?: string | undefined; agentId?: string | undefined; create?: Partial<SessionRecord> }): Promise<OpenSession>;
  /** Opens the session that a request is for. Throws the same, and `DUR_SESSION_UNKNOWN` for an id. */
  open(request: RunRequest): Promise<AcceptedRun>;
}

const AGENT_OF_KEY = /^agent:([^:]+):/;

export function createSessionOpening(options: { source: GenerationSource; sessions: SessionService; paths: AgentPaths; now: () => number }): SessionOpening {
  const { source, sessions, paths, now } = options;

  const session: SessionOpening['session'] = async ({ sessionKey, agentId, create }) => {
    const { config, hooks } = source.current();
    const wanted = agentId ?? defaultAgentId(config);
    const key = sessions.canonicalKey(sessionKey, wanted);
    const owner = AGENT_OF_KEY.exec(key)?.[1] ?? wanted;
    agentEntry(config, wanted);
    const cwd = agentWorkspaceDir(config, owner, paths);
    const opened = await sessions.open({ key, agentId: owner, cwd, ...(create === undefined ? {} : { create }) });
    if (opened.created && hooks.has('session_start')) {
      const { sessionId, agentId: id } = opened.session;
      hooks.emit('session_start', { sessionId, sessionKey: key }, { agentId: id, sessionId, sessionKey: key });
    }
    return opened;
  };

  return {
    session,
    async open(request) {
      const named = request.sessionId === undefined ? undefined : await sessions.getById(request.sessionId);
      if (request.sessionId !== undefined && named === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key: request.sessionId });
      const opened = await session({ sessionKey: named?.key ?? request.sessionKey, agentId: request.agentId });
      const { key: sessionKey, sessionId, agentId } = opened.session;
      return { runId: request.runId, sessionKey, sessionId, agentId, acceptedAt: now(), ...(opened.created ? { created: true } : {}) };
    },
  };
}
