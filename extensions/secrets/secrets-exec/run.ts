import { errorCode } from 'Durar/plugin-sdk/core';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RunOptions {
  /** The program itself, and what it is told it was called. */
  file: string;
  name: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  input: string;
  timeoutMs: number;
  noOutputTimeoutMs: number;
  /** Of both streams together. */
  maxOutputBytes: number;
  signal?: AbortSignal | undefined;
}

/** What a process may still say after it has ended, in milliseconds; what it left in the background may hold its streams open. */
const DRAIN_MS = 200;
const ENDING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs a program without a shell, in a process group of its own, and gives what it printed on stdout. The group is killed when a limit is
 * passed or the signal is aborted. No error tells what the program printed: both streams may hold a secret.
 */
export async function runProgram(options: RunOptions): Promise<Buffer> {
  const { file, name, args, env, cwd, input, timeoutMs, noOutputTimeoutMs, maxOutputBytes, signal } = options;
  const { execa } = await import('execa');
  signal?.throwIfAborted();
  const child = execa(file, args, {
    argv0: name,
    cwd,
    env,
    extendEnv: false,
    stdin: 'pipe',
    encoding: 'buffer',
    buffer: false,
    reject: false,
    detached: true,
    // not the host's when it runs from a checkout
    preferLocal: false,
  });
  const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
  const fail = (reason: string) => stop(new Error(`'${name}' ${reason}`));
  const chunks: Buffer[] = [];
  const size = { stdout: 0, stderr: 0 };
  const total = setTimeout(() => fail(`did not end within ${timeoutMs} ms`), timeoutMs);
  const silence = setTimeout(() => fail(`printed nothing for ${noOutputTimeoutMs} ms`), noOutputTimeoutMs);
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (chunk: Buffer) => {
      silence.refresh();
      size[stream] += chunk.length;
      if (size.stdout + size.stderr > maxOutputBytes) fail(`printed more than ${maxOutputBytes} bytes`);
      else if (stream === 'stdout') chunks.push(chunk);
    });
  }
  const onAbort = () => stop(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const release = endWithHost(() => killGroup(child.pid));

  const drained = new Promise<void>((resolve) => child.stdout.once('close', resolve));
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once('exit', (code, by) => resolve(code === 0 ? undefined : code === null ? `was ended by ${by}` : `ended with exit code ${code}`));
    child.once('error', (cause: unknown) => reject(new Error(`'${name}' cannot be started (${errorCode(cause)})`, { cause })));
  });
  // a program that takes no request closes its end
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  let isOver = false;
  try {
    const failure = await Promise.race([ended, stopped]);
    await Promise.race([drained, sleep(DRAIN_MS, undefined, { ref: false }), stopped]);
    isOver = true;
    if (failure === undefined) return Buffer.concat(chunks);
    throw new Error(`'${name}' ${failure}${size.stderr === 0 ? '' : `; its ${size.stderr} bytes of messages may hold secrets and are not shown`}`);
  } finally {
    clearTimeout(total);
    clearTimeout(silence);
    signal?.removeEventListener('abort', onAbort);
    release();
    if (!isOver) killGroup(child.pid);
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
  }
}

/** Runs `end` when the host ends: the program's group gets no signal from the terminal. Returns the way back. */
function endWithHost(end: () => void): () => void {
  const onSignal = (name: NodeJS.Signals) => {
    end();
    // a host without a handler of its own, as in its start, ends as it would without ours
    if (process.listenerCount(name) === 0) process.kill(process.pid, name);
  };
  process.once('exit', end);
  for (const name of ENDING) process.once(name, onSignal);
  return () => {
    process.off('exit', end);
    for (const name of ENDING) process.off(name, onSignal);
  };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    // Windows has no groups
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch (error) {
    // it has ended
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
