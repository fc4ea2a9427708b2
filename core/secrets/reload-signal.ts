import type { DurarError } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';

/** Tells once when the secrets of a running gateway can no longer be renewed, and once when they can again. */
export interface ReloadSignal {
  /** The secrets of what is on disk could not be activated. Before the first success that is a failed start, and nothing is told. */
  failed(errors: readonly DurarError[]): void;
  /** A generation with its secrets is live. */
  succeeded(): void;
  isDegraded(): boolean;
}

export interface ReloadSignalOptions {
  log: Logger;
  /** Puts a line before the model, so it holds neither a value nor words of a source. */
  announce(text: string): void;
}

const DEGRADED = 'SECRETS_RELOADER_DEGRADED';
const RECOVERED = 'SECRETS_RELOADER_RECOVERED';

export function createReloadSignal({ log, announce }: ReloadSignalOptions): ReloadSignal {
  let state: 'starting' | 'healthy' | 'degraded' = 'starting';
  return {
    failed(errors) {
      if (state === 'starting') return;
      const places = errors.map(({ owner }) => owner.pointer ?? '').filter((pointer) => pointer !== '');
      const fields = { paths: places, reasons: errors.map(({ message }) => message) };
      if (state === 'degraded') {
        log.warn(`the secrets still cannot be reloaded: ${errors.map(({ message }) => message).join('; ')}`, fields);
        return;
      }
      state = 'degraded';
      log.error(`${DEGRADED}: the secrets cannot be reloaded; those that are active stay in use: ${errors.map(({ message }) => message).join('; ')}`, {
        code: DEGRADED,
        ...fields,
      });
      announce(`[${DEGRADED}] the secrets cannot be reloaded; those that are active stay in use (${places.join(', ')})`);
    },
    succeeded() {
      const before = state;
      state = 'healthy';
      if (before !== 'degraded') return;
      log.info(`${RECOVERED}: the secrets are reloaded`, { code: RECOVERED });
      announce(`[${RECOVERED}] the secrets are reloaded`);
    },
    isDegraded: () => state === 'degraded',
  };
}
