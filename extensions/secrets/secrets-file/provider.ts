import type { SecretsProvider } from 'Durar/plugin-sdk/core';
import type { PathTrust } from 'Durar/plugin-sdk/trusted-path';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { valueAt } from './pointer.ts';
import { readSecretFile } from './secret-file.ts';

export interface FileSecretsOptions extends Pick<PathTrust, 'platform' | 'verifyAcl'> {
  /** What `~/.Durar` means. */
  stateDir(): string;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Settings {
  path: string;
  mode: 'json' | 'singleValue';
  maxBytes: number;
  timeoutMs: number;
  allowInsecurePath: boolean;
}

const DEFAULTS = { mode: 'json', maxBytes: 1_048_576, timeoutMs: 5_000, allowInsecurePath: false } as const;
/** The id under which a file that is one secret is known. */
const WHOLE = 'value';

/** Serves the source `file`. The file is read once a call. */
export function createFileSecrets({ stateDir, ...system }: FileSecretsOptions): SecretsProvider {
  return {
    source: 'file',
    async resolve({ config, ids, env = process.env, signal }) {
      if (ids.length === 0) return { values: {} };
      const { mode, maxBytes, timeoutMs, allowInsecurePath, ...settings } = readSettings(config);
      const path = expand(settings.path, env, stateDir);
      const late = AbortSignal.timeout(timeoutMs);
      const trust: PathTrust = { kind: 'secret', allowInsecure: allowInsecurePath, ...system };
      const stop = signal === undefined ? late : AbortSignal.any([signal, late]);
      const text = await orAborted(readSecretFile(path, { maxBytes, trust, signal: stop }), stop, () =>
        signal?.aborted === true ? signal.reason : new Error(`'${path}' could not be read within ${timeoutMs} ms`),
      );
      const find = mode === 'json' ? inDocument(text, path) : inWhole(text);
      const values: Record<string, unknown> = Object.create(null);
      const errors: Record<string, string> = Object.create(null);
      for (const id of ids) {
        const found = find(id);
        if ('problem' in found) errors[id] = found.problem;
        else if (typeof found.value !== 'string') errors[id] = 'its value is not a text';
        else if (found.value === '') errors[id] = 'its value is empty';
        else values[id] = found.value;
      }
      return { values, errors };
    },
  };
}

type Find = (id: string) => { value: unknown } | { problem: string };

function inDocument(text: string, path: string): Find {
  let document: unknown;
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    // the message of the parser quotes the text
    throw new Error(`'${path}' is not JSON`);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new Error(`'${path}' does not hold a JSON object`);
  return (id) => valueAt(document, id);
}

function inWhole(text: string): Find {
  const value = text.replace(/\r?\n$/, '');
  return (id) => (id === WHOLE ? { value } : { problem: `the file is one secret, with the id '${WHOLE}'` });
}

function expand(path: string, env: Environment, stateDir: () => string): string {
  if (/^~[/\\]\.Durar(?:[/\\]|$)/.test(path)) return join(stateDir(), path.slice('~/.Durar'.length));
  if (/^~[/\\]/.test(path)) return join(env.Durar_HOME || env.HOME || homedir(), path.slice(2));
  if (isAbsolute(path)) return path;
  throw new Error(`the path '${path}' is neither absolute nor below ~`);
}

/** The host has checked the block against the manifest; whoever calls without it gets an error, not a surprise. */
function readSettings(config: Record<string, unknown>): Settings {
  const { path, mode, maxBytes, timeoutMs, allowInsecurePath }: Record<string, unknown> = { ...DEFAULTS, ...config };
  if (typeof path !== 'string' || path === '') throw new Error('the block has no path');
  if (mode !== 'json' && mode !== 'singleValue') throw new Error("mode is neither 'json' nor 'singleValue'");
  if (typeof allowInsecurePath !== 'boolean') throw new Error('allowInsecurePath is neither true nor false');
  return { path, mode, maxBytes: positive('maxBytes', maxBytes), timeoutMs: positive('timeoutMs', timeoutMs), allowInsecurePath };
}

function positive(key: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) throw new Error(`${key} is not a whole number above 0`);
  return value;
}

/** Ends with the signal, whatever the work does: a file system can hang. */
async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal, reason: () => unknown): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(reason());
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
