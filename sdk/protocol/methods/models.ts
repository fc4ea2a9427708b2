import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional } from '../define.ts';

export const MODELS_METHODS = defineMethods({
  'models.list': {
    scope: 'operator.read',
    params: closed({}),
    result: open({
      models: Type.Array(
        open(
          {
            id: Type.String(),
            name: Type.String(),
            provider: Type.String(),
            contextWindow: optional(Type.Number()),
            reasoning: optional(Type.Boolean()),
            input: optional(Type.Array(Type.String())),
          },
          'ModelRow',
        ),
      ),
    }),
  },
});
