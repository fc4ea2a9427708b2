import { durarError, type MaintainResult, type RuntimeContext } from '../../../sdk/index.ts';

/** Runs an engine's call with what it is lent, which is taken back when the call has ended. */
export async function lend<Result>(context: RuntimeContext | undefined, call: (context: RuntimeContext | undefined) => Promise<Result>): Promise<Result> {
  if (context === undefined) return call(undefined);
  let isOver = false;
  const { compactSession, rewriteTranscriptEntries } = context;
  const lent: RuntimeContext = { ...context };
  if (compactSession !== undefined) {
    lent.compactSession = async (params) => {
      if (isOver) throw durarError('DUR_COMPACTION_DELEGATE', { reason: 'the call that it was lent to has ended' });
      return compactSession(params);
    };
  }
  if (rewriteTranscriptEntries !== undefined) {
    lent.rewriteTranscriptEntries = async (params) => (isOver ? unchanged('the call that it was lent to has ended') : rewriteTranscriptEntries(params));
  }
  try {
    return await call(lent);
  } finally {
    isOver = true;
  }
}

/** What comes of a rewrite that is refused. */
export function unchanged(reason: string): MaintainResult {
  return { changed: false, bytesFreed: 0, rewrittenEntries: 0, reason };
}
