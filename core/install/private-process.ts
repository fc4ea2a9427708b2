import { type ChildProcess, fork } from 'node:child_process';
import { ANCESTOR } from '../../sdk/ancestor.ts';
import { productFile } from './product.ts';

/** A process of the product for code that may do anything. */
export interface PrivateProcess {
  child: ChildProcess;
  /** Ends it with all that it started. */
  end(): void;
}

const CREDENTIAL = /(?:token|secret|password|passwd|passphrase|credentials?|(?:api|access|private|signing|encryption)_?key|_auth)$/i;

/**
 * Starts a module of the product with `stateDir` as home, state and working folder: what is tried there must not reach the data that it keeps in
 * earnest, nor anybody's credentials. `job` is its first message, not an argument: everybody may read those, and it can hold secrets. Ends with
 * this process.
 */
export function startPrivateProcess(module: string, { stateDir, env, job }: { stateDir: string; env: NodeJS.ProcessEnv; job: object }): PrivateProcess {
  const isGroup = process.platform !== 'win32';
  const child = fork(productFile(module), {
    cwd: stateDir,
    env: { ...withoutCredentials(env), HOME: stateDir, [ANCESTOR.stateDirEnv]: stateDir, Durar_STATE_DIR: stateDir, Durar_VERIFY: '1' },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: isGroup,
  });
  const end = () => {
    if (child.pid === undefined) return;
    try {
      // Its own group: what it started goes with it.
      if (isGroup) process.kill(-child.pid, 'SIGKILL');
      else child.kill('SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  process.once('exit', end);
  child.once('close', () => process.removeListener('exit', end));
  child.send(job, () => undefined);
  return { child, end };
}

function withoutCredentials(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !CREDENTIAL.test(name)));
}
