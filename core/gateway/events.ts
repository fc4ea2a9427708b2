import { EVENTS } from '../../sdk/protocol/generated/tables.ts';
import { READ_SCOPE } from '../../sdk/protocol/scopes.ts';
import { LIMITS } from '../../sdk/protocol/version.ts';
import type { Connection } from './connection.ts';

export interface BroadcastOptions {
  /** Overrides the event's own scope. */
  scope?: string;
  dropIfSlow?: boolean;
  stateVersion?: { presence: number; health: number };
}

/** Sends events. One number for the whole gateway; each event is made into bytes once, however many sockets get it. */
export interface EventHub {
  /** To all whose scopes allow it. */
  broadcast(event: string, payload: unknown, options?: BroadcastOptions): void;
  /** To these sockets only, without a sequence number. */
  send(targets: Iterable<Connection>, event: string, payload: unknown): void;
  /** False when nobody would get anything. */
  hasAudience(): boolean;
  listeners(scope: string): number;
  /** Hears every broadcast, whoever gets it. Returns its own remover. */
  onBroadcast(listener: (event: { event: string; payload: unknown }) => void): () => void;
}

/** Who gets an event (`null`: every socket), and whether a slow socket may miss it. */
export interface EventRule {
  scope: string | null;
  droppable: boolean;
}

const TEXT = { binary: false } as const;

/** `foreign` knows the events of extensions. */
export function createEventHub(
  connections: ReadonlySet<Connection>,
  maxBufferedBytes: number = LIMITS.maxBufferedBytes,
  foreign: (event: string) => EventRule | undefined = () => undefined,
): EventHub {
  const table = EVENTS as Record<string, EventRule>;
  const listeners = new Set<(event: { event: string; payload: unknown }) => void>();
  const ruleOf = (event: string) => (Object.hasOwn(table, event) ? table[event] : foreign(event));
  let seq = 0;

  const deliver = (connection: Connection, bytes: Buffer, droppable: boolean) => {
    if (connection.bufferedBytes() <= maxBufferedBytes) connection.send(bytes, TEXT);
    else if (!droppable) connection.close(1008, 'slow consumer');
  };

  return {
    broadcast(event, payload, options) {
      if (connections.size === 0) return;
      for (const listener of listeners) listener({ event, payload });
      const row = ruleOf(event);
      const scope = options?.scope ?? (row === undefined ? READ_SCOPE : row.scope);
      const droppable = options?.dropIfSlow ?? row?.droppable ?? false;
      const version = options?.stateVersion === undefined ? '' : `,"stateVersion":${JSON.stringify(options.stateVersion)}`;
      seq += 1;
      let bytes: Buffer | undefined;
      for (const connection of connections) {
        const client = connection.client;
        if (client === undefined || (scope !== null && !(client.role === 'operator' && client.can(scope)))) continue;
        bytes ??= Buffer.from(`{"type":"event","event":${JSON.stringify(event)},"payload":${JSON.stringify(payload ?? null)},"seq":${seq}${version}}`);
        deliver(connection, bytes, droppable);
      }
    },
    send(targets, event, payload) {
      const droppable = ruleOf(event)?.droppable === true;
      let bytes: Buffer | undefined;
      for (const connection of targets) {
        bytes ??= Buffer.from(`{"type":"event","event":${JSON.stringify(event)},"payload":${JSON.stringify(payload ?? null)}}`);
        deliver(connection, bytes, droppable);
      }
    },
    hasAudience: () => connections.size > 0,
    listeners(scope) {
      let count = 0;
      for (const { client } of connections) if (client?.role === 'operator' && client.can(scope)) count += 1;
      return count;
    },
    onBroadcast(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
