import { type ManifestSecret, secretFields } from '../../sdk/manifest-fields.ts';
import type { ActiveRule, Condition } from '../config/active-rule.ts';
import { isRecord, type Segment } from '../config/config-path.ts';
import type { SecretTest } from '../config/redact.ts';
import { ACTIVE_SCOPES, HOST_SECRETS, isSecretPath, type SecretField } from '../config/secret-paths.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';

/** A field at a path, with every rule that counts for it. */
export type FoundField = Required<Pick<SecretField, 'takesRef' | 'rules'>> & Pick<SecretField, 'announce'>;

/** One row of the supported surface. */
export interface SurfaceRow {
  /** The path with `*` for any key or index; names the row in `secrets.resolve`. */
  id: string;
  segments: readonly string[];
  /** `host`, or the extension whose manifest marks it. */
  owner: string;
  /** Whether there is one, or many by key (`map`) or by place (`list`). */
  shape: SecretField['shape'];
  file: 'Durar.json' | 'auth-profiles.json';
  takesRef: boolean;
  rules: readonly ActiveRule[];
}

/** The secret fields of the host and of the installed extensions. */
export interface SecretFields {
  /** Those that extensions mark, beside what the host's schema and the names say. */
  readonly isMarked: SecretTest;
  find(path: readonly Segment[]): FoundField | undefined;
  /** True for a field that is one choice of several; then its plain text counts as well. */
  isChoice(path: readonly Segment[]): boolean;
  surface(): SurfaceRow[];
}

interface PlacedField {
  segments: readonly string[];
  field: SecretField;
  owner: string;
}

const HOST: readonly PlacedField[] = HOST_SECRETS.map((field) => ({ segments: field.path.split('.'), field, owner: 'host' }));
const HOST_CHOICES = HOST.filter(isChoiceField);
const SCOPES = ACTIVE_SCOPES.map(({ path, rules }) => ({ segments: path === '' ? [] : path.split('.'), rules }));

/** A manifest is looked at when its block is first asked about. */
export function createSecretFields(entries: ReadonlyMap<string, CatalogEntry> = new Map()): SecretFields {
  const known = new Map<string, readonly PlacedField[]>();

  /** The fields of the block that a path lies in. */
  function blockOf(path: readonly Segment[]): readonly PlacedField[] {
    const [first, second, third, fourth] = path.slice(0, 4).map(String);
    if (first === 'channels' && second !== undefined) return remember(`channels.${second}`, () => channelFields(entries, second));
    // of any source: which one an alias has is not known here, and a mask too many does no harm
    if (first === 'secrets' && second === 'providers') return remember('secrets', () => sourceFields(entries));
    if (first !== 'plugins' || second !== 'entries' || third === undefined || fourth !== 'config') return [];
    return remember(`plugins.${third}`, () => pluginFields(entries, third));
  }

  function remember(block: string, make: () => readonly PlacedField[]): readonly PlacedField[] {
    const fields = known.get(block) ?? make();
    known.set(block, fields);
    return fields;
  }

  const placed = (path: readonly Segment[]) => [HOST, blockOf(path)].flat().find(({ segments }) => fits(segments, path))?.field;

  return {
    isMarked: (path) => blockOf(path).some(({ segments }) => fits(segments, path)),
    find(path) {
      const field = placed(path);
      if (field === undefined && !isSecretPath(path)) return undefined;
      const { takesRef = true, rules = [], announce } = field ?? {};
      return { takesRef, rules: [...scopeRules(path), ...rules], ...(announce === undefined ? {} : { announce }) };
    },
    isChoice: (path) => [...HOST_CHOICES, ...blockOf(path).filter(isChoiceField)].some(({ segments }) => fits(segments, path)),
    surface() {
      const ids = [...entries.values()].flatMap(({ manifest }) => Object.keys(manifest.channelConfigs ?? {}));
      const all = [
        ...HOST,
        ...[...entries.keys()].flatMap((id) => pluginFields(entries, id)),
        ...[...new Set(ids)].flatMap((id) => channelFields(entries, id)),
      ];
      return all.map(surfaceRow);
    },
  };
}

/** The rules of every object above a path. */
export function scopeRules(path: readonly Segment[]): ActiveRule[] {
  return SCOPES.filter(({ segments }) => segments.length <= path.length && fits(segments, path.slice(0, segments.length))).flatMap(({ rules }) => rules);
}

function surfaceRow({ segments, field, owner }: PlacedField): SurfaceRow {
  return {
    id: segments.join('.'),
    segments,
    owner,
    shape: field.shape,
    file: 'Durar.json',
    takesRef: field.takesRef,
    rules: field.rules ?? [],
  };
}

function pluginFields(entries: ReadonlyMap<string, CatalogEntry>, id: string): PlacedField[] {
  const entry = entries.get(id) ?? [...entries.values()].find(({ manifest }) => manifest.legacyPluginIds?.includes(id));
  if (entry === undefined) return [];
  return secretFields(entry.manifest).map((secret) => place(['plugins', 'entries', id, 'config'], 'plugins.entries.*.config', secret, entry.id));
}

/** What the channel's block marks counts for each of its accounts as well. */
function channelFields(entries: ReadonlyMap<string, CatalogEntry>, id: string): PlacedField[] {
  return [...entries.values()].flatMap(({ id: owner, manifest: { channelConfigs = {} } }) => {
    const config = Object.hasOwn(channelConfigs, id) ? channelConfigs[id] : undefined;
    if (config === undefined) return [];
    const fields = secretFields({ configSchema: config.schema, ...(config.uiHints === undefined ? {} : { uiHints: config.uiHints }) });
    return fields.flatMap((secret) => {
      const own = place(['channels', id], 'channels.*', secret, owner);
      const [first] = secret.path;
      return first === 'accounts' ? [own] : [own, place(['channels', id, 'accounts', '*'], 'channels.*', secret, owner)];
    });
  });
}

/** What a source's own settings mark. It is resolved before any reference is, so it takes none. */
function sourceFields(entries: ReadonlyMap<string, CatalogEntry>): PlacedField[] {
  return [...entries.values()].flatMap(({ id: owner, manifest: { secretSourceConfigs = {} } }) =>
    Object.values(secretSourceConfigs).flatMap(({ schema, uiHints = {} }) =>
      secretFields({ configSchema: schema, uiHints }).map(({ path }) => {
        const segments = ['secrets', 'providers', '*', ...path];
        return { segments, owner, field: { path: segments.join('.'), shape: 'map' as const, takesRef: false } };
      }),
    ),
  );
}

function place(base: readonly string[], block: string, { path, shape, rules }: ManifestSecret, owner: string): PlacedField {
  const segments = [...base, ...path];
  const read = rules.every(isActiveRule) ? rules.map((rule) => ({ ...rule, when: rebase(rule.when, block) })) : [];
  return { segments, owner, field: { path: segments.join('.'), shape: base.includes('*') && shape === 'value' ? 'map' : shape, takesRef: true, rules: read } };
}

/** Whether a manifest's rule can be read. One that cannot leaves its field always in use. */
export function isActiveRule(rule: unknown): rule is ActiveRule {
  return isRecord(rule) && isCondition(rule.when) && typeof rule.active === 'boolean' && typeof rule.because === 'string';
}

function isCondition(value: unknown): value is Condition {
  if (!isRecord(value)) return false;
  const isText = (each: unknown) => typeof each === 'string';
  const list = value.all ?? value.any;
  if (list !== undefined) return Array.isArray(list) && list.every(isCondition);
  if (value.not !== undefined) return isCondition(value.not);
  if (value.some !== undefined) return isText(value.some) && isCondition(value.where);
  if (value.has !== undefined && !(Array.isArray(value.has) && value.has.every(isText))) return false;
  if (value.choice !== undefined) return isText(value.choice) && isText(value.name);
  if (value.served !== undefined) return isText(value.served) && isText(value.path);
  return value.switchedOff === true || isText(value.env) || isText(value.inheritedBy) || [value.path].flat().every(isText);
}

/** A path that begins with a dot is below the extension's own block. */
function rebase(condition: Condition, block: string): Condition {
  const at = (path: string) => (path.startsWith('.') ? `${block}${path}` : path);
  if ('all' in condition) return { all: condition.all.map((each) => rebase(each, block)) };
  if ('any' in condition) return { any: condition.any.map((each) => rebase(each, block)) };
  if ('not' in condition) return { not: rebase(condition.not, block) };
  if ('some' in condition) return { some: at(condition.some), where: rebase(condition.where, block) };
  if ('inheritedBy' in condition) return { inheritedBy: at(condition.inheritedBy) };
  if ('choice' in condition) return { ...condition, choice: at(condition.choice) };
  if ('path' in condition) return { ...condition, path: [condition.path].flat().map(at) } as Condition;
  return condition;
}

function isChoiceField({ field }: PlacedField): boolean {
  return (field.rules ?? []).some(({ when }) => hasChoice(when));
}

function hasChoice(condition: Condition): boolean {
  if ('choice' in condition) return true;
  if ('not' in condition) return hasChoice(condition.not);
  return 'all' in condition ? condition.all.some(hasChoice) : 'any' in condition && condition.any.some(hasChoice);
}

function fits(pattern: readonly string[], path: readonly Segment[]): boolean {
  return pattern.length === path.length && pattern.every((name, at) => name === '*' || name === String(path[at]));
}
