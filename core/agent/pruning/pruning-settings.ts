import { TIMED_CACHE_PROVIDERS } from '../../../sdk/prompt-cache.ts';
import type { Config } from '../../config/schema.ts';
import { readDuration } from '../duration.ts';
import type { TrimRules } from './pruning-pass.ts';

export interface PruningSettings extends TrimRules {
  ttlMs: number;
}

type ContextPruning = Config['agents']['defaults']['contextPruning'];

const MINUTE_MS = 60_000;

/** The mode in force: what was set, else on for providers with a timed prompt cache. */
export function pruningMode(configured: ContextPruning['mode'], provider: string): 'off' | 'cache-ttl' {
  return configured ?? (TIMED_CACHE_PROVIDERS.has(provider.toLowerCase()) ? 'cache-ttl' : 'off');
}

/** Reads `agents.defaults.contextPruning` once per configuration. undefined: pruning is off for that provider. */
export function createPruningSettings(): (config: Config, provider: string) => PruningSettings | undefined {
  const known = new WeakMap<object, PruningSettings>();
  return (config, provider) => {
    const { contextPruning } = config.agents.defaults;
    if (pruningMode(contextPruning.mode, provider) === 'off') return undefined;
    let settings = known.get(contextPruning);
    if (settings === undefined) {
      settings = read(contextPruning);
      known.set(contextPruning, settings);
    }
    return settings;
  };
}

function read({ ttl, mode: _mode, tools, ...rest }: ContextPruning): PruningSettings {
  const isAllowed = namesTool(tools.allow ?? []);
  const isDenied = namesTool(tools.deny ?? []);
  const all = (tools.allow ?? []).length === 0;
  return { ...rest, ttlMs: readDuration(ttl, MINUTE_MS), covers: (name) => !isDenied(name) && (all || isAllowed(name)) };
}

/** `*` stands for any text; case and surrounding blanks do not count. */
function namesTool(patterns: readonly string[]): (name: string) => boolean {
  const texts = patterns.map((pattern) =>
    pattern
      .trim()
      .toLowerCase()
      .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*'),
  );
  if (texts.length === 0) return () => false;
  const named = new RegExp(`^(?:${texts.join('|')})$`, 's');
  return (name) => named.test(name.toLowerCase());
}
