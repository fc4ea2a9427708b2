import { errorCode } from 'Durar/plugin-sdk/core';
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

export interface RunOptions {
  command: string;
  cwd: string;
  env: Record<string, string>;
  timeoutMs: number;
  signal: AbortSignal;
  onOutput(text: string): void;
}

export interface RunEnd {
  exitCode: number | null;
  /** The signal that ended it. */
  killedBy: NodeJS.Signals | null;
  timedOut: boolean;
}

/** What a process may still say after its shell has ended, in milliseconds. */
const DRAIN_MS = 200;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 1000;

/** The shell's argv without the command. */
export function shellArgv(): [string, ...string[]] {
  return existsSync('/bin/bash') ? ['/bin/bash', '--noprofile', '--norc', '-c'] : ['/bin/sh', '-c'];
}

/**
 * Runs one command in a process group of its own and resolves when its shell has ended. The group is killed on timeout and abort; an abort
 * rejects. Processes that the command left in the background go on, their later output is not read.
 */
export async function runCommand({ command, cwd, env, timeoutMs, signal, onOutput }: RunOptions): Promise<RunEnd> {
  const { execa } = await import('execa');
  signal.throwIfAborted();
  const [shell, ...args] = shellArgv();
  const child = execa(shell, [...args, command], {
    cwd,
    env,
    extendEnv: false,
    stdin: 'ignore',
    all: true,
    buffer: false,
    reject: false,
    detached: true,
  });
  child.all.setEncoding('utf8');
  child.all.on('data', onOutput);
  const drained = new Promise<void>((resolve) => child.all.once('close', resolve));
  const ended = new Promise<Pick<RunEnd, 'exitCode' | 'killedBy'>>((resolve, reject) => {
    child.once('exit', (exitCode, killedBy) => resolve({ exitCode, killedBy }));
    child.once('error', reject);
  });

  let timedOut = false;
  const stop = new AbortController();
  const end = () => void killGroup(child.pid, stop.signal);
  const timer = globalThis.setTimeout(() => {
    timedOut = true;
    end();
  }, timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    const result = await ended;
    await Promise.race([drained, setTimeout(DRAIN_MS, undefined, { ref: false })]);
    signal.throwIfAborted();
    return { ...result, timedOut };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    stop.abort();
    child.all.destroy();
    // what ignored SIGTERM after the shell was gone
    if (timedOut || signal.aborted) signalGroup(child.pid, 'SIGKILL');
  }
}

async function killGroup(pid: number | undefined, stopped: AbortSignal): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  const waited = await setTimeout(GRACE_MS, true, { signal: stopped }).catch(() => false);
  if (waited) signalGroup(pid, 'SIGKILL');
}

function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    // the group has ended
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
