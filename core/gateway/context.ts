import type { Auth } from './auth.ts';
import type { Connection } from './connection.ts';
import type { Devices } from './devices.ts';
import type { EventHub } from './events.ts';
import type { Health } from './health.ts';
import type { Idempotency } from './idempotency.ts';
import type { GatewayOptions } from './options.ts';
import type { Presence } from './presence.ts';
import type { Runs } from './runs.ts';

/** What the parts of one gateway share. */
export interface GatewayContext extends GatewayOptions {
  /** epoch ms */
  readonly startedAt: number;
  readonly tickIntervalMs: number;
  readonly connections: Set<Connection>;
  readonly auth: Auth;
  readonly devices: Devices;
  readonly presence: Presence;
  readonly hub: EventHub;
  readonly health: Health;
  readonly idempotency: Idempotency;
  readonly runs: Runs;
}
