import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { durarError, type ErrorReport, reportError } from '../../../sdk/errors.ts';
import type { ReplayedTurn, ReplaySummaries } from '../../agent/shadow/replay.ts';
import { startPrivateProcess } from '../../install/private-process.ts';
import type { CatalogEntry } from '../../manifest/catalog.ts';

/** What one engine is to replay. */
export interface ReplayJob {
  /** The engine's id. */
  engine: string;
  /** The extension that brings it. */
  entry: CatalogEntry;
  pluginConfig?: Record<string, unknown>;
  hostVersion: string;
  /** All that it writes goes there. */
  stateDir: string;
  /** The recorded session, JSON. */
  entriesFile: string;
  sessionKey: string;
  tokenBudget: number;
  model?: string;
  turns?: number;
}

export interface ReplayResult {
  engine: string;
  turns: ReplayedTurn[];
  summaries: ReplaySummaries;
  /** Why it ended before the session did. */
  stopped?: string;
  /** Why it could not be replayed to its end. */
  failure?: ErrorReport;
}

/** An empty one says that its process is not blocked. */
type Message = { type: 'durar.replay' } & (
  | { turn?: never; result?: never; failure?: never }
  | { turn: ReplayedTurn; result?: never; failure?: never }
  | { result: Pick<ReplayResult, 'summaries' | 'stopped'>; turn?: never; failure?: never }
  | { failure: ErrorReport; turn?: never; result?: never }
);

const OUTPUT_CHARS = 400;
/** A process that says nothing for so long is blocked by the engine's code, milliseconds. */
const BLOCKED_MS = 30_000;

/** Lets one engine replay in a process of its own. What it does there, ending the process included, is a failure in the result; rejects only when `signal` is aborted. */
export async function replayEngine(
  job: Omit<ReplayJob, 'stateDir'> & { dir: string },
  { env, signal, onTurn }: { env: NodeJS.ProcessEnv; signal: AbortSignal; onTurn(done: number): void },
): Promise<ReplayResult> {
  const { dir, ...rest } = job;
  const stateDir = join(dir, 'state');
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const { child, end } = startPrivateProcess('core/cli/replay/replay-child', { stateDir, env, job: { ...rest, stateDir } });
  const result: ReplayResult = { engine: job.engine, turns: [], summaries: { recorded: 0, extracted: 0 } };
  let isDone = false;
  let isBlocked = false;
  const watch = setTimeout(() => {
    isBlocked = true;
    end();
  }, BLOCKED_MS);
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS);
  });
  child.stdout?.resume();
  child.on('message', (message) => {
    const { type, ...told } = message as Message;
    if (type !== 'durar.replay') return;
    watch.refresh();
    if (told.turn !== undefined) {
      result.turns.push(told.turn);
      onTurn(result.turns.length);
      return;
    }
    isDone ||= told.failure !== undefined || told.result !== undefined;
    if (told.failure !== undefined) result.failure = told.failure;
    Object.assign(result, told.result);
  });
  signal.addEventListener('abort', end, { once: true });
  try {
    const how = await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killed) => resolve(killed === null ? `it ended the process with code ${code}` : `the process was ended by ${killed}`));
    });
    signal.throwIfAborted();
    if (isBlocked) result.failure = ended(job, `it blocked its process for ${BLOCKED_MS} ms`);
    else if (!isDone) result.failure = ended(job, output === '' ? how : `${how}: ${output.trim()}`);
    return result;
  } finally {
    clearTimeout(watch);
    end();
    signal.removeEventListener('abort', end);
  }
}

function ended({ engine, entry }: Pick<ReplayJob, 'engine' | 'entry'>, reason: string): ErrorReport {
  return reportError(durarError('DUR_ENGINE_FAILED', { engine, method: 'the replay', reason }, { owner: { extension: entry.id } }));
}
