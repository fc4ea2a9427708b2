import type { PluginKind } from './contributions.ts';

/** `Durar.plugin.json`. Read before any code of the extension runs; unknown top-level keys are ignored with a finding. */
export interface PluginManifest {
  id: string;
  /** JSON Schema of `plugins.entries.<id>.config`. */
  configSchema: Record<string, unknown>;
  name?: string;
  description?: string;
  version?: string;
  /** Entry file relative to the root; default: the `Durar.extensions` of package.json, else index.ts, .js, .mjs or .cjs. */
  entry?: string;
  /** Host versions it works with, a semver range. */
  host?: string;
  /** A bundled extension that is on unless switched off. Any value but `true` counts as off. */
  enabledByDefault?: boolean;
  kind?: PluginKind | PluginKind[];
  contextEngines?: string[];
  sessionStores?: string[];
  channels?: string[];
  providers?: string[];
  modelApis?: string[];
  secretSources?: string[];
  approvers?: string[];
  cliBackends?: string[];
  /** Everything else it contributes, by kind; see the table of contributions. */
  contracts?: Record<string, string[]>;
  /** Complete providers without code. */
  providerCatalog?: Record<string, DeclaredProvider>;
  providerAuthEnvVars?: Record<string, string[]>;
  providerAuthChoices?: ProviderAuthChoice[];
  channelConfigs?: Record<
    string,
    { schema: Record<string, unknown>; uiHints?: Record<string, UiHint>; label?: string; description?: string; preferOver?: string[] }
  >;
  /** What a block of `secrets.providers` with that source may hold, beside `source` and `timeoutMs`. Without it, a block may hold anything. */
  secretSourceConfigs?: Record<string, { schema: Record<string, unknown>; uiHints?: Record<string, UiHint>; label?: string; description?: string }>;
  skills?: string[];
  uiHints?: Record<string, UiHint>;
  legacyPluginIds?: string[];
  autoEnableWhenConfiguredProviders?: string[];
  /** Configuration keys beside its own whose change must reload it. */
  reload?: { configPrefixes?: string[] };
}

/** A provider that needs no code: the API it speaks, where, and with which credential. */
export interface DeclaredProvider {
  label?: string;
  api: string;
  baseUrl: string;
  envVars?: string[];
  keyless?: boolean;
  headers?: Record<string, string>;
  models: Array<{
    id: string;
    name?: string;
    reasoning?: boolean;
    input?: Array<'text' | 'image'>;
    contextWindow?: number;
    maxTokens?: number;
    cost?: { input: number; output: number; cacheRead?: number; cacheWrite?: number };
    compat?: Record<string, unknown>;
  }>;
}

export interface UiHint {
  label?: string;
  help?: string;
  tags?: string[];
  advanced?: boolean;
  sensitive?: boolean;
  placeholder?: string;
}

export interface ProviderAuthChoice {
  provider: string;
  method: string;
  choiceId: string;
  choiceLabel?: string;
  choiceHint?: string;
  groupId?: string;
  groupLabel?: string;
  groupHint?: string;
  optionKey?: string;
  cliFlag?: string;
  cliOption?: string;
  cliDescription?: string;
  onboardingScopes?: string[];
  deprecatedChoiceIds?: string[];
}

/** The `Durar` block of package.json. Manifest fields may stand here too when there is no manifest file. */
export interface PackageBlock extends Partial<PluginManifest> {
  extensions?: string[];
  setupEntry?: string;
  install?: { npmSpec?: string; localPath?: string; defaultChoice?: 'npm' | 'local'; minHostVersion?: string };
  compat?: { pluginApi?: string; minGatewayVersion?: string };
  build?: Record<string, string>;
}

/** Where an extension was found, in the order in which it wins. */
export type PluginOrigin = 'config' | 'workspace' | 'global' | 'installed' | 'bundled';
