import { errorText } from '../../sdk/errors.ts';

/**
 * Keeps the process alive after errors outside any call. `blame` puts the extension whose code threw out of use and names it. Its code may go on throwing,
 * for nobody can clear a timer of somebody else, so only its 1st, 10th, 100th, ... error is logged. Returns the removal of the handlers.
 */
export function installCrashHandlers(
  blame: (error: unknown) => string | undefined,
  log: { error(text: string, fields?: Record<string, unknown>): void },
): () => void {
  const counts = new Map<string, number>();
  const onCrash = (error: unknown) => {
    const id = blame(error);
    const count = id === undefined ? 1 : (counts.get(id) ?? 0) + 1;
    if (id !== undefined) counts.set(id, count);
    if (!/^10*$/.test(String(count))) return;
    const what = id === undefined ? 'an error outside any call' : `'${id}' is switched off after an error outside any call`;
    log.error(`${what}${count === 1 ? '' : ` (the ${count}th)`}: ${errorText(error)}`, {
      ...(id === undefined ? {} : { extension: id }),
      trace: error instanceof Error ? error.stack : undefined,
    });
  };
  process.on('uncaughtException', onCrash);
  process.on('unhandledRejection', onCrash);
  return () => {
    process.off('uncaughtException', onCrash);
    process.off('unhandledRejection', onCrash);
  };
}
