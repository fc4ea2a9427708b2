/**
 * The one table of the ancestor's names (OpenClaw, its 2026.4 line): what its plugins and clients spell differently. Nothing else in the
 * code knows these words. The export names of its SDK stand in ancestor/exports.ts, which only an import of that SDK loads.
 */
import type { PluginManifest } from './manifest.ts';

export const ANCESTOR = {
  manifestFile: 'openclaw.plugin.json',
  /** The block of package.json. */
  packageBlock: 'openclaw',
  /** The key under `engines`. */
  engine: 'openclaw',
  /** What its plugins import; subpaths follow after a slash. */
  specifier: 'openclaw/plugin-sdk',
  /** The version that its SDK's names here are of; ranges that its plugins ask for are compared with it. */
  version: '2026.4.2',
  /** Its own npm package, which its plugins name as a peer. */
  packageName: 'openclaw',
  /** Modules that its plugins leave to that package, in the versions it has. */
  hostModules: {
    '@mariozechner/pi-agent-core': '0.64.0',
    '@mariozechner/pi-ai': '0.64.0',
    '@mariozechner/pi-coding-agent': '0.64.0',
    '@sinclair/typebox': '^0.34.0',
    zod: '^4.0.0',
  } as Readonly<Record<string, string>>,
  /** Each environment variable `OPENCLAW_X` means `Durar_X`. */
  envPrefix: 'OPENCLAW_',
  /** Where its plugins keep their data. */
  stateDirEnv: 'OPENCLAW_STATE_DIR',
  /** Each request header `x-openclaw-x` means `x-Durar-x`. */
  headerPrefix: 'x-openclaw-',
  /** Client ids `openclaw-x` mean `Durar-x`. */
  clientPrefix: 'openclaw-',
  /** Model ids `openclaw`, `openclaw/<agent>` and `openclaw:<agent>` mean ours. */
  modelPrefix: 'openclaw',
  stateDirName: '.openclaw',
  configFileName: 'openclaw.json',
  /** Keys and values inside payloads that its clients read or send. */
  wire: {
    messageMeta: '__openclaw',
    abortMeta: 'openclawAbort',
    redacted: '__OPENCLAW_REDACTED__',
    provider: 'openclaw',
    injectedModel: 'gateway-injected',
    canvasPath: '/__openclaw__',
    controlUiConfigPath: '/__openclaw/control-ui-config.json',
    canvasQuery: 'oc_cap',
    skillsSource: 'clawhub',
    bundledSkillsSource: 'openclaw-bundled',
  },
} as const;

/** The manifest fields of that line; those that it has dropped or that only Durar knows are left out. */
const FIELDS = [
  'id',
  'configSchema',
  'name',
  'description',
  'version',
  'enabledByDefault',
  'channels',
  'providers',
  'cliBackends',
  'contracts',
  'providerAuthEnvVars',
  'providerAuthChoices',
  'channelConfigs',
  'skills',
  'uiHints',
  'legacyPluginIds',
  'autoEnableWhenConfiguredProviders',
] as const satisfies ReadonlyArray<keyof PluginManifest>;
const KINDS: readonly unknown[] = ['context-engine', 'memory'];

/**
 * A manifest of that line in our shape, not yet validated. Fields that neither line documents are dropped without a word, as its own loader
 * does; a `kind` that names no slot is dropped and returned in `ignored`.
 */
export function normalizeAncestorManifest(raw: Record<string, unknown>): { manifest: Record<string, unknown>; ignored: string[] } {
  const manifest: Record<string, unknown> = {};
  for (const field of FIELDS) if (raw[field] !== undefined) manifest[field] = raw[field];
  const kinds = raw.kind === undefined ? [] : [raw.kind].flat();
  const known = kinds.filter((kind) => KINDS.includes(kind));
  if (known.length > 0) manifest.kind = known;
  return { manifest, ignored: kinds.filter((kind) => !KINDS.includes(kind)).map(String) };
}

/** The subpath of a specifier of that line's SDK; '' is its root; undefined: another module. */
export function ancestorSubpath(specifier: string): string | undefined {
  if (specifier === ANCESTOR.specifier) return '';
  return specifier.startsWith(`${ANCESTOR.specifier}/`) ? specifier.slice(ANCESTOR.specifier.length + 1) : undefined;
}
