/**
 * The process that dies while an engine works. Its first message is the job: it loads the extension on the given state and kills itself at the
 * given point. When it cannot get there it says why and ends.
 */
import { type KillPoint, runUntilKill } from '../../sdk/contract/context-engine-faults.ts';
import { errorText } from '../../sdk/errors.ts';
import type { ContextEngine } from '../../sdk/ports/context-engine.ts';
import { silentLogger } from '../logging/logger.ts';
import { createTrial, type TrialOptions } from './trial.ts';

export interface FaultJob {
  trial: Omit<TrialOptions, 'log' | 'complete' | 'load'>;
  key: string;
  point: KillPoint;
}

const { trial, key, point } = await new Promise<FaultJob>((resolve) => process.once('message', (message) => resolve(message as FaultJob)));
process.on('disconnect', () => process.exit(1));
try {
  const { occupant } = await createTrial({ ...trial, log: silentLogger });
  await runUntilKill((await occupant('contextEngine', key)) as ContextEngine, point, () => process.kill(process.pid, 'SIGKILL'));
} catch (error) {
  await new Promise((resolve) => process.send?.({ type: 'durar.fault', reason: errorText(error) }, resolve));
  process.exit(1);
}
