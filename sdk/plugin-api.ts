import type { CONTRIBUTIONS } from './contributions.ts';
import type { HookHandler, HookName } from './hooks.ts';
import type { PluginLogger } from './plugin-logger.ts';
import type { PluginRuntime } from './plugin-runtime.ts';
import type { Approver } from './ports/approval.ts';
import type { Channel } from './ports/channel.ts';
import type { ContextEngineFactory } from './ports/context-engine.ts';
import type { MemoryRuntime } from './ports/memory.ts';
import type { ModelApi, Provider } from './ports/provider.ts';
import type { SecretsProvider } from './ports/secrets-provider.ts';
import type { SessionStoreFactory } from './ports/session-store.ts';
import type { Tool, ToolFactory } from './ports/tool.ts';

export type { PluginLogger };

export type RegistrationMode = 'full' | 'setup-only' | 'setup-runtime' | 'cli-metadata';

/** What a slash command's handler is told. */
export interface CommandContext {
  senderId?: string;
  channel: string;
  channelId?: string;
  isAuthorizedSender: boolean;
  /** Of the client that sent it; absent: it came by a channel. */
  gatewayClientScopes?: string[];
  sessionKey?: string;
  sessionId?: string;
  args?: string;
  /** The whole message. */
  commandBody: string;
  config: Record<string, unknown>;
  from?: string;
  to?: string;
  accountId?: string;
  messageThreadId?: string;
}

export interface Command {
  name: string;
  description: string;
  handler(context: CommandContext): Promise<CommandReply | undefined> | CommandReply | undefined;
  acceptsArgs?: boolean;
  /** default true */
  requireAuth?: boolean;
  nativeNames?: Record<string, string>;
}

export interface CommandReply {
  text?: string;
  mediaUrl?: string;
  isError?: boolean;
}

export interface ServiceContext {
  config: Record<string, unknown>;
  workspaceDir?: string;
  stateDir: string;
  logger: PluginLogger;
  signal: AbortSignal;
}

/** Runs beside the gateway, from its start (or the extension's load) to its stop. */
export interface Service {
  id: string;
  start(context: ServiceContext): Promise<void> | void;
  stop?(context: ServiceContext): Promise<void> | void;
}

export interface GatewayMethodContext {
  /** Device id of the caller, or its connection id. */
  callerId: string;
  connId: string;
  /** Absent only for a control UI that was let in without a device. */
  deviceId?: string;
  role: 'operator' | 'node';
  clientId: string;
  displayName?: string;
  scopes: readonly string[];
  signal: AbortSignal;
  /** Sends an early response for the same request; the returned value is the final one. */
  accepted(payload: unknown): void;
}

export type GatewayMethodHandler = (params: Record<string, unknown>, context: GatewayMethodContext) => Promise<unknown> | unknown;

/** The host checks role, scope, params and result; a handler gets only what passed. */
export interface GatewayMethodOptions {
  /** Who may call it; default `operator`. A node needs no scope. */
  role?: 'operator' | 'node';
  /** `operator.admin` when absent. Reserved prefixes always need admin. */
  scope?: string;
  description?: string;
  /** JSON Schema of the params; absent: any object. Compiled at the first call. */
  params?: Record<string, unknown>;
  /** JSON Schema of the final result; one that does not fit is the extension's failure. */
  result?: Record<string, unknown>;
  /** It changes something: a call without an `idempotencyKey` is refused. The handler answers repeats. */
  sideEffecting?: boolean;
  /** Callable, but left out of the discovery list once its extension is loaded. */
  unlisted?: boolean;
  /** Events that it sends, for the discovery list; what they say counts for `broadcast` unless it is told otherwise. */
  events?: Array<string | GatewayEvent>;
}

export interface GatewayEvent {
  name: string;
  /** default `operator.read` */
  scope?: string;
  /** A slow socket may miss it. */
  droppable?: boolean;
}

export interface HttpRoute {
  path: string;
  /** `gateway`: the host checks the shared credential first. `plugin`: the route checks by itself. */
  auth: 'gateway' | 'plugin';
  match?: 'exact' | 'prefix';
  replaceExisting?: boolean;
  handler(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse): Promise<boolean> | boolean;
}

/** Whose prompt is built. */
export interface PromptSectionParams {
  agentId: string;
  sessionKey: string;
  workspaceDir: string;
  /** `minimal`: for a sub-agent, which needs only what its task needs. */
  mode: 'full' | 'minimal';
  /** The only skills of this conversation, by name; absent: all. */
  skills?: readonly string[];
}

/** Adds text to the system prompt. */
export interface PromptSection {
  id: string;
  /** Lower comes earlier; default 100. Below 0: before the section about the workspace. */
  order?: number;
  build(params: PromptSectionParams): Promise<string | undefined> | string | undefined;
  /** Absolute folders that the text points the model to. Tools that read files let it in there, wherever they lie. */
  readable?(params: Omit<PromptSectionParams, 'mode'>): Promise<readonly string[]> | readonly string[];
}

export interface DoctorFinding {
  level: 'ok' | 'info' | 'warn' | 'error';
  text: string;
  hint?: string;
}

export interface DoctorCheck {
  id: string;
  run(params: { config: Record<string, unknown>; stateDir: string; fix: boolean; signal: AbortSignal }): Promise<DoctorFinding[]>;
}

export interface CliDescriptor {
  name: string;
  description: string;
  hasSubcommands?: boolean;
}

/** `program` is a commander `Command`; typed loosely so that the sdk needs no library. */
// biome-ignore lint/suspicious/noExplicitAny: the author's own commander types fit here
export type CliRegistrar = (context: { program: any; config: Record<string, unknown>; workspaceDir?: string; logger: PluginLogger }) => Promise<void> | void;

export interface RegisterResult {
  ok: boolean;
  existingOwner?: string;
}

/** A contribution whose shape this version keeps but does not use. */
interface Kept {
  [member: string]: unknown;
}

/**
 * What `register(api)` gets. Everything registered is seen by nobody until `register` returned and the whole of it was checked; calling a
 * register method later throws `DUR_EXT_REGISTER_CLOSED`.
 */
export interface PluginApi {
  readonly id: string;
  readonly name: string;
  readonly version?: string;
  readonly description?: string;
  /** Absolute path of the entry. */
  readonly source: string;
  readonly rootDir: string;
  /** The present configuration; secrets are references or the redaction marker. Read it anew each time. */
  readonly config: Record<string, unknown>;
  /** `plugins.entries.<id>.config`, validated, with secrets resolved. */
  readonly pluginConfig: Record<string, unknown>;
  readonly runtime: PluginRuntime;
  readonly logger: PluginLogger;
  readonly registrationMode: RegistrationMode;
  /** Aborted when this instance is disposed. */
  readonly signal: AbortSignal;
  /** Relative paths are taken from the extension's folder. */
  resolvePath(input: string): string;
  /** Runs when the instance is disposed, last added first. May be called at any time. */
  defer(dispose: () => Promise<void> | void): void;

  on<Name extends HookName>(hook: Name, handler: HookHandler<Name>, options?: { priority?: number }): void;

  registerContextEngine(id: string, factory: ContextEngineFactory): RegisterResult;
  registerSessionStore(id: string, factory: SessionStoreFactory): RegisterResult;
  registerMemoryRuntime(runtime: MemoryRuntime): RegisterResult;
  registerMemoryPromptSection(section: unknown): RegisterResult;
  registerMemoryFlushPlan(plan: unknown): RegisterResult;
  registerMemoryEmbeddingProvider(provider: Kept & { id: string }): RegisterResult;
  registerChannel(channel: Channel | { plugin: Channel }): RegisterResult;
  registerProvider(provider: Provider): RegisterResult;
  registerModelApi(api: ModelApi): RegisterResult;
  registerSecretsProvider(provider: SecretsProvider): RegisterResult;
  registerApprover(approver: Approver): RegisterResult;
  registerTool(tool: Tool | ToolFactory, options?: { name?: string; names?: string[]; optional?: boolean }): RegisterResult;
  registerCommand(command: Command): RegisterResult;
  registerHook(events: string | string[], handler: (event: unknown) => unknown, options?: Kept): RegisterResult;
  registerService(service: Service): RegisterResult;
  registerHttpRoute(route: HttpRoute): RegisterResult;
  registerCli(registrar: CliRegistrar, options?: { commands?: string[]; descriptors?: CliDescriptor[] }): RegisterResult;
  registerGatewayMethod(method: string, handler: GatewayMethodHandler, options?: GatewayMethodOptions): RegisterResult;
  registerPromptSection(section: PromptSection): RegisterResult;
  registerDoctorCheck(check: DoctorCheck): RegisterResult;
  registerAuditCheck(check: Kept & { id: string; run(...args: never[]): unknown }): RegisterResult;
  registerWizardStep(step: Kept & { id: string }): RegisterResult;
  registerSandbox(sandbox: Kept & { id: string }): RegisterResult;
  registerServiceManager(manager: Kept & { id: string }): RegisterResult;
  registerCliBackend(backend: Kept & { id: string }): RegisterResult;
  registerSpeechProvider(provider: Kept & { id: string }): RegisterResult;
  registerMediaUnderstandingProvider(provider: Kept & { id: string }): RegisterResult;
  registerImageGenerationProvider(provider: Kept & { id: string }): RegisterResult;
  registerWebSearchProvider(provider: Kept & { id: string }): RegisterResult;
  registerWebFetchProvider(provider: Kept & { id: string }): RegisterResult;
  registerInteractiveHandler(handler: Kept & { namespace: string }): RegisterResult;
}

/** Compiles only while every row of the table has its method in `PluginApi`. */
export type EveryRowHasItsMethod = { [Kind in keyof typeof CONTRIBUTIONS]: PluginApi[(typeof CONTRIBUTIONS)[Kind]['method']] };

/** What the value of a contribution is, by kind; what the host reads back from its table. */
export interface ContributionValues {
  contextEngine: ContextEngineFactory;
  sessionStore: SessionStoreFactory;
  channel: Channel;
  provider: Provider;
  modelApi: ModelApi;
  secretsProvider: SecretsProvider;
  approver: Approver;
  tool: { tool: Tool | ToolFactory; optional: boolean };
  command: Command;
  service: Service;
  httpRoute: HttpRoute;
  cli: { registrar: CliRegistrar; descriptors: CliDescriptor[] };
  gatewayMethod: { handler: GatewayMethodHandler; options: GatewayMethodOptions };
  promptSection: PromptSection;
  doctorCheck: DoctorCheck;
}
