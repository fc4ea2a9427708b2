import { type DurarError, durarError, type SecretsProvider } from '../../sdk/index.ts';
import type { RuleFacts } from '../config/active-rule.ts';
import { formatPath, isRecord, type Segment, toPointer } from '../config/config-path.ts';
import { secretTexts } from '../config/redact.ts';
import { placeOf, resolveRefs, sourceSettings } from './batches.ts';
import { createSecretFields, type SecretFields } from './fields.ts';
import { oauthProblems } from './policy.ts';
import { keyOf } from './ref.ts';
import { chooseCandidates, collectUses, type SecretUse, settleChoices } from './uses.ts';

export { type Resolution as SecretResolution, resolveRefs, sourceSettings } from './batches.ts';
export { createSecretFields, isActiveRule, type SecretFields, type SurfaceRow } from './fields.ts';
export { lookUpTargets, type TargetLookup, targetedUses } from './lookup.ts';
export { PROFILE_FIELDS, PROFILE_ROWS } from './profile-fields.ts';
export { isSecretRef, keyOf } from './ref.ts';
export { createReloadSignal, type ReloadSignal } from './reload-signal.ts';
export type { SecretUse } from './uses.ts';

export interface ActivateOptions<Configuration extends object> {
  config: Configuration;
  /** The provider of a source; undefined when nothing installed serves it. A throw is its owner's failure. */
  source(name: string): Promise<SecretsProvider | undefined>;
  /** The effective environment. */
  env: Readonly<Record<string, string | undefined>>;
  /** Default: the host's own fields. */
  fields?: SecretFields;
  /** What decides whether a field is in use, where it is not the environment above. */
  surfaces?: Partial<Omit<RuleFacts, 'config'>>;
  /** Credential files whose references are resolved in the same calls. */
  documents?: readonly SecretDocument[];
  signal?: AbortSignal;
}

/** A file beside the configuration that holds secrets. */
export interface SecretDocument {
  /** Named in errors. */
  file: string;
  value: object;
  fields: Pick<SecretFields, 'find' | 'isChoice'>;
}

/** What an operator should know and what stops nothing. Holds no value. */
export interface SecretDiagnostic {
  code: string;
  level: 'info' | 'warn';
  path: string;
  message: string;
  state?: 'active' | 'inactive';
  reason?: string;
}

export interface ActivatedSecrets<Configuration extends object> {
  /** The configuration with every active reference and template replaced; the very same object when there is none, or when one failed. */
  resolved: Configuration;
  /** The same of the documents, in their order. */
  documents: object[];
  /** What the logs must mask: everything that was resolved, and the plain texts of secret-marked fields. */
  values: string[];
  /** Every reference that failed, each with its place. */
  errors: DurarError[];
  diagnostics: SecretDiagnostic[];
}

/** A document on its way through the activation. */
interface Part {
  value: object;
  file: string | undefined;
  uses: SecretUse[];
}

const FIXED_SOURCES = ['env', 'file', 'exec'];

/**
 * Resolves the secrets that are in use, one call an alias. All or nothing: with an error, everything is returned as it came. Never rejects for
 * a secret that fails; without any reference no source is loaded. A reference out of use stays as it is; such a template becomes an empty text,
 * so that nobody takes it for the secret.
 */
export async function activateSecrets<Configuration extends object>(options: ActivateOptions<Configuration>): Promise<ActivatedSecrets<Configuration>> {
  const { config, fields = createSecretFields(), env, documents = [] } = options;
  const settings = sourceSettings(config);
  const facts: RuleFacts = { env, isServed: () => true, ...options.surfaces, config };
  const errors: DurarError[] = oauthProblems(config, documents);
  const refused = new Set(errors.map(({ owner: { file = '', pointer = '' } }) => file + pointer));
  const envAlias = typeof settings.defaults.env === 'string' ? settings.defaults.env : 'default';
  const sources = new Set([...FIXED_SOURCES, ...Object.values(settings.providers).map((block) => (isRecord(block) ? String(block.source) : ''))]);

  const parts = [{ file: undefined, value: config as object, fields }, ...documents].map(({ file, value, fields: own }): Part => {
    const { uses, misplaced, malformed } = collectUses({ value, fields: own, facts: { ...facts, config: value }, envAlias, sources });
    const others = misplaced.filter((path) => !refused.has((file ?? '') + toPointer(path)));
    errors.push(...others.map((path) => durarError('DUR_SECRET_UNSUPPORTED', { path: placeOf(path, file) }, { owner: ownerOf(path, file) })));
    const reason = 'a reference has the keys source, provider and id, all texts, and no others';
    errors.push(...malformed.map((path) => durarError('DUR_SECRET_UNRESOLVED', { path: placeOf(path, file), reason }, { owner: ownerOf(path, file) })));
    settleChoices(uses);
    return { value, file, uses };
  });
  const all = parts.flatMap(({ uses }) => uses);
  const wanted = all.filter(({ activity }) => activity.state !== 'inactive').flatMap(({ refs }) => refs);
  const { values, problems } = await resolveRefs(wanted, { settings, source: options.source, env, signal: options.signal });
  chooseCandidates(all, ({ refs }) => refs.every((ref) => values.has(keyOf(ref))));

  for (const { uses, file } of parts) {
    for (const { path, refs, activity } of uses) {
      if (activity.state === 'inactive') continue;
      for (const ref of refs) {
        const problem = problems.get(keyOf(ref));
        if (problem !== undefined) errors.push(problem(path, file));
      }
    }
  }
  const diagnostics = parts.flatMap(({ uses, file }) => uses.flatMap((use) => diagnose(use, file)));
  const before = documents.map(({ value }) => value);
  if (errors.length > 0) return { resolved: config, documents: before, values: [], errors, diagnostics };
  const [resolved, ...others] = parts.map(({ value, uses }) => fillIn(value, uses, values));
  const texts = parts.flatMap(({ uses }) => uses.filter(isActive).map((use) => use.fill(values)));
  return {
    resolved: (resolved ?? config) as Configuration,
    documents: others,
    values: [...new Set([...secretTexts(resolved, fields.isMarked), ...values.values(), ...texts])],
    errors,
    diagnostics,
  };
}

function isActive({ activity }: SecretUse): boolean {
  return activity.state === 'active';
}

function diagnose({ path, refs, activity, announce, standsFor }: SecretUse, file: string | undefined): SecretDiagnostic[] {
  if (refs.length === 0) return [];
  const at = placeOf(path, file);
  const found: SecretDiagnostic[] = [];
  const state = activity.state === 'inactive' ? 'inactive' : 'active';
  const reason = activity.because;
  if (announce !== undefined) found.push({ code: announce, level: 'info', path: at, message: `the secret of ${at} is ${state}: ${reason}`, state, reason });
  if (state === 'inactive') {
    const message = `the reference at ${at} is ignored: ${reason}`;
    found.push({ code: 'SECRETS_REF_IGNORED_INACTIVE_SURFACE', level: 'info', path: at, message, reason });
  } else if (standsFor?.overrides === true) {
    const message = `the reference at ${at} is used, and the text at ${formatPath(standsFor.path)} is not`;
    found.push({ code: 'SECRETS_REF_OVERRIDES_PLAINTEXT', level: 'warn', path: at, message });
  }
  return found;
}

/** The document with its secrets. A field that another stands for gets that one's. */
function fillIn(value: object, uses: readonly SecretUse[], values: ReadonlyMap<string, string>): object {
  const texts = new Map<string, string>();
  const added: Array<readonly [path: readonly Segment[], text: string]> = [];
  for (const use of uses) {
    if (isActive(use)) {
      const text = use.fill(values);
      texts.set(toPointer(use.path), text);
      if (use.standsFor !== undefined) added.push([use.standsFor.path, text]);
    } else if (typeof valueAt(value, use.path) === 'string') texts.set(toPointer(use.path), '');
  }
  if (texts.size === 0) return value;
  const filled = replace(value, texts, []) as object;
  for (const [path, text] of added) {
    // the object was copied with the reference in it, so it may be changed
    const holder = valueAt(filled, path.slice(0, -1));
    if (isRecord(holder)) holder[String(path.at(-1))] = text;
  }
  return filled;
}

/** A copy with the texts at their places; what is not on the way to one is shared. */
function replace(value: unknown, texts: ReadonlyMap<string, string>, path: readonly Segment[]): unknown {
  const text = texts.get(toPointer(path));
  if (text !== undefined) return text;
  if (Array.isArray(value)) {
    const items = value.map((item, index) => replace(item, texts, [...path, index]));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([key, child]): [string, unknown] => [key, replace(child, texts, [...path, key])]);
  return entries.some(([key, child]) => child !== value[key]) ? Object.fromEntries(entries) : value;
}

function valueAt(value: unknown, path: readonly Segment[]): unknown {
  return path.reduce<unknown>((holder, key) => (typeof holder === 'object' && holder !== null ? (holder as Record<Segment, unknown>)[key] : undefined), value);
}

function ownerOf(path: readonly Segment[], file: string | undefined) {
  return { pointer: toPointer(path), ...(file === undefined ? {} : { file }) };
}
