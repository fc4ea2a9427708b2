import { Type } from '@sinclair/typebox';
import { bytes, count, flag, map, oneOf, open, opt, PlainSecret, Secret, secretMap, section, shape, strings, text } from './parts.ts';

export const Env = Type.Unsafe<
  { vars?: Record<string, string>; shellEnv: { enabled: boolean; timeoutMs: number } } & Record<string, string | object | undefined>
>({
  type: 'object',
  default: {},
  description: 'environment variables that are set when nothing else set them',
  properties: {
    vars: map(Type.String({ sensitive: true })),
    shellEnv: section({ enabled: flag(false), timeoutMs: count(15_000) }),
  },
  additionalProperties: Type.String({ sensitive: true }),
});

const Schedule = {
  wakeMode: opt(oneOf(['now', 'next-heartbeat'])),
  timeoutSeconds: opt(count()),
};

const HookMapping = shape({
  id: opt(text()),
  match: opt(shape({ path: opt(text()), source: opt(text()) })),
  action: opt(oneOf(['wake', 'agent'])),
  ...Schedule,
  name: opt(text()),
  agentId: opt(text()),
  sessionKey: opt(PlainSecret),
  messageTemplate: opt(Type.String()),
  textTemplate: opt(Type.String()),
  deliver: opt(Type.Boolean()),
  channel: opt(text()),
  to: opt(text()),
  model: opt(text()),
  thinking: opt(text()),
  transform: opt(shape({ module: text(), export: opt(text()) })),
  allowUnsafeExternalContent: opt(Type.Boolean()),
});

export const Hooks = section({
  enabled: flag(false),
  token: opt(PlainSecret),
  path: text({ default: '/hooks' }),
  maxBodyBytes: count(262_144),
  defaultSessionKey: opt(text()),
  allowRequestSessionKey: flag(false),
  allowedSessionKeyPrefixes: opt(strings()),
  allowedAgentIds: opt(strings()),
  presets: opt(strings()),
  transformsDir: opt(text()),
  mappings: opt(Type.Array(HookMapping)),
  gmail: opt(Type.Unsafe<Record<string, unknown>>({ type: 'object', properties: { pushToken: PlainSecret } })),
  internal: opt(
    shape({
      enabled: opt(Type.Boolean()),
      load: opt(shape({ extraDirs: opt(strings()) })),
      entries: opt(map(Type.Unsafe<{ enabled?: boolean } & Record<string, unknown>>({ type: 'object', properties: { enabled: Type.Boolean() } }))),
    }),
  ),
});

export const Cron = section({
  enabled: flag(true),
  store: opt(text()),
  maxConcurrentRuns: Type.Integer({ minimum: 1, default: 1 }),
  sessionRetention: Type.Unsafe<string | number | false>({ type: ['string', 'number', 'boolean'], not: { const: true }, default: '24h' }),
  runLog: opt(shape({ maxBytes: opt(bytes()), keepLines: opt(count()) })),
  retry: opt(shape({ maxAttempts: opt(count()), backoffMs: opt(Type.Array(count())), retryOn: opt(strings()) })),
  failureAlert: opt(
    shape({ enabled: opt(Type.Boolean()), after: opt(count()), cooldownMs: opt(count()), mode: opt(oneOf(['announce', 'webhook'])), accountId: opt(text()) }),
  ),
  webhook: opt(text()),
  webhookToken: opt(Secret),
});

export const Skills = section({
  allowBundled: opt(strings()),
  load: section({ extraDirs: strings({ default: [] }), watch: flag(true), watchDebounceMs: count(250) }),
  install: section({ preferBrew: flag(true), nodeManager: text({ default: 'npm' }) }),
  entries: map(shape({ enabled: opt(Type.Boolean()), env: opt(secretMap()), apiKey: opt(Secret), config: opt(open()) }), { default: {} }),
});

export const Web = section({
  enabled: opt(Type.Boolean()),
  heartbeatSeconds: count(60),
  reconnect: section({
    initialMs: count(2000),
    maxMs: count(120_000),
    factor: Type.Number({ minimum: 1, default: 1.4 }),
    jitter: Type.Number({ minimum: 0, maximum: 1, default: 0.2 }),
    maxAttempts: count(0, { description: '0 = without end' }),
  }),
});

export const Diagnostics = section({
  enabled: flag(true),
  flags: strings({ default: [] }),
  stuckSessionWarnMs: opt(count()),
  otel: opt(open()),
  cacheTrace: section({
    enabled: flag(false),
    filePath: opt(text()),
    includeMessages: opt(Type.Boolean()),
    includePrompt: opt(Type.Boolean()),
    includeSystem: opt(Type.Boolean()),
  }),
});

export const Discovery = section({
  mdns: section({ mode: opt(oneOf(['minimal', 'full', 'off'])) }),
  wideArea: section({ enabled: flag(false), domain: opt(text()) }),
});

export const Update = section({
  channel: oneOf(['stable', 'beta', 'dev'], { default: 'stable' }),
  checkOnStart: flag(true),
  auto: section({
    enabled: flag(false),
    stableDelayHours: Type.Number({ minimum: 0, default: 6 }),
    stableJitterHours: Type.Number({ minimum: 0, default: 12 }),
    betaCheckIntervalHours: Type.Number({ minimum: 0, default: 1 }),
  }),
});

export const Cli = section({ banner: section({ taglineMode: oneOf(['random', 'default', 'off'], { default: 'random' }) }) }, { 'x-reload': 'none' });

export const Mcp = section({
  servers: map(Type.Unsafe<Record<string, unknown>>({ type: 'object', properties: { env: secretMap(), headers: secretMap() }, description: 'an MCP server' }), {
    default: {},
  }),
});

export const NodeHost = section({ browserProxy: opt(shape({ enabled: opt(Type.Boolean()), allowProfiles: opt(strings()) })) });
