import { type DurarError, durarError, errorCode, errorText, type SecretRef, type SecretsProvider } from '../../sdk/index.ts';
import { formatPath, isRecord, type Segment, toPointer } from '../config/config-path.ts';
import { createValueMask } from '../logging/redact.ts';
import { keyOf, refProblem } from './ref.ts';

/** The configured sources, as `secrets` says. */
export interface SourceSettings {
  providers: Record<string, unknown>;
  defaults: Record<string, unknown>;
  resolution: { maxProviderConcurrency: number; maxRefsPerProvider: number; maxBatchBytes: number };
}

export interface ResolveOptions {
  settings: SourceSettings;
  /** The provider of a source; undefined when nothing installed serves it. A throw is its owner's failure. */
  source(name: string): Promise<SecretsProvider | undefined>;
  /** The effective environment. */
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal | undefined;
}

/** Makes the error of a reference, once its place is known. */
export type Problem = (path: readonly Segment[], file?: string) => DurarError;

export interface Resolution {
  /** By `keyOf`. */
  values: ReadonlyMap<string, string>;
  problems: ReadonlyMap<string, Problem>;
}

interface Batch {
  source: string;
  provider: string;
  config: Record<string, unknown>;
  ids: Set<string>;
}

/** A source that does not say how long it may take is cut off then, milliseconds. */
const LIMIT_MS = 15_000;
/** A source with a limit of its own ends by itself; this is how much longer it may take to say so. */
const GRACE_MS = 1_000;

/** What `secrets` of a configuration says, with the defaults for what it leaves out. */
export function sourceSettings(config: unknown): SourceSettings {
  const secrets = isRecord(config) && isRecord(config.secrets) ? config.secrets : {};
  const record = (value: unknown) => (isRecord(value) ? value : {});
  const resolution = { maxProviderConcurrency: 4, maxRefsPerProvider: 512, maxBatchBytes: 262_144, ...record(secrets.resolution) };
  return { providers: record(secrets.providers), defaults: record(secrets.defaults), resolution };
}

/** Asks every alias once for all that is wanted of it, so many aliases at a time as `secrets.resolution` allows. Never rejects. */
export async function resolveRefs(refs: readonly SecretRef[], options: ResolveOptions): Promise<Resolution> {
  const values = new Map<string, string>();
  const problems = new Map<string, Problem>();
  const waiting = [...group(refs, options.settings, problems).values()];
  const workers = Array.from({ length: Math.max(1, Math.min(options.settings.resolution.maxProviderConcurrency, waiting.length)) }, async () => {
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) await resolveBatch(batch, options, values, problems);
  });
  await Promise.all(workers);
  return { values, problems };
}

/** Sorts the references by alias; those that cannot be asked for become problems. */
function group(refs: readonly SecretRef[], { providers }: SourceSettings, problems: Map<string, Problem>): Map<string, Batch> {
  const batches = new Map<string, Batch>();
  for (const ref of refs) {
    const { source, provider, id } = ref;
    const configured = Object.hasOwn(providers, provider) ? providers[provider] : undefined;
    const block = configured ?? (provider === 'default' ? { source: 'env' } : undefined);
    const problem =
      refProblem(ref) ??
      (!isRecord(block)
        ? `secrets.providers.${provider} is not configured`
        : block.source === source
          ? undefined
          : `secrets.providers.${provider} has the source '${String(block.source)}', not '${source}'`);
    if (problem !== undefined || !isRecord(block)) {
      problems.set(keyOf(ref), unresolved(ref, problem ?? ''));
      continue;
    }
    const batch = batches.get(provider) ?? { source, provider, config: block, ids: new Set<string>() };
    batch.ids.add(id);
    batches.set(provider, batch);
  }
  return batches;
}

async function resolveBatch(batch: Batch, options: ResolveOptions, values: Map<string, string>, problems: Map<string, Problem>): Promise<void> {
  const { source, provider, config } = batch;
  const ids = [...batch.ids];
  const refOf = (id: string): SecretRef => ({ source, provider, id });
  const failAll = (problem: (ref: SecretRef) => Problem) => {
    for (const id of ids) problems.set(keyOf(refOf(id)), problem(refOf(id)));
  };
  const tooLarge = excess(ids, options.settings);
  if (tooLarge !== undefined) return failAll((ref) => unresolved(ref, tooLarge));
  try {
    const server = await options.source(source);
    if (server === undefined) {
      return failAll(() => (path, file) => durarError('DUR_SECRET_SOURCE', { source }, { owner: ownerOf(path, file) }));
    }
    const answer = await withLimit(batch, options.signal, (signal) => server.resolve({ provider, config, ids, env: options.env, signal }));
    const mask = createValueMask(Object.values(answer.values).filter((value) => typeof value === 'string'));
    for (const id of ids) {
      const value = Object.hasOwn(answer.values, id) ? answer.values[id] : undefined;
      if (typeof value === 'string' && value !== '') values.set(keyOf(refOf(id)), value);
      else {
        const reason = answer.errors?.[id] ?? (value === undefined ? 'the source has no value for it' : 'its value is not a text');
        problems.set(keyOf(refOf(id)), unresolved(refOf(id), mask(reason)));
      }
    }
  } catch (error) {
    failAll((ref) => unresolved(ref, errorText(error), error));
  }
}

function excess(ids: readonly string[], { resolution }: SourceSettings): string | undefined {
  const { maxRefsPerProvider, maxBatchBytes } = resolution;
  if (ids.length > maxRefsPerProvider) return `${ids.length} ids are asked of it, and secrets.resolution.maxRefsPerProvider is ${maxRefsPerProvider}`;
  const bytes = Buffer.byteLength(JSON.stringify(ids));
  return bytes > maxBatchBytes ? `its ids take ${bytes} bytes, and secrets.resolution.maxBatchBytes is ${maxBatchBytes}` : undefined;
}

/** Ends the wait when the source takes too long; it is told by its signal. */
async function withLimit<Result>({ config }: Batch, outer: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const { timeoutMs } = config;
  const ms = typeof timeoutMs === 'number' && timeoutMs > 0 ? timeoutMs + GRACE_MS : LIMIT_MS;
  const late = new AbortController();
  const ended = Promise.withResolvers<never>();
  const end = (reason: string) => {
    const error = new Error(reason);
    ended.reject(error);
    late.abort(error);
  };
  const timer = setTimeout(() => end(`it did not answer within ${ms} ms`), ms);
  const cancel = () => end('the activation was ended');
  if (outer?.aborted === true) cancel();
  else outer?.addEventListener('abort', cancel, { once: true });
  try {
    return await Promise.race([work(late.signal), ended.promise]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', cancel);
  }
}

function unresolved({ provider }: SecretRef, reason: string, cause?: unknown): Problem {
  const named = reason.includes(`secrets.providers.${provider}`) ? reason : `${reason} (provider '${provider}')`;
  return (path, file) =>
    durarError(
      'DUR_SECRET_UNRESOLVED',
      { path: placeOf(path, file), reason: named },
      { owner: ownerOf(path, file), ...(errorCode(cause) === undefined ? {} : { cause }) },
    );
}

/** Where a field is, for a message; the configuration needs no name. */
export function placeOf(path: readonly Segment[], file?: string): string {
  return file === undefined ? formatPath(path) : `${file}: ${formatPath(path)}`;
}

function ownerOf(path: readonly Segment[], file: string | undefined) {
  return { pointer: toPointer(path), ...(file === undefined ? {} : { file }) };
}
