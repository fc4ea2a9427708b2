import { isRecord } from '../../config/config-path.ts';
import type { Outlook } from '../planning.ts';
import type { Choice, Prompt } from '../prompt.ts';

/** A source of secrets that is installed, with what a block for it may hold. */
export interface SourceForm {
  source: string;
  label: string;
  description?: string;
  properties: Record<string, Property>;
  required: ReadonlySet<string>;
  /** Settings whose value is not shown. */
  sensitive: ReadonlySet<string>;
}

interface Property {
  type?: string;
  enum?: unknown[];
  items?: { type?: string };
  description?: string;
  default?: unknown;
  pattern?: string;
  sensitive?: boolean;
}

export type ProviderBlock = Record<string, unknown> & { source: string };

const SPLIT = /"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g;

/** The installed sources, as their manifests describe them. */
export function sourceForms({ plan }: Pick<Outlook, 'plan'>): SourceForm[] {
  const usable = [...plan.extensions.values()].filter(({ enabled, blocked }) => enabled && blocked === undefined);
  return usable.flatMap(({ entry: { manifest } }) =>
    (manifest.secretSources ?? []).map((source): SourceForm => {
      const { schema = {}, label = source, description, uiHints = {} } = manifest.secretSourceConfigs?.[source] ?? {};
      const properties = isRecord(schema.properties) ? (schema.properties as Record<string, Property>) : {};
      return {
        source,
        label,
        ...(description === undefined ? {} : { description }),
        properties,
        required: new Set(Array.isArray(schema.required) ? schema.required.map(String) : []),
        sensitive: new Set(Object.keys(properties).filter((name) => properties[name]?.sensitive === true || uiHints[name]?.sensitive === true)),
      };
    }),
  );
}

/** Asks for what a block of `secrets.providers` must hold, and on wish for the rest. `current`: the block that is edited. */
export async function askBlock(prompt: Prompt, form: SourceForm, current: Record<string, unknown> = {}): Promise<ProviderBlock> {
  const block: ProviderBlock = { ...current, source: form.source };
  const names = Object.keys(form.properties);
  const first = names.filter((name) => form.required.has(name) || current[name] !== undefined);
  const rest = names.filter((name) => !first.includes(name));
  for (const name of first) await askProperty(prompt, block, name, form);
  if (rest.length > 0 && (await prompt.confirm(`More settings (${rest.join(', ')})?`, false)))
    for (const name of rest) await askProperty(prompt, block, name, form);
  return block;
}

async function askProperty(prompt: Prompt, block: ProviderBlock, name: string, { properties, required, sensitive }: SourceForm): Promise<void> {
  const property = properties[name] ?? {};
  const present = block[name] ?? property.default;
  // a map may hold secrets as well
  const isHidden = sensitive.has(name) || property.type === 'object';
  const optional = !required.has(name) || (isHidden && present !== undefined);
  const kept = isHidden && present !== undefined ? '; Enter keeps what is there' : '';
  const about = `${name}${property.description === undefined ? '' : ` (${property.description})`}${kept}`;
  const set = (value: unknown) => {
    if (value === undefined || (optional && block[name] === undefined && value === property.default)) return;
    block[name] = value;
  };
  if (property.enum !== undefined) {
    const choices = property.enum.map((value): Choice<unknown> => ({ label: String(value), value }));
    const at = property.enum.indexOf(present);
    return set(await prompt.choose(about, choices, at < 0 ? 0 : at));
  }
  if (property.type === 'boolean') return set(await prompt.confirm(`${about}?`, present === true));
  const preset = present === undefined || isHidden ? undefined : show(present);
  const options = { ...(preset === undefined || preset === '' ? {} : { preset }), optional };
  if (property.type === 'integer' || property.type === 'number') {
    const answer = await prompt.text(about, { ...options, check: (text) => (/^\d+$/.test(text) ? undefined : 'A whole number is needed.') });
    return set(answer === '' ? undefined : Number(answer));
  }
  if (property.type === 'array') return set(ifAny(splitWords(await prompt.text(`${about}, separated by spaces`, options))));
  if (property.type === 'object') {
    const pairs = splitWords(await prompt.text(`${about}, as NAME=value, separated by spaces`, { optional, check: (text) => pairProblem(splitWords(text)) }));
    return set(pairs.length === 0 ? undefined : Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])));
  }
  const pattern = property.pattern === undefined ? undefined : new RegExp(property.pattern, 'u');
  const answer = await prompt.text(about, { ...options, check: (text) => (pattern?.test(text) === false ? `It must match ${property.pattern}.` : undefined) });
  return set(answer === '' ? undefined : answer);
}

/** Words of one line; quotes keep spaces. No shell takes part. */
export function splitWords(text: string): string[] {
  return [...text.matchAll(SPLIT)].map(([, double, single, bare]) => double?.replace(/\\(.)/g, '$1') ?? single ?? bare ?? '');
}

function pairProblem(words: readonly string[]): string | undefined {
  return words.every((word) => word.indexOf('=') > 0) ? undefined : 'Each must be NAME=value.';
}

function ifAny(words: string[]): string[] | undefined {
  return words.length === 0 ? undefined : words;
}

function show(value: unknown): string {
  const quoted = (word: string) => (/[\s"']/.test(word) ? JSON.stringify(word) : word);
  if (Array.isArray(value)) return value.map((item) => quoted(String(item))).join(' ');
  return String(value);
}
