import { durarError, errorText, reportError } from '../../../sdk/index.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Inbox, InboxMessage, Outgoing } from '../../state/state.ts';
import type { Run } from '../run.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../run-request.ts';

/** What the inbox holds of an accepted message. */
export interface KeptRun {
  request: RunRequest;
  accepted: AcceptedRun;
  /** It is answered without a model, and never a second time. */
  isCommand?: true;
}

/** What is known on disk of a message that was accepted: it is still to be answered, it was given up, or it was answered. */
export type Fate = { kept: KeptRun; isDead: boolean } | { runId: string; result: RunResult | undefined };

/** The inbox as runs see it: every accepted message is in it until it is answered. */
export interface RunBook {
  /** On disk when it returns. False: its id or its key was accepted before. */
  enter(kept: KeptRun): boolean;
  /** By id or by key. */
  find(key: string): Fate | undefined;
  /** The run was taken up from an earlier process: whoever was to deliver its reply is gone. */
  adopt(run: Run): Run;
  /** A turn begins with these. */
  begin(ids: readonly string[]): void;
  /** Their turn was put off by a stop of the host; the next process goes on with them. */
  park(ids: readonly string[]): void;
  /**
   * The run is over, and with it all that it answers: gone from the inbox with their replies in the outbox. Never throws: who waits gets the
   * result whatever the disk says.
   */
  end(run: Run, result: RunResult, joined: (id: string) => RunResult): void;
  /** Messages that get no turn. */
  dismiss(ids: readonly string[], resultOf: (id: string) => RunResult): void;
  bury(id: string, reason: string): void;
}

/** A result with more text than this is kept without it. */
const MAX_RESULT_CHARS = 200_000;

export function createRunBook(options: {
  inbox: Inbox;
  /** What is to be sent for a result. */
  replies?: ((request: RunRequest, result: RunResult) => readonly Outgoing[]) | undefined;
  now: () => number;
  log: Logger;
}): RunBook {
  const { inbox, replies: repliesOf, now, log } = options;
  const adopted = new WeakSet<Run>();

  function finish(ids: readonly string[], replies: readonly Outgoing[], resultOf: (id: string) => RunResult): void {
    if (ids.length === 0) return;
    try {
      inbox.finish(ids, replies, now(), new Map(ids.map((id) => [id, lean(resultOf(id))])));
    } catch (error) {
      log.error(`what was answered could not be ticked off; the next start answers it again: ${errorText(error)}`, { runId: ids[0] });
    }
  }

  function replies(run: Run, result: RunResult): readonly Outgoing[] {
    const { route, deliver, ...request } = run.request;
    const wanted = adopted.has(run) && route !== undefined ? { ...request, ...route, autoReply: true as const } : request;
    if (run.answers.length === 0 || (deliver === false && wanted === request)) return [];
    try {
      return repliesOf?.(wanted, result) ?? [];
    } catch (error) {
      log.error(`the reply of a run could not be put together: ${errorText(error)}`, { runId: run.accepted.runId });
      return [];
    }
  }

  return {
    enter({ request, accepted, isCommand }) {
      const { runId: id, sessionKey } = accepted;
      const kept: KeptRun = { request, accepted, ...(isCommand === true ? { isCommand } : {}) };
      return inbox.add({ id, sessionKey, request: kept, key: request.dedupeKey }, now());
    },
    find(key) {
      const runId = inbox.idOf(key);
      if (runId === undefined) return undefined;
      const message = inbox.get(runId);
      if (message !== undefined) return { kept: keptIn(message), isDead: message.state === 'dead' };
      return { runId, result: inbox.result(runId) as RunResult | undefined };
    },
    adopt(run) {
      adopted.add(run);
      return run;
    },
    begin(ids) {
      if (ids.length > 0) inbox.start(ids);
    },
    park(ids) {
      if (ids.length > 0) inbox.park(ids);
    },
    end(run, result, joined) {
      const { answers, accepted } = run;
      finish(answers, replies(run, result), (id) => (id === accepted.runId ? result : joined(id)));
    },
    dismiss: (ids, resultOf) => finish(ids, [], resultOf),
    bury: (id, reason) => inbox.bury(id, reason),
  };
}

/** The request of a message in the inbox. */
export function keptIn({ request, acceptedAt }: InboxMessage): KeptRun {
  const kept = request as KeptRun;
  return { ...kept, accepted: { ...kept.accepted, acceptedAt } };
}

/** The result of a message that was given up. */
export function deadResult({ runId, sessionKey, sessionId }: AcceptedRun, error: unknown, now: number): RunResult {
  const report = reportError(error);
  return {
    runId,
    sessionKey,
    sessionId,
    status: 'error',
    startedAt: now,
    endedAt: now,
    payloads: [{ text: report.message, mediaUrl: null, isError: true }],
    meta: { durationMs: 0, aborted: false, agentMeta: { sessionId } },
    error: report,
  };
}

export function givenUp(attempts: number): Error {
  return durarError('DUR_RUN_GIVEN_UP', { attempts });
}

function lean(result: RunResult): RunResult {
  const size = result.payloads.reduce((sum, { text = '' }) => sum + text.length, 0);
  return size <= MAX_RESULT_CHARS ? result : { ...result, payloads: [] };
}
