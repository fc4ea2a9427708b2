import { isDeepStrictEqual } from 'node:util';
import { formatPath, getAt, isRecord, type Segment } from './config-path.ts';
import facts from './generated/facts.json' with { type: 'json' };

/** What a changed key needs: nothing but a new generation, a new listener, or nothing at all. */
export type ReloadClass = 'live' | 'restart' | 'none';

export interface ConfigChange {
  /** As `formatPath` writes it; a changed list is one change. */
  path: string;
  segments: Segment[];
  reload: ReloadClass;
}

const RELOAD = new Map(Object.entries(facts.reload as Record<string, ReloadClass>));

/** What differs between two effective configurations, by path. */
export function diffConfig(before: unknown, after: unknown): ConfigChange[] {
  const changes: ConfigChange[] = [];
  compare(before, after, [], changes);
  return changes;
}

/** The class of a key: its own or that of its nearest marked parent. */
export function reloadClass(segments: readonly Segment[]): ReloadClass {
  for (let length = segments.length; length > 0; length -= 1) {
    const marked = RELOAD.get(segments.slice(0, length).join('.'));
    if (marked !== undefined) return marked;
  }
  return 'live';
}

/** `next`, but with what `live` has wherever a change needs a restart; `held` names those keys. */
export function holdRestartKeys<Configuration extends object>(live: Configuration, next: Configuration): { config: Configuration; held: string[] } {
  const changes = diffConfig(live, next).filter(({ reload }) => reload === 'restart');
  if (changes.length === 0) return { config: next, held: [] };
  const config = structuredClone(next);
  for (const { segments } of changes) {
    const parent = getAt(config, segments.slice(0, -1));
    const key = segments.at(-1);
    if (!isRecord(parent) || typeof key !== 'string') continue;
    const value = getAt(live, segments);
    if (value === undefined) delete parent[key];
    else parent[key] = value;
  }
  return { config, held: changes.map(({ path }) => path) };
}

function compare(before: unknown, after: unknown, path: Segment[], out: ConfigChange[]): void {
  if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) compare(before[key], after[key], [...path, key], out);
  } else if (!isDeepStrictEqual(before, after)) {
    out.push({ path: formatPath(path), segments: path, reload: reloadClass(path) });
  }
}
