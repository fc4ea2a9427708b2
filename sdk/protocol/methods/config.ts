import { Type } from '@sinclair/typebox';
import { closed, defineMethods, nullable, open, optional, text } from '../define.ts';

const issues = () => Type.Array(open({ path: Type.String(), message: Type.String() }));

export const ConfigHint = open(
  {
    label: optional(Type.String()),
    help: optional(Type.String()),
    tags: optional(Type.Array(Type.String())),
    group: optional(Type.String()),
    order: optional(Type.Number()),
    advanced: optional(Type.Boolean()),
    sensitive: optional(Type.Boolean()),
    placeholder: optional(Type.String()),
  },
  'ConfigHint',
);

/** A write that is applied at once. `sessionKey`, `note`, `deliveryContext` and `restartDelayMs` are for keys that need a restart. */
const change = () =>
  closed({
    raw: text(),
    baseHash: optional(text()),
    sessionKey: optional(Type.String()),
    deliveryContext: optional(Type.Record(Type.String(), Type.Unknown())),
    note: optional(Type.String()),
    restartDelayMs: optional(Type.Integer({ minimum: 0 })),
  });

const changed = () =>
  open({
    ok: Type.Literal(true),
    noop: optional(Type.Literal(true)),
    path: Type.String(),
    config: Type.Unknown(),
    /**
     * `null`: the change counts already. `ok: true`: the gateway restarts its listener, and after `delayMs` its clients are told to come again.
     * `ok: false`: these keys count after a restart by hand.
     */
    restart: optional(
      nullable(
        open({
          ok: Type.Boolean(),
          reason: Type.String(),
          paths: optional(Type.Array(Type.String())),
          pid: optional(Type.Integer()),
          delayMs: optional(Type.Integer({ minimum: 0 })),
          mode: optional(Type.String()),
          coalesced: optional(Type.Boolean()),
          cooldownMsApplied: optional(Type.Integer({ minimum: 0 })),
        }),
      ),
    ),
    sentinel: optional(open({ path: nullable(Type.String()), payload: Type.Record(Type.String(), Type.Unknown()) })),
  });

export const CONFIG_METHODS = defineMethods({
  'config.get': {
    scope: 'operator.admin',
    params: closed({}),
    /** Secrets are references or the redaction marker everywhere in it; the raw text, whose comments may hold some, is never sent. */
    result: open({
      path: Type.String(),
      exists: Type.Boolean(),
      raw: Type.Null(),
      parsed: Type.Unknown(),
      resolved: Type.Unknown(),
      config: Type.Unknown(),
      valid: Type.Boolean(),
      hash: Type.String(),
      issues: issues(),
      warnings: issues(),
      legacyIssues: issues(),
      /** What the gateway runs with, and the keys in which the file differs from that: an edit that was refused, or waits for the next start. */
      live: optional(open({ config: Type.Unknown(), changes: Type.Array(open({ path: Type.String(), reload: Type.String() })) })),
    }),
  },
  'config.set': {
    scope: 'operator.admin',
    params: closed({ raw: text(), baseHash: optional(text()) }),
    result: open({ ok: Type.Literal(true), path: Type.String(), config: Type.Unknown() }),
  },
  'config.patch': { scope: 'operator.admin', params: change(), result: changed() },
  'config.apply': { scope: 'operator.admin', params: change(), result: changed() },
  'config.schema': {
    scope: 'operator.admin',
    params: closed({}),
    result: open({ schema: Type.Unknown(), uiHints: Type.Record(Type.String(), ConfigHint), version: Type.String(), generatedAt: Type.String() }),
  },
  'config.schema.lookup': {
    scope: 'operator.admin',
    params: closed({ path: Type.String({ minLength: 1, maxLength: 1024, pattern: '^[A-Za-z0-9_./[\\]\\-*"\']+$' }) }),
    result: open({
      path: Type.String(),
      schema: Type.Record(Type.String(), Type.Unknown()),
      hint: optional(ConfigHint),
      hintPath: optional(Type.String()),
      children: Type.Array(
        open(
          {
            key: Type.String(),
            path: Type.String(),
            type: optional(Type.Union([Type.String(), Type.Array(Type.String())])),
            required: Type.Boolean(),
            hasChildren: Type.Boolean(),
            hint: optional(ConfigHint),
            hintPath: optional(Type.String()),
          },
          'ConfigChild',
        ),
      ),
    }),
  },
});
