import type { Config } from '../../config/schema.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

export function modelsMethods(context: GatewayContext): MethodFamily<'models.list'> {
  return {
    async 'models.list'() {
      const allowed = allowedRefs(context.source.current().config);
      const models = (await context.control.models()).filter(({ id, provider }) => allowed?.has(`${provider}/${id}`.toLowerCase()) ?? true);
      return { models: models.map(({ id, name, provider, contextWindow, reasoning, input }) => ({ id, name, provider, contextWindow, reasoning, input })) };
    },
  };
}

/** Those that `agents.defaults.models` lists, and those that an agent is set to; undefined: all are allowed. */
function allowedRefs({ agents }: Config): Set<string> | undefined {
  if (agents?.defaults.models === undefined) return undefined;
  const choices = [agents.defaults.model, ...(agents.list ?? []).map((agent) => agent.model)];
  const own = choices.flatMap((choice) => (typeof choice === 'string' ? [choice] : [choice?.primary ?? [], choice?.fallbacks ?? []].flat()));
  return new Set([...Object.keys(agents.defaults.models), ...own].map((ref) => ref.toLowerCase()));
}
