import { randomUUID } from 'node:crypto';
import { durarError, errorText, type SessionRecord, type SubagentInfo } from '../../../sdk/index.ts';
import type { OpenSession } from '../../sessions/service.ts';
import type { SubagentTable } from '../../state/state.ts';
import type { ModelAccess } from '../models/model-access.ts';
import type { Runs } from '../run.ts';
import type { AcceptedRun, RunRequest } from '../run-request.ts';
import type { SessionWork } from '../session-work.ts';
import type { TurnDeps } from '../turn/turn-state.ts';
import type { DeliverReply } from './subagents-announcer.ts';
import { createSubagentBook, infoOf } from './subagents-book.ts';
import { createSubagentProgress, requestOf } from './subagents-progress.ts';
import { isActive, isOpen } from './subagents-row.ts';
import { createSpawn, type SpawnSubagent } from './subagents-spawn.ts';

/** Sessions that other sessions started, each with a task of its own. */
export interface Subagents {
  /** Resolves when the sub-agent's run is accepted; its result is announced to the requester. Throws `DUR_SUBAGENT_*`, and what a session or a model is refused for. */
  readonly spawn: SpawnSubagent;
  /** Those that a session started and that are not archived yet, newest first. */
  list(params: { requesterSessionKey: string }): SubagentInfo[];
  /** By key, number in the list, label or the beginning of an id. Throws `DUR_SUBAGENT_UNKNOWN`. */
  find(params: { requesterSessionKey: string; id: string }): SubagentInfo;
  /** Stops it and what it started, and announces nothing. Those that were running are returned. Throws `DUR_SUBAGENT_UNKNOWN`. */
  kill(params: { requesterSessionKey: string; id: string }): Promise<SubagentInfo[]>;
  /** One more message for it; its next result is announced too. `steer`: at once, in place of what it does now. Throws `DUR_SUBAGENT_UNKNOWN`. */
  send(params: { requesterSessionKey: string; id: string; message: string; steer?: boolean }): Promise<{ runId: string; childSessionKey: string }>;
  /** Stops the runs of all sub-agents of a session. Returns their ids. */
  stop(requesterSessionKey: string): string[];
  /** Takes up what a former process left, then looks after idle sessions. */
  start(): Promise<void>;
  /** Archives those that have been idle for too long. */
  sweep(): Promise<void>;
  /** Hears of sessions that come and go here, not at anybody's request for a session. Returns its own remover. */
  onChange(listener: (change: SubagentChange) => void): () => void;
}

export interface SubagentChange {
  sessionKey: string;
  reason: 'create' | 'delete';
}

/** What the service calls when sessions go. */
export interface SubagentCare extends Subagents {
  /** A session is reset or deleted by `work`: what it started is let go, and if it was a sub-agent, that is over too. */
  leaving<Done>(key: string, how: 'reset' | 'deleted', work: () => Promise<Done>): Promise<Done>;
  close(): void;
}

const SWEEP_MS = 60_000;

export function createSubagents(options: {
  deps: TurnDeps;
  table: SubagentTable;
  models: ModelAccess;
  runs: Runs;
  remove: SessionWork['remove'];
  session(params: { sessionKey: string; agentId: string; create: Partial<SessionRecord> }): Promise<OpenSession>;
  begin(request: RunRequest): Promise<AcceptedRun>;
  steer(request: RunRequest): Promise<{ run: AcceptedRun }>;
  /** The service waits for it before it closes. */
  track(task: Promise<void>): void;
  /** Waits for the session's turns. */
  alone(sessionKey: string, work: () => Promise<void>): Promise<void>;
  deliver?: DeliverReply | undefined;
}): SubagentCare {
  const { deps, runs, track } = options;
  const { source, sessions, log, now } = deps;
  const listeners = new Set<(change: SubagentChange) => void>();
  /** Listeners must not throw. */
  function tell(change: SubagentChange): void {
    for (const listener of listeners) listener(change);
  }

  const book = createSubagentBook(options.table);
  const progress = createSubagentProgress({ ...options, book, archived: (sessionKey) => tell({ sessionKey, reason: 'delete' }) });
  const { end, reopened, follow } = progress;
  let timer: NodeJS.Timeout | undefined;

  function stop(requester: string): string[] {
    return book.childrenOf(requester).flatMap((row) => {
      if (isActive(row)) {
        row.quiet = true;
        book.save(row);
      }
      return [...stop(row.child), ...runs.abort({ sessionKey: row.child, origin: 'stop' })];
    });
  }

  async function release(requester: string): Promise<void> {
    const children = book.childrenOf(requester);
    const endings = children.map((row) => end(row, 'released', isActive(row) ? 'killed' : (row.run?.outcome ?? 'ok')));
    stop(requester);
    for (const { child } of children) await release(child);
    await Promise.all(endings);
  }

  async function sweep(): Promise<void> {
    const { archiveAfterMinutes } = source.current().config.agents.defaults.subagents;
    if (archiveAfterMinutes === 0) return;
    const oldest = now() - archiveAfterMinutes * 60_000;
    for (const row of book.all()) {
      if (isOpen(row) || runs.active(row.child).length > 0) continue;
      const session = await sessions.get(row.child);
      if (Math.max(session?.updatedAt ?? 0, row.run?.at ?? row.createdAt) <= oldest) await progress.archive(row, 'swept');
    }
  }

  return {
    spawn: createSpawn({ ...options, book, progress, created: (sessionKey) => tell({ sessionKey, reason: 'create' }) }),
    list: ({ requesterSessionKey }) => book.childrenOf(sessions.canonicalKey(requesterSessionKey)).map((row) => infoOf(row, now())),
    find: ({ requesterSessionKey, id }) => infoOf(book.find(sessions.canonicalKey(requesterSessionKey), id), now()),

    async kill({ requesterSessionKey, id }) {
      const row = book.find(sessions.canonicalKey(requesterSessionKey), id);
      const running = [row, ...book.childrenOf(row.child)].filter(isActive);
      for (const one of running) {
        one.quiet = true;
        book.save(one);
      }
      stop(row.child);
      runs.abort({ sessionKey: row.child, origin: 'stop' });
      if (row.mode === 'session') await end(row, 'released', 'killed');
      return running.map((one) => infoOf(one, now()));
    },

    async send({ requesterSessionKey, id, message, steer = false }) {
      const row = book.find(sessions.canonicalKey(requesterSessionKey), id);
      if ((await sessions.get(row.child)) === undefined) throw durarError('DUR_SUBAGENT_UNKNOWN', { id });
      const before = structuredClone(row);
      const request = requestOf(reopened(row, randomUUID(), message), message);
      try {
        const run = steer ? (await options.steer(request)).run : await options.begin(request);
        if (run.runId !== row.runId) reopened(row, run.runId, message);
      } catch (error) {
        book.save(Object.assign(row, before));
        throw error;
      }
      follow(row);
      return { runId: row.runId, childSessionKey: row.child };
    },

    stop: (requesterSessionKey) => stop(sessions.canonicalKey(requesterSessionKey)),

    async leaving(key, how, work) {
      await release(key);
      const row = book.get(key);
      if (row === undefined) return work();
      if (isActive(row)) row.quiet = true;
      book.save(row);
      const ending = end(row, how === 'deleted' ? 'deleted' : 'released', how);
      const done = await work();
      await ending;
      if (how === 'deleted') await progress.gone(row, 'deleted');
      return done;
    },

    async start() {
      for (const row of book.load()) {
        try {
          await progress.takeUp(row);
        } catch (error) {
          log.error(`a sub-agent could not be taken up again: ${errorText(error)}`, { sessionKey: row.child });
        }
      }
      const tick = () => sweep().catch((error: unknown) => log.error(`idle sub-agents were not archived: ${errorText(error)}`));
      timer ??= setInterval(() => track(tick()), SWEEP_MS).unref();
    },
    sweep,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => clearInterval(timer),
  };
}

/** What is done to whole sessions, with the sub-agents that hang on them. */
export function withSubagents(work: SessionWork, care: SubagentCare, keyOf: (sessionKey: string) => string): SessionWork {
  return {
    ...work,
    reset: (params) => care.leaving(keyOf(params.sessionKey), 'reset', () => work.reset(params)),
    remove: (params) => care.leaving(keyOf(params.sessionKey), 'deleted', () => work.remove(params)),
  };
}
