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
}

const TEXT = { binary: false } as const;

export function createEventHub(connections: ReadonlySet<Connection>, maxBufferedBytes: number = LIMITS.maxBufferedBytes): EventHub {
  const table = EVENTS as Record<string, { scope: string | null; droppable: boolean }>;
  let seq = 0;

  const deliver = (connection: Connection, bytes: Buffer, droppable: boolean) => {
    if (connection.bufferedBytes() <= maxBufferedBytes) connection.send(bytes, TEXT);
    else if (!droppable) connection.close(1008, 'slow consumer');
  };

  return {
    broadcast(event, payload, options) {
      if (connections.size === 0) return;
      const row = Object.hasOwn(table, event) ? table[event] : undefined;
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
      const droppable = Object.hasOwn(table, event) && table[event]?.droppable === true;
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
  };
}
