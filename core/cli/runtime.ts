import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../sdk/errors.ts';
import type { Paths } from '../config/paths.ts';

/** Whether a gateway process owns the state of this profile. */
export interface Runtime {
  running: boolean;
  /** Known unless it is only just starting. */
  pid?: number;
}

/** Asks the lock that a gateway holds for life. Creates nothing where no gateway has ever run. */
export async function findRuntime(paths: Paths): Promise<Runtime> {
  if (!existsSync(join(paths.stateDbDir, 'lock.db'))) return { running: false };
  const { acquireGatewayLock } = await import('../state/lock.ts');
  try {
    acquireGatewayLock({ dir: paths.stateDbDir }).release();
    return { running: false };
  } catch (error) {
    if (errorCode(error) !== 'DUR_STATE_LOCKED') throw error;
    const { pid } = (error as { details?: { pid?: number } }).details ?? {};
    return pid === undefined ? { running: true } : { running: true, pid };
  }
}
