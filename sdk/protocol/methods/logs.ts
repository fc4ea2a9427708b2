import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional } from '../define.ts';

export const LOGS_METHODS = defineMethods({
  'logs.tail': {
    scope: 'operator.read',
    params: closed({
      /** A byte offset, as an earlier answer gave it. */
      cursor: optional(Type.Integer({ minimum: 0 })),
      limit: optional(Type.Integer({ minimum: 1, maximum: 5000 })),
      maxBytes: optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    }),
    result: open({
      file: Type.String(),
      cursor: Type.Integer({ minimum: 0 }),
      size: Type.Integer({ minimum: 0 }),
      lines: Type.Array(Type.String()),
      /** Older lines were left out. */
      truncated: Type.Boolean(),
      /** The answer does not go on where the cursor was. */
      reset: Type.Boolean(),
    }),
  },
});
