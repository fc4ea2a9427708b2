import { Type } from '@sinclair/typebox';
import { closed, optional, text } from './define.ts';

export const StateVersion = closed({ presence: Type.Integer({ minimum: 0 }), health: Type.Integer({ minimum: 0 }) }, 'StateVersion');

export const ErrorShape = closed(
  {
    code: text(),
    message: text(),
    details: optional(Type.Unknown()),
    retryable: optional(Type.Boolean()),
    retryAfterMs: optional(Type.Integer({ minimum: 0 })),
  },
  'ErrorShape',
);

export const RequestFrame = closed({ type: Type.Literal('req'), id: text(), method: text(), params: optional(Type.Unknown()) });

export const ResponseFrame = closed({
  type: Type.Literal('res'),
  id: text(),
  ok: Type.Boolean(),
  payload: optional(Type.Unknown()),
  error: optional(ErrorShape),
});

export const EventFrame = closed({
  type: Type.Literal('event'),
  event: text(),
  payload: optional(Type.Unknown()),
  seq: optional(Type.Integer({ minimum: 0 })),
  stateVersion: optional(StateVersion),
});
