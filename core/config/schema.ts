/**
 * The source of the configuration schema (reference: the configuration page, sections 3 and 6). Import only the type from here: the module
 * loads TypeBox. What runs is under `generated/`, written by `npm run protocol:gen`.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Agents, Models } from './schema/agents.ts';
import { facts, jsonSchema, withoutPrivate } from './schema/emit.ts';
import { Auth, Commands, Gateway, Logging, Secrets } from './schema/gateway.ts';
import { open, opt, shape, text } from './schema/parts.ts';
import { Cli, Cron, Diagnostics, Discovery, Env, Hooks, Mcp, NodeHost, Skills, Update, Web } from './schema/services.ts';
import { Approvals, Bindings, Broadcast, Channels, Messages, Session } from './schema/sessions.ts';
import { EVERYWHERE } from './schema/surface-rules.ts';
import { Plugins, Tools } from './schema/tools.ts';

const none = { 'x-reload': 'none' };

export const ConfigSchema = shape(
  {
    $schema: opt(Type.String({ description: 'for editors', ...none })),
    meta: opt(shape({ lastTouchedVersion: opt(Type.String()), lastTouchedAt: opt(Type.String()) }, none)),
    wizard: opt(open(none)),
    env: Env,
    logging: Logging,
    cli: Cli,
    diagnostics: Diagnostics,
    update: Update,
    secrets: Secrets,
    auth: Auth,
    plugins: Plugins,
    models: Models,
    agents: Agents,
    bindings: opt(Bindings),
    broadcast: opt(Broadcast),
    tools: Tools,
    skills: Skills,
    mcp: Mcp,
    memory: opt(open()),
    messages: Messages,
    commands: Commands,
    approvals: Approvals,
    session: Session,
    channels: Channels,
    web: Web,
    cron: Cron,
    hooks: Hooks,
    browser: opt(open()),
    canvasHost: opt(open()),
    talk: opt(open()),
    audio: opt(open()),
    media: opt(open()),
    acp: opt(open()),
    ui: opt(shape({ seamColor: opt(text()), assistant: opt(shape({ name: opt(text()), avatar: opt(text()) })) })),
    nodeHost: NodeHost,
    discovery: Discovery,
    gateway: Gateway,
  },
  { title: 'Durar.json', description: 'Configuration of Durar', 'x-active': EVERYWHERE },
);

/** The effective configuration: after includes, environment and defaults. Every key that has a default is present. */
export type Config = Static<typeof ConfigSchema>;

const emitted = jsonSchema(ConfigSchema);

export const generated = {
  schemas: {},
  texts: { 'schema.json': `${JSON.stringify(withoutPrivate(emitted), null, 1)}\n`, 'facts.json': `${JSON.stringify(facts(emitted), null, 1)}\n` },
};
