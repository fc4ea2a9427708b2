/** What the head of a SKILL.md says. */
export interface SkillHead {
  name: string;
  description: string;
  homepage?: string;
  emoji?: string;
  /** Its key under `skills.entries`. */
  skillKey: string;
  primaryEnv?: string;
  always: boolean;
  userInvocable: boolean;
  /** Not in the prompt: only people start it. */
  hidden: boolean;
  requires: Requirements;
  install: InstallOption[];
}

export interface Requirements {
  bins: string[];
  anyBins: string[];
  env: string[];
  /** Dotted paths of the configuration that must hold something. */
  config: string[];
  os: string[];
}

export interface InstallOption {
  id: string;
  kind: string;
  label: string;
  bins: string[];
}

type Fields = { readonly [Name in string]?: unknown };

const FENCE = /^---[^\S\n]*\r?\n([\s\S]*?)\r?\n---[^\S\n]*(?:\r?\n|$)/;
const FIELD = /^([A-Za-z][\w-]*)[^\S\n]*:[^\S\n]*(.*)$/;
const METADATA = 'Durar';

/** Reads the lines between the two fences at the top. Throws an error that says what is missing. */
export function parseSkill(text: string): SkillHead {
  const head = FENCE.exec(text.replace(/^\uFEFF/, ''))?.[1];
  if (head === undefined) throw new Error('it does not begin with lines between two `---`');
  const fields = parseFields(head);
  const name = fields.get('name') ?? '';
  const description = fields.get('description') ?? '';
  if (name === '' || description === '') throw new Error(`its head has no \`${name === '' ? 'name' : 'description'}\``);
  const metadata = parseMetadata(fields.get('metadata'));
  const requires = record(metadata.requires);
  const homepage = fields.get('homepage') ?? asText(metadata.homepage);
  const emoji = asText(metadata.emoji);
  const primaryEnv = asText(metadata.primaryEnv);
  return {
    name,
    description,
    skillKey: asText(metadata.skillKey) ?? name,
    always: metadata.always === true,
    userInvocable: fields.get('user-invocable') !== 'false',
    hidden: fields.get('disable-model-invocation') === 'true',
    requires: {
      bins: texts(requires.bins),
      anyBins: texts(requires.anyBins),
      env: texts(requires.env),
      config: texts(requires.config),
      os: texts(metadata.os),
    },
    install: installOptions(metadata.install),
    ...(homepage === undefined ? {} : { homepage }),
    ...(emoji === undefined ? {} : { emoji }),
    ...(primaryEnv === undefined ? {} : { primaryEnv }),
  };
}

/** One key per line; lines that are indented go on with the value before them. */
function parseFields(head: string): Map<string, string> {
  const fields = new Map<string, string>();
  let key: string | undefined;
  for (const line of head.split(/\r?\n/)) {
    const [, name, value = ''] = FIELD.exec(line) ?? [];
    if (name !== undefined) {
      key = name.toLowerCase();
      fields.set(key, /^[>|][+-]?$/.test(value.trim()) ? '' : value.trim());
    } else if (key !== undefined && /^\s+\S/.test(line)) {
      fields.set(key, `${fields.get(key)} ${line.trim()}`.trim());
    }
  }
  for (const [name, value] of fields) fields.set(name, unquoted(value));
  return fields;
}

function unquoted(value: string): string {
  if (/^'.*'$/s.test(value)) return value.slice(1, -1).replaceAll("''", "'");
  if (!/^".*"$/s.test(value)) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    // a text with stray quotes is meant as it stands
    return value.slice(1, -1);
  }
}

/** The object under our own key; a skill of another maker has one key of its own. Throws when it is no JSON. */
function parseMetadata(text: string | undefined): Fields {
  if (text === undefined || text === '') return {};
  let whole: Fields;
  try {
    whole = record(JSON.parse(text.replace(/,(\s*[}\]])/g, '$1')));
  } catch (cause) {
    throw new Error('its `metadata` is no JSON', { cause });
  }
  if (Object.hasOwn(whole, METADATA)) return record(whole[METADATA]);
  const values = Object.values(whole);
  return values.length === 1 ? record(values[0]) : {};
}

function installOptions(value: unknown): InstallOption[] {
  if (!Array.isArray(value)) return [];
  return value.map(record).flatMap((one, index) => {
    const kind = asText(one.kind);
    if (kind === undefined) return [];
    const what = asText(one.formula) ?? asText(one.package) ?? asText(one.module) ?? asText(one.url);
    return [{ id: asText(one.id) ?? `${kind}-${index}`, kind, label: asText(one.label) ?? [kind, what].filter(Boolean).join(' '), bins: texts(one.bins) }];
  });
}

export function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string' && one !== '') : [];
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
