import { CHAT_COMMAND_NAMES } from './chat-commands.ts';

/**
 * Everything an extension can contribute, one row each. The `api.register*` methods, the manifest check and `plugins inspect` are made
 * from this table; a new kind of contribution is a new row (and a member of `PluginApi`, or it does not compile).
 */

/** How a register method is called. */
export type ContributionForm =
  /** `(id, factory)` */
  | 'factory'
  /** `(object)`, keyed by `keyField` */
  | 'object'
  /** `(key, handler, options?)` */
  | 'named'
  /** `(tool | factory, { name?, names?, optional? })` */
  | 'tool'
  /** `(registrar, { commands?, descriptors? })` */
  | 'cli'
  /** `(value)`, one per extension, keyed by the method */
  | 'single';

export interface ContributionRow {
  /** The method of `api`. */
  method: string;
  /** What messages call it. */
  noun: string;
  form: ContributionForm;
  /** The property that keys an `object`. */
  keyField?: string;
  /** Where a native manifest declares its keys; a dot leads into an object. */
  manifestKey: string;
  /** Exclusive: chosen by this key of `plugins.slots`. */
  slot?: SlotName;
  /** Keys that only bundled extensions may claim. */
  reserved?: readonly string[];
  /** Keys, in lower case, that are the host's own and nobody's to claim. */
  taken?: readonly string[];
  /** What a key looks like. */
  keyPattern?: string;
  /** Members that a value must have, with their `typeof`. */
  shape?: Readonly<Record<string, 'function' | 'object' | 'string'>>;
  /** Kept and listed, but no part of this version uses it yet. */
  unused?: true;
}

/**
 * Exclusive choices under `plugins.slots`, with the contribution that each takes and the id that serves when the key is absent. What is `aside`
 * has no part in a turn: it is made when the host is up, and its failure stops nothing.
 */
export const SLOTS = {
  contextEngine: { kind: 'context-engine', takes: 'contextEngine', fallback: 'legacy', none: false, aside: false },
  sessionStore: { kind: 'session-store', takes: 'sessionStore', fallback: 'local', none: false, aside: false },
  memory: { kind: 'memory', takes: 'memoryRuntime', fallback: 'memory-core', none: true, aside: false },
  contextEngineShadow: { kind: 'context-engine', takes: 'contextEngine', fallback: 'none', none: true, aside: true },
} as const;

export type SlotName = keyof typeof SLOTS;
export type PluginKind = (typeof SLOTS)[SlotName]['kind'];

export const CONTRIBUTIONS = {
  contextEngine: {
    method: 'registerContextEngine',
    noun: 'context engine',
    form: 'factory',
    manifestKey: 'contextEngines',
    slot: 'contextEngine',
    reserved: ['legacy'],
  },
  sessionStore: {
    method: 'registerSessionStore',
    noun: 'session store',
    form: 'factory',
    manifestKey: 'sessionStores',
    slot: 'sessionStore',
    reserved: ['local'],
  },
  memoryRuntime: { method: 'registerMemoryRuntime', noun: 'memory runtime', form: 'single', manifestKey: 'contracts.memory', slot: 'memory' },
  memoryPromptSection: {
    method: 'registerMemoryPromptSection',
    noun: 'memory prompt section',
    form: 'single',
    manifestKey: 'contracts.memory',
    slot: 'memory',
    unused: true,
  },
  memoryFlushPlan: {
    method: 'registerMemoryFlushPlan',
    noun: 'memory flush plan',
    form: 'single',
    manifestKey: 'contracts.memory',
    slot: 'memory',
    unused: true,
  },
  memoryEmbeddingProvider: {
    method: 'registerMemoryEmbeddingProvider',
    noun: 'embedding provider',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.embeddingProviders',
    unused: true,
  },
  channel: {
    method: 'registerChannel',
    noun: 'channel',
    form: 'object',
    keyField: 'id',
    manifestKey: 'channels',
    shape: { meta: 'object', capabilities: 'object', config: 'object' },
  },
  provider: { method: 'registerProvider', noun: 'provider', form: 'object', keyField: 'id', manifestKey: 'providers', reserved: ['offline'] },
  modelApi: { method: 'registerModelApi', noun: 'model API', form: 'object', keyField: 'id', manifestKey: 'modelApis', shape: { stream: 'function' } },
  secretsProvider: {
    method: 'registerSecretsProvider',
    noun: 'secrets provider',
    form: 'object',
    keyField: 'source',
    manifestKey: 'secretSources',
    shape: { resolve: 'function' },
  },
  approver: { method: 'registerApprover', noun: 'approver', form: 'object', keyField: 'id', manifestKey: 'approvers', shape: { decide: 'function' } },
  tool: { method: 'registerTool', noun: 'tool', form: 'tool', manifestKey: 'contracts.tools' },
  command: {
    method: 'registerCommand',
    noun: 'command',
    form: 'object',
    keyField: 'name',
    manifestKey: 'contracts.commands',
    taken: CHAT_COMMAND_NAMES,
    keyPattern: '^[A-Za-z][A-Za-z0-9_-]{0,31}$',
    shape: { handler: 'function', description: 'string' },
  },
  eventHook: { method: 'registerHook', noun: 'event hook', form: 'named', manifestKey: 'contracts.eventHooks', unused: true },
  service: { method: 'registerService', noun: 'service', form: 'object', keyField: 'id', manifestKey: 'contracts.services', shape: { start: 'function' } },
  httpRoute: {
    method: 'registerHttpRoute',
    noun: 'HTTP route',
    form: 'object',
    keyField: 'path',
    manifestKey: 'contracts.httpRoutes',
    shape: { handler: 'function', auth: 'string' },
  },
  cli: { method: 'registerCli', noun: 'CLI command', form: 'cli', manifestKey: 'contracts.cli', unused: true },
  gatewayMethod: { method: 'registerGatewayMethod', noun: 'gateway method', form: 'named', manifestKey: 'contracts.gatewayMethods' },
  promptSection: {
    method: 'registerPromptSection',
    noun: 'prompt section',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.promptSections',
    shape: { build: 'function' },
  },
  doctorCheck: {
    method: 'registerDoctorCheck',
    noun: 'doctor check',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.doctorChecks',
    shape: { run: 'function' },
    unused: true,
  },
  auditCheck: {
    method: 'registerAuditCheck',
    noun: 'audit check',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.auditChecks',
    shape: { run: 'function' },
    unused: true,
  },
  wizardStep: { method: 'registerWizardStep', noun: 'wizard step', form: 'object', keyField: 'id', manifestKey: 'contracts.wizardSteps', unused: true },
  sandbox: { method: 'registerSandbox', noun: 'sandbox', form: 'object', keyField: 'id', manifestKey: 'contracts.sandboxes', unused: true },
  serviceManager: {
    method: 'registerServiceManager',
    noun: 'service manager',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.serviceManagers',
    unused: true,
  },
  cliBackend: { method: 'registerCliBackend', noun: 'CLI backend', form: 'object', keyField: 'id', manifestKey: 'cliBackends', unused: true },
  speechProvider: {
    method: 'registerSpeechProvider',
    noun: 'speech provider',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.speechProviders',
    unused: true,
  },
  mediaUnderstandingProvider: {
    method: 'registerMediaUnderstandingProvider',
    noun: 'media understanding provider',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.mediaUnderstandingProviders',
    unused: true,
  },
  imageGenerationProvider: {
    method: 'registerImageGenerationProvider',
    noun: 'image generation provider',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.imageGenerationProviders',
    unused: true,
  },
  webSearchProvider: {
    method: 'registerWebSearchProvider',
    noun: 'web search provider',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.webSearchProviders',
    unused: true,
  },
  webFetchProvider: {
    method: 'registerWebFetchProvider',
    noun: 'web fetch provider',
    form: 'object',
    keyField: 'id',
    manifestKey: 'contracts.webFetchProviders',
    unused: true,
  },
  interactiveHandler: {
    method: 'registerInteractiveHandler',
    noun: 'interactive handler',
    form: 'object',
    keyField: 'namespace',
    manifestKey: 'contracts.interactiveHandlers',
    unused: true,
  },
} as const satisfies Record<string, ContributionRow>;

export type ContributionKind = keyof typeof CONTRIBUTIONS;

/** The rows with their general type, for code that walks the table. */
export const CONTRIBUTION_ROWS: Readonly<Record<ContributionKind, ContributionRow>> = CONTRIBUTIONS;

/** Where a native manifest declares the hooks that `api.on` taps. */
export const HOOKS_MANIFEST_KEY = 'contracts.hooks';
