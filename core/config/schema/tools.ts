import { Type } from '@sinclair/typebox';
import { count, flag, map, oneOf, open, opt, Secret, secret, section, shape, strings, text } from './parts.ts';
import { PLUGIN_ENTRY, SEARCH_KEY, tool } from './surface-rules.ts';

const Profile = oneOf(['minimal', 'coding', 'messaging', 'full']);

const ExecKeys = {
  host: opt(oneOf(['auto', 'sandbox', 'gateway', 'node'])),
  security: opt(oneOf(['deny', 'allowlist', 'full'])),
  ask: opt(oneOf(['off', 'on-miss', 'always'])),
  node: opt(text()),
  pathPrepend: opt(strings()),
  safeBins: opt(strings()),
  safeBinTrustedDirs: opt(strings()),
  safeBinProfiles: opt(
    map(
      shape(
        { minPositional: opt(count()), maxPositional: opt(count()), allowedValueFlags: opt(strings()), deniedFlags: opt(strings()) },
        { $id: 'safeBinProfile' },
      ),
    ),
  ),
  applyPatch: opt(shape({ enabled: opt(Type.Boolean()), workspaceOnly: opt(Type.Boolean()), allowModels: opt(strings()) }, { $id: 'applyPatch' })),
};

const Policy = { profile: opt(Profile), allow: opt(strings()), deny: opt(strings()) };
const ByProvider = map(shape(Policy, { $id: 'toolPolicy' }), { $id: 'toolPolicyByProvider' });
const Elevated = { enabled: opt(Type.Boolean()), allowFrom: opt(map(strings())) };
const Loop = { historySize: opt(count()), warningThreshold: opt(count()), criticalThreshold: opt(count()), globalCircuitBreakerThreshold: opt(count()) };
const LoopDetection = shape(
  {
    enabled: opt(Type.Boolean()),
    ...Loop,
    detectors: opt(shape({ genericRepeat: opt(Type.Boolean()), knownPollNoProgress: opt(Type.Boolean()), pingPong: opt(Type.Boolean()) })),
  },
  { $id: 'loopDetection' },
);
const FsPolicy = { workspaceOnly: opt(Type.Boolean()) };

/** Tool policy of one agent; absent keys follow the global ones. */
export const AgentTools = shape(
  {
    ...Policy,
    byProvider: opt(ByProvider),
    exec: opt(shape(ExecKeys)),
    elevated: opt(shape(Elevated)),
    fs: opt(shape(FsPolicy)),
    loopDetection: opt(LoopDetection),
    sandbox: opt(open()),
  },
  { $id: 'agentTools' },
);

/** The keys beside these are the providers' own, one block each; a key directly here serves whichever is used. */
const Search = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  properties: { enabled: Type.Boolean(), provider: text(), apiKey: Secret },
  additionalProperties: Type.Unsafe<unknown>({
    type: ['object', 'string', 'number', 'boolean', 'array'],
    properties: { apiKey: secret(SEARCH_KEY) },
  }),
  'x-active': tool('web_search', 'web'),
});

export const Tools = section(
  {
    ...Policy,
    byProvider: opt(ByProvider),
    exec: section({
      ...ExecKeys,
      host: oneOf(['auto', 'sandbox', 'gateway', 'node'], { default: 'auto' }),
      security: oneOf(['deny', 'allowlist', 'full'], { default: 'allowlist', description: 'what may run without an approval' }),
      ask: oneOf(['off', 'on-miss', 'always'], { default: 'on-miss', description: 'when a person is asked' }),
      strictInlineEval: flag(false),
      notifyOnExit: flag(true),
      notifyOnExitEmptySuccess: flag(false),
      backgroundMs: count(10_000),
      timeoutSec: count(1800),
      cleanupMs: count(1_800_000),
      approvalRunningNoticeMs: count(10_000),
    }),
    elevated: opt(shape(Elevated)),
    fs: section(FsPolicy),
    loopDetection: opt(LoopDetection),
    web: opt(shape({ search: opt(Search), fetch: opt(open({ 'x-active': tool('web_fetch', 'web') })) })),
    media: opt(open()),
    message: section({ crossContext: section({ allowWithinProvider: flag(true), allowAcrossProviders: flag(false) }) }),
    agentToAgent: section({ enabled: flag(false), allow: opt(strings()) }),
    sessions: section({ visibility: oneOf(['self', 'tree', 'agent', 'all'], { default: 'tree' }) }),
    sandbox: opt(shape({ tools: opt(shape({ allow: opt(strings()), deny: opt(strings()) })) })),
    subagents: opt(shape({ tools: opt(shape({ allow: opt(strings()), deny: opt(strings()) })) })),
  },
  { title: 'Tools' },
);

const InstallRecord = open({ description: 'written by older versions; records now live in the state folder' });

const PluginEntry = shape(
  {
    enabled: opt(Type.Boolean()),
    config: opt(open({ description: "checked by the extension's own schema" })),
    apiKey: opt(Type.Unsafe<string | Record<string, unknown>>({ type: ['string', 'object'], sensitive: true })),
    env: opt(Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: Type.String({ sensitive: true }) })),
    hooks: opt(shape({ allowPromptInjection: opt(Type.Boolean()) })),
    subagent: opt(shape({ allowModelOverride: opt(Type.Boolean()), allowedModels: opt(strings()) })),
  },
  { $id: 'pluginEntry', 'x-active': PLUGIN_ENTRY },
);

export const Plugins = section(
  {
    enabled: flag(true),
    allow: opt(strings()),
    deny: opt(strings()),
    load: section({ paths: strings({ default: [] }) }),
    slots: section(
      {
        contextEngine: text({ default: 'legacy', title: 'Context engine' }),
        sessionStore: text({ default: 'local', title: 'Session store' }),
        contextEngineShadow: opt(text({ title: 'Shadow engine', description: 'an engine that runs beside the active one, for comparison only' })),
        memory: text({ default: 'memory-core', title: 'Memory', description: '"none" turns memory off' }),
      },
      { title: 'Slots', description: 'exclusive choices; each names a registered id' },
    ),
    entries: map(PluginEntry, { default: {} }),
    installs: opt(map(InstallRecord)),
  },
  { title: 'Extensions' },
);
