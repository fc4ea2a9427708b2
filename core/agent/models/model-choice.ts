import { durarError, type ModelOverride, type SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { agentEntry, defaultModelRef } from '../settings.ts';
import { parseModelRef } from './models.ts';

/**
 * Which model a run asks for: what a hook decided, else the request, the session, the agent, the defaults. Throws `DUR_MODEL_NOT_ALLOWED`
 * when `agents.defaults.models` lists models and this one is neither there nor the agent's own.
 */
export function chooseModelRef(params: {
  config: Config;
  agentId: string;
  session: Pick<SessionRecord, 'modelOverride'>;
  requested?: string | undefined;
  hook?: ModelOverride | undefined;
}): string {
  const { config, session, hook } = params;
  const own = defaultModelRef(config, agentEntry(config, params.agentId));
  const wanted = params.requested ?? session.modelOverride ?? own;
  const ref = complete(config, overridden(wanted, hook), own);
  const allowed = config.agents.defaults.models;
  if (allowed !== undefined && ref !== own && !Object.keys(allowed).some((key) => key.toLowerCase() === ref.toLowerCase())) {
    throw durarError('DUR_MODEL_NOT_ALLOWED', { ref });
  }
  return ref;
}

function overridden(ref: string, hook: ModelOverride | undefined): string {
  const model = hook?.modelOverride;
  if (hook?.providerOverride !== undefined) return `${hook.providerOverride}/${model ?? parseModelRef(ref).model}`;
  return model ?? ref;
}

/** A bare name is an alias, else a model of the default model's provider. */
function complete(config: Config, ref: string, own: string): string {
  if (ref.includes('/')) return ref;
  for (const [key, { alias }] of Object.entries(config.agents.defaults.models ?? {})) if (alias?.toLowerCase() === ref.toLowerCase()) return key;
  return `${parseModelRef(own).provider ?? ''}/${ref}`;
}
