import { Type } from '@sinclair/typebox';
import { closed, defineMethods, open, optional, text } from '../define.ts';

const Identity = open(
  { name: optional(text()), theme: optional(text()), emoji: optional(text()), avatar: optional(text()), avatarUrl: optional(text()) },
  'AgentIdentity',
);

const AgentFile = open(
  {
    name: Type.String(),
    path: Type.String(),
    missing: Type.Boolean(),
    size: optional(Type.Integer({ minimum: 0 })),
    updatedAtMs: optional(Type.Number()),
    content: optional(Type.String()),
  },
  'AgentFile',
);

export const AGENTS_METHODS = defineMethods({
  'agents.list': {
    scope: 'operator.read',
    params: closed({}),
    result: open({
      defaultId: Type.String(),
      mainKey: Type.String(),
      scope: Type.Union([Type.Literal('per-sender'), Type.Literal('global')]),
      agents: Type.Array(
        open(
          {
            id: Type.String(),
            name: optional(text()),
            identity: optional(Identity),
            workspace: optional(Type.String()),
            model: optional(open({ primary: optional(Type.String()), fallbacks: optional(Type.Array(Type.String())) })),
          },
          'AgentRow',
        ),
      ),
    }),
  },
  'agents.create': {
    scope: 'operator.admin',
    params: closed({ name: text(), workspace: text(), emoji: optional(Type.String()), avatar: optional(Type.String()) }),
    result: open({ ok: Type.Literal(true), agentId: Type.String(), name: Type.String(), workspace: Type.String() }),
  },
  'agents.update': {
    scope: 'operator.admin',
    params: closed({ agentId: text(), name: optional(text()), workspace: optional(text()), model: optional(text()), avatar: optional(Type.String()) }),
    result: open({ ok: Type.Literal(true), agentId: Type.String() }),
  },
  'agents.delete': {
    scope: 'operator.admin',
    params: closed({ agentId: text(), deleteFiles: optional(Type.Boolean()) }),
    result: open({
      ok: Type.Literal(true),
      agentId: Type.String(),
      removedBindings: Type.Integer({ minimum: 0 }),
      /** Where its working folder was moved to, when that was asked for. */
      movedTo: optional(Type.String()),
    }),
  },
  'agents.files.list': {
    scope: 'operator.read',
    params: closed({ agentId: text() }),
    result: open({ agentId: Type.String(), workspace: Type.String(), files: Type.Array(AgentFile) }),
  },
  'agents.files.get': {
    scope: 'operator.read',
    params: closed({ agentId: text(), name: text() }),
    result: open({ agentId: Type.String(), workspace: Type.String(), file: AgentFile }),
  },
  'agents.files.set': {
    scope: 'operator.admin',
    params: closed({ agentId: text(), name: text(), content: Type.String() }),
    result: open({ ok: Type.Literal(true), agentId: Type.String(), workspace: Type.String(), file: AgentFile }),
  },
  'agent.identity.get': {
    scope: 'operator.read',
    params: closed({ agentId: optional(text()), sessionKey: optional(Type.String()) }),
    result: open({ agentId: Type.String(), name: optional(text()), avatar: optional(text()), emoji: optional(text()) }),
  },
});
