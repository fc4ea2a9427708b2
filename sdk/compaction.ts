import { durarError } from './errors.ts';
import type { CompactParams, CompactResult } from './ports/context-engine.ts';

/**
 * Runs the host's own compaction (one summary of the older messages, the recent ones kept) for an engine that does not compact by itself.
 * Call it from `compact(params)` with the params unchanged. `compactionTarget` is ignored.
 *
 * Throws `DUR_COMPACTION_DELEGATE` outside a host call.
 */
export async function delegateCompactionToRuntime(params: CompactParams): Promise<CompactResult> {
  const compact = params.runtimeContext?.compactSession;
  if (typeof compact !== 'function') {
    throw durarError('DUR_COMPACTION_DELEGATE', { reason: 'params.runtimeContext is missing' });
  }
  return compact(params);
}
