import { errorText, type SubagentEndedParams, type SubagentOutcome } from '../../../sdk/index.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Engines } from '../engine/engine.ts';
import type { SubagentBook } from './subagents-book.ts';
import type { SubagentRow } from './subagents-row.ts';

/** Words of `subagent_ended` that extensions know. */
const HOOK_REASONS: Record<SubagentOutcome, string> = {
  ok: 'subagent-complete',
  error: 'subagent-error',
  timeout: 'subagent-error',
  killed: 'subagent-killed',
  reset: 'session-reset',
  deleted: 'session-delete',
};

/**
 * Ends a sub-agent for the context engine and the hooks: once for each, whatever else ends it later. That it ends, and why, holds at once; who is told
 * of it is told when its session is quiet. What a crash kept from the engine it is told at the next start.
 */
export type EndSubagent = (row: SubagentRow, reason: SubagentEndedParams['reason'], outcome: SubagentOutcome) => Promise<void>;

export function createSubagentEnding(deps: {
  source: GenerationSource;
  engines: Engines;
  book: SubagentBook;
  log: Logger;
  now: () => number;
  closing: AbortSignal;
  /** Waits for the session's turns, their ends included. */
  alone(sessionKey: string, work: () => Promise<void>): Promise<void>;
}): EndSubagent {
  const { source, engines, book, log } = deps;
  const underWay = new Map<string, Promise<void>>();

  async function tell(row: SubagentRow, ended: NonNullable<SubagentRow['ended']>): Promise<void> {
    const { child: childSessionKey, runId, agentId } = row;
    const lease = source.lease();
    try {
      const { generation, expired } = lease;
      const signal = AbortSignal.any([deps.closing, expired]);
      await engines.subagentEnded({ childSessionKey, reason: ended.reason }, { generation, signal }).catch((error: unknown) => {
        if (!signal.aborted) log.error(`the end of a sub-agent was not taken by the context engine: ${errorText(error)}`, { sessionKey: childSessionKey });
      });
      // the next start tells it
      if (signal.aborted) return;
      ended.told = true;
      if (book.get(childSessionKey) === row) book.save(row);
      if (!generation.hooks.has('subagent_ended')) return;
      const error = row.run?.error;
      generation.hooks.emit(
        'subagent_ended',
        {
          targetSessionKey: childSessionKey,
          targetKind: 'subagent',
          reason: ended.reason === 'swept' ? 'subagent-swept' : HOOK_REASONS[ended.outcome],
          outcome: ended.outcome,
          runId,
          endedAt: ended.at,
          sendFarewell: false,
          ...(error === undefined ? {} : { error }),
        },
        { agentId, sessionKey: childSessionKey, runId },
      );
    } finally {
      lease.release();
    }
  }

  return async (row, reason, outcome) => {
    if (row.ended === undefined) {
      row.ended = { reason, outcome, at: deps.now(), told: false };
      book.save(row);
    }
    const { ended } = row;
    if (ended.told) return;
    // the engine gets what is left of the last turn first
    const telling = underWay.get(row.child) ?? deps.alone(row.child, () => tell(row, ended)).finally(() => underWay.delete(row.child));
    underWay.set(row.child, telling);
    await telling;
  };
}
