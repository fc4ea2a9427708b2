/**
 * When a secret field is in use. The rules stand beside the field in its schema (`x-active`), on the field itself or on an object above it,
 * and are data, so that one evaluator serves the host's schema and those of extensions.
 */
import { getAt, isRecord, type Segment } from './config-path.ts';

type Scalar = string | number | boolean;

/**
 * Paths have dots. `*` is the key that the field's own path has at that place; `@.` begins a path inside the item that `some` looks at.
 * A path alone holds when something is set there; of several the first that is set counts.
 */
export type Condition =
  | { all: readonly Condition[] }
  | { any: readonly Condition[] }
  | { not: Condition }
  | { path: string | readonly string[]; is?: Scalar | readonly Scalar[]; has?: readonly string[] }
  /** The variable is set. */
  | { env: string }
  /** An item of the list or map fits. */
  | { some: string; where: Condition }
  /** The field, or an object above it, has `enabled: false`. */
  | { switchedOff: true }
  /** The field is an entry's own, there are no entries, or an entry that is on has no such value of its own. */
  | { inheritedBy: string }
  /** An extension that is on serves the key that the path ends with. */
  | { served: 'extension' | 'channel'; path: string }
  /** The path names this choice. Nothing there: the choices are tried in the order of the file, and the first that resolves is taken. */
  | { choice: string; name: string };

export interface ActiveRule {
  when: Condition;
  active: boolean;
  /** Completes `because …`. */
  because: string;
}

export interface RuleFacts {
  config: unknown;
  env: Readonly<Record<string, string | undefined>>;
  /** Whether an extension that is on serves it. */
  isServed(kind: 'extension' | 'channel', id: string): boolean;
}

export type Activity =
  | { state: 'active' | 'inactive'; because: string }
  /** One of a group in which the first that resolves is active. */
  | { state: 'candidate'; group: string; because: string };

/** The first rule that holds decides; without one the field is active. */
export function evaluateActivity(rules: readonly ActiveRule[], path: readonly Segment[], facts: RuleFacts): Activity {
  const seen: Seen = { facts, path, item: undefined, group: undefined };
  for (const { when, active, because } of rules) {
    const verdict = holds(when, seen);
    if (verdict === 'open') return { state: 'candidate', group: seen.group ?? '', because };
    if (verdict) return { state: active ? 'active' : 'inactive', because };
  }
  return { state: 'active', because: 'it is configured' };
}

interface Seen {
  facts: RuleFacts;
  path: readonly Segment[];
  item: unknown;
  /** The choice that is still open. */
  group: string | undefined;
}

/** `open`: it depends on what resolves. */
type Verdict = boolean | 'open';

function holds(condition: Condition, seen: Seen): Verdict {
  if ('all' in condition) return every(condition.all.map((each) => holds(each, seen)));
  if ('any' in condition) return negate(every(condition.any.map((each) => negate(holds(each, seen)))));
  if ('not' in condition) return negate(holds(condition.not, seen));
  if ('env' in condition) return Boolean(seen.facts.env[condition.env]);
  if ('switchedOff' in condition) return seen.path.some((_, depth) => isOff(getAt(seen.facts.config, seen.path.slice(0, depth + 1))));
  if ('some' in condition) {
    const items = valueAt(condition.some, seen);
    return typeof items === 'object' && items !== null && Object.values(items).some((item) => holds(condition.where, { ...seen, item }) === true);
  }
  if ('inheritedBy' in condition) return isInherited(segmentsOf(condition.inheritedBy, seen.path), seen);
  if ('served' in condition) return seen.facts.isServed(condition.served, String(segmentsOf(condition.path, seen.path).at(-1)));
  if ('choice' in condition) {
    const chosen = valueAt(condition.choice, seen);
    if (isSet(chosen)) return chosen === segmentsOf(condition.name, seen.path).at(-1);
    seen.group = condition.choice;
    return 'open';
  }
  const { path, is, has } = condition;
  const value = [path]
    .flat()
    .map((each) => valueAt(each, seen))
    .find(isSet);
  if (has !== undefined) return Array.isArray(value) && has.some((each) => value.includes(each));
  return is === undefined ? value !== undefined : [is].flat().includes(value as Scalar);
}

function every(verdicts: readonly Verdict[]): Verdict {
  return verdicts.includes(false) ? false : verdicts.includes('open') ? 'open' : true;
}

function negate(verdict: Verdict): Verdict {
  return verdict === 'open' ? verdict : !verdict;
}

function isInherited(entriesAt: readonly Segment[], { facts, path }: Seen): boolean {
  const above = entriesAt.slice(0, -1);
  const rest = path.slice(above.length);
  const entries = getAt(facts.config, entriesAt);
  if (rest[0] === entriesAt.at(-1) || !isRecord(entries) || Object.keys(entries).length === 0) return true;
  return Object.values(entries).some((entry) => !isOff(entry) && !isSet(getAt(entry, rest)));
}

function valueAt(path: string, { facts, path: own, item }: Seen): unknown {
  return path.startsWith('@.') ? getAt(item, path.slice(2).split('.')) : getAt(facts.config, segmentsOf(path, own));
}

function segmentsOf(path: string, own: readonly Segment[]): Segment[] {
  return path.split('.').map((key, at) => (key === '*' ? (own[at] ?? key) : key));
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function isOff(value: unknown): boolean {
  return isRecord(value) && value.enabled === false;
}
