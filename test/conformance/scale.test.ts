/** A thousand sockets, one event for all of them, one that does not read, and all of them coming back at once. */
import { sign } from 'node:crypto';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createGateway } from '../../core/gateway/server.ts';
import { createGatewayClient, type GatewayClient, type TokenStore } from '../../sdk/client/client.ts';
import { nodeSocketFactory } from '../../sdk/client/node.ts';
import { connectParamsFor, newDevice, startGateway, type TestDevice, TOKEN } from './harness.ts';
import { frame, OPCODE, openRaw, type RawSocket } from './raw-socket.ts';

const COUNT = 1000;
const settings = { maxPreauthConnectionsPerAddress: COUNT };

/** Shakes hands over raw bytes, then reads nothing any more. */
async function stalled(port: number): Promise<RawSocket> {
  const raw = await openRaw(port);
  onTestFinished(() => raw.destroy());
  const { payload } = JSON.parse((await raw.next()) ?? '') as { payload: { nonce: string } };
  await raw.write(frame(JSON.stringify({ type: 'req', id: 'c', method: 'connect', params: connectParamsFor(payload.nonce) })));
  expect(JSON.parse((await raw.next()) ?? '')).toMatchObject({ ok: true });
  raw.tcp.pause();
  return raw;
}

/** A client with a device of its own and its tokens in memory. */
function member(url: string, device: TestDevice, options: { token?: string } = {}) {
  const stored = new Map<string, { token: string; scopes: string[] }>();
  const tokens: TokenStore = {
    load: (role) => stored.get(role),
    save: (role, token) => void stored.set(role, token),
    remove: (role) => void stored.delete(role),
  };
  const client = createGatewayClient({
    url,
    tokens,
    socketFactory: nodeSocketFactory(),
    client: { id: 'cli', version: '1', platform: 'linux', mode: 'cli' },
    identity: {
      deviceId: device.id,
      publicKey: device.publicKey,
      sign: (text) => sign(null, Buffer.from(text), device.privateKey).toString('base64url'),
    },
    ...(options.token === undefined ? {} : { auth: { token: options.token } }),
    scopes: ['operator.read'],
    reconnect: true,
    backoffMs: { first: 20, longest: 200 },
    requestTimeoutMs: 60_000,
    connectTimeoutMs: 60_000,
  });
  return { client, stored };
}

describe('a thousand sockets', () => {
  it('all hear every event, in order and with the same number; one that stalls is cut and holds up nobody', async () => {
    const { url, port, gateway } = await startGateway({ settings: { ...settings, maxBufferedBytes: 1_000_000 } });
    const slow = await stalled(port);
    const heard = new Map<GatewayClient, Array<[number, number | undefined]>>();
    const device = newDevice();
    const members = Array.from({ length: COUNT - 1 }, () => member(url, device, { token: TOKEN }).client);
    onTestFinished(() => {
      for (const client of members) client.close();
    });
    for (const client of members) heard.set(client, []);
    await Promise.all(
      members.map(async (client) => {
        await client.connect();
        const reader = client.events({ limit: 10_000 });
        void (async () => {
          for await (const { event, payload, seq } of reader) if (event === 'fixture.n') heard.get(client)?.push([(payload as { n: number }).n, seq]);
        })();
      }),
    );
    expect(gateway.connections()).toBe(COUNT);

    // more than the system's own buffers hold, for the one that may hear it
    const filler = 'x'.repeat(1_000_000);
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 1; n <= 40; n += 1) {
      gateway.broadcast('fixture.bulk', { filler }, { scope: 'operator.admin' });
      gateway.broadcast('fixture.n', { n });
    }
    await vi.waitFor(() => expect([...heard.values()].every((list) => list.length === 40)).toBe(true), { timeout: 20_000 });
    const lists = [...heard.values()];
    const [first = []] = lists;
    expect(first.map(([n]) => n)).toEqual(Array.from({ length: 40 }, (_item, at) => at + 1));
    const begin = first[0]?.[1] ?? 0;
    expect(first.map(([, seq]) => seq)).toEqual(Array.from({ length: 40 }, (_item, at) => begin + 2 * at));
    for (const list of lists) expect(list).toEqual(first);

    // its peer never answers the close, so it is cut, and what waited for it is let go
    await vi.waitFor(() => expect(gateway.connections()).toBe(COUNT - 1), { timeout: 5000 });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    slow.tcp.resume();
    await slow.ended;
  });

  it('a socket that asks without reading the answers is cut as well', async () => {
    const { port, gateway } = await startGateway({ settings: { maxBufferedBytes: 200_000 } });
    const raw = await stalled(port);
    // the answer repeats the id; the system's own buffers take some megabytes before ours fill
    const request = frame(JSON.stringify({ type: 'req', id: 'x'.repeat(100_000), method: 'health' }));
    for (let at = 0; at < 300 && gateway.connections() > 0; at += 1) await raw.write(request);
    await vi.waitFor(() => expect(gateway.connections()).toBe(0), { timeout: 5000 });
  });

  it('nor do the answers to a flood of pings pile up: the library cuts the socket', async () => {
    const { port, gateway } = await startGateway({ settings: { maxBufferedBytes: 50_000 } });
    const raw = await stalled(port);
    const pings = Buffer.concat(Array.from({ length: 5000 }, () => frame('x'.repeat(125), { opcode: OPCODE.ping })));
    for (let at = 0; at < 60 && gateway.connections() > 0; at += 1) await raw.write(pings);
    await vi.waitFor(() => expect(gateway.connections()).toBe(0), { timeout: 5000 });
  });

  it('come back at once after a restart with nothing but their device tokens', async () => {
    const { gateway, url, port, options } = await startGateway({ settings });
    const devices = Array.from({ length: 200 }, newDevice);
    const firsts = devices.map((device) => member(url, device, { token: TOKEN }));
    await Promise.all(firsts.map(({ client }) => client.connect()));
    const tokens = firsts.map(({ stored }) => stored.get('operator')?.token);
    expect(new Set(tokens).size).toBe(devices.length);
    for (const { client } of firsts) client.close();

    const members = devices.map((device, at) => {
      const made = member(url, device);
      made.stored.set('operator', { token: tokens[at] ?? '', scopes: ['operator.read'] });
      return made;
    });
    onTestFinished(() => {
      for (const { client } of members) client.close();
    });
    await Promise.all(members.map(({ client }) => client.connect()));

    await gateway.close();
    // the default limit of unauthenticated sockets: most of the storm is sent away at first
    const second = createGateway({ ...options, settings: { ...options.settings, port, maxPreauthConnectionsPerAddress: 32 } });
    onTestFinished(() => second.close());
    await second.listen();
    await vi.waitFor(() => expect(second.connections()).toBe(devices.length), { timeout: 25_000, interval: 20 });
    const answers = await Promise.all(members.map(({ client }) => client.request('status', {})));
    expect(answers).toHaveLength(devices.length);
    expect(members.map(({ stored }) => stored.get('operator')?.token)).toEqual(tokens);
  });
});
