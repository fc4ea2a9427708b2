import type { AgentMessage, ModelEntry } from '../../../sdk/index.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import { agentEntry, defaultAgentId, defaultModelRef } from '../settings.ts';
import { complete } from './complete.ts';
import { chooseModelRef } from './model-choice.ts';
import { type Models, parseModelRef } from './models.ts';

/** The models, for those who ask outside any run. */
export interface ModelAccess {
  /** Every model that can be named. Loads all providers. */
  list(): Promise<ModelEntry[]>;
  /** The model of the default agent. */
  defaults(): { provider: string; model: string };
  /**
   * What a session of that agent would ask for: the given ref or alias, else its own. Throws `DUR_MODEL_NOT_ALLOWED`, `DUR_MODEL_UNKNOWN`, and
   * `DUR_AUTH_PROFILE_*` for a stored credential that cannot be used.
   */
  choose(params: {
    agentId: string;
    ref?: string;
    override?: string;
    profile?: string | undefined;
  }): Promise<{ provider: string; model: string; reasons: boolean; contextWindow?: number }>;
  /** One model call outside any session. `model` is a ref; absent: the default model. Throws `DUR_MODEL_*`, `DUR_PROVIDER_*`. */
  complete(params: {
    model?: string;
    systemPrompt?: string;
    messages: AgentMessage[];
    maxTokens?: number;
    signal?: AbortSignal;
  }): Promise<{ text: string; message: AgentMessage }>;
  /** A provider's credential, for extensions that call it themselves. Never log it. */
  credential(provider: string): Promise<{ apiKey?: string; source?: string }>;
}

export function createModelAccess(options: {
  source: GenerationSource;
  models: Models;
  closing: AbortSignal;
  stallMs: number;
  now: () => number;
}): ModelAccess {
  const { source, models, stallMs, now } = options;
  return {
    list: () => models.list(source.current()),
    defaults() {
      const { config } = source.current();
      const { provider = '', model } = parseModelRef(defaultModelRef(config, agentEntry(config, defaultAgentId(config))));
      return { provider, model };
    },
    async choose({ agentId, ref, override, profile }) {
      const generation = source.current();
      const session = override === undefined ? {} : { modelOverride: override };
      const chosen = chooseModelRef({ config: generation.config, agentId, session, requested: ref });
      const known = await models.find(generation, chosen).catch((error) => {
        // what a session has by itself may be gone; only a model that is asked for must be there
        if (ref !== undefined) throw error;
        return undefined;
      });
      const { provider = '', model } = parseModelRef(chosen);
      if (profile !== undefined) models.assertProfile(generation, { agentId, pinned: profile, provider: known?.provider ?? provider });
      return {
        provider: known?.provider ?? provider,
        model: known?.id ?? model,
        reasons: known?.reasoning === true,
        ...(known === undefined ? {} : { contextWindow: known.contextWindow }),
      };
    },
    async complete({ model: ref, ...request }) {
      const lease = source.lease();
      try {
        const { config } = lease.generation;
        const model = await models.resolve(lease.generation, ref ?? defaultModelRef(config, agentEntry(config, defaultAgentId(config))));
        const signal = request.signal === undefined ? options.closing : AbortSignal.any([request.signal, options.closing]);
        return await complete({ ...request, model, signal, stallMs, now });
      } finally {
        lease.release();
      }
    },
    credential: (provider) => models.credential(source.current(), provider),
  };
}
