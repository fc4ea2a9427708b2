import type { Access } from './access.ts';
import type { Bootstrap } from './bootstrap.ts';
import type { ConfigFile } from './config-file.ts';
import type { Connection } from './connection.ts';
import type { Devices } from './devices.ts';
import type { EventHub } from './events.ts';
import type { Health } from './health.ts';
import type { Idempotency } from './idempotency.ts';
import type { GatewayOptions, SystemEvents } from './options.ts';
import type { Presence } from './presence.ts';
import type { PresenceFeed } from './presence-feed.ts';
import type { Runs } from './runs.ts';
import type { SessionEvents } from './session-events.ts';

/** What the parts of one gateway share. */
export interface GatewayContext extends GatewayOptions {
  /** epoch ms of the start, or of the last restart inside the process */
  startedAt: number;
  readonly tickIntervalMs: number;
  readonly connections: Set<Connection>;
  readonly access: Access;
  readonly devices: Devices;
  readonly bootstrap: Bootstrap;
  readonly presence: Presence;
  readonly presenceFeed: PresenceFeed;
  readonly systemEvents: SystemEvents;
  readonly configFile: ConfigFile;
  readonly hub: EventHub;
  readonly health: Health;
  readonly idempotency: Idempotency;
  readonly runs: Runs;
  readonly sessionEvents: SessionEvents;
}
