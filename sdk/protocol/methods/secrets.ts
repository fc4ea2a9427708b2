import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional } from '../define.ts';

export const SECRETS_METHODS = defineMethods({
  'secrets.reload': {
    scope: 'operator.admin',
    params: open({}),
    result: open({ ok: Type.Literal(true), warningCount: Type.Integer() }),
  },
  'secrets.resolve': {
    scope: 'operator.admin',
    /** `commandName`: who asks. `targetIds`: paths of the configuration, or rows of the supported surface by their id. */
    params: closed({ commandName: Type.String({ minLength: 1 }), targetIds: Type.Array(Type.String({ minLength: 1 }), { maxItems: 1024 }) }),
    result: open({
      ok: Type.Literal(true),
      assignments: Type.Array(open({ path: optional(Type.String()), pathSegments: Type.Array(Type.String()), value: Type.Unknown() }, 'SecretAssignment')),
      diagnostics: Type.Array(Type.String()),
      inactiveRefPaths: Type.Array(Type.String()),
    }),
  },
});
