import type { ContractContext } from '../../sdk/contract/contract.ts';
import type { ContractContextOf, ContractKind } from '../../sdk/contract/index.ts';
import type { ProviderContractContext } from '../../sdk/contract/provider.ts';
import type { ContributionValues } from '../../sdk/plugin-api.ts';
import type { ContextEngine } from '../../sdk/ports/context-engine.ts';
import type { ModelEntry, Provider, ProviderRequest } from '../../sdk/ports/provider.ts';
import type { SessionStore } from '../../sdk/ports/session-store.ts';
import type { Tool, ToolFactory } from '../../sdk/ports/tool.ts';
import type { Contribution } from '../kernel/generation.ts';
import type { Trial } from './trial.ts';
import { trialToolContext } from './trial-runtime.ts';

/** Makes what the suite of a kind works on. */
type Make<Kind extends ContractKind> = (
  value: ContributionValues[Kind],
  key: string,
  trial: Trial,
) => Promise<ContractContextOf<Kind>> | ContractContextOf<Kind>;

const CONTEXTS: { [Kind in ContractKind]: Make<Kind> } = {
  approver: (approver) => ({ approver }),
  channel: (channel) => ({ channel }),
  secretsProvider: (provider) => ({ provider, config: {}, known: {}, unknown: 'no-such-secret' }),
  contextEngine: async (_factory, key, trial) => ({ engine: (await trial.occupant('contextEngine', key)) as ContextEngine, id: key, ...trial.line }),
  tool: ({ tool }, key, trial) => {
    const made = toolOf(tool, key, trial.pluginConfig);
    if (made === undefined) throw new Error(`'${key}' makes no tool this time`);
    return { tool: made };
  },
  provider: async (provider) => ({ subject: provider as ProviderContractContext['subject'], request: requester(await firstModel(provider)) }),
  modelApi: (api) => ({
    subject: api,
    request: () => {
      throw new Error('a model API has no models of its own');
    },
  }),
  sessionStore: async (factory, key, trial) => {
    let store = (await trial.occupant('sessionStore', key)) as SessionStore;
    return {
      store,
      async reopen() {
        await store.close();
        store = (await factory()) as SessionStore;
        return store;
      },
      dispose: () => store.close(),
    };
  },
};

/** The context of one case. Disposing it ends the extension as well. */
export async function makeContext(trial: Trial, kind: ContractKind, key: string): Promise<ContractContext> {
  const contribution = trial.contributions(kind).find((made) => made.key === key);
  if (contribution === undefined) throw new Error(`'${key}' was not registered this time`);
  const make = CONTEXTS[kind] as (value: unknown, key: string, trial: Trial) => Promise<ContractContext> | ContractContext;
  const context = await make(contribution.value, key, trial);
  return {
    ...context,
    async dispose() {
      await context.dispose?.();
      await trial.dispose();
    },
  };
}

/** Why the suite cannot be run from outside; undefined: it can. */
export async function reasonToSkip({ kind, key, value }: Contribution): Promise<string | undefined> {
  if (kind === 'modelApi') return 'a model API needs a server; run its suite in the tests of the extension';
  if (kind === 'secretsProvider') return 'only its author knows which secrets resolve; run its suite in the tests of the extension';
  if (kind === 'tool') {
    const { tool } = value as ContributionValues['tool'];
    return toolOf(tool, key, {}) === undefined ? 'its factory makes no tool for a plain run' : undefined;
  }
  if (kind !== 'provider') return undefined;
  const provider = value as Provider;
  if (provider.stream === undefined) return 'its models are served by a model API';
  if (provider.keyless !== true) return 'it needs a credential; run its suite in the tests of the extension';
  if ((await provider.models?.({ signal: AbortSignal.timeout(5_000) }))?.[0] === undefined) return 'it names no model';
  return undefined;
}

/** The tool itself, or what its factory makes for a run in which nothing is approved. */
function toolOf(tool: Tool | ToolFactory, key: string, config: Record<string, unknown>): Tool | undefined {
  if (typeof tool !== 'function') return tool;
  const made = [tool(trialToolContext(config)) ?? []].flat();
  // A factory in the ancestor's format need not say what its tools are called.
  return made.find(({ name }) => name === key) ?? (key.includes('#') ? made[0] : undefined);
}

async function firstModel(provider: Provider): Promise<ModelEntry> {
  const [model] = (await provider.models?.({ signal: AbortSignal.timeout(5_000) })) ?? [];
  if (model === undefined) throw new Error('it names no model');
  return model;
}

function requester(model: ModelEntry): () => ProviderRequest {
  return () => ({ model, messages: [{ role: 'user', content: 'Say hello.', timestamp: Date.now() }], tools: [], sessionId: 'durar-contract' });
}
