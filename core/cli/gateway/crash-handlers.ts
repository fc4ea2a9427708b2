import { errorText } from '../../../sdk/errors.ts';

const MAX_SOURCES = 1000;

/**
 * Keeps the process alive after errors outside any call. `blame` puts the extension whose code threw out of use and names it. Its code may go on throwing,
 * for nobody can clear a timer of somebody else, so only its 1st, 10th, 100th, ... error is logged; likewise errors of the host with the same text, as the
 * writing of the log may be what fails. Returns the removal of the handlers.
 */
export function installCrashHandlers(
  blame: (error: unknown) => string | undefined,
  log: { error(text: string, fields?: Record<string, unknown>): void },
): () => void {
  const counts = new Map<string, number>();
  const onCrash = (error: unknown) => {
    const id = blame(error);
    const source = id ?? errorText(error);
    const count = (counts.get(source) ?? 0) + 1;
    if (counts.size >= MAX_SOURCES) counts.clear();
    counts.set(source, count);
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
