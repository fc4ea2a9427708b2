import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createListener, type Listener } from './listener.ts';

const listeners: Listener[] = [];
const formers: Array<() => boolean> = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) {
    const closed = listener.close();
    listener.cut();
    await closed;
  }
  formers.length = 0;
});

async function begin(port = 0, host = '127.0.0.1') {
  const listener = createListener({
    handler: (_request, response) => void response.end('here'),
    upgrade: (_request, _raw, _head, isFormer) => void formers.push(isFormer),
    failed: () => undefined,
  });
  listeners.push(listener);
  return { listener, bound: await listener.listen({ host, port }) };
}
const answers = async (port: number) => {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text();
  } catch {
    return undefined;
  }
};
async function upgrade(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  const before = formers.length;
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  while (formers.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
  return socket;
}
async function hold(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as { port: number }).port };
}
async function freePort(): Promise<number> {
  const { server, port } = await hold();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

it('serves both addresses until the former is left; who came there stays connected (AMB-050)', async () => {
  const { listener, bound } = await begin();
  const old = await upgrade(bound.port);
  const next = await freePort();
  const opening = await listener.open({ host: '127.0.0.1', port: next });
  expect(opening).toMatchObject({ moves: true, bound: { port: next, url: `ws://127.0.0.1:${next}` } });
  expect([await answers(bound.port), await answers(next)]).toEqual(['here', 'here']);
  await upgrade(next);
  opening.keep();
  expect([await answers(bound.port), await answers(next)]).toEqual([undefined, 'here']);
  expect(formers.map((isFormer) => isFormer())).toEqual([true, false]);
  expect(old.destroyed).toBe(false);
});

it('goes back to where it was when told so', async () => {
  const { listener, bound } = await begin();
  const next = await freePort();
  await (await listener.open({ host: '127.0.0.1', port: next })).withdraw();
  expect([await answers(bound.port), await answers(next)]).toEqual(['here', undefined]);
});

it('stays where it is when the next address is taken', async () => {
  const { listener, bound } = await begin();
  const { server, port } = await hold();
  await expect(listener.open({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'DUR_GATEWAY_IN_USE' });
  await expect(listener.open({ host: '192.0.2.1', port: bound.port })).rejects.toMatchObject({ code: 'DUR_GATEWAY_BIND' });
  expect(await answers(bound.port)).toBe('here');
  await new Promise((resolve) => server.close(resolve));
});

it('makes room for itself where two addresses share the port, and comes back', async () => {
  const { listener, bound } = await begin(await freePort());
  const old = await upgrade(bound.port);
  const opening = await listener.open({ host: '0.0.0.0', port: bound.port });
  expect(await answers(bound.port)).toBe('here');
  await opening.withdraw();
  expect(await answers(bound.port)).toBe('here');
  (await listener.open({ host: '0.0.0.0', port: bound.port })).keep();
  expect(await answers(bound.port)).toBe('here');
  expect(old.destroyed).toBe(false);
  expect(formers[0]?.()).toBe(true);
});

it('does not move for its own address', async () => {
  const { listener, bound } = await begin(await freePort());
  const opening = await listener.open({ host: '127.0.0.1', port: bound.port });
  expect(opening.moves).toBe(false);
  await opening.withdraw();
  opening.keep();
  expect(await answers(bound.port)).toBe('here');
});
