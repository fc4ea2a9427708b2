/**
 * Sends one event to many sockets, by turns through the gateway's own hub and connections and by a bare loop of `send` over the same number of
 * bare sockets. `fan-out.ts <sockets>` prints its two ports; each line on standard input sends one event by the named way and answers with
 * the milliseconds that the sending took.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Connection, connectedClient, openConnection } from '../../core/gateway/connection.ts';
import { createEventHub } from '../../core/gateway/events.ts';
import type { Peer } from '../../core/gateway/peer.ts';
import type { ConnectParams } from '../../sdk/protocol/generated/types.ts';

const connections = new Set<Connection>();
const hub = createEventHub(connections);
const bare = new Set<WebSocket>();
const peer = { ip: '127.0.0.1', local: true, origin: undefined, host: undefined } as Peer;
const payload = { runId: 'run', seq: 1, stream: 'assistant', ts: 1, data: { text: 'word '.repeat(40), delta: 'word ' }, sessionKey: 'agent:main:main' };

const options = { noServer: true, perMessageDeflate: false, clientTracking: false };
const gatewaySockets = new WebSocketServer(options);
const bareSockets = new WebSocketServer(options);

const gateway = createServer();
gateway.on('upgrade', (request, raw: Duplex, head) => {
  gatewaySockets.handleUpgrade(request, raw, head, (socket) => {
    const connection = openConnection({
      socket,
      raw,
      peer,
      handshakeMs: 60_000,
      maxBufferedBytes: 50_000_000,
      handshake: (self, { params }) =>
        connectedClient({ connId: self.id, connect: params as ConnectParams, deviceId: undefined, role: 'operator', scopes: ['operator.read'], peer }),
      dispatch() {},
      failed() {},
      closed: (self) => void connections.delete(self),
    });
    connections.add(connection);
  });
});
const plain = createServer();
plain.on('upgrade', (request, raw: Duplex, head) => bareSockets.handleUpgrade(request, raw, head, (socket) => void bare.add(socket)));

const ways: Record<string, () => void> = {
  gateway: () => hub.broadcast('agent', payload),
  bare() {
    const bytes = Buffer.from(JSON.stringify({ type: 'event', event: 'agent', payload, seq: 1 }));
    for (const socket of bare) socket.send(bytes, { binary: false });
  },
};

await Promise.all([gateway, plain].map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
console.log(JSON.stringify({ gateway: (gateway.address() as AddressInfo).port, bare: (plain.address() as AddressInfo).port }));
for await (const way of createInterface({ input: process.stdin })) {
  const began = performance.now();
  ways[way]?.();
  console.log(JSON.stringify({ ms: performance.now() - began }));
}
process.exit(0);
