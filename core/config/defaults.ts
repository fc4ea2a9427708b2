import { isRecord } from './config-path.ts';
import facts from './generated/facts.json' with { type: 'json' };
import type { Config } from './schema.ts';

/** The effective configuration of valid content: every key that has a default is present. The argument is not changed and not shared with. */
export function applyDefaults(value: unknown): Config {
  return fill(facts.defaults, value) as Config;
}

function fill(fallback: unknown, value: unknown): unknown {
  if (value === undefined) return structuredClone(fallback);
  if (!isRecord(value)) return Array.isArray(value) ? structuredClone(value) : value;
  const known = isRecord(fallback) ? fallback : {};
  const filled: Record<string, unknown> = {};
  for (const key of Object.keys(value)) filled[key] = fill(known[key], value[key]);
  for (const key of Object.keys(known)) if (value[key] === undefined) filled[key] = structuredClone(known[key]);
  return filled;
}
