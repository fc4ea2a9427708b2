import { parseEnv } from 'node:util';
import { isRecord, type Segment } from '../config/config-path.ts';
import { templateNames } from '../config/env.ts';
import type { SecretFields } from './fields.ts';
import { isSecretRef } from './ref.ts';
import { isSecretHeader, isSecretVariable } from './secret-names.ts';

/** A secret that stands where it can be read. */
export interface PlainText {
  path: readonly Segment[];
  value: string;
}

/** The secrets of a configuration text that are written out. `at`: where it stands in the whole. */
export function plainTexts(root: unknown, fields: Pick<SecretFields, 'find'>, at: readonly Segment[] = []): PlainText[] {
  const found: PlainText[] = [];
  const visit = (value: unknown, path: readonly Segment[]): void => {
    if (typeof value === 'string') {
      if (isPlain(value) && isSecretPlace(path, fields)) found.push({ path, value });
    } else if (isStructure(value)) {
      // such as the key file of a service account
      if (path.length > 0 && isSecretPlace(path, fields)) return void found.push({ path, value: JSON.stringify(value) });
      for (const [key, child] of Object.entries(value)) if (key !== '$include') visit(child, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  };
  visit(root, at);
  return found;
}

/** True for a text that is the secret itself, not a template for it. */
export function isPlain(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && templateNames(value).length === 0;
}

/** An object or a list that holds something and is no reference. */
export function isStructure(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !isSecretRef(value) && Object.keys(value).length > 0;
}

/** Of headers and variables only those whose name tells so: the others are settings. */
function isSecretPlace(path: readonly Segment[], fields: Pick<SecretFields, 'find'>): boolean {
  if (fields.find(path) === undefined) return false;
  const [holder, name] = [path.at(-2), String(path.at(-1))];
  if (holder === 'headers') return isSecretHeader(name);
  return holder === 'env' || holder === 'vars' ? isSecretVariable(name) : true;
}

/** Static secrets of one stored credential, and those of all. */
export function profileTexts(store: Record<string, unknown>): Array<PlainText & { profileId: string; provider: string }> {
  const profiles = isRecord(store.profiles) ? store.profiles : {};
  return Object.entries(profiles).flatMap(([profileId, profile]) => {
    if (!isRecord(profile)) return [];
    return ['key', 'token'].flatMap((name) => {
      const value = profile[name];
      return isPlain(value) ? [{ profileId, provider: String(profile.provider ?? ''), path: ['profiles', profileId, name], value }] : [];
    });
  });
}

/** The credentials that a generated catalogue of models holds: keys, and headers whose name tells so. */
export function catalogueTexts(catalogue: Record<string, unknown>): PlainText[] {
  const providers = isRecord(catalogue.providers) ? catalogue.providers : {};
  return Object.entries(providers).flatMap(([id, provider]) => {
    if (!isRecord(provider)) return [];
    const models = Array.isArray(provider.models) ? provider.models : [];
    const holders: Array<readonly [holder: unknown, path: Segment[]]> = [
      [provider, ['providers', id]],
      ...models.map((model, at): [unknown, Segment[]] => [model, ['providers', id, 'models', at]]),
    ];
    return holders.flatMap(([holder, path]) => {
      if (!isRecord(holder)) return [];
      const headers = isRecord(holder.headers) ? Object.entries(holder.headers) : [];
      const named = headers.filter(([name]) => isSecretHeader(name)).map(([name, value]): [unknown, Segment[]] => [value, [...path, 'headers', name]]);
      return [[holder.apiKey, [...path, 'apiKey']] as const, ...named].flatMap(([value, place]) => (isPlain(value) ? [{ path: place, value }] : []));
    });
  });
}

/** The lines of a `.env` text with what they set; a value may take several. */
export function envLines(text: string): Array<{ text: string; name?: string; value?: string }> {
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const found: Array<{ text: string; name?: string; value?: string }> = [];
  for (let at = 0; at < lines.length; ) {
    const name = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=/.exec(lines[at] ?? '')?.[1];
    let end = at + 1;
    if (name !== undefined) {
      const quote = /=\s*(["'`])/.exec(lines[at] ?? '')?.[1];
      const isOpen = () => {
        const body = lines.slice(at, end).join('');
        return quote !== undefined && body.slice(body.indexOf(quote) + 1).indexOf(quote) < 0;
      };
      const last = lines.length;
      while (end < last && isOpen()) end += 1;
      if (isOpen()) end = at + 1;
    }
    const block = lines.slice(at, end).join('');
    const value = name === undefined ? undefined : parseEnv(block)[name];
    found.push({ text: block, ...(name === undefined || value === undefined ? {} : { name, value }) });
    at = end;
  }
  return found;
}
