import type { RuleFacts } from '../config/active-rule.ts';
import { formatPath, getAt, parsePath, type Segment } from '../config/config-path.ts';
import { sourceSettings } from './batches.ts';
import type { SecretFields } from './fields.ts';
import { collectUses, type SecretUse, settleChoices } from './uses.ts';

export interface TargetLookup {
  /** References that are resolved, with their values. */
  assignments: Array<{ path: string; pathSegments: string[]; value: string }>;
  /** References that are out of use. */
  inactiveRefPaths: string[];
}

export interface TargetOptions {
  /** What is written: references and templates as they stand. */
  config: object;
  /** The same configuration with its active secrets. */
  resolved: object;
  fields: SecretFields;
  /** Paths, or rows of the supported surface by their id. */
  targets: readonly string[];
}

/** Which references a set of targets means; undefined for an id that names no secret field. */
export function targetTest(fields: SecretFields, target: string): ((path: readonly Segment[]) => boolean) | undefined {
  const row = fields.surface().find(({ id }) => id === target);
  if (row !== undefined) return (path) => path.length === row.segments.length && row.segments.every((name, at) => name === '*' || name === String(path[at]));
  const exact = segmentsOf(target);
  if (exact === undefined || fields.find(exact) === undefined) return undefined;
  return (path) => path.length === exact.length && exact.every((name, at) => String(name) === String(path[at]));
}

/** Reads the active secrets of some fields. Nothing is resolved anew. A target that is none is returned as `unknown`. */
export function lookUpTargets({ config, resolved, fields, targets }: TargetOptions): TargetLookup | { unknown: string } {
  const tests: Array<(path: readonly Segment[]) => boolean> = [];
  for (const target of targets) {
    const test = targetTest(fields, target);
    if (test === undefined) return { unknown: target };
    tests.push(test);
  }
  const found: TargetLookup = { assignments: [], inactiveRefPaths: [] };
  const facts = { env: {}, isServed: () => true };
  const all = targetedUses({ config, fields, facts });
  for (const { path } of all.filter((use) => tests.some((test) => test(use.path)))) {
    const value = getAt(resolved, path);
    if (typeof value === 'string' && value !== '') found.assignments.push({ path: formatPath(path), pathSegments: path.map(String), value });
    else found.inactiveRefPaths.push(formatPath(path));
  }
  return found;
}

export interface TargetedOptions {
  config: object;
  fields: SecretFields;
  facts: Omit<RuleFacts, 'config'>;
  /** As `TargetOptions.targets`; absent: every field. One that names no field is passed over. */
  targets?: readonly string[] | undefined;
}

/** The references and templates of some fields, each with whether it is in use. */
export function targetedUses({ config, fields, facts, targets }: TargetedOptions): SecretUse[] {
  const tests = targets?.map((target) => targetTest(fields, target));
  const { defaults } = sourceSettings(config);
  const { uses } = collectUses({
    value: config,
    fields,
    facts: { ...facts, config },
    envAlias: typeof defaults.env === 'string' ? defaults.env : 'default',
    sources: new Set(),
    only: tests === undefined ? undefined : (path) => tests.some((test) => test?.(path) === true),
  });
  settleChoices(uses);
  return uses.filter(({ refs }) => refs.length > 0);
}

function segmentsOf(target: string): Segment[] | undefined {
  try {
    return parsePath(target);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'DUR_CONFIG_PATH') return undefined;
    throw error;
  }
}
