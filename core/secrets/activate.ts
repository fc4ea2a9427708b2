import { type DurarError, durarError, errorCode, errorText, type SecretRef, type SecretsProvider } from '../../sdk/index.ts';
import { formatPath, isRecord, type Segment, toPointer } from '../config/config-path.ts';
import { substituteText, templateNames } from '../config/env.ts';
import { type SecretTest, secretTexts } from '../config/redact.ts';
import { isSecretPath } from '../config/secret-paths.ts';
import { isSecretRef, refProblem } from './ref.ts';

export interface ActivateOptions<Configuration extends object> {
  config: Configuration;
  /** The provider of a source; undefined when nothing installed serves it. A throw is its owner's failure. */
  source(name: string): Promise<SecretsProvider | undefined>;
  /** The effective environment. */
  env: Readonly<Record<string, string | undefined>>;
  /** Secret-marked fields beside those of the host's own schema, such as an extension's. */
  isSecret?: SecretTest;
  signal?: AbortSignal;
}

export interface ActivatedSecrets<Configuration extends object> {
  /** The configuration with every reference and template replaced; the very same object when there is none, or when one failed. */
  resolved: Configuration;
  /** What the logs must mask: everything that was resolved, and the plain texts of secret-marked fields. */
  values: string[];
  /** Every reference that failed, each with its place. */
  errors: DurarError[];
}

/** Where a secret is needed. A template may need several. */
interface Need {
  path: readonly Segment[];
  refs: SecretRef[];
  fill(values: ReadonlyMap<string, string>): string;
}

/** The block of one alias and what is asked of it. */
interface Batch {
  source: string;
  provider: string;
  config: Record<string, unknown>;
  ids: Set<string>;
}

/**
 * Resolves the secrets of a configuration, one call an alias. What is switched off (`enabled: false`) is left as it is. All or nothing: with
 * an error, `resolved` is the configuration as it came. Never rejects for a secret that fails; without any reference no source is loaded.
 */
export async function activateSecrets<Configuration extends object>(options: ActivateOptions<Configuration>): Promise<ActivatedSecrets<Configuration>> {
  const { config, isSecret = () => false } = options;
  const secrets = isRecord(config) && isRecord(config.secrets) ? config.secrets : {};
  const needs = collect(config, secrets, (path) => isSecretPath(path) || isSecret(path));
  if (needs.length === 0) return { resolved: config, values: secretTexts(config, isSecret), errors: [] };

  const errors: DurarError[] = [];
  const { batches, problems } = group(needs, secrets);
  const values = new Map<string, string>();
  await Promise.all([...batches.values()].map((batch) => resolveBatch(batch, options, values, problems)));

  for (const { path, refs } of needs) {
    for (const ref of refs) {
      const problem = problems.get(keyOf(ref));
      if (problem !== undefined) errors.push(problem(path));
    }
  }
  if (errors.length > 0) return { resolved: config, values: [], errors };
  const texts = new Map(needs.map((need) => [toPointer(need.path), need.fill(values)]));
  const resolved = replace(config, texts, []) as Configuration;
  return { resolved, values: [...new Set([...secretTexts(resolved, isSecret), ...values.values(), ...texts.values()])], errors };
}

function collect(config: object, secrets: Record<string, unknown>, isMarked: (path: readonly Segment[]) => boolean): Need[] {
  const defaults = isRecord(secrets.defaults) ? secrets.defaults : {};
  const envAlias = typeof defaults.env === 'string' ? defaults.env : 'default';
  const needs: Need[] = [];
  const path: Segment[] = [];

  function visit(value: unknown): void {
    if (typeof value === 'string') {
      // `$${NAME}` alone needs no secret, only its plain form
      if (value.includes('${') && isMarked(path)) needs.push(template(value));
      return;
    }
    if (typeof value !== 'object' || value === null || ('enabled' in value && value.enabled === false)) return;
    if (isSecretRef(value)) {
      needs.push({ path: [...path], refs: [value], fill: (values) => values.get(keyOf(value)) ?? '' });
      return;
    }
    for (const [key, child] of Object.entries(value)) {
      // the sources' own settings are theirs to read
      if (path.length === 0 && key === 'secrets') continue;
      path.push(Array.isArray(value) ? Number(key) : key);
      visit(child);
      path.pop();
    }
  }

  function template(text: string): Need {
    const refs = [...new Set(templateNames(text))].map((id): SecretRef => ({ source: 'env', provider: envAlias, id }));
    return {
      path: [...path],
      refs,
      fill: (values) => substituteText(text, Object.fromEntries(refs.map((ref) => [ref.id, values.get(keyOf(ref))])), () => undefined),
    };
  }

  visit(config);
  return needs;
}

type Problems = Map<string, (path: readonly Segment[]) => DurarError>;

/** Sorts the references by alias; those that cannot be asked for become problems. */
function group(needs: readonly Need[], secrets: Record<string, unknown>): { batches: Map<string, Batch>; problems: Problems } {
  const providers = isRecord(secrets.providers) ? secrets.providers : {};
  const batches = new Map<string, Batch>();
  const problems: Problems = new Map();
  for (const ref of needs.flatMap((need) => need.refs)) {
    const { source, provider, id } = ref;
    const configured = Object.hasOwn(providers, provider) ? providers[provider] : undefined;
    const block = configured ?? (provider === 'default' ? { source: 'env' } : undefined);
    const problem =
      refProblem(ref) ??
      (!isRecord(block)
        ? `secrets.providers.${provider} is not configured`
        : block.source === source
          ? undefined
          : `secrets.providers.${provider} has the source '${String(block.source)}', not '${source}'`);
    if (problem !== undefined || !isRecord(block)) {
      problems.set(keyOf(ref), unresolved(problem ?? ''));
      continue;
    }
    const batch = batches.get(provider) ?? { source, provider, config: block, ids: new Set<string>() };
    batch.ids.add(id);
    batches.set(provider, batch);
  }
  return { batches, problems };
}

async function resolveBatch(batch: Batch, options: ActivateOptions<object>, values: Map<string, string>, problems: Problems): Promise<void> {
  const { source, provider, config } = batch;
  const ids = [...batch.ids];
  const failAll = (problem: (path: readonly Segment[]) => DurarError) => {
    for (const id of ids) problems.set(keyOf({ source, provider, id }), problem);
  };
  try {
    const server = await options.source(source);
    if (server === undefined) {
      failAll((path) => durarError('DUR_SECRET_SOURCE', { source }, { owner: { pointer: toPointer(path) } }));
      return;
    }
    const answer = await server.resolve({ provider, config, ids, env: options.env, ...(options.signal === undefined ? {} : { signal: options.signal }) });
    for (const id of ids) {
      const value = Object.hasOwn(answer.values, id) ? answer.values[id] : undefined;
      if (typeof value === 'string' && value !== '') values.set(keyOf({ source, provider, id }), value);
      else
        problems.set(
          keyOf({ source, provider, id }),
          unresolved(answer.errors?.[id] ?? (value === undefined ? 'the source has no value for it' : 'its value is not a text')),
        );
    }
  } catch (error) {
    failAll(unresolved(errorText(error), error));
  }
}

function unresolved(reason: string, cause?: unknown) {
  return (path: readonly Segment[]) =>
    durarError(
      'DUR_SECRET_UNRESOLVED',
      { path: formatPath(path), reason },
      { owner: { pointer: toPointer(path) }, ...(errorCode(cause) === undefined ? {} : { cause }) },
    );
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

function keyOf({ source, provider, id }: SecretRef): string {
  return `${source}\0${provider}\0${id}`;
}
