import { durarError } from '../../sdk/errors.ts';
import { formatPath, getAt, isRecord, type Segment, toPointer } from './config-path.ts';
import { isWholeTemplate } from './env.ts';
import { isSecretPath } from './secret-paths.ts';

/** Stands for a secret in everything that leaves the process. */
export const REDACTED = '__Durar_REDACTED__';
/** The marker of older clients. */
const ANCESTOR_REDACTED = '__OPENCLAW_REDACTED__';

export function isRedacted(value: unknown): boolean {
  return value === REDACTED || value === ANCESTOR_REDACTED;
}

/** Decides on a path beyond what the schema marks, for the secret fields of extensions. */
export type SecretTest = (path: readonly Segment[]) => boolean;

/**
 * A copy with every secret text replaced by the marker. References and texts that are one `${VAR}` stay: they name a secret, they hold none.
 * What holds no secret is shared with the argument.
 */
export function redactConfig<T>(config: T, isSecret: SecretTest = () => false): T {
  return redact(config, [], (path) => isSecretPath(path) || isSecret(path), false) as T;
}

/** `https://name:password@host` */
const URL_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s:@]*:([^/?#\s@]+)@/i;

/** Every secret text in a configuration, for masking; also the passwords in URLs, wherever they stand. */
export function secretTexts(config: unknown, isSecret: SecretTest = () => false): string[] {
  const found: string[] = [];
  collect(config, [], (path) => isSecretPath(path) || isSecret(path), false, found);
  return found;
}

/**
 * Puts the secrets of `present`, the content of the file itself, where the marker stands. A secret that only `merged` has comes from an
 * included file and stays there: its key is left out. Throws `DUR_CONFIG_REDACTED` where there is nothing to put.
 */
export function restoreRedacted(next: unknown, present: unknown, merged: unknown = present, path: readonly Segment[] = []): unknown {
  if (isRedacted(next)) {
    const value = getAt(present, path);
    if (value !== undefined && !isRedacted(value)) return value;
    if (value === undefined && getAt(merged, path) !== undefined) return undefined;
    throw durarError('DUR_CONFIG_REDACTED', { path: formatPath(path) }, { owner: { pointer: toPointer(path) } });
  }
  if (Array.isArray(next)) return next.map((item, index) => restoreRedacted(item, present, merged, [...path, index]));
  if (!isRecord(next)) return next;
  const entries = Object.entries(next).map(([key, child]): [string, unknown] => [key, restoreRedacted(child, present, merged, [...path, key])]);
  return Object.fromEntries(entries.filter(([, child]) => child !== undefined));
}

function redact(value: unknown, path: readonly Segment[], isSecret: SecretTest, inSecret: boolean): unknown {
  if (typeof value === 'string') return inSecret && value !== '' && !isWholeTemplate(value) ? REDACTED : value;
  if (typeof value !== 'object' || value === null || isReference(value)) return value;
  const entries = Object.entries(value).map(([key, child]): [string, unknown, unknown] => {
    const below = [...path, Array.isArray(value) ? Number(key) : key];
    return [key, child, redact(child, below, isSecret, inSecret || isSecret(below))];
  });
  if (entries.every(([, before, after]) => before === after)) return value;
  return Array.isArray(value) ? entries.map(([, , after]) => after) : Object.fromEntries(entries.map(([key, , after]) => [key, after]));
}

function collect(value: unknown, path: readonly Segment[], isSecret: SecretTest, inSecret: boolean, found: string[]): void {
  if (typeof value === 'string') {
    if (inSecret && value !== '' && !isWholeTemplate(value)) found.push(value);
    const password = URL_PASSWORD.exec(value)?.[1];
    if (password !== undefined) found.push(password);
    return;
  }
  if (typeof value !== 'object' || value === null || isReference(value)) return;
  for (const [key, child] of Object.entries(value)) {
    const below = [...path, Array.isArray(value) ? Number(key) : key];
    collect(child, below, isSecret, inSecret || isSecret(below), found);
  }
}

function isReference(value: object): boolean {
  return isRecord(value) && typeof value.source === 'string' && typeof value.provider === 'string' && typeof value.id === 'string';
}
