import type { AgentMessage } from './messages.ts';
import type { PluginLogger } from './plugin-logger.ts';
import type { RecordedApproval } from './ports/approval.ts';
import type { MemoryRuntime } from './ports/memory.ts';
import type { ModelEntry } from './ports/provider.ts';
import type { SessionListParams, SessionRecord } from './ports/session-store.ts';
import type { SubagentInfo, SubagentSpawned, SubagentSpawnRequest } from './subagents.ts';

/**
 * `api.runtime`: what the host lends an extension. Handles resolve late: a call uses the generation of the run it is made from, else
 * the current one. Members of the ancestor that this version does not offer exist and throw `DUR_EXT_NOT_AVAILABLE` when called.
 */
export interface PluginRuntime {
  readonly version: string;
  readonly config: {
    /** The present configuration; secrets are references or the redaction marker. */
    loadConfig(): Record<string, unknown>;
    /** Validates and writes the whole configuration; markers and templates are restored. Throws `DUR_CONFIG_*`. */
    writeConfigFile(config: Record<string, unknown>): Promise<void>;
  };
  readonly state: {
    /** Absolute path of the state directory. */
    resolveStateDir(): string;
    /** Small values of this extension, in the host's database. Keys are private to the extension. */
    get(key: string): Promise<unknown>;
    set(key: string, value: unknown): Promise<void>;
    delete(key: string): Promise<void>;
  };
  readonly logging: {
    shouldLogVerbose(): boolean;
    getChildLogger(bindings: Record<string, unknown>, options?: { level?: string }): PluginLogger;
  };
  readonly agent: {
    readonly defaults: { model: string; provider: string };
    resolveAgentDir(config: Record<string, unknown>, agentId?: string): string;
    resolveAgentWorkspaceDir(config: Record<string, unknown>, agentId?: string): string;
    resolveAgentTimeoutMs(config?: Record<string, unknown>): number;
    readonly session: { resolveStorePath(storePath?: string, options?: { agentId?: string }): string };
  };
  readonly channel: { readonly session: { resolveStorePath(storePath?: string, options?: { agentId?: string }): string } };
  /** What agents do in conversations beside answering. */
  readonly channels: {
    /** By configured channel that is loaded. */
    actions(): ChannelActions[];
    /** Throws `DUR_CHANNEL_*`, and what the channel throws. */
    act(request: ChannelActionRequest): Promise<Record<string, unknown>>;
  };
  readonly models: {
    list(): Promise<ModelEntry[]>;
    /** One model call outside any session. `model` is a ref; absent: the default model. Throws `DUR_MODEL_*`, `DUR_PROVIDER_*`. */
    complete(params: {
      model?: string;
      systemPrompt?: string;
      messages: AgentMessage[];
      maxTokens?: number;
      signal?: AbortSignal;
    }): Promise<{ text: string; message: AgentMessage }>;
  };
  readonly modelAuth: {
    getApiKeyForModel(params: { model: { provider: string }; cfg?: Record<string, unknown> }): Promise<{ apiKey?: string; source?: string }>;
    resolveApiKeyForProvider(params: { provider: string; cfg?: Record<string, unknown> }): Promise<{ apiKey?: string; source?: string }>;
  };
  readonly memory: {
    /** What serves `plugins.slots.memory` now; undefined for `none`. Throws `DUR_SLOT_*` when that failed. */
    runtime(): Promise<MemoryRuntime | undefined>;
  };
  readonly sessions: {
    /** Newest first. */
    list(params?: SessionListParams): Promise<SessionRecord[]>;
    /** `agentId`: whose, for a key that names none. */
    get(params: { sessionKey: string; agentId?: string }): Promise<SessionRecord | undefined>;
    messages(params: { sessionKey: string; limit?: number }): Promise<AgentMessage[]>;
    /** A message from one session to another, which answers it in a run of its own. Throws `DUR_SESSION_UNKNOWN`. */
    send(params: { sessionKey: string; message: string; fromSessionKey: string; extraSystemPrompt?: string }): Promise<{ runId: string }>;
    /** The last thing that a run said, when it is over; `timeout`: it is not, and goes on. Throws `DUR_RUN_UNKNOWN`. */
    reply(params: { runId: string; timeoutMs: number }): Promise<{ status: 'ok' | 'error' | 'timeout'; text?: string; error?: string }>;
  };
  readonly subagent: {
    /** Starts a sub-agent of a session; its result is announced there. Throws `DUR_SUBAGENT_*`. */
    spawn(request: SubagentSpawnRequest): Promise<SubagentSpawned>;
    /** The sub-agents of a session, newest first. */
    list(params: { requesterSessionKey: string }): Promise<SubagentInfo[]>;
    /** Stops one and all below it; those that were at work are returned. `id`: key, number in the list, label or the beginning of an id. Throws `DUR_SUBAGENT_UNKNOWN`. */
    kill(params: { requesterSessionKey: string; id: string }): Promise<SubagentInfo[]>;
    /** One more message for it; `steer`: in place of what it does now. Throws `DUR_SUBAGENT_UNKNOWN`. */
    send(params: { requesterSessionKey: string; id: string; message: string; steer?: boolean }): Promise<{ runId: string; childSessionKey: string }>;
    /** The agents that sessions of an agent may start sub-agents of, itself first. */
    agents(params: { agentId: string }): Promise<string[]>;
    /** Starts a run in a session of its own. Model overrides need `plugins.entries.<id>.subagent.allowModelOverride`. */
    run(params: {
      sessionKey: string;
      message: string;
      provider?: string;
      model?: string;
      deliver?: boolean;
      extraSystemPrompt?: string;
      idempotencyKey?: string;
    }): Promise<{ runId: string }>;
    waitForRun(params: { runId: string; timeoutMs?: number }): Promise<{ status: 'ok' | 'error' | 'timeout'; error?: string }>;
    getSessionMessages(params: { sessionKey: string; limit?: number }): Promise<{ messages: AgentMessage[] }>;
    deleteSession(params: { sessionKey: string }): Promise<void>;
  };
  readonly events: {
    /** Returns its own remover. */
    onAgentEvent(listener: (event: AgentEvent) => void): () => void;
    onSessionTranscriptUpdate(listener: (event: { sessionKey: string; sessionId: string; entryId: string }) => void): () => void;
  };
  readonly gateway: {
    /** Sends an event to every socket whose scopes include `scope` (default `operator.read`). */
    broadcast(event: string, payload: unknown, options?: { scope?: string; dropIfSlow?: boolean }): void;
    /** How many connected operators hold the scope. */
    listeners(scope: string): number;
    /** Sends an event, without a sequence number, to the sockets that fit all given fields. Returns how many there were. */
    sendTo(target: GatewayTarget, event: string, payload: unknown): number;
    /** Who is connected now, oldest first. */
    connections(filter?: { role?: 'operator' | 'node' }): GatewayConnection[];
    /** Listeners end with the extension, or by the returned remover. They hear of later connections only. */
    onConnect(listener: (connection: GatewayConnection) => void): () => void;
    onDisconnect(listener: (connection: GatewayConnection) => void): () => void;
    /** Hears every event that is broadcast, before scopes are looked at. */
    onBroadcast(listener: (event: { event: string; payload: unknown }) => void): () => void;
    /** Devices that are paired with the gateway, connected or not. */
    devices(filter?: { role?: 'operator' | 'node' }): GatewayDevice[];
  };
  readonly extensions: {
    /** Absolute folders that the manifests of enabled extensions name under `skills`; those outside the extension are left out. */
    skillDirs(): Array<{ owner: string; dir: string }>;
  };
  readonly approvals: {
    /** A request that a client opened, decided or not. undefined: no approver knows the id. */
    find(params: { id: string }): Promise<RecordedApproval | undefined>;
    /** Uses a decision up; false when there is none to use any more. */
    consume(params: { id: string }): Promise<boolean>;
  };
}

/** What can be done in the conversations of one channel. */
export interface ChannelActions {
  channel: string;
  label: string;
  actions: string[];
  /** Further arguments of the channel's own actions, as properties of a JSON Schema. */
  schema?: Readonly<Record<string, unknown>>;
}

/** One action of a run, in its own conversation where no other is named. */
export interface ChannelActionRequest {
  action: string;
  channel?: string;
  accountId?: string;
  to?: string;
  threadId?: string;
  params: Record<string, unknown>;
  /** Of the tool call: the same call sends once. */
  callId: string;
  runId?: string;
  sessionKey?: string;
  /** Where the run's message came from. */
  current?: { channel?: string; accountId?: string; to?: string; threadId?: string; messageId?: string };
  signal?: AbortSignal;
}

/** Which sockets are meant; an empty target means none. */
export interface GatewayTarget {
  connId?: string;
  deviceId?: string;
  role?: 'operator' | 'node';
}

/** One socket. What a node says of itself (caps, commands, permissions) is a claim. */
export interface GatewayConnection {
  connId: string;
  deviceId?: string;
  role: 'operator' | 'node';
  scopes: readonly string[];
  clientId: string;
  clientMode: string;
  displayName?: string;
  version: string;
  platform: string;
  deviceFamily?: string;
  modelIdentifier?: string;
  caps: readonly string[];
  commands: readonly string[];
  permissions?: Readonly<Record<string, boolean>>;
  pathEnv?: string;
  /** Absent for this machine. */
  remoteIp?: string;
  /** Where it reached the gateway, as the base of an HTTP address. */
  address?: string;
  /** epoch ms */
  connectedAtMs: number;
}

/** A paired device, without its keys and tokens. */
export interface GatewayDevice {
  deviceId: string;
  roles: ReadonlyArray<'operator' | 'node'>;
  displayName?: string;
  platform?: string;
  deviceFamily?: string;
  clientId: string;
  clientMode: string;
  remoteIp?: string;
  /** epoch ms; anew after it was removed */
  createdAtMs: number;
  approvedAtMs: number;
}

/** One event of a run. `seq` counts from 1 per run; `ts` is epoch milliseconds. */
export interface AgentEvent {
  runId: string;
  seq: number;
  stream: 'lifecycle' | 'assistant' | 'tool' | 'thinking' | 'compaction' | 'error';
  ts: number;
  data: Record<string, unknown>;
  sessionKey?: string;
}
