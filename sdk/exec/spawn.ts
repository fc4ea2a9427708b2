import { spawn } from 'node:child_process';
import { errorCode } from '../errors.ts';

export interface SpawnOptions {
  argv: readonly string[];
  cwd?: string;
  env: Record<string, string>;
  timeoutMs: number;
  /** Characters kept of each stream; what comes later is counted out. */
  maxChars: number;
  signal: AbortSignal;
}

export interface SpawnResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  success: boolean;
  timedOut: boolean;
  /** Something was left out of the output. */
  truncated?: true;
}

/** From SIGTERM to SIGKILL. */
const GRACE_MS = 1000;
/** What a process may still say after it has ended, in milliseconds. */
const DRAIN_MS = 200;

/** Runs a program without a shell, in a process group of its own, which is killed on timeout and abort. Rejects when it cannot be started. */
export async function spawnProgram({ argv, cwd, env, timeoutMs, maxChars, signal }: SpawnOptions): Promise<SpawnResult> {
  signal.throwIfAborted();
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { ...(cwd === undefined ? {} : { cwd }), env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const kept = { stdout: '', stderr: '' };
  let truncated = false;
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (chunk: string) => {
      const free = maxChars - kept[name].length;
      if (chunk.length > free) truncated = true;
      kept[name] += chunk.slice(0, Math.max(0, free));
    });
  }
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', reject);
  });
  let timedOut = false;
  let hard: NodeJS.Timeout | undefined;
  const end = () => {
    killGroup(child.pid, 'SIGTERM');
    hard ??= setTimeout(() => killGroup(child.pid, 'SIGKILL'), GRACE_MS);
  };
  const limit = setTimeout(() => {
    timedOut = true;
    end();
  }, timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    const exitCode = await exited;
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
    return { exitCode, ...kept, success: exitCode === 0 && !timedOut, timedOut, ...(truncated ? { truncated: true } : {}) };
  } finally {
    clearTimeout(limit);
    clearTimeout(hard);
    signal.removeEventListener('abort', end);
    child.stdout.destroy();
    child.stderr.destroy();
    // what ignored SIGTERM after its parent was gone
    if (timedOut || signal.aborted) killGroup(child.pid, 'SIGKILL');
  }
}

function killGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    // the group has ended
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
