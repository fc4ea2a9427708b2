import { randomUUID } from 'node:crypto';
import { errorText, messageText, type SubagentOutcome } from '../../../sdk/index.ts';
import type { Runs } from '../run.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../run-request.ts';
import type { SessionWork } from '../session-work.ts';
import type { TurnDeps } from '../turn/turn-state.ts';
import { announcementText } from './subagents-announce.ts';
import { createAnnouncer, type DeliverReply } from './subagents-announcer.ts';
import type { SubagentBook } from './subagents-book.ts';
import { ANNOUNCE_SKIP } from './subagents-context.ts';
import { createSubagentEnding, type EndSubagent } from './subagents-ending.ts';
import { isOpen, runEndOf, type SubagentRow, type SubagentRunEnd, shortened } from './subagents-row.ts';

/** Takes sub-agents from the run that they were given to their end. Each step is written down before the next, so that a start can go on with any. */
export interface SubagentProgress {
  readonly end: EndSubagent;
  /** Gives the row another run to wait for, and what the run was asked where that is not the task. */
  reopened(row: SubagentRow, runId: string, message?: string): SubagentRow;
  /** Waits for the row's run, which is accepted. */
  follow(row: SubagentRow): void;
  /** Goes on with what a former process left. */
  takeUp(row: SubagentRow): Promise<void>;
  /** Removes the session, then ends the sub-agent. */
  archive(row: SubagentRow, reason: 'deleted' | 'swept'): Promise<void>;
  /** The session is removed. */
  gone(row: SubagentRow, reason: 'deleted' | 'swept'): Promise<void>;
}

/** A task over which the gateway dies more often is given up. */
const MAX_RESTARTS = 3;
const GO_ON = 'The gateway restarted while you worked. Tool calls that were under way have no result; check what is done and finish your task.';
/** The longest delay a timer can have. */
const FOREVER_MS = 2 ** 31 - 1;

export function createSubagentProgress(options: {
  deps: TurnDeps;
  book: SubagentBook;
  runs: Runs;
  remove: SessionWork['remove'];
  begin(request: RunRequest): Promise<AcceptedRun>;
  track(task: Promise<void>): void;
  /** Waits for the session's turns. */
  alone(sessionKey: string, work: () => Promise<void>): Promise<void>;
  /** A session was removed because its time was over. */
  archived(sessionKey: string): void;
  deliver?: DeliverReply | undefined;
}): SubagentProgress {
  const { deps, book, runs, begin, track } = options;
  const { sessions, log, now } = deps;
  const end = createSubagentEnding({ ...deps, book, alone: options.alone });
  const announce = createAnnouncer({
    ...deps,
    book,
    begin,
    untilEnd,
    track,
    joined(key, runId) {
      const row = book.get(key);
      if (row !== undefined) follow(reopened(row, runId));
    },
    async done(row) {
      if (row.sessionGone === true) book.drop(row.child);
      await concludeParent(row);
    },
    deliver: options.deliver,
  });

  async function untilEnd(runId: string): Promise<RunResult> {
    for (;;) {
      const result = await runs.wait(runId, FOREVER_MS);
      if (result !== undefined) return result;
    }
  }

  function reopened(row: SubagentRow, runId: string, message?: string): SubagentRow {
    row.runId = runId;
    row.since = now();
    if (message === undefined) delete row.message;
    else row.message = message;
    delete row.run;
    delete row.concluded;
    delete row.quiet;
    book.save(row);
    return row;
  }

  function follow(row: SubagentRow): void {
    const { child, runId } = row;
    const settled = untilEnd(runId).then((result) => settle(child, runId, result));
    track(settled.catch((error: unknown) => log.error(`the end of a sub-agent failed: ${errorText(error)}`, { sessionKey: child, runId })));
  }

  async function settle(child: string, runId: string, result: RunResult): Promise<void> {
    const row = book.get(child);
    // a later message has taken its place; what a stop of the host ended goes on at the next start
    if (row === undefined || row.runId !== runId || result.meta.stopReason === 'shutdown') return;
    await settleAs(row, runEndOf(result));
  }

  async function settleAs(row: SubagentRow, run: SubagentRunEnd): Promise<void> {
    row.run = run;
    book.save(row);
    await conclude(row);
  }

  /** The end of a sub-agent's work: its run is over, and all that it started has reported to it. */
  async function conclude(row: SubagentRow): Promise<void> {
    const { run } = row;
    if (run === undefined || row.concluded === true || book.childrenOf(row.child).some(isOpen)) return;
    const isSilent = row.quiet === true || (run.outcome === 'ok' && run.text.trim() === ANNOUNCE_SKIP);
    row.concluded = true;
    if (!isSilent) row.announcement = { id: `announce:${row.child}:${row.runId}`, text: announcementText(row, run) };
    book.save(row);
    await carryOut(row, run);
  }

  /** What follows from a conclusion, as far as it is not done yet. */
  async function carryOut(row: SubagentRow, run: SubagentRunEnd): Promise<void> {
    const isRun = row.mode === 'run';
    const ending = isRun && row.cleanup === 'keep' ? end(row, 'completed', run.outcome) : undefined;
    await announce(row);
    await ending;
    if (isRun && row.cleanup === 'delete' && row.sessionGone !== true) await archive(row, 'deleted');
    if (row.announcement === undefined) await concludeParent(row);
  }

  async function concludeParent({ requester }: SubagentRow): Promise<void> {
    const parent = book.get(requester);
    if (parent !== undefined) await conclude(parent);
  }

  async function archive(row: SubagentRow, reason: 'deleted' | 'swept'): Promise<void> {
    await options.remove({ sessionKey: row.child });
    options.archived(row.child);
    await gone(row, reason);
  }

  async function gone(row: SubagentRow, reason: 'deleted' | 'swept', outcome: SubagentOutcome = row.run?.outcome ?? 'deleted'): Promise<void> {
    row.sessionGone = true;
    book.save(row);
    await end(row, reason, outcome);
    if (row.announcement === undefined) book.drop(row.child);
  }

  /** A sub-agent that a former process left at work. */
  async function resume(row: SubagentRow): Promise<void> {
    const session = await sessions.get(row.child);
    if (session === undefined) return gone(row, 'deleted');
    const failed = (outcome: SubagentOutcome, error?: string): SubagentRunEnd => {
      return { outcome, at: now(), runtimeMs: Math.max(0, now() - row.createdAt), text: '', ...(error === undefined ? {} : { error }) };
    };
    if (row.quiet === true) return settleAs(row, failed('killed'));
    const { entries, lastSeq } = await sessions.read(session, { limit: 1 });
    const last = entries[0]?.type === 'message' ? entries[0].message : undefined;
    const isBegun = lastSeq > 0 && (session.startedAt ?? 0) >= (row.since ?? row.createdAt);
    if (isBegun && session.status === 'done' && last?.role === 'assistant') {
      const at = session.endedAt ?? session.updatedAt;
      return settleAs(row, { outcome: 'ok', at, runtimeMs: Math.max(0, at - (session.startedAt ?? row.createdAt)), text: shortened(messageText(last)) });
    }
    if (row.restarts >= MAX_RESTARTS) {
      return settleAs(row, failed('error', `it was interrupted ${row.restarts + 1} times by a restart of the gateway`));
    }
    row.restarts += 1;
    const message = isBegun ? GO_ON : (row.message ?? row.task);
    await begin(requestOf(reopened(row, randomUUID(), message), message));
    follow(row);
  }

  return {
    end,
    reopened,
    follow,
    archive,
    gone,
    async takeUp(row) {
      if (row.ended?.told === false) await end(row, row.ended.reason, row.ended.outcome);
      if (row.run === undefined) await resume(row);
      else if (row.concluded === true) await carryOut(row, row.run);
      else await conclude(row);
    },
  };
}

/** One more message for a sub-agent. */
export function requestOf(row: SubagentRow, message: string): RunRequest {
  return {
    runId: row.runId,
    sessionKey: row.child,
    agentId: row.agentId,
    message,
    lane: 'subagent',
    provenance: { kind: 'inter_session', sourceSessionKey: row.requester, sourceTool: 'sessions_spawn' },
    ...(row.timeoutSeconds === undefined ? {} : { timeoutSeconds: row.timeoutSeconds }),
  };
}
