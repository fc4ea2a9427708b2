import { durarError } from '../../../sdk/index.ts';
import type { Intake } from '../directives/intake.ts';
import { inboxIds, type Run, type Runs } from '../run.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../run-request.ts';
import type { RunBook } from './run-book.ts';

/** The door for requests: each id and each key once, on disk before its sender is told, none when it is closed. */
export interface Admission {
  /** What a request was accepted as before, in this process or an earlier one. */
  known(request: Pick<RunRequest, 'runId' | 'dedupeKey' | 'sessionKey' | 'agentId'>): AcceptedRun | undefined;
  accept(request: RunRequest): Promise<AcceptedRun>;
  steer(request: RunRequest): Promise<{ run: AcceptedRun; interrupted: boolean }>;
  /** Refuses what comes from now on; resolves when all that was let in before has begun. */
  close(): Promise<void>;
}

export function createAdmission(options: {
  runs: Runs;
  book: RunBook;
  intake: Pick<Intake, 'admit'>;
  start(run: Run): void;
  canonicalKey(key: string | undefined, agentId?: string): string;
  /** A run is over whose turn goes on under another id. */
  ended(run: Run, result: RunResult): void;
}): Admission {
  const { runs, book, intake, canonicalKey } = options;
  /** Ids between their request and their run, so that a repeated request meets the first one. */
  const accepting = new Map<string, Promise<AcceptedRun>>();
  let closed = false;

  const known: Admission['known'] = ({ runId, dedupeKey, sessionKey, agentId }) => {
    const live = runs.accepted(runId);
    if (live !== undefined) return live;
    const fate = book.find(runId) ?? (dedupeKey === undefined ? undefined : book.find(dedupeKey));
    if (fate === undefined) return undefined;
    if ('kept' in fate) return { ...fate.kept.accepted, repeated: true };
    const { result } = fate;
    const key = result?.sessionKey ?? canonicalKey(sessionKey, agentId);
    const owner = /^agent:([^:]+):/.exec(key)?.[1] ?? agentId ?? '';
    return { runId: fate.runId, sessionKey: key, sessionId: result?.sessionId ?? '', agentId: owner, acceptedAt: result?.startedAt ?? 0, repeated: true };
  };

  /** Writes the message down and begins its run. Of two with one key that come at once, the second is told of the first. */
  function begin(request: RunRequest, accepted: AcceptedRun, start: (run: () => Run) => void): AcceptedRun {
    if (request.isBooked !== true && !book.enter({ request, accepted })) return known(request) ?? accepted;
    start(() => runs.begin(request, accepted));
    return accepted;
  }

  async function accept(request: RunRequest): Promise<AcceptedRun> {
    const present = accepting.get(request.runId) ?? known(request);
    if (present !== undefined) return present;
    if (closed) throw durarError('DUR_HOST_STOPPED');
    const opening = intake.admit<AcceptedRun>(request, (own, accepted) => begin(own, accepted, (run) => options.start(run())));
    accepting.set(request.runId, opening);
    try {
      return await opening;
    } finally {
      accepting.delete(request.runId);
    }
  }

  async function steer(request: RunRequest): Promise<{ run: AcceptedRun; interrupted: boolean }> {
    const present = accepting.get(request.runId) ?? known(request);
    if (present !== undefined) return { run: await present, interrupted: false };
    if (closed) throw durarError('DUR_HOST_STOPPED');
    let interrupted = false;
    const steering = intake.admit<AcceptedRun>(request, async (own, accepted) => {
      const { sessionKey } = accepted;
      let steered: Promise<void> | undefined;
      const run = begin(own, accepted, (start) => {
        interrupted = runs.active(sessionKey).length > 0;
        const offered = runs.steerable(sessionKey)?.steering.offer?.({
          request: own,
          accepted,
          before: () => book.begin(inboxIds(own)),
          taken: options.ended,
        });
        // a turn that ended over the offer makes room by itself; what was accepted meanwhile stays
        if (offered === undefined) runs.abort({ sessionKey, origin: 'rpc' });
        steered = (offered ?? Promise.resolve(false)).then((taken) => {
          if (!taken) options.start(start());
        });
      });
      await steered;
      return run;
    });
    accepting.set(request.runId, steering);
    try {
      return { run: await steering, interrupted };
    } finally {
      accepting.delete(request.runId);
    }
  }

  return {
    known,
    accept,
    steer,
    async close() {
      closed = true;
      await Promise.allSettled(accepting.values());
    },
  };
}
