import type { ContributionKind, ErrorOwner, PluginManifest, PluginOrigin, SlotName } from '../../sdk/index.ts';

/** Something that `doctor`, `status` and `plugins inspect` show. `code` is one of the error table. */
export interface Finding {
  level: 'info' | 'warn' | 'error';
  code: string;
  message: string;
  hint: string;
  owner: ErrorOwner;
}

/** One extension as its manifest describes it; no code of it has run. */
export interface CatalogEntry {
  id: string;
  origin: PluginOrigin;
  /** Absolute real path of its folder. */
  root: string;
  format: 'native' | 'ancestor';
  manifest: PluginManifest;
  /** Absolute path of the manifest (or of the package.json that holds it). */
  manifestFile: string;
  /** Absolute path of the entry; absent for extensions without code. */
  entry?: string;
  setupEntry?: string;
  packageName?: string;
  version?: string;
  /** Its manifest lists all it contributes, so it may be imported on demand. */
  declared: boolean;
  /** What it declares, by kind of contribution. */
  declares: Partial<Record<ContributionKind, string[]>>;
  /** Hooks that it declares to tap. */
  taps: string[];
  /** Versions of Durar that it asks for, each with the key that says so. */
  hostRanges?: HostRange[];
  findings: Finding[];
}

export interface HostRange {
  range: string;
  /** The key that says so: `host`, `install.minHostVersion`, ... */
  key: string;
}

export interface Catalog {
  /** The winners, by id. */
  entries: ReadonlyMap<string, CatalogEntry>;
  /** Same id found again in a later root. */
  shadowed: readonly CatalogEntry[];
  /** Broken candidates: a folder whose manifest cannot be used, known by the best id that could be read. */
  broken: ReadonlyMap<string, { id: string; root: string; origin: PluginOrigin; finding: Finding }>;
  findings: readonly Finding[];
}

/** When an enabled extension is imported. */
export type LoadTime =
  /** before the generation is published */
  | 'activation'
  /** right after listen */
  | 'settle'
  /** when something it contributes is first asked for */
  | 'demand';

export interface PlannedExtension {
  entry: CatalogEntry;
  enabled: boolean;
  /** Why it is on or off, in a few words that `plugins list` prints. */
  reason: string;
  load: LoadTime;
  /** Its validated `plugins.entries.<id>.config` with schema defaults; secrets still references. */
  config: Record<string, unknown>;
  /** Set when it must not be loaded: broken manifest, wrong host, invalid config. */
  blocked?: Finding;
}

export type SlotChoice =
  | { slot: SlotName; key: string; owner: string }
  | { slot: SlotName; key: string; none: true }
  | { slot: SlotName; key: string; failed: Finding };

/** What a generation is built from; made of JSON only, by a pure function. */
export interface Plan {
  extensions: ReadonlyMap<string, PlannedExtension>;
  /** Enabled owners of a declared contribution, `kind:key` -> extension ids, best first. */
  owners: ReadonlyMap<string, readonly string[]>;
  slots: Readonly<Record<SlotName, SlotChoice>>;
  /** `channels` of the configuration with the defaults of the manifests' schemas; secrets still references. */
  channels: Readonly<Record<string, unknown>>;
  findings: readonly Finding[];
}
