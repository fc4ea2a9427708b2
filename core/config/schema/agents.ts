import { Type } from '@sinclair/typebox';
import type { ActiveRule } from '../active-rule.ts';
import {
  count,
  duration,
  flag,
  ModelChoice,
  map,
  oneOf,
  open,
  opt,
  ratio,
  Secret,
  secret,
  secretMap,
  section,
  shape,
  strings,
  Thinking,
  text,
} from './parts.ts';
import { SSH_OF_AGENT, sshDefault } from './surface-rules.ts';
import { AgentTools } from './tools.ts';

const MinMax = { minChars: opt(count()), maxChars: opt(count()) };

const Heartbeat = shape(
  {
    every: opt(duration({ description: 'bare number = minutes; 0m turns it off' })),
    prompt: opt(text()),
    target: opt(text({ description: 'none, last, or a channel id' })),
    to: opt(text()),
    accountId: opt(text()),
    directPolicy: opt(oneOf(['allow', 'block'])),
    ackMaxChars: opt(count()),
    session: opt(text()),
    lightContext: opt(Type.Boolean()),
    isolatedSession: opt(Type.Boolean()),
    includeReasoning: opt(Type.Boolean()),
    suppressToolErrorWarnings: opt(Type.Boolean()),
    model: opt(text()),
    activeHours: opt(shape({ start: opt(text()), end: opt(text()), timezone: opt(text()) })),
  },
  { $id: 'heartbeat' },
);

/** One for all agents and one for each, since what is in use differs. */
const sandbox = ($id: string, rules: (key: string) => readonly ActiveRule[]) =>
  shape(
    {
      mode: opt(oneOf(['off', 'non-main', 'all'])),
      backend: opt(text({ description: 'docker, ssh, openshell, or one that an extension offers' })),
      scope: opt(oneOf(['agent', 'session', 'shared'])),
      workspaceAccess: opt(oneOf(['none', 'ro', 'rw'])),
      docker: opt(open()),
      ssh: opt(
        shape({
          target: opt(text()),
          workspaceRoot: opt(text()),
          strictHostKeyChecking: opt(Type.Boolean()),
          updateHostKeys: opt(Type.Boolean()),
          identityFile: opt(text()),
          certificateFile: opt(text()),
          knownHostsFile: opt(text()),
          identityData: opt(secret(rules('identityData'))),
          certificateData: opt(secret(rules('certificateData'))),
          knownHostsData: opt(secret(rules('knownHostsData'))),
        }),
      ),
      browser: opt(open()),
      prune: opt(shape({ idleHours: opt(count()), maxAgeDays: opt(count()) })),
    },
    { $id },
  );

const Compaction = section({
  mode: oneOf(['default', 'safeguard'], { default: 'default' }),
  timeoutSeconds: count(900),
  reserveTokens: count(16_384),
  keepRecentTokens: count(20_000),
  reserveTokensFloor: count(20_000, { description: '0 turns the floor off' }),
  identifierPolicy: oneOf(['strict', 'off', 'custom'], { default: 'strict' }),
  identifierInstructions: opt(Type.String()),
  postCompactionSections: strings({ default: ['Session Startup', 'Red Lines'], description: 'headings of AGENTS.md that are put back after a compaction' }),
  model: opt(text()),
  notifyUser: flag(false),
  memoryFlush: section({ enabled: flag(true), softThresholdTokens: count(4000), prompt: opt(text()), systemPrompt: opt(text()) }),
});

const ContextPruning = section({
  mode: opt(oneOf(['off', 'cache-ttl'])),
  ttl: duration({ default: '5m', description: 'bare number = minutes' }),
  keepLastAssistants: count(3),
  softTrimRatio: ratio(0.3),
  hardClearRatio: ratio(0.5),
  minPrunableToolChars: count(50_000),
  softTrim: section({ maxChars: count(4000), headChars: count(1500), tailChars: count(1500) }),
  hardClear: section({ enabled: flag(true), placeholder: Type.String({ default: '[Old tool result content cleared]' }) }),
  tools: section({ allow: opt(strings()), deny: opt(strings()) }),
});

const AgentDefaults = section({
  workspace: text({ default: '~/.Durar/workspace', title: 'Workspace', description: 'working folder of agents' }),
  repoRoot: opt(text()),
  skipBootstrap: flag(false),
  bootstrapMaxChars: count(20_000),
  bootstrapTotalMaxChars: count(150_000),
  bootstrapPromptTruncationWarning: oneOf(['off', 'once', 'always'], { default: 'once' }),
  imageMaxDimensionPx: count(1200),
  userTimezone: opt(text()),
  timeFormat: oneOf(['auto', '12', '24'], { default: 'auto' }),
  envelopeTimezone: text({ default: 'local' }),
  envelopeTimestamp: oneOf(['on', 'off'], { default: 'on' }),
  envelopeElapsed: oneOf(['on', 'off'], { default: 'on' }),
  model: opt(ModelChoice),
  models: opt(map(shape({ alias: opt(text()), params: opt(open()) }), { description: 'catalogue and allow list of model references' })),
  imageModel: opt(ModelChoice),
  imageGenerationModel: opt(ModelChoice),
  pdfModel: opt(ModelChoice),
  params: opt(open({ description: 'request parameters for every model' })),
  thinkingDefault: opt(Thinking),
  verboseDefault: oneOf(['off', 'on', 'full'], { default: 'off' }),
  elevatedDefault: oneOf(['off', 'on', 'ask', 'full'], { default: 'on' }),
  timeoutSeconds: count(172_800),
  contextTokens: opt(Type.Integer({ minimum: 1 })),
  maxConcurrent: Type.Integer({ minimum: 1, default: 4, title: 'Parallel runs', description: 'runs of all sessions at once' }),
  cliBackends: opt(map(open())),
  heartbeat: opt(Heartbeat),
  compaction: Compaction,
  contextPruning: ContextPruning,
  blockStreamingDefault: oneOf(['on', 'off'], { default: 'off' }),
  blockStreamingBreak: oneOf(['text_end', 'message_end'], { default: 'text_end' }),
  blockStreamingChunk: section({
    minChars: count(800),
    maxChars: count(1200),
    breakPreference: oneOf(['paragraph', 'newline', 'sentence'], { default: 'paragraph' }),
  }),
  blockStreamingCoalesce: section({ ...MinMax, idleMs: count(1000) }),
  humanDelay: section({ mode: oneOf(['off', 'natural', 'custom'], { default: 'off' }), minMs: opt(count()), maxMs: opt(count()) }),
  typingMode: opt(oneOf(['never', 'instant', 'thinking', 'message'])),
  typingIntervalSeconds: Type.Number({ minimum: 0, default: 6 }),
  sandbox: opt(sandbox('sandbox', sshDefault)),
  subagents: section({
    model: opt(ModelChoice),
    thinking: opt(Thinking),
    maxConcurrent: Type.Integer({ minimum: 1, default: 8 }),
    runTimeoutSeconds: opt(count()),
    archiveAfterMinutes: count(60),
    maxSpawnDepth: count(1, { maximum: 2 }),
    maxChildrenPerAgent: count(5),
    requireAgentId: flag(false),
  }),
});

const Agent = shape(
  {
    id: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
      not: { const: 'default' },
      description: 'used in session keys and folder names; "default" is reserved',
    }),
    default: opt(Type.Boolean()),
    name: opt(text()),
    workspace: opt(text()),
    agentDir: opt(text()),
    model: opt(ModelChoice),
    params: opt(open()),
    thinkingDefault: opt(Thinking),
    reasoningDefault: opt(oneOf(['on', 'off', 'stream'])),
    fastModeDefault: opt(Type.Boolean()),
    identity: opt(shape({ name: opt(text()), theme: opt(text()), emoji: opt(text()), avatar: opt(text()) })),
    groupChat: opt(shape({ mentionPatterns: opt(strings()) })),
    sandbox: opt(sandbox('agentSandbox', () => SSH_OF_AGENT)),
    tools: opt(AgentTools),
    skills: opt(strings({ description: 'the only skills of this agent; absent: all' })),
    heartbeat: opt(Heartbeat),
    subagents: opt(shape({ allowAgents: opt(strings()) })),
    runtime: opt(open()),
  },
  { $id: 'agent' },
);

export const Agents = section({ defaults: AgentDefaults, list: opt(Type.Array(Agent)) }, { title: 'Agents' });

const Model = shape(
  {
    id: text(),
    name: opt(text()),
    reasoning: opt(Type.Boolean()),
    input: opt(Type.Array(oneOf(['text', 'image']))),
    cost: opt(
      shape({
        input: Type.Number({ minimum: 0 }),
        output: Type.Number({ minimum: 0 }),
        cacheRead: opt(Type.Number({ minimum: 0 })),
        cacheWrite: opt(Type.Number({ minimum: 0 })),
      }),
    ),
    contextWindow: opt(Type.Integer({ minimum: 1, description: 'tokens that the model can take in' })),
    maxTokens: opt(Type.Integer({ minimum: 1, description: 'tokens that it may answer with' })),
    compat: opt(open()),
  },
  { $id: 'model' },
);

const Provider = shape(
  {
    baseUrl: opt(text({ description: 'base URL of the API' })),
    apiKey: opt(Secret),
    api: opt(text({ examples: ['openai-completions', 'openai-responses', 'anthropic-messages', 'google-generative-ai'] })),
    auth: opt(oneOf(['api-key', 'token', 'oauth', 'aws-sdk'])),
    authHeader: opt(Type.Boolean()),
    headers: opt(secretMap()),
    models: opt(Type.Array(Model)),
  },
  { $id: 'modelProvider' },
);

export const Models = section(
  {
    mode: oneOf(['merge', 'replace'], { default: 'merge', description: 'replace drops the models that extensions know by themselves' }),
    providers: map(Provider, { default: {} }),
  },
  { title: 'Models' },
);
