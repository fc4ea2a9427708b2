import { durarError } from '../../sdk/index.ts';
import type { Intake } from './directives/intake.ts';
import type { Runs } from './run.ts';
import type { AcceptedRun, RunRequest } from './run-request.ts';

/** The door for requests: each id once, none when it is closed. */
export interface Admission {
  accept(request: RunRequest): Promise<AcceptedRun>;
  steer(request: RunRequest): Promise<{ run: AcceptedRun; interrupted: boolean }>;
  /** Refuses what comes from now on; resolves when all that was let in before has begun. */
  close(): Promise<void>;
}

export function createAdmission(options: { runs: Runs; intake: Pick<Intake, 'admit'>; start(request: RunRequest, accepted: AcceptedRun): void }): Admission {
  const { runs, intake, start } = options;
  /** Ids between their request and their run, so that a repeated request meets the first one. */
  const accepting = new Map<string, Promise<AcceptedRun>>();
  let closed = false;

  async function accept(request: RunRequest): Promise<AcceptedRun> {
    const known = runs.accepted(request.runId) ?? accepting.get(request.runId);
    if (known !== undefined) return known;
    if (closed) throw durarError('DUR_HOST_STOPPED');
    const opening = intake.admit<AcceptedRun>(request, (own, accepted) => {
      start(own, accepted);
      return accepted;
    });
    accepting.set(request.runId, opening);
    try {
      return await opening;
    } finally {
      accepting.delete(request.runId);
    }
  }

  async function steer(request: RunRequest): Promise<{ run: AcceptedRun; interrupted: boolean }> {
    const known = runs.accepted(request.runId) ?? accepting.get(request.runId);
    if (known !== undefined) return { run: await known, interrupted: false };
    if (closed) throw durarError('DUR_HOST_STOPPED');
    let interrupted = false;
    const steering = intake.admit<AcceptedRun>(request, async (own, run) => {
      const { sessionKey } = run;
      interrupted = runs.active(sessionKey).length > 0;
      const offered = runs.steerable(sessionKey)?.steering.offer?.({ request: own, accepted: run });
      // a turn that ended over the offer makes room by itself; what was accepted meanwhile stays
      if (offered === undefined) runs.abort({ sessionKey, origin: 'rpc' });
      if ((await offered) !== true) start(own, run);
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
    accept,
    steer,
    async close() {
      closed = true;
      await Promise.allSettled(accepting.values());
    },
  };
}
