import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

export function modelsMethods(context: GatewayContext): MethodFamily<'models.list'> {
  return {
    async 'models.list'() {
      const models = await context.control.models();
      return { models: models.map(({ id, name, provider, contextWindow, reasoning, input }) => ({ id, name, provider, contextWindow, reasoning, input })) };
    },
  };
}
