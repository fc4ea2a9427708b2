import type { PluginApi } from '../plugin-api.ts';
import type { ModelCost, ModelEntry, Provider } from '../ports/provider.ts';

/** The part of that line's provider that a catalog needs; everything else it may have is a hook into that line's own runner. */
export interface AncestorProvider {
  id: string;
  label?: string;
  aliases?: string[];
  envVars?: string[];
  catalog?: AncestorCatalog;
  /** The older name of `catalog`. */
  discovery?: AncestorCatalog;
  [member: string]: unknown;
}

export interface AncestorCatalog {
  run(context: object): Promise<AncestorCatalogResult> | AncestorCatalogResult;
}

type AncestorCatalogResult = { provider: AncestorModels } | { providers: Record<string, AncestorModels> } | null | undefined;

/** What a catalog answers, in the shape of `models.providers.<id>`. */
interface AncestorModels {
  baseUrl?: string;
  apiKey?: unknown;
  api?: string;
  headers?: Record<string, unknown>;
  models?: Array<Partial<Omit<ModelEntry, 'cost' | 'headers'>> & { id: string; cost?: Partial<ModelCost>; headers?: Record<string, unknown> }>;
}

const SERVED: ReadonlySet<string> = new Set(['id', 'label', 'docsPath', 'aliases', 'hookAliases', 'envVars', 'catalog', 'discovery', 'auth', 'wizard']);
const DEFAULT_API = 'openai-completions';
const DEFAULT_CONTEXT_WINDOW = 200_000;
const DEFAULT_MAX_TOKENS = 8_192;

/**
 * That line's provider as one of our port: its catalog names the models, and the model API that they name streams them. Its hooks into
 * that line's runner are noted as not available.
 */
export function adaptProvider(plugin: AncestorProvider, api: PluginApi, note: (member: string) => void): Provider {
  const { id, label, aliases, envVars } = plugin;
  const catalog = plugin.catalog ?? plugin.discovery;
  for (const name of Object.keys(plugin)) if (!SERVED.has(name) && typeof plugin[name] === 'function') note(`provider ${id}: ${name}`);
  let keyless = catalog === undefined || typeof plugin.resolveSyntheticAuth === 'function';
  return {
    id,
    ...(label === undefined ? {} : { label }),
    ...(aliases === undefined ? {} : { aliases }),
    ...(envVars === undefined ? {} : { envVars: envVars.filter((name) => /^[A-Za-z_]\w*$/.test(name)) }),
    get keyless() {
      return keyless;
    },
    async models({ apiKey }) {
      const result = await catalog?.run({
        config: api.config,
        agentDir: api.runtime.agent.resolveAgentDir(api.config),
        workspaceDir: api.runtime.agent.resolveAgentWorkspaceDir(api.config),
        env: process.env,
        resolveProviderApiKey: (other = id) => (other === id ? { apiKey, discoveryApiKey: apiKey } : { apiKey: undefined }),
        resolveProviderAuth: (other = id) =>
          other === id && apiKey !== undefined
            ? { apiKey, discoveryApiKey: apiKey, mode: 'api_key', source: 'env' }
            : { apiKey: undefined, mode: 'none', source: 'none' },
      });
      const found = result && ('provider' in result ? result.provider : result.providers[id]);
      // A key that the host does not know is a mark of a service that wants none.
      if (found?.apiKey !== undefined && apiKey === undefined) keyless = true;
      return found ? modelsOf(id, found) : [];
    },
  };
}

function modelsOf(provider: string, { baseUrl, api, headers, models = [] }: AncestorModels): ModelEntry[] {
  return models.map((model) => ({
    id: model.id,
    name: model.name ?? model.id,
    provider,
    api: model.api ?? api ?? DEFAULT_API,
    ...((model.baseUrl ?? baseUrl) === undefined ? {} : { baseUrl: (model.baseUrl ?? baseUrl) as string }),
    reasoning: model.reasoning ?? false,
    input: model.input ?? ['text'],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, ...model.cost },
    contextWindow: model.contextWindow ?? DEFAULT_CONTEXT_WINDOW,
    maxTokens: model.maxTokens ?? DEFAULT_MAX_TOKENS,
    headers: Object.fromEntries(Object.entries({ ...headers, ...model.headers }).filter((pair): pair is [string, string] => typeof pair[1] === 'string')),
    ...(model.compat === undefined ? {} : { compat: model.compat }),
  }));
}
