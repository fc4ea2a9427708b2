import type { Connection } from './connection.ts';
import type { EventHub } from './events.ts';
import type { Health } from './health.ts';
import type { Presence } from './presence.ts';

/** Tells every socket who is here. Changes that come close together are told once: a list for each would grow with the square of the sockets. */
export interface PresenceFeed {
  announce(): void;
  close(): void;
}

const WINDOW_MS = 100;
/** The more sockets, the rarer. */
const WINDOW_MS_PER_SOCKET = 1;

export function createPresenceFeed(params: { presence: Presence; health: Health; hub: EventHub; connections: ReadonlySet<Connection> }): PresenceFeed {
  const { presence, health, hub, connections } = params;
  let quietUntil = 0;
  let timer: NodeJS.Timeout | undefined;
  const tell = () => {
    timer = undefined;
    quietUntil = Date.now() + WINDOW_MS + connections.size * WINDOW_MS_PER_SOCKET;
    if (connections.size === 0) return;
    hub.broadcast('presence', { presence: presence.entries() }, { stateVersion: { presence: presence.version, health: health.version } });
  };
  return {
    announce() {
      if (timer !== undefined) return;
      const wait = quietUntil - Date.now();
      if (wait <= 0) tell();
      else timer = setTimeout(tell, wait).unref();
    },
    close: () => clearTimeout(timer),
  };
}
