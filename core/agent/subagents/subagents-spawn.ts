import { randomUUID } from 'node:crypto';
import { durarError, type SessionRecord, type SubagentSpawned, type SubagentSpawnRequest } from '../../../sdk/index.ts';
import type { OpenSession } from '../../sessions/service.ts';
import type { ModelAccess } from '../models/model-access.ts';
import type { AcceptedRun, RunRequest } from '../run-request.ts';
import type { TurnDeps } from '../turn/turn-state.ts';
import type { SubagentBook } from './subagents-book.ts';
import { planSpawn, type SpawnPlan, unsupported } from './subagents-limits.ts';
import { requestOf, type SubagentProgress } from './subagents-progress.ts';
import { isHeld, type SubagentRow } from './subagents-row.ts';

export type SpawnSubagent = (request: SubagentSpawnRequest) => Promise<SubagentSpawned>;

export function createSpawn(options: {
  deps: Pick<TurnDeps, 'source' | 'sessions' | 'now'>;
  book: SubagentBook;
  progress: Pick<SubagentProgress, 'follow'>;
  models: ModelAccess;
  session(params: { sessionKey: string; agentId: string; create: Partial<SessionRecord> }): Promise<OpenSession>;
  begin(request: RunRequest): Promise<AcceptedRun>;
  created(sessionKey: string): void;
}): SpawnSubagent {
  const { book, models, progress } = options;
  const { source, sessions, now } = options.deps;
  /** Places taken by spawns under way. */
  const taken = new Map<string, number>();

  async function uniqueLabel(label: string | undefined): Promise<string | undefined> {
    const wanted = label?.trim().slice(0, 100);
    if (wanted === undefined || wanted === '') return undefined;
    for (let number = 1; ; number += 1) {
      const candidate = number === 1 ? wanted : `${wanted} (${number})`;
      if ((await sessions.list({ label: candidate, limit: 1 })).total === 0) return candidate;
    }
  }

  async function askHooks(plan: SpawnPlan, requester: SessionRecord, request: SubagentSpawnRequest, label: string | undefined): Promise<void> {
    const { hooks } = source.current();
    const { thread = false } = request;
    const answer = hooks.has('subagent_spawning')
      ? await hooks.call('subagent_spawning', eventOf(plan, requester, request, label), contextOf(requester))
      : undefined;
    if (answer?.status === 'error') throw durarError('DUR_SUBAGENT_REFUSED', { reason: answer.error ?? 'it gave no reason' });
    if (thread && answer?.threadBindingReady !== true)
      throw unsupported('a thread for a sub-agent', 'Leave thread out; no channel here binds sub-agents to threads.');
  }

  return async (request) => {
    const requesterKey = sessions.canonicalKey(request.requesterSessionKey);
    const requester = await sessions.get(requesterKey);
    if (requester === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key: requesterKey });
    const places = taken.get(requesterKey) ?? 0;
    const { config, hooks } = source.current();
    const plan = planSpawn(config, requester, book.childrenOf(requesterKey).filter(isHeld).length + places, request);
    taken.set(requesterKey, places + 1);
    try {
      const chosen = plan.model === undefined ? undefined : await models.choose({ agentId: plan.agentId, ref: plan.model });
      const label = await uniqueLabel(request.label);
      await askHooks(plan, requester, request, label);
      const isLeaf = plan.depth >= config.agents.defaults.subagents.maxSpawnDepth;
      const create: Partial<SessionRecord> = {
        spawnedBy: requesterKey,
        parentSessionKey: requesterKey,
        extra: { spawnDepth: plan.depth, subagentRole: isLeaf ? 'leaf' : 'orchestrator', subagentControlScope: isLeaf ? 'none' : 'children' },
        ...(label === undefined ? {} : { label }),
        ...(chosen === undefined ? {} : { modelOverride: `${chosen.provider}/${chosen.model}` }),
        ...(plan.thinking === undefined ? {} : { thinkingLevel: plan.thinking }),
      };
      await options.session({ sessionKey: plan.child, agentId: plan.agentId, create });
      const row: SubagentRow = {
        child: plan.child,
        requester: requesterKey,
        agentId: plan.agentId,
        runId: randomUUID(),
        task: request.task,
        mode: request.mode ?? 'run',
        cleanup: request.cleanup ?? 'keep',
        depth: plan.depth,
        createdAt: now(),
        restarts: 0,
        ...(label === undefined ? {} : { label }),
        ...(plan.timeoutSeconds === undefined || plan.timeoutSeconds === 0 ? {} : { timeoutSeconds: plan.timeoutSeconds }),
      };
      book.save(row);
      try {
        await options.begin(requestOf(row, row.task));
      } catch (error) {
        book.drop(row.child);
        await sessions.delete(row.child);
        throw error;
      }
      progress.follow(row);
      options.created(row.child);
      if (hooks.has('subagent_spawned'))
        hooks.emit('subagent_spawned', { ...eventOf(plan, requester, request, label), runId: row.runId }, contextOf(requester));
      return { runId: row.runId, childSessionKey: row.child, mode: row.mode, ...(label === undefined ? {} : { label }) };
    } finally {
      taken.set(requesterKey, (taken.get(requesterKey) ?? 1) - 1);
    }
  };
}

function eventOf({ child, agentId }: SpawnPlan, requester: SessionRecord, { mode = 'run', thread = false }: SubagentSpawnRequest, label: string | undefined) {
  const { key, lastChannel, lastTo, lastAccountId } = requester;
  return {
    childSessionKey: child,
    agentId,
    mode,
    threadRequested: thread,
    requester: { sessionKey: key, channel: lastChannel, to: lastTo, accountId: lastAccountId },
    ...(label === undefined ? {} : { label }),
  };
}

function contextOf({ agentId, key: sessionKey, sessionId }: SessionRecord) {
  return { agentId, sessionKey, sessionId };
}
