import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { durarError } from '../../sdk/errors.ts';
import type { Paths } from '../config/paths.ts';
import type { State } from '../state/state.ts';

/** The state of a gateway that does not run, under its lock until `close`. Throws `DUR_GATEWAY_UNREACHABLE` where none has ever run. */
export async function openStoppedState({ stateDbDir: dir }: Pick<Paths, 'stateDbDir'>, url: string): Promise<{ state: State; close(): void }> {
  if (!existsSync(join(dir, 'durar.db'))) throw durarError('DUR_GATEWAY_UNREACHABLE', { url });
  const { acquireGatewayLock, openState } = await import('../state/state.ts');
  const lock = acquireGatewayLock({ dir });
  try {
    const state = openState({ dir });
    return {
      state,
      close() {
        state.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
