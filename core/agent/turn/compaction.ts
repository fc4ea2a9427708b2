import { type CompactResult, errorText } from '../../../sdk/index.ts';
import { hostCompaction, runtimeContext } from '../engine/runtime-context.ts';
import type { Run } from '../run.ts';
import type { Turn } from './turn-state.ts';

/** Why the context is compacted: the model refused it, the estimate of a good turn came near the window, or somebody asked for it. */
export type CompactionTrigger = 'overflow' | 'threshold' | 'manual';

/** What a compaction needs of a turn. */
export type CompactionTurn = Pick<Turn, 'deps' | 'session' | 'generation' | 'engine' | 'model' | 'hookContext' | 'totals'> & { run: Pick<Run, 'emit'> };

export interface CompactionRequest {
  trigger: CompactionTrigger;
  tokenBudget: number;
  currentTokenCount: number;
  signal: AbortSignal;
  /** What the user wants to be kept in mind. */
  instructions?: string | undefined;
}

/**
 * Compacts the turn's session through the selected engine. On the threshold an engine that does not own compaction is left alone and the
 * host's own summary is made; else the engine's `compact` always answers. Throws what the engine or the summary's model threw.
 */
export async function compactSession(turn: CompactionTurn, request: CompactionRequest): Promise<CompactResult> {
  const { deps, run, session, generation, engine, hookContext } = turn;
  const { sessions } = deps;
  const { hooks } = generation;
  const sessionFile = await sessions.sessionFile(session);
  const file = sessionFile === undefined ? {} : { sessionFile };

  run.emit('compaction', { phase: 'start' });
  const before = await sessions.context(session);
  if (hooks.has('before_compaction')) {
    const messages = [...before.messages];
    hooks.emit('before_compaction', { messageCount: messages.length, tokenCount: request.currentTokenCount, messages, ...file }, hookContext);
  }
  let result: CompactResult | undefined;
  try {
    const hostDecides = request.trigger === 'threshold' && !engine.ownsCompaction;
    result = await engine.compact(
      {
        ...file,
        tokenBudget: request.tokenBudget,
        currentTokenCount: request.currentTokenCount,
        compactionTarget: request.trigger === 'threshold' ? 'threshold' : 'budget',
        ...(request.trigger === 'manual' ? { force: true } : {}),
        ...(request.instructions === undefined ? {} : { customInstructions: request.instructions }),
        signal: request.signal,
        runtimeContext: runtimeContext(turn, request.signal),
      },
      hostDecides ? hostCompaction(turn, request.signal) : undefined,
    );
    return result;
  } finally {
    const completed = result?.compacted === true;
    const { tokensBefore, tokensAfter } = result?.result ?? {};
    turn.totals.attempts.push({
      trigger: request.trigger,
      compacted: completed,
      ...(tokensBefore === undefined ? {} : { tokensBefore }),
      ...(tokensAfter === undefined ? {} : { tokensAfter }),
    });
    run.emit('compaction', { phase: 'end', willRetry: completed && request.trigger === 'overflow', completed });
    if (completed) {
      turn.totals.compactions += 1;
      if (result?.result?.summary !== undefined) turn.totals.summary = result.result.summary;
    }
    if (completed && hooks.has('after_compaction')) {
      const { messages } = await sessions.context(session);
      const compactedCount = Math.max(0, before.messages.length - messages.length);
      hooks.emit('after_compaction', { messageCount: messages.length, compactedCount, ...tokenCount(result), ...file }, hookContext);
    }
  }
}

/** Why a compaction did not help, for the error of the overflow that it should have cured. */
export function describeCompaction(outcome: CompactResult | { failed: unknown }): string {
  if ('failed' in outcome) return `compaction failed: ${errorText(outcome.failed)}`;
  return outcome.compacted ? 'compaction did not make it smaller' : (outcome.reason ?? 'there was nothing to compact');
}

function tokenCount(result: CompactResult | undefined): { tokenCount?: number } {
  const tokens = result?.result?.tokensAfter;
  return tokens === undefined ? {} : { tokenCount: tokens };
}
