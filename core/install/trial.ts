import { DurarError } from '../../sdk/errors.ts';
import { CONTRIBUTION_ROWS, type ContributionKind, type SlotName } from '../../sdk/index.ts';
import type { AgentMessage } from '../../sdk/messages.ts';
import type { Contribution } from '../kernel/generation.ts';
import { importModule } from '../kernel/import-module.ts';
import { type Instance, loadInstance } from '../kernel/instance.ts';
import { occupySlot } from '../kernel/slots.ts';
import type { Logger } from '../logging/logger.ts';
import type { CatalogEntry, Finding } from '../manifest/catalog.ts';
import { createConfigValidator } from '../manifest/validator.ts';
import { createTrialRuntime } from './trial-runtime.ts';

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
  /** Gives its module; absent: it is imported anew, which for sources means that they are compiled anew. */
  load?(): Promise<unknown>;
}

/** One extension, loaded as the host loads it, with nothing around it. */
export interface Trial {
  readonly instance: Instance;
  readonly pluginConfig: Record<string, unknown>;
  /** What its engines were written for; empty: the port itself. */
  readonly line: { line?: 'ancestor' };
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
    importEntry: options.load ?? (() => importAlone(entry)),
    ownerOf: () => undefined,
    onRefused() {},
  });
  return {
    instance,
    pluginConfig,
    line: entry.format === 'ancestor' ? { line: 'ancestor' } : {},
    contributions: <Kind extends ContributionKind>(kind: Kind) =>
      instance.draft.contributions.filter((made) => made.kind === kind) as Array<Contribution<Kind>>,
    occupant: async (slot, key) => (await occupySlot(slot, key, instance)).instance,
    dispose: () => instance.scope.dispose(),
  };
}

/** Imports the entry. Throws `DUR_EXT_IMPORT_*`, `DUR_EXT_MODULE_MISSING` or a gate of the manifest. */
export function importAlone({ id, root, entry }: CatalogEntry): Promise<unknown> {
  return importModule({ id, root, file: entry ?? root, digest: 'trial', trusted: false });
}

/** A finding of the manifest floor, as the error that it stands for. */
export function errorOf({ code, message, hint, owner }: Finding): DurarError {
  return new DurarError(code, message, { hint, owner });
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
