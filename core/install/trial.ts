import { CONTRIBUTION_ROWS, type ContributionKind, type SlotName } from '../../sdk/index.ts';
import { type DurarError, DurarError as CodedError, durarError, errorText } from '../../sdk/errors.ts';
import type { AgentMessage } from '../../sdk/messages.ts';
import type { Contribution } from '../kernel/generation.ts';
import { type Instance, loadInstance } from '../kernel/instance.ts';
import { within } from '../kernel/scope.ts';
import { occupySlot } from '../kernel/slots.ts';
import type { Logger } from '../logging/logger.ts';
import type { CatalogEntry, Finding } from '../manifest/catalog.ts';
import { createConfigValidator } from '../manifest/validator.ts';
import { createTrialRuntime } from './trial-runtime.ts';

const IMPORT_TIMEOUT_MS = 15_000;

export interface TrialOptions {
  entry: CatalogEntry;
  /** `plugins.entries.<id>.config`; checked against the schema, defaults filled in. */
  pluginConfig?: Record<string, unknown>;
  /** The rest of the configuration, as `api.config` shows it. */
  config?: Record<string, unknown>;
  stateDir: string;
  hostVersion: string;
  log: Logger;
  complete?(messages: readonly AgentMessage[]): Promise<string> | string;
  /** The entry was imported, `register` comes next. */
  onImported?(): void;
}

/** One extension, loaded as the host loads it, with nothing around it. */
export interface Trial {
  readonly instance: Instance;
  readonly pluginConfig: Record<string, unknown>;
  /** The committed contributions of a kind. */
  contributions<Kind extends ContributionKind>(kind: Kind): Array<Contribution<Kind>>;
  /** What the factory of a slot's contribution makes; made once. Throws `DUR_SLOT_FAILED`. */
  occupant(slot: SlotName, key: string): Promise<unknown>;
  /** Ends its lifetime; returns what went wrong on the way. */
  dispose(): Promise<unknown[]>;
}

/** Checks its configuration, imports it and runs `register`. Throws the coded failure. */
export async function createTrial(options: TrialOptions): Promise<Trial> {
  const { entry, stateDir, hostVersion, log, complete } = options;
  const checked = createConfigValidator().check(entry, options.pluginConfig ?? {});
  if ('failed' in checked) throw errorOf(checked.failed);
  const pluginConfig = checked.config;
  const config = { ...options.config, plugins: { entries: { [entry.id]: { enabled: true, config: pluginConfig } } } };
  const instance = await loadInstance({
    entry,
    key: entry.root,
    pluginConfig,
    config: () => config,
    log,
    createRuntime: ({ logger }) => createTrialRuntime({ stateDir, hostVersion, config, logger, ...(complete === undefined ? {} : { complete }) }),
    async importEntry() {
      const namespace = await importAlone(entry);
      options.onImported?.();
      return namespace;
    },
    ownerOf: () => undefined,
    onRefused() {},
  });
  return {
    instance,
    pluginConfig,
    contributions: <Kind extends ContributionKind>(kind: Kind) => instance.draft.contributions.filter((made) => made.kind === kind) as Array<Contribution<Kind>>,
    occupant: async (slot, key) => (await occupySlot(slot, key, instance)).instance,
    dispose: () => instance.scope.dispose(),
  };
}

/** Imports the entry within its time. Throws `DUR_EXT_IMPORT_*` and what the import itself says in codes. */
export async function importAlone(entry: CatalogEntry): Promise<unknown> {
  const { id, root } = entry;
  const owner = { extension: id, ...(entry.entry === undefined ? {} : { file: entry.entry }) };
  try {
    const { importModule } = await import('../kernel/import-module.ts');
    return await within(
      IMPORT_TIMEOUT_MS,
      () => importModule(entry),
      () => durarError('DUR_EXT_IMPORT_TIMEOUT', { id, ms: IMPORT_TIMEOUT_MS }, { owner }),
    );
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw durarError('DUR_EXT_IMPORT_FAILED', { id, root, reason: errorText(error) }, { owner, cause: error });
  }
}

/** A finding of the manifest floor, as the error that it stands for. */
export function errorOf({ code, message, hint, owner }: Finding): DurarError {
  return new CodedError(code, message, { hint, owner });
}

/** What it declares and did not register with this configuration. */
export function unregistered(entry: CatalogEntry, instance: Instance): Array<{ kind: ContributionKind; key: string }> {
  const made = new Set(instance.draft.contributions.map(({ kind, key }) => `${kind}:${key}`));
  const complete = new Set(Object.keys(entry.manifest.providerCatalog ?? {}));
  return (Object.entries(entry.declares) as Array<[ContributionKind, string[]]>).flatMap(([kind, keys]) =>
    keys
      .filter((key) => !made.has(`${kind}:${key}`) && CONTRIBUTION_ROWS[kind].form !== 'single' && !(kind === 'provider' && complete.has(key)))
      .map((key) => ({ kind, key })),
  );
}
