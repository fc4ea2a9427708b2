import { isAbsolute, join } from 'node:path';
import { type Channel, type DurarError, durarError, errorText, type PluginApi, type PluginLogger, type PluginRuntime } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { CatalogEntry, Finding } from '../manifest/catalog.ts';
import { createRegisterMethods } from './contributions.ts';
import { createDraft, type Draft, type DraftOptions } from './draft.ts';
import { createScope, describeProblems, type Scope, within } from './scope.ts';

const REGISTER_TIMEOUT_MS = 10_000;

/** The live code of one extension. Generations share it as long as its carry-over key does not change. */
export interface Instance {
  readonly id: string;
  readonly entry: CatalogEntry;
  /** Digest of its code and of the configuration it depends on. */
  readonly key: string;
  readonly draft: Draft;
  readonly scope: Scope;
  /** What its factories made, by `kind:key`; once per instance. */
  readonly made: Map<string, Promise<unknown>>;
  /** Members of the ancestor that it reached for and that this version does not offer. */
  readonly missing: Set<string>;
  /** How many hold it: generations, and the runner of its services. */
  holders: number;
  /** Set when it failed after it was loaded; it is passed over and not carried over. */
  crashed?: Finding;
}

/** What an instance needs from the host. */
export interface InstanceOptions {
  entry: CatalogEntry;
  key: string;
  pluginConfig: Record<string, unknown>;
  /** The present configuration without secrets, read anew at each access. */
  config(): Record<string, unknown>;
  log: Logger;
  createRuntime(owner: { id: string; scope: Scope; logger: PluginLogger; config(): Record<string, unknown> }): PluginRuntime;
  importEntry(entry: CatalogEntry): Promise<unknown>;
  ownerOf: DraftOptions['ownerOf'];
  onRefused: NonNullable<DraftOptions['onRefused']>;
}

/** Imports, registers into a draft and checks it. On failure everything it made is disposed and the coded error is thrown. */
export async function loadInstance(options: InstanceOptions): Promise<Instance> {
  const { entry } = options;
  const owner = { extension: entry.id, file: entry.entry ?? entry.manifestFile };
  const scope = createScope();
  const draft = createDraft({ entry, ownerOf: options.ownerOf, onRefused: options.onRefused });
  const missing = new Set<string>();
  if (entry.entry !== undefined) {
    try {
      const plugin = readEntry(entry, await options.importEntry(entry));
      const own = createApi(options, draft, scope);
      const api = entry.format === 'native' ? own : (await import('../../sdk/ancestor/api.ts')).adaptApi(own, (member) => missing.add(member));
      await within(
        REGISTER_TIMEOUT_MS,
        () => plugin.register(api),
        () => durarError('DUR_EXT_REGISTER_TIMEOUT', { id: entry.id, ms: REGISTER_TIMEOUT_MS }, { owner: { ...owner, hook: 'register' } }),
      );
    } catch (error) {
      draft.close();
      await scope.dispose();
      throw (
        coded(error) ??
        durarError('DUR_EXT_REGISTER_FAILED', { id: entry.id, reason: errorText(error) }, { owner: { ...owner, hook: 'register' }, cause: error })
      );
    }
  }
  draft.close();
  return { id: entry.id, entry, key: options.key, draft, scope, made: new Map(), missing, holders: 0 };
}

/** One holder less; the last one ends it. Never rejects. */
export async function releaseInstance(instance: Instance, log: Logger): Promise<void> {
  instance.holders -= 1;
  const problems = instance.holders > 0 ? [] : await instance.scope.dispose();
  if (problems.length > 0) log.warn(`'${instance.id}' did not end cleanly: ${describeProblems(problems)}`, { extension: instance.id });
}

/** The default export in any of the shapes that authors use: a function, an object with `register` (older name `activate`), or `{ plugin }`, a channel. */
function readEntry(entry: CatalogEntry, namespace: unknown): { register(api: PluginApi): unknown } {
  let value = (namespace as { default?: unknown }).default ?? namespace;
  if (isRecord(value) && (isRecord(value.default) || typeof value.default === 'function')) value = value.default;
  const owner = { extension: entry.id, ...(entry.entry === undefined ? {} : { file: entry.entry }) };
  const { id, register: own, activate, plugin } = isRecord(value) ? value : ({ register: value } as Record<string, unknown>);
  const register = own ?? activate ?? (isRecord(plugin) ? (api: PluginApi) => api.registerChannel(plugin as unknown as Channel) : undefined);
  if (typeof register !== 'function') throw durarError('DUR_EXT_ENTRY_INVALID', { id: entry.id }, { owner });
  if (entry.format === 'native' && typeof id === 'string' && id !== entry.id) {
    throw durarError('DUR_EXT_ID_MISMATCH', { id: entry.id, other: id }, { owner });
  }
  return { register: register.bind(value) as (api: PluginApi) => unknown };
}

function createApi(options: InstanceOptions, draft: Draft, scope: Scope): PluginApi {
  const { entry } = options;
  const logger: PluginLogger = options.log.child(`plugins/${entry.id}`);
  const api = {
    id: entry.id,
    name: entry.manifest.name ?? entry.id,
    ...(entry.version === undefined ? {} : { version: entry.version }),
    ...(entry.manifest.description === undefined ? {} : { description: entry.manifest.description }),
    source: entry.entry ?? entry.manifestFile,
    rootDir: entry.root,
    pluginConfig: options.pluginConfig,
    runtime: options.createRuntime({ id: entry.id, scope, logger, config: options.config }),
    logger,
    registrationMode: 'full',
    signal: scope.signal,
    resolvePath: (input: string) => (isAbsolute(input) ? input : join(entry.root, input)),
    defer: (dispose: () => Promise<void> | void) => scope.defer(dispose),
    on: (hook: string, handler: unknown, settings?: { priority?: number }) => draft.tap(hook, handler, settings?.priority ?? 0),
    ...createRegisterMethods(draft),
  };
  Object.defineProperty(api, 'config', { get: options.config, enumerable: true });
  return api as unknown as PluginApi;
}

function coded(error: unknown): DurarError | undefined {
  return error instanceof Error && 'hint' in error && 'code' in error && typeof error.code === 'string' ? (error as DurarError) : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
