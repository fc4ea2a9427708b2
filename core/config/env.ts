import { type DurarError, durarError } from '../../sdk/errors.ts';
import { formatPath, isRecord, type Segment, toPointer } from './config-path.ts';
import type { Environment } from './paths.ts';
import type { Locate } from './validate.ts';

/** `$${NAME}` (literal) or `${NAME}`. Names of the product's own variables have lower-case letters, so they are listed beside the usual form. */
const TEMPLATE = /\$?\$\{([A-Z_][A-Z0-9_]*|Durar_[A-Z0-9_]+)\}/g;

/** True when the text holds at least one `${NAME}` that would be replaced. */
export function isTemplate(text: string): boolean {
  return templateNames(text).length > 0;
}

/** True when the text is nothing but one `${NAME}`. */
export function isWholeTemplate(text: string): boolean {
  return /^\$\{(?:[A-Z_][A-Z0-9_]*|Durar_[A-Z0-9_]+)\}$/.test(text);
}

/** The variables that a text refers to. */
export function templateNames(text: string): string[] {
  if (!text.includes('${')) return [];
  return [...text.matchAll(TEMPLATE)].filter(([place]) => !place.startsWith('$$')).map((match) => match[1] ?? '');
}

/** Replaces every `${NAME}`; `missing` hears of those that are unset or empty (they stay). `$${NAME}` becomes `${NAME}`. */
export function substituteText(text: string, env: Environment, missing: (name: string) => void): string {
  if (!text.includes('${')) return text;
  return text.replace(TEMPLATE, (place, name: string) => {
    if (place.startsWith('$$')) return place.slice(1);
    const value = env[name];
    if (value) return value;
    missing(name);
    return place;
  });
}

export interface Substitution {
  env: Environment;
  /** Fields whose template text stays for the activation of secrets. */
  keep(path: readonly Segment[]): boolean;
  /** Collects what is missing. */
  errors: DurarError[];
  file: string;
  locate?: Locate;
  /** Where the value stands in the configuration; default: it is the root. */
  root?: readonly Segment[];
}

/** Replaces templates in every string value. Returns the same object when nothing changed. */
export function substituteTree(value: unknown, options: Substitution, path: readonly Segment[] = options.root ?? []): unknown {
  if (typeof value === 'string') {
    if (!value.includes('${') || options.keep(path)) return value;
    return substituteText(value, options.env, (name) => {
      const owner = { file: options.file, pointer: toPointer(path), ...options.locate?.(path) };
      options.errors.push(durarError('DUR_CONFIG_ENV_MISSING', { path: formatPath(path), name }, { owner }));
    });
  }
  if (Array.isArray(value)) {
    const items = value.map((item, index) => substituteTree(item, options, [...path, index]));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isRecord(value)) return value;
  let changed: Record<string, unknown> | undefined;
  for (const [key, child] of Object.entries(value)) {
    const next = substituteTree(child, options, [...path, key]);
    if (next !== child) {
      changed ??= { ...value };
      changed[key] = next;
    }
  }
  return changed ?? value;
}

/**
 * Puts templates back into a value that a client edited: where `next` still holds the replaced text, the text of the file is taken. Lists are
 * compared by position.
 */
export function restoreTemplates(next: unknown, source: unknown, resolved: unknown): unknown {
  if (typeof next === 'string') return typeof source === 'string' && next === resolved && source !== resolved ? source : next;
  if (Array.isArray(next)) {
    return next.map((item, index) =>
      restoreTemplates(item, Array.isArray(source) ? source[index] : undefined, Array.isArray(resolved) ? resolved[index] : undefined),
    );
  }
  if (!isRecord(next)) return next;
  const from = isRecord(source) ? source : {};
  const to = isRecord(resolved) ? resolved : {};
  return Object.fromEntries(Object.entries(next).map(([key, child]) => [key, restoreTemplates(child, from[key], to[key])]));
}
