import type { SecretRef } from '../../sdk/index.ts';
import { type Activity, evaluateActivity, type RuleFacts } from '../config/active-rule.ts';
import { formatPath, getAt, isRecord, type Segment } from '../config/config-path.ts';
import { substituteText, templateNames } from '../config/env.ts';
import { type FoundField, type SecretFields, scopeRules } from './fields.ts';
import { isSecretRef, keyOf } from './ref.ts';

/** A place where a secret is needed. A template may need several, a plain text that is one choice of several needs none. */
export interface SecretUse {
  path: readonly Segment[];
  refs: readonly SecretRef[];
  fill(values: ReadonlyMap<string, string>): string;
  activity: Activity;
  announce?: string;
  /** The field beside it that it stands for: `token` of `tokenRef`. */
  standsFor?: { path: readonly Segment[]; overrides: boolean };
}

export interface Uses {
  uses: SecretUse[];
  /** References at places that take none. */
  misplaced: Array<readonly Segment[]>;
  /** What was meant as a reference and has other keys than one. */
  malformed: Array<readonly Segment[]>;
}

export interface UsesOptions {
  value: object;
  fields: Pick<SecretFields, 'find' | 'isChoice'>;
  facts: RuleFacts;
  /** The alias of templates. */
  envAlias: string;
  /** The names that make an object with the keys of a reference one, where no field says so. */
  sources: ReadonlySet<string>;
  /** Only these. */
  only?: ((path: readonly Segment[]) => boolean) | undefined;
}

/** Every use of a secret in a document, in the order of the document. */
export function collectUses({ value: root, fields, facts, envAlias, sources, only = () => true }: UsesOptions): Uses {
  const uses: SecretUse[] = [];
  const misplaced: Array<readonly Segment[]> = [];
  const malformed: Array<readonly Segment[]> = [];
  const path: Segment[] = [];

  function visit(value: unknown): void {
    if (typeof value === 'string') visitText(value);
    else if (isSecretRef(value)) visitRef(value);
    else if (typeof value === 'object' && value !== null) visitMembers(value);
  }

  function visitMembers(value: object): void {
    if (isMeantAsRef(value) && isCounted() && fields.find(path)?.takesRef === true) malformed.push([...path]);
    const replaced = isRecord(value) ? replacedKeys(value) : undefined;
    for (const [key, child] of Object.entries(value)) {
      // the sources' own settings are theirs to read
      if ((path.length === 0 && key === 'secrets') || replaced?.has(key) === true) continue;
      path.push(Array.isArray(value) ? Number(key) : key);
      visit(child);
      path.pop();
    }
  }

  function visitText(text: string): void {
    // `$${NAME}` alone needs no secret, only its plain form
    if (text.includes('${')) {
      const field = fields.find(path);
      if (field !== undefined) add(field, templateRefs(text), (values) => fillTemplate(text, values));
    } else if (text !== '' && fields.isChoice(path)) {
      const field = fields.find(path);
      if (field !== undefined) add(field, [], () => text);
    }
  }

  function visitRef(ref: SecretRef): void {
    const field = fields.find(path);
    if (field?.takesRef === true) add(field, [ref], (values) => values.get(keyOf(ref)) ?? '');
    else if (sources.has(ref.source) && isCounted()) misplaced.push([...path]);
  }

  /** Nothing above it is out of use. */
  const isCounted = () => only(path) && evaluateActivity(scopeRules(path), path, facts).state !== 'inactive';

  function add({ rules, announce }: FoundField, refs: readonly SecretRef[], fill: SecretUse['fill']): void {
    if (!only(path)) return;
    const standsFor = refs.length === 0 ? undefined : counterpart();
    uses.push({
      path: [...path],
      refs,
      fill,
      activity: evaluateActivity(rules, path, facts),
      ...(announce === undefined ? {} : { announce }),
      ...(standsFor === undefined ? {} : { standsFor }),
    });
  }

  function counterpart(): SecretUse['standsFor'] {
    const last = path.at(-1);
    if (typeof last !== 'string' || !last.endsWith('Ref')) return undefined;
    const beside = [...path.slice(0, -1), last.slice(0, -'Ref'.length)];
    if (fields.find(beside) === undefined) return undefined;
    const present = getAt(root, beside);
    return { path: beside, overrides: present !== undefined && present !== null && present !== '' };
  }

  /** Keys of which a reference beside them takes the place. */
  function replacedKeys(holder: Record<string, unknown>): Set<string> | undefined {
    let found: Set<string> | undefined;
    for (const key of Object.keys(holder)) {
      if (!key.endsWith('Ref')) continue;
      const child = holder[key];
      if (!(isSecretRef(child) || (typeof child === 'string' && templateNames(child).length > 0))) continue;
      const name = key.slice(0, -'Ref'.length);
      if (fields.find([...path, key]) === undefined || fields.find([...path, name]) === undefined) continue;
      found ??= new Set();
      found.add(name);
    }
    return found;
  }

  const templateRefs = (text: string) => [...new Set(templateNames(text))].map((id): SecretRef => ({ source: 'env', provider: envAlias, id }));
  const fillTemplate = (text: string, values: ReadonlyMap<string, string>) =>
    substituteText(text, Object.fromEntries(templateRefs(text).map((ref) => [ref.id, values.get(keyOf(ref))])), () => undefined);

  visit(root);
  return { uses, misplaced, malformed };
}

function isMeantAsRef(value: object): boolean {
  return isRecord(value) && typeof value.source === 'string' && Object.hasOwn(value, 'id');
}

/** Several that are one choice: those after a plain text are never asked for. */
export function settleChoices(uses: readonly SecretUse[]): void {
  const plain = new Map<string, SecretUse>();
  for (const use of uses) {
    const { activity } = use;
    if (activity.state !== 'candidate') continue;
    const earlier = plain.get(activity.group);
    if (earlier !== undefined) use.activity = passedOver(activity.group, earlier);
    else if (use.refs.length === 0) plain.set(activity.group, use);
  }
}

/** Of those that are still candidates the first that resolves is active. Where none does, all stay candidates. */
export function chooseCandidates(uses: readonly SecretUse[], resolves: (use: SecretUse) => boolean): void {
  const candidates = uses.filter(({ activity }) => activity.state === 'candidate');
  for (const [group, members] of Map.groupBy(candidates, ({ activity }) => (activity.state === 'candidate' ? activity.group : ''))) {
    const chosen = members.find(resolves);
    if (chosen === undefined) continue;
    for (const use of members) use.activity = use === chosen ? { state: 'active', because: `${group} is not set` } : passedOver(group, chosen);
  }
}

function passedOver(group: string, chosen: SecretUse): Activity {
  return { state: 'inactive', because: `${group} is not set, and ${formatPath(chosen.path)} is taken` };
}
