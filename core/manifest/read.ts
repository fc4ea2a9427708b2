import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { ANCESTOR, normalizeAncestorManifest } from '../../sdk/ancestor.ts';
import { type DurarError, durarError, errorCode, errorText, type PackageBlock, type PluginManifest, type PluginOrigin, SLOTS } from '../../sdk/index.ts';
import { declaredContributions, declaredHooks, manifestKinds } from '../../sdk/manifest-fields.ts';
import type { CatalogEntry, Finding } from './catalog.ts';
import { hostRanges } from './compat.ts';
import { finding } from './finding.ts';
import { MANIFEST_KEYS, PACKAGE_BLOCK_KEYS } from './generated/keys.ts';
import * as validators from './generated/validators.js';
import { isObject, type Json } from './json.ts';
import { asStatFailure, checkPath, trustedEntry } from './trust.ts';

/** A folder that may hold an extension. */
export interface Candidate {
  path: string;
  origin: PluginOrigin;
  /** The id under which it was installed. */
  id?: string;
  /** The file that `plugins.load.paths` names. */
  entry?: string;
  /** Named on purpose, so having no manifest is a fault and not merely another folder. */
  explicit?: boolean;
}

/** A folder that cannot be used. `named` tells whether the id was read in it or only guessed from where it lies. */
export interface BrokenCandidate {
  id: string;
  named: boolean;
  root: string;
  origin: PluginOrigin;
  finding: Finding;
}

export interface ReadResult {
  entries: CatalogEntry[];
  broken?: BrokenCandidate;
  /** What was read: absolute paths whose change makes this result stale. */
  files: string[];
}

interface Source {
  file: string;
  format: CatalogEntry['format'];
  raw: Json;
  block: PackageBlock & Json;
}

const MANIFEST_FILES = ['Durar.plugin.json', 'durar.plugin.json'];
const PACKAGE_BLOCKS = ['Durar', 'durar'];
const INDEX_FILES = ['index.ts', 'index.js', 'index.mjs', 'index.cjs'];
const BUNDLE_MARKS = ['.codex-plugin', '.claude-plugin', '.cursor-plugin'];
const SLOT_KINDS: readonly string[] = Object.values(SLOTS).map((slot) => slot.kind);
const MAX_BYTES = 1_048_576;

/** Reads one folder. undefined: it holds no extension of either format. No failure of a folder is thrown. */
export function readExtension(candidate: Candidate): ReadResult | undefined {
  const { path, origin } = candidate;
  let root = path;
  let seen: Partial<Source> = {};
  let packageName: string | undefined;
  try {
    root = realpathSync.native(path);
    const names = new Set(readdirSync(root));
    const packageFile = join(root, 'package.json');
    const pkg = names.has('package.json') ? readJson(packageFile) : {};
    packageName = text(pkg.name);
    const source = findSource(root, names, pkg);
    if (source === undefined) {
      if (candidate.explicit !== true && (!INDEX_FILES.some((name) => names.has(name)) || BUNDLE_MARKS.some((name) => names.has(name)))) return undefined;
      throw durarError('DUR_MANIFEST_MISSING', { root }, { owner: { file: root } });
    }
    seen = source;
    checkPath(source.file, { id: text(source.raw.id) ?? basename(root), origin });
    const entries = makeEntries(source, candidate, root, names, pkg);
    return { entries, files: names.has('package.json') ? [...new Set([source.file, packageFile])] : [source.file] };
  } catch (error) {
    const named = text(seen.raw?.id) ?? candidate.id;
    const id = named ?? (packageName === undefined ? undefined : unscoped(packageName)) ?? basename(root, '.ts');
    const fault = errorCode(error) === 'ENOTDIR' ? durarError('DUR_MANIFEST_MISSING', { root }) : error;
    const coded = asStatFailure(fault, path, id);
    const broken = {
      level: 'error',
      code: coded.code,
      message: coded.message,
      hint: coded.hint,
      owner: { file: root, ...coded.owner, extension: id },
    } as const;
    return { entries: [], broken: { id, named: named !== undefined, root, origin, finding: broken }, files: [] };
  }
}

/** Native before the ancestor's, a manifest file before the package block. */
function findSource(root: string, names: ReadonlySet<string>, pkg: Json): Source | undefined {
  const formats = [
    { format: 'native', files: MANIFEST_FILES, blocks: PACKAGE_BLOCKS },
    { format: 'ancestor', files: [ANCESTOR.manifestFile], blocks: [ANCESTOR.packageBlock] },
  ] as const;
  for (const { format, files, blocks } of formats) {
    const name = files.find((each) => names.has(each));
    const block = blocks.map((key) => pkg[key]).find(isObject);
    if (block !== undefined) check(validators.packageBlock, block, join(root, 'package.json'));
    if (name !== undefined) return { file: join(root, name), format, raw: readJson(join(root, name)), block: block ?? {} };
    if (block?.extensions !== undefined || block?.id !== undefined) return { file: join(root, 'package.json'), format, raw: block, block };
  }
  return undefined;
}

function makeEntries(source: Source, candidate: Candidate, root: string, names: ReadonlySet<string>, pkg: Json): CatalogEntry[] {
  const { file, format, block } = source;
  const findings: Finding[] = [];
  const manifest = readManifest(source, findings);
  const { id } = manifest;
  const owner = { id, root, origin: candidate.origin };
  const version = manifest.version ?? text(pkg.version);
  const packageName = text(pkg.name);
  // The ancestor's manifest has no engine ids and its `kind` does not stand for one.
  const declares = declaredContributions(format === 'native' ? manifest : { ...manifest, kind: [] });
  const base = {
    origin: candidate.origin,
    root,
    format,
    manifestFile: file,
    ...(packageName === undefined ? {} : { packageName }),
    ...(version === undefined ? {} : { version }),
    ...(block.setupEntry === undefined ? {} : { setupEntry: trustedEntry({ ...owner, entry: block.setupEntry }) }),
    hostRanges: hostRanges(manifest, block, isObject(pkg.engines) ? pkg.engines : {}),
    taps: declaredHooks(manifest),
    findings,
  };
  const listed = candidate.entry ?? manifest.entry;
  const files = listed !== undefined ? [listed] : (block.extensions ?? INDEX_FILES.filter((name) => names.has(name)).slice(0, 1));
  if (files.length > 1) {
    // What the one manifest declares cannot be told apart by entry, so each counts as undeclared.
    return files.map((entry) => {
      const own = `${packageName === undefined ? id : unscoped(packageName)}/${basename(entry, extname(entry))}`;
      return { ...base, id: own, manifest: { ...manifest, id: own }, declared: false, declares: {}, entry: trustedEntry({ ...owner, entry }) };
    });
  }
  const entry = files[0];
  if (entry === undefined && !needsNoCode(manifest, declares, base.taps)) {
    throw durarError('DUR_MANIFEST_ENTRY_MISSING', { id, entry: 'index.ts' }, { owner: { extension: id, file: root } });
  }
  return [{ ...base, id, manifest, declared: format === 'native', declares, ...(entry === undefined ? {} : { entry: trustedEntry({ ...owner, entry }) }) }];
}

/** Validates; unknown keys are findings, an unknown `kind` refuses a native manifest. */
function readManifest({ file, format, raw, block }: Source, findings: Finding[]): PluginManifest {
  const translated = format === 'ancestor' ? normalizeAncestorManifest(raw) : { manifest: raw, ignored: [] };
  check(validators.manifest, translated.manifest, file);
  const manifest = { ...translated.manifest } as unknown as PluginManifest;
  // such an id could not be a key of the configuration
  if (manifest.id in Object.prototype) throw invalid(file, `'${manifest.id}' cannot be an id`);
  const owner = { extension: manifest.id, file };
  for (const kind of translated.ignored) findings.push(finding('warn', 'DUR_MANIFEST_KIND_UNKNOWN', { file, kind }, owner));
  for (const key of Object.keys(translated.manifest)) {
    if (!MANIFEST_KEYS.includes(key) && !(raw === block && PACKAGE_BLOCK_KEYS.includes(key)))
      findings.push(finding('warn', 'DUR_MANIFEST_KEY_UNKNOWN', { file, key }, { ...owner, pointer: `/${key}` }));
  }
  const kind = manifestKinds(manifest).find((each) => !SLOT_KINDS.includes(each));
  if (kind !== undefined) throw durarError('DUR_MANIFEST_KIND_UNKNOWN', { file, kind }, { owner: { ...owner, pointer: '/kind' } });
  return manifest;
}

function needsNoCode(manifest: PluginManifest, declares: CatalogEntry['declares'], taps: readonly string[]): boolean {
  const { provider = [], ...others } = declares;
  const complete = manifest.providerCatalog ?? {};
  const offers = provider.length > 0 || (manifest.skills ?? []).length > 0;
  return offers && taps.length === 0 && Object.keys(others).length === 0 && provider.every((key) => Object.hasOwn(complete, key));
}

function check(validate: typeof validators.manifest, value: unknown, file: string): void {
  if (validate(value)) return;
  const faults = (validate.errors ?? []).slice(0, 3).map((fault) => `${fault.instancePath === '' ? 'it' : fault.instancePath} ${fault.message ?? 'is wrong'}`);
  const pointer = validate.errors?.[0]?.instancePath;
  throw durarError('DUR_MANIFEST_INVALID', { file, reason: faults.join(', ') }, { owner: { file, ...(pointer === undefined ? {} : { pointer }) } });
}

function readJson(file: string): Json {
  const stat = statSync(file);
  if (!stat.isFile() || stat.size > MAX_BYTES) throw invalid(file, 'it must be a regular file of at most 1 MiB');
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    if (errorCode(error) !== undefined) throw error;
    throw durarError('DUR_MANIFEST_SYNTAX', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  }
  if (!isObject(value)) throw invalid(file, 'it must hold an object');
  return value;
}

function invalid(file: string, reason: string): DurarError {
  return durarError('DUR_MANIFEST_INVALID', { file, reason }, { owner: { file } });
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function unscoped(packageName: string): string {
  return packageName.replace(/^@[^/]*\//, '');
}
