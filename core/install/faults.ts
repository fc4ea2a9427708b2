import { fork } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { checkAfterKill, contextEngineFaults, type EngineFaultContext, KILL_HINT, KILL_POINTS } from '../../sdk/contract/context-engine-faults.ts';
import { type ContractResult, runContractCase } from '../../sdk/contract/contract.ts';
import { durarError } from '../../sdk/errors.ts';
import type { ContextEngine } from '../../sdk/ports/context-engine.ts';
import type { FaultJob } from './fault-child.ts';
import { productFile } from './product.ts';
import { createSkewedClock } from './skewed-clock.ts';
import type { Attempt } from './suites.ts';
import { createTrial, type Trial, type TrialOptions } from './trial.ts';

export interface FaultOptions {
  /** The engine's id. */
  key: string;
  /** Each fault gets a state folder of its own below `stateDir`. */
  trial: TrialOptions;
  attempt: Attempt;
}

const KILL_LIMIT_MS = 20_000;

/** Takes an engine through every fault, one check each: `fault.<fault>/<key>`. Changes the clock of this process while it runs. */
export async function runFaults({ key, trial, attempt }: FaultOptions): Promise<void> {
  for (const faultCase of contextEngineFaults.cases) {
    await attempt(`fault.${faultCase.fault}/${key}`, faultCase.name, async () => {
      const result = await runContractCase(faultCase, () => makeContext(key, trial));
      return outcome(key, faultCase.fault, faultCase.hint, result);
    });
  }
  for (const point of KILL_POINTS) {
    const title = `a process that is killed during ${point} costs nothing`;
    await attempt(`fault.kill-${point}/${key}`, title, async () => {
      const options = { ...trial, stateDir: await mkdtemp(join(trial.stateDir, 'fault-')) };
      const { log: _log, complete: _complete, load: _load, ...plain } = options;
      await killDuring({ trial: plain, key, point });
      const again = { name: title, run: ({ engine, line }: EngineFaultContext) => checkAfterKill(engine, point, line) };
      return outcome(key, `kill during ${point}`, KILL_HINT, await runContractCase(again, () => contextOf(key, options)));
    });
  }
}

async function makeContext(key: string, trial: TrialOptions): Promise<EngineFaultContext> {
  return contextOf(key, { ...trial, stateDir: await mkdtemp(join(trial.stateDir, 'fault-')) });
}

async function contextOf(key: string, options: TrialOptions): Promise<EngineFaultContext> {
  let current: Trial | undefined;
  const close = async () => {
    const [problem] = (await current?.dispose()) ?? [];
    current = undefined;
    if (problem !== undefined) throw problem;
  };
  const reopen = async () => {
    await close();
    current = await createTrial(options);
    return (await current.occupant('contextEngine', key)) as ContextEngine;
  };
  const skewClock = createSkewedClock();
  return {
    engine: await reopen(),
    id: key,
    ...(options.entry.format === 'ancestor' ? { line: 'ancestor' } : {}),
    reopen,
    skewClock,
    async dispose() {
      skewClock(0);
      await close();
    },
  };
}

function outcome(key: string, fault: string, hint: string, { status, reason }: ContractResult): string | undefined {
  if (status === 'failed') throw durarError('DUR_VERIFY_FAULT', { engine: key, fault, reason }, { hint });
  return status === 'skipped' ? reason : undefined;
}

/** Resolves when a process of its own was killed at the point; rejects when it did not get there. */
async function killDuring(job: FaultJob): Promise<void> {
  const child = fork(productFile('core/install/fault-child'), { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  // not an argument: everybody may read those, and the plugin's configuration can hold secrets
  child.send(job, () => undefined);
  let reason: string | undefined;
  child.on('message', (message) => {
    if (typeof message === 'object' && message !== null && 'reason' in message) reason = String(message.reason);
  });
  const timer = setTimeout(() => {
    reason = `it did not get there within ${KILL_LIMIT_MS} ms`;
    child.kill('SIGKILL');
  }, KILL_LIMIT_MS);
  const end = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? `code ${code}`));
  }).finally(() => clearTimeout(timer));
  reason ??= end === 'SIGKILL' || process.platform === 'win32' ? undefined : `it ended before, with ${end}`;
  if (reason !== undefined) throw durarError('DUR_VERIFY_FAULT', { engine: job.key, fault: `kill during ${job.point}`, reason }, { hint: KILL_HINT });
}
