import type { ModelEntry } from '../../sdk/index.ts';
import type { AgentService } from '../agent/service.ts';
import type { Channels, PairingDesk, ReportChannels } from '../channels/accounts.ts';
import type { ConfigChange } from '../config/changes.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Environment, Paths } from '../config/paths.ts';
import type { SecretTest } from '../config/redact.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import type { WsLog } from '../logging/ws-log.ts';
import type { SecretDiagnostic, SecretFields } from '../secrets/activate.ts';
import type { SessionService } from '../sessions/service.ts';
import type { State } from '../state/state.ts';
import type { TailscaleWhois } from './tailscale.ts';
import type { TlsFiles } from './tls.ts';

export type AuthMode = 'token' | 'password' | 'none' | 'trusted-proxy';

/** Everything resolved by the caller: no references, no defaults of the configuration left to apply. */
export interface GatewaySettings {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  auth: {
    mode: AuthMode;
    token?: string;
    password?: string;
    rateLimit?: RateLimitSettings;
    trustedProxy?: TrustedProxySettings;
    /** Believe the identity headers of Tailscale Serve. */
    allowTailscale?: boolean;
    /** Default: the `tailscale` command. */
    tailscaleWhois?: TailscaleWhois;
  };
  /** Serve TLS instead of plain sockets. */
  tls?: TlsFiles;
  /** Addresses and networks whose forwarded headers are believed. */
  trustedProxies?: readonly string[];
  /** Believe `X-Real-IP` of such a proxy when it sends no `X-Forwarded-For`. */
  allowRealIpFallback?: boolean;
  controlUi?: ControlUiSettings;
  tickIntervalMs?: number;
  handshakeTimeoutMs?: number;
  maxPreauthConnectionsPerAddress?: number;
  /** How many bytes may wait for one socket. */
  maxBufferedBytes?: number;
}

export interface RateLimitSettings {
  maxAttempts?: number;
  windowMs?: number;
  lockoutMs?: number;
  exemptLoopback?: boolean;
}

/** What a proxy must send for its client to be let in. */
export interface TrustedProxySettings {
  /** Holds the user's name. */
  userHeader: string;
  requiredHeaders?: readonly string[];
  /** Absent or empty: every user that the proxy names. */
  allowUsers?: readonly string[];
}

export interface ControlUiSettings {
  allowedOrigins?: readonly string[];
  /** Accept an origin whose host is the request's own Host header. */
  dangerouslyAllowHostHeaderOriginFallback?: boolean;
  /** Let a local control UI connect without a device. */
  allowInsecureAuth?: boolean;
  /** Break-glass: the control UI's device is not asked for at all. */
  dangerouslyDisableDeviceAuth?: boolean;
}

/** What became of a configuration that was adopted. */
export interface Adoption {
  /** The listener moves, or all clients have to come again: they are told so long after the file is written. */
  restart?: { delayMs: number; cooldownMs: number; coalesced: boolean };
  /** The keys that count from the next start of the process. */
  later: readonly string[];
  /** To be called when the file holds it; `revert` when it could not be written. */
  written(): void;
}

/** What the process that runs the gateway lends its configuration methods. */
export interface ConfigControl {
  env: Environment;
  /** The secret fields of extensions, by their manifests. */
  isSecret: SecretTest;
  /** What is live, and the keys in which this configuration differs from it. */
  live(loaded: LoadedConfig): { config: LoadedConfig['config']; changes: ConfigChange[] };
  /** Builds a generation from the candidate and swaps it in, strictly: one that makes something fail is refused, and nothing has changed. */
  adopt(candidate: LoadedConfig, reason: string, options?: { restartDelayMs?: number | undefined }): Promise<Adoption>;
  /** Goes back to what the file says: a candidate was adopted, but could not be written. */
  revert(): Promise<void>;
}

/** What the process that runs the gateway lends it. */
export interface GatewayControl {
  /** Activates again and returns the report. `forEdit`: for a command that takes its edit back when it is refused. */
  reload(options?: { forEdit?: boolean }): Promise<unknown>;
  /** Begins an orderly stop and returns at once. */
  stop(reason: string): void;
  /** What `status` adds about the process. */
  status(): object;
  /** The models that may be used now. */
  models(): Promise<ModelEntry[]>;
  config: ConfigControl;
  /** The secret fields there are, and what the last activation had to say about their references. */
  secrets: { fields(): SecretFields; diagnostics(): readonly SecretDiagnostic[] };
  /** The log file of this process; undefined: it writes none. `flush` puts what waits into it. */
  logs: { file(): string | undefined; flush(): Promise<void> };
}

/** What the gateway asks of the runs. */
export type GatewayAgent = Pick<
  AgentService,
  | 'accept'
  | 'steer'
  | 'wait'
  | 'abort'
  | 'active'
  | 'onEvent'
  | 'tools'
  | 'workspaceDir'
  | 'session'
  | 'compact'
  | 'compareEngines'
  | 'inspect'
  | 'turns'
  | 'turn'
  | 'reset'
  | 'remove'
  | 'startOver'
  | 'isCommand'
> &
  Partial<Pick<AgentService, 'known' | 'queue' | 'isActive'>> & {
    models: Pick<AgentService['models'], 'defaults' | 'choose'>;
    subagents?: Pick<AgentService['subagents'], 'onChange'>;
  };

/** What it asks of the sessions. */
export type GatewaySessions = Pick<
  SessionService,
  'canonicalKey' | 'get' | 'getById' | 'list' | 'read' | 'context' | 'patch' | 'append' | 'sessionFile' | 'onUpdate'
>;

/** What it asks of the channels. */
export type GatewayChannels = Pick<Channels, 'configured' | 'send' | 'poll' | 'reply' | 'logout'>;

export interface SystemEvent {
  /** epoch ms */
  ts: number;
  text: string;
}

/** What happened beside the conversations: each event is told to the model once, with the next turn of its session. */
export interface SystemEvents {
  add(sessionKey: string, text: string): void;
  /** Waiting ones of all sessions. */
  list(): SystemEvent[];
  /** Hands the waiting events of a session over with the runs that it accepts. */
  attach(agent: GatewayAgent): GatewayAgent;
}

export interface GatewayOptions {
  source: GenerationSource;
  agent: GatewayAgent;
  channels: GatewayChannels;
  /** How they do. */
  reportChannels: ReportChannels;
  /** Who may write to the agent through them. */
  pairing: PairingDesk;
  /** Those that channels add to; absent: the gateway's own. */
  systemEvents?: SystemEvents;
  sessions: GatewaySessions;
  state: Pick<State, 'kv' | 'db'>;
  control: GatewayControl;
  settings: GatewaySettings;
  paths: Paths;
  version: string;
  log: Logger;
  /** Absent: the traffic is not followed. */
  wsLog?: WsLog;
}
