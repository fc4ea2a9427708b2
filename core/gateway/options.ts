import type { ModelEntry } from '../../sdk/index.ts';
import type { AgentService } from '../agent/service.ts';
import type { Paths } from '../config/paths.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import type { SessionService } from '../sessions/service.ts';
import type { State } from '../state/state.ts';

export type AuthMode = 'token' | 'password' | 'none';

/** Everything resolved by the caller: no references, no defaults of the configuration left to apply. */
export interface GatewaySettings {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  auth: { mode: AuthMode; token?: string; password?: string; rateLimit?: RateLimitSettings };
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

export interface ControlUiSettings {
  allowedOrigins?: readonly string[];
  /** Accept an origin whose host is the request's own Host header. */
  dangerouslyAllowHostHeaderOriginFallback?: boolean;
  /** Let a local control UI connect without a device. */
  allowInsecureAuth?: boolean;
  /** Break-glass: the control UI's device is not asked for at all. */
  dangerouslyDisableDeviceAuth?: boolean;
}

/** What the process that runs the gateway lends it. */
export interface GatewayControl {
  /** Activates again and returns the report. */
  reload(): Promise<unknown>;
  /** Begins an orderly stop and returns at once. */
  stop(reason: string): void;
  /** What `status` adds about the process. */
  status(): object;
  /** The models that may be used now. */
  models(): Promise<ModelEntry[]>;
  /** The configuration file: its text's hash, and what is wrong with it. */
  configFile(): Promise<{ exists: boolean; hash: string; issues: Array<{ path: string; message: string }> }>;
}

/** What the gateway asks of the runs. */
export type GatewayAgent = Pick<AgentService, 'accept' | 'wait' | 'abort' | 'active' | 'onEvent'>;

/** What it asks of the sessions; it only reads. */
export type GatewaySessions = Pick<SessionService, 'canonicalKey' | 'get' | 'getById' | 'list' | 'read'>;

export interface GatewayOptions {
  source: GenerationSource;
  agent: GatewayAgent;
  sessions: GatewaySessions;
  state: Pick<State, 'kv'>;
  control: GatewayControl;
  settings: GatewaySettings;
  paths: Paths;
  version: string;
  log: Logger;
}
