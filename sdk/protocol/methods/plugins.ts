import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional } from '../define.ts';

const Finding = open(
  { level: Type.String(), code: Type.String(), message: Type.String(), hint: Type.String(), owner: Type.Record(Type.String(), Type.Unknown()) },
  'PluginFinding',
);

export const PLUGINS_METHODS = defineMethods({
  'plugins.list': {
    scope: 'operator.read',
    params: closed({}),
    result: open({
      generation: Type.Integer(),
      plugins: Type.Array(
        open(
          {
            id: Type.String(),
            name: optional(Type.String()),
            description: optional(Type.String()),
            version: optional(Type.String()),
            kind: optional(Type.Array(Type.String())),
            origin: Type.String(),
            format: Type.String(),
            enabled: Type.Boolean(),
            /** Why it is on or off. */
            reason: Type.String(),
            status: Type.Union([Type.Literal('ok'), Type.Literal('disabled'), Type.Literal('failed')]),
            declares: Type.Record(Type.String(), Type.Array(Type.String())),
            findings: Type.Array(Finding),
          },
          'PluginRow',
        ),
      ),
      slots: Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown())),
      findings: Type.Array(Finding),
    }),
  },
  'plugins.reload': {
    scope: 'operator.admin',
    params: closed({}),
    result: open({ ok: Type.Literal(true), report: Type.Unknown() }),
  },
});
