import {
  type DeclaredProvider,
  type DurarError,
  durarError,
  errorCode,
  errorText,
  type ModelEntry,
  type Provider,
  type ProviderEvent,
  type ProviderRequest,
  type StreamOptions,
} from '../../../sdk/index.ts';
import type { CredentialRequest, Credentials, CredentialUse } from '../../auth/credentials.ts';
import type { Config } from '../../config/schema.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import { withDeadline } from '../deadline.ts';
import { defaultAgentId } from '../settings.ts';
import { authEnvVars, declaredIds, declaredProvider } from './declared-providers.ts';

/** A model that can be called: where, with what, and by whose code. */
export interface ResolvedModel {
  /** `provider/model` */
  ref: string;
  entry: ModelEntry;
  /** extension whose code streams */
  owner: string;
  /** The credential in use now; it changes when `credential` goes on to another profile. */
  readonly apiKey: string | undefined;
  /** There when the credential is a stored one: to be told how each call ended. */
  credential?: CredentialUse;
  baseUrl?: string;
  headers?: Record<string, string>;
  stream(request: ProviderRequest, options: StreamOptions): AsyncIterable<ProviderEvent>;
}

/** Whose run it is, and which stored credential it asks for. Absent: the default agent's. */
export type ProfileWish = Omit<CredentialRequest, 'provider'>;

/** The models of a generation. Providers are loaded when they are first asked for. */
export interface Models {
  /** Throws `DUR_MODEL_*`, and `DUR_AUTH_PROFILE_*` for a profile that was asked for. */
  resolve(generation: Generation, ref: string, wish?: ProfileWish): Promise<ResolvedModel>;
  /** What is known of a model, whether it can be called or not. Throws `DUR_MODEL_UNKNOWN`. */
  find(generation: Generation, ref: string): Promise<ModelEntry>;
  /** Every model that can be named, by ref; loads all providers. Those that fail are left out and logged. */
  list(generation: Generation): Promise<ModelEntry[]>;
  /** Throws `DUR_AUTH_PROFILE_*` for a stored credential that cannot be had. */
  assertProfile(generation: Generation, request: CredentialRequest & { pinned: string }): void;
  /** A provider's credential, of the default agent. Never log the value. */
  credential(generation: Generation, providerId: string): Promise<{ apiKey?: string; source?: string }>;
}

type ConfiguredProvider = Config['models']['providers'][string];
type ModelFacts = DeclaredProvider['models'][number];

/** What is known of one provider, from the configuration, its extension's code and its manifest. */
interface ProviderSource {
  id: string;
  configured?: ConfiguredProvider;
  secret?: string;
  code?: { provider: Provider; owner: string };
  declared?: { provider: DeclaredProvider; owner: string };
  envVars: string[];
  models: Map<string, ModelEntry>;
  /** Its extension could not say what it offers; what configuration and manifest say is there. */
  failure?: DurarError;
}

const DEFAULT_API = 'openai-completions';
const DEFAULT_CONTEXT_WINDOW = 200_000;
const DEFAULT_MAX_TOKENS = 8_192;
/** How long a provider may take to list its models, milliseconds. */
const LIST_TIMEOUT_MS = 15_000;

/** Splits a ref at its first slash. Without one there is no provider. */
export function parseModelRef(ref: string): { provider: string | undefined; model: string } {
  const slash = ref.indexOf('/');
  return slash === -1 ? { provider: undefined, model: ref.trim() } : { provider: ref.slice(0, slash).trim().toLowerCase(), model: ref.slice(slash + 1).trim() };
}

export interface ModelsOptions {
  log: Logger;
  env?: () => Readonly<Record<string, string | undefined>>;
  /** Absent: none are stored. */
  credentials?: Pick<Credentials, 'credentialFor'>;
}

export function createModels(options: ModelsOptions): Models {
  const env = options.env ?? (() => process.env);
  const sources = new WeakMap<Generation, Map<string, Promise<ProviderSource | undefined>>>();

  /** Asked once per generation; a failure is not kept, so that the next run tries again. */
  function source(generation: Generation, id: string): Promise<ProviderSource | undefined> {
    let known = sources.get(generation);
    if (known === undefined) {
      known = new Map();
      sources.set(generation, known);
    }
    let found = known.get(id);
    if (found === undefined) {
      const kept = known;
      found = readSource(generation, id).then(
        (read) => {
          if (read?.failure !== undefined) kept.delete(id);
          return read;
        },
        (error: unknown) => {
          kept.delete(id);
          throw error;
        },
      );
      known.set(id, found);
    }
    return found;
  }

  async function readSource(generation: Generation, id: string): Promise<ProviderSource | undefined> {
    const configured = generation.config.models.providers[id];
    const contribution = await generation.contribution('provider', id);
    const alias = contribution ?? generation.loaded('provider').find(({ value }) => value.aliases?.includes(id));
    const declared = declaredProvider(generation, id);
    if (configured === undefined && alias === undefined && declared === undefined) return undefined;
    const secret = generation.resolvedConfig.models.providers[id]?.apiKey;
    const found: ProviderSource = {
      id,
      envVars: [...(alias?.value.envVars ?? []), ...(declared?.provider.envVars ?? []), ...authEnvVars(generation, id)],
      models: new Map(),
      ...(configured === undefined ? {} : { configured }),
      ...(typeof secret === 'string' && secret !== '' ? { secret } : {}),
      ...(alias === undefined ? {} : { code: { provider: alias.value, owner: alias.owner } }),
      ...(declared === undefined ? {} : { declared }),
    };
    if (found.envVars.length === 0) found.envVars.push(`${id.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_API_KEY`);
    if (generation.config.models.mode === 'merge' || configured?.models === undefined) {
      for (const facts of declared?.provider.models ?? []) add(found, facts, declared?.provider.api);
      if (alias !== undefined) await addOffered(generation, found, alias.value, alias.owner);
    }
    for (const facts of configured?.models ?? []) add(found, facts as ModelFacts, configured?.api);
    return found;
  }

  /** What the extension's own code lists. */
  async function addOffered(generation: Generation, provider: ProviderSource, code: Provider, owner: string): Promise<void> {
    if (code.models === undefined) return;
    const { apiKey } = credentialOf(generation, provider);
    const baseUrl = baseUrlOf(provider);
    const params = { ...(baseUrl === undefined ? {} : { baseUrl }), ...(apiKey === undefined ? {} : { apiKey }) };
    const failed = (reason: string, cause?: unknown) =>
      durarError('DUR_PROVIDER_FAILED', { provider: provider.id, reason }, { owner: { extension: owner, hook: 'models' }, cause });
    try {
      const expired = () => failed(`it did not list its models within ${LIST_TIMEOUT_MS} ms`);
      const entries = await withDeadline({ ms: LIST_TIMEOUT_MS, expired }, async (signal) => (await code.models?.({ ...params, signal })) ?? []);
      for (const entry of entries) provider.models.set(entry.id.toLowerCase(), { ...entry, provider: provider.id });
    } catch (error) {
      provider.failure = errorCode(error) === 'DUR_PROVIDER_FAILED' ? (error as DurarError) : failed(errorText(error), error);
    }
  }

  function keyOf(provider: ProviderSource): { apiKey?: string; source?: string } {
    if (provider.secret !== undefined) return { apiKey: provider.secret, source: `models.providers.${provider.id}.apiKey` };
    for (const name of provider.envVars) {
      const value = env()[name];
      if (value !== undefined && value !== '') return { apiKey: value, source: `env: ${name}` };
    }
    return {};
  }

  function storedFor(generation: Generation, provider: ProviderSource, wish?: ProfileWish): CredentialUse | undefined {
    const request = { agentId: defaultAgentId(generation.config), ...wish, provider: provider.id };
    return options.credentials?.credentialFor(generation.resolvedConfig, request);
  }

  /** What is stored goes before the configuration, and that before the environment. */
  function credentialOf(generation: Generation, provider: ProviderSource): { apiKey?: string; source?: string } {
    const stored = storedFor(generation, provider);
    return stored === undefined ? keyOf(provider) : { apiKey: stored.apiKey, source: `profile: ${stored.profileId}` };
  }

  /** A service that only the configuration knows, and one on a base URL of the user's own, may do without a credential. */
  function isKeyless(provider: ProviderSource): boolean {
    if (provider.code?.provider.keyless === true || provider.declared?.provider.keyless === true) return true;
    return provider.configured?.baseUrl !== undefined && provider.configured.apiKey === undefined;
  }

  async function find(generation: Generation, ref: string): Promise<{ provider: ProviderSource; entry: ModelEntry }> {
    const { provider: providerId, model: modelId } = parseModelRef(ref);
    const provider = providerId === undefined ? undefined : await source(generation, providerId);
    const entry = provider?.models.get(modelId.toLowerCase());
    if (provider === undefined || entry === undefined) throw provider?.failure ?? durarError('DUR_MODEL_UNKNOWN', { ref });
    return { provider, entry };
  }

  return {
    find: async (generation, ref) => (await find(generation, ref)).entry,

    async resolve(generation, ref, wish) {
      const { provider, entry } = await find(generation, ref);
      const code = provider.code;
      const streaming = code?.provider.stream === undefined ? undefined : code;
      const api = streaming === undefined ? await generation.contribution('modelApi', entry.api) : undefined;
      if (streaming === undefined && api === undefined) throw durarError('DUR_MODEL_API', { ref, api: entry.api });
      const credential = storedFor(generation, provider, wish);
      const { apiKey } = credential === undefined ? keyOf(provider) : {};
      if (credential === undefined && apiKey === undefined && !isKeyless(provider)) {
        throw durarError('DUR_MODEL_AUTH', { provider: provider.id, env: provider.envVars[0] }, code === undefined ? {} : { owner: { extension: code.owner } });
      }
      const baseUrl = provider.configured?.baseUrl ?? entry.baseUrl ?? baseUrlOf(provider);
      const headers = { ...provider.declared?.provider.headers, ...entry.headers, ...plainHeaders(generation, provider.id) };
      return {
        ref: `${provider.id}/${entry.id}`,
        entry,
        owner: streaming?.owner ?? api?.owner ?? provider.id,
        get apiKey() {
          return credential?.apiKey ?? apiKey;
        },
        ...(credential === undefined ? {} : { credential }),
        ...(baseUrl === undefined ? {} : { baseUrl }),
        ...(Object.keys(headers).length === 0 ? {} : { headers }),
        stream(request, streamOptions) {
          const stream = streaming?.provider.stream?.(request, streamOptions) ?? api?.value.stream(request, streamOptions);
          if (stream === undefined) throw new Error('stream() returned nothing');
          return stream;
        },
      };
    },

    async list(generation) {
      const ids = new Set([
        ...Object.keys(generation.config.models.providers),
        ...generation.declared('provider').map(({ key }) => key),
        ...(await generation.contributions('provider')).map(({ key }) => key),
        ...declaredIds(generation),
      ]);
      const found = await Promise.all(
        [...ids].map(async (id) => {
          try {
            const found = await source(generation, id);
            if (found?.failure !== undefined) options.log.warn(found.failure.message, { provider: id });
            return [...(found?.models.values() ?? [])];
          } catch (error) {
            options.log.warn(`the models of '${id}' cannot be listed: ${errorText(error)}`, { provider: id });
            return [];
          }
        }),
      );
      return found.flat();
    },

    assertProfile: (generation, request) => void options.credentials?.credentialFor(generation.resolvedConfig, request),

    async credential(generation, providerId) {
      const provider = await source(generation, providerId.toLowerCase());
      return provider === undefined ? {} : credentialOf(generation, provider);
    },
  };
}

function baseUrlOf(provider: ProviderSource): string | undefined {
  return provider.configured?.baseUrl ?? provider.code?.provider.baseUrl ?? provider.declared?.provider.baseUrl;
}

/** Adds or refines one model: what is said later wins over what was known. */
function add(provider: ProviderSource, facts: ModelFacts, api: string | undefined): void {
  const known = provider.models.get(facts.id.toLowerCase());
  const baseUrl = baseUrlOf(provider);
  provider.models.set(facts.id.toLowerCase(), {
    ...known,
    id: facts.id,
    name: facts.name ?? known?.name ?? facts.id,
    provider: provider.id,
    api: api ?? known?.api ?? provider.declared?.provider.api ?? DEFAULT_API,
    reasoning: facts.reasoning ?? known?.reasoning ?? false,
    input: facts.input ?? known?.input ?? ['text'],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, ...known?.cost, ...facts.cost },
    contextWindow: facts.contextWindow ?? known?.contextWindow ?? DEFAULT_CONTEXT_WINDOW,
    maxTokens: facts.maxTokens ?? known?.maxTokens ?? DEFAULT_MAX_TOKENS,
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...(facts.compat === undefined ? {} : { compat: facts.compat }),
  });
}

/** Configured headers with their secrets resolved. */
function plainHeaders(generation: Generation, id: string): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(generation.resolvedConfig.models.providers[id]?.headers ?? {})) if (typeof value === 'string') plain[name] = value;
  return plain;
}
