import { readFile } from 'node:fs/promises';
import { durarError, errorCode, errorText } from '../../../sdk/errors.ts';
import { isRecord, parsePath, type Segment } from '../../config/config-path.ts';
import { parseText, parseValue } from '../../config/parse.ts';

/** One value to be set, and the form in which the operator gave it. */
export interface ConfigOperation {
  path: Segment[];
  value: unknown;
  mode: InputMode;
}

export type InputMode = 'value' | 'json' | 'builder' | 'batch';

/** The flags of `config set`, as the table declares them. */
export interface SetOptions {
  strictJson?: true;
  refProvider?: string;
  refSource?: string;
  refId?: string;
  batchJson?: string;
  batchFile?: string;
  [flag: `provider${string}`]: unknown;
}

/** What `config set` is told to set: a path with a value, a reference, a block of a secret provider, or a list of such. Throws `DUR_CLI_USAGE`. */
export async function readOperations(args: readonly string[], options: SetOptions): Promise<ConfigOperation[]> {
  const [path, text] = args;
  const { refProvider, refSource, refId, batchJson, batchFile } = options;
  const ref = [refProvider, refSource, refId].filter((part) => part !== undefined).length;
  const provider = Object.entries(options).filter(([flag, value]) => flag.startsWith('provider') && value !== undefined);
  const forms = [text !== undefined, ref > 0, provider.length > 0, batchJson !== undefined, batchFile !== undefined].filter(Boolean).length;
  if (forms > 1) throw usage('a value, --ref-*, --provider-* and --batch-* exclude each other');
  if (batchJson !== undefined || batchFile !== undefined) {
    if (path !== undefined) throw usage('a batch names its own paths', 'Leave the path out.');
    return readBatch(batchJson ?? (await readBatchFile(batchFile ?? '')));
  }
  if (path === undefined) throw usage('a path is missing', 'Example: durar config set gateway.port 19000');
  const segments = parsePath(path);
  if (ref > 0) {
    if (refProvider === undefined || refSource === undefined || refId === undefined) throw usage('a reference needs --ref-provider, --ref-source and --ref-id');
    return [{ path: segments, value: { source: refSource, provider: refProvider, id: refId }, mode: 'builder' }];
  }
  if (provider.length > 0) return [{ path: segments, value: readProvider(segments, Object.fromEntries(provider)), mode: 'builder' }];
  if (text === undefined)
    throw usage("missing required argument 'value'", 'Give it after the path, or by --ref-*, --provider-* or --batch-*: `durar config set --help`.');
  if (options.strictJson === true) return [{ path: segments, value: await parseStrictly(text, 'value'), mode: 'json' }];
  return [{ path: segments, value: await parseValue(text), mode: 'value' }];
}

async function readBatch(text: string): Promise<ConfigOperation[]> {
  const list = await parseStrictly(text, 'batch');
  if (!Array.isArray(list) || list.length === 0) throw usage('a batch is a list of {path, value | ref | provider}');
  return list.map((item: unknown, index) => {
    if (!isRecord(item) || typeof item.path !== 'string') throw usage(`item ${index} of the batch has no path`);
    const given = ['value', 'ref', 'provider'].filter((key) => item[key] !== undefined);
    const [form] = given;
    if (form === undefined || given.length > 1) throw usage(`item ${index} of the batch needs one of value, ref and provider`);
    return { path: parsePath(item.path), value: item[form], mode: 'batch' };
  });
}

async function readBatchFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw durarError('DUR_CLI_USAGE', { reason: `cannot read the batch file '${file}': ${errorText(cause)}` }, { cause, hint: 'Check its path.' });
  }
}

/** Flag -> key of the block. A list stays one, `K=V` becomes a map. */
const PROVIDER_KEYS: Record<string, string> = {
  providerSource: 'source',
  providerTimeoutMs: 'timeoutMs',
  providerAllowlist: 'allowlist',
  providerPath: 'path',
  providerMode: 'mode',
  providerMaxBytes: 'maxBytes',
  providerCommand: 'command',
  providerArg: 'args',
  providerNoOutputTimeoutMs: 'noOutputTimeoutMs',
  providerMaxOutputBytes: 'maxOutputBytes',
  providerJsonOnly: 'jsonOnly',
  providerEnv: 'env',
  providerPassEnv: 'passEnv',
  providerTrustedDir: 'trustedDirs',
  providerAllowInsecurePath: 'allowInsecurePath',
  providerAllowSymlinkCommand: 'allowSymlinkCommand',
};

function readProvider(path: readonly Segment[], flags: Record<string, unknown>): Record<string, unknown> {
  if (path.length !== 3 || path[0] !== 'secrets' || path[1] !== 'providers')
    throw usage('--provider-* describe a secret provider', 'Set them at secrets.providers.<alias>.');
  const block: Record<string, unknown> = {};
  for (const [flag, value] of Object.entries(flags)) {
    const key = PROVIDER_KEYS[flag];
    if (key !== undefined) block[key] = flag === 'providerEnv' ? readPairs(value as string[]) : value;
  }
  if (block.source === undefined) throw usage('a secret provider needs --provider-source');
  if (block.source === 'file' && block.path === undefined) throw usage('the source file needs --provider-path');
  if (block.source === 'exec' && block.command === undefined) throw usage('the source exec needs --provider-command');
  return block;
}

function readPairs(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw usage(`--provider-env '${pair}' is not NAME=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

async function parseStrictly(text: string, name: string): Promise<unknown> {
  try {
    if (text.trim() !== '') return await parseText(text, name);
  } catch (cause) {
    if (errorCode(cause) !== 'DUR_CONFIG_SYNTAX') throw cause;
    throw durarError('DUR_CLI_USAGE', { reason: `the ${name} is not JSON5: ${text}` }, { cause, hint: 'Quote texts, or leave --strict-json out.' });
  }
  throw usage(`the ${name} is empty`, 'Write "" for an empty text.');
}

function usage(reason: string, hint?: string) {
  return durarError('DUR_CLI_USAGE', { reason }, hint === undefined ? {} : { hint });
}
