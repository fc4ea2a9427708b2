import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createGatewayClient, type GatewayClientOptions } from '../../sdk/client/client.ts';
import { createTokenStore, loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';
import { OPERATOR_SCOPES } from '../../sdk/protocol/scopes.ts';
import { startGateway, TOKEN } from './harness.ts';

const info = { id: 'cli', version: '1.0.0', platform: process.platform, mode: 'cli' };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'durar-client-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function clientOf(options: Pick<GatewayClientOptions, 'url'> & Partial<GatewayClientOptions>) {
  const stateDir = folder();
  const client = createGatewayClient({
    socketFactory: nodeSocketFactory(),
    client: info,
    identity: loadIdentity({ stateDir }),
    auth: { token: TOKEN },
    scopes: OPERATOR_SCOPES,
    ...options,
  });
  onTestFinished(() => client.close());
  return client;
}

/** A gateway double that says what the test tells it, for what a healthy gateway never does. */
async function scripted(onConnect: (socket: WebSocket, params: Record<string, never>, id: string, attempt: number) => void, challenge = true) {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  let attempts = 0;
  server.on('connection', (socket) => {
    const attempt = ++attempts;
    if (challenge) socket.send(JSON.stringify({ type: 'event', event: 'connect.challenge', payload: { nonce: 'n', ts: 1 } }));
    socket.on('message', (data) => {
      const { id, method, params } = JSON.parse(String(data)) as { id: string; method: string; params: Record<string, never> };
      if (method === 'connect') onConnect(socket, params, id, attempt);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    http.close();
  });
  return { url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`, attempts: () => attempts, sockets: () => server.clients };
}

const hello = (id: string, tickIntervalMs = 15_000, methods: string[] = []) =>
  JSON.stringify({ type: 'res', id, ok: true, payload: { type: 'hello-ok', protocol: 3, features: { methods, events: [] }, policy: { tickIntervalMs } } });

const refusal = (id: string, details: object) => JSON.stringify({ type: 'res', id, ok: false, error: { code: 'INVALID_REQUEST', message: 'no', details } });

describe('client', () => {
  it('connects, asks, and hears events (PROTO-388, PROTO-390)', async () => {
    const { url, gateway } = await startGateway();
    const client = clientOf({ url });
    expect(await client.connect()).toMatchObject({ type: 'hello-ok' });
    expect((await client.request('health', {})).ok).toBe(true);
    const reader = client.events();
    const heard: unknown[] = [];
    const remove = client.on('tick', (payload) => heard.push(payload));
    gateway.broadcast('tick', { ts: 7 });
    expect((await reader.next()).value).toMatchObject({ event: 'tick', payload: { ts: 7 } });
    expect(heard).toEqual([{ ts: 7 }]);
    remove();
    client.close();
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  it('knows the params and results of every method, and lets those of extensions through', async () => {
    const { url } = await startGateway();
    const client = clientOf({ url });
    await client.connect();
    const health = await client.request('health', {});
    expect(health.defaultAgentId.length).toBeGreaterThan(0);
    // @ts-expect-error the method takes no such param
    await expect(client.request('chat.abort', { nope: 1 })).rejects.toMatchObject({ code: 'DUR_GATEWAY_RPC' });
    // @ts-expect-error the payload of a tick has no such member
    client.on('tick', ({ nope }) => nope);
    client.on('fixture.event', (payload: unknown) => payload);
    await expect(client.request('fixture.method', { anything: 1 })).rejects.toMatchObject({ message: 'unknown method: fixture.method' });
  });

  it('waits for the final answer, and tells of the accepted one', async () => {
    const { url, agent } = await startGateway();
    const client = clientOf({ url });
    await client.connect();
    const onAccepted = vi.fn();
    const final = client.request('agent', { message: 'x', idempotencyKey: 'k' }, { expectFinal: true, onAccepted });
    await vi.waitFor(() => expect(onAccepted).toHaveBeenCalledWith(expect.objectContaining({ status: 'accepted' })));
    agent.finish('k');
    expect(await final).toMatchObject({ status: 'ok' });
  });

  it('turns answers into coded errors', async () => {
    const { url, gateway } = await startGateway();
    const client = clientOf({ url });
    await client.connect();
    await expect(client.request('no.such')).rejects.toMatchObject({
      code: 'DUR_GATEWAY_RPC',
      message: 'unknown method: no.such',
      details: { code: 'INVALID_REQUEST' },
    });
    await expect(client.request('agent.wait', { runId: 'x', timeoutMs: 5000 }, { timeoutMs: 10 })).rejects.toMatchObject({ code: 'DUR_GATEWAY_TIMEOUT' });
    const open = client.request('agent.wait', { runId: 'x', timeoutMs: 60_000 });
    const failed = expect(open).rejects.toMatchObject({ code: 'DUR_GATEWAY_CLOSED', message: 'the gateway closed the connection (1012 service restart)' });
    await gateway.close();
    await failed;
    await expect(clientOf({ url }).connect()).rejects.toMatchObject({
      code: 'DUR_GATEWAY_UNREACHABLE',
      cause: { message: expect.stringContaining('ECONNREFUSED') },
    });
    await expect(clientOf({ url: 'ws://203.0.113.1:1' }).connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_PLAINTEXT' });
  });

  it('says why it was refused (GW-163)', async () => {
    const { url } = await startGateway();
    await expect(clientOf({ url, auth: { token: 'wrong' } }).connect()).rejects.toMatchObject({
      code: 'DUR_GATEWAY_REFUSED',
      message: expect.stringContaining('unauthorized: gateway token mismatch'),
      details: { details: { code: 'AUTH_TOKEN_MISMATCH' } },
    });
  });

  it('keeps its device token, and comes back with it and its scopes (PROTO-336 to PROTO-338, PROTO-341, PROTO-347)', async () => {
    const { url } = await startGateway();
    const stateDir = folder();
    const identity = loadIdentity({ stateDir });
    const tokens = createTokenStore({ stateDir, deviceId: identity.deviceId });
    const first = clientOf({ url, identity, tokens });
    const { auth } = await first.connect();
    first.close();
    expect(tokens.load('operator')).toEqual({ token: auth?.deviceToken, scopes: auth?.scopes });
    const { scopes: _scopes, ...rest } = { scopes: 0, url, identity, tokens };
    const second = createGatewayClient({ ...rest, socketFactory: nodeSocketFactory(), client: info });
    onTestFinished(() => second.close());
    await second.connect();
    await second.request('status', {});
    const files = ['device.json', 'device-auth.json'].map((name) => join(stateDir, 'identity', name));
    for (const file of files) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(files[0] ?? '', 'utf8'))).toMatchObject({ version: 1, deviceId: identity.deviceId, createdAtMs: expect.any(Number) });
    expect(loadIdentity({ stateDir }).deviceId).toBe(identity.deviceId);
    expect(createTokenStore({ stateDir, deviceId: 'other' }).load('operator')).toBeUndefined();
    tokens.remove('operator');
    expect(tokens.load('operator')).toBeUndefined();
    writeFileSync(files[0] ?? '', '{');
    expect(() => loadIdentity({ stateDir })).toThrow(expect.objectContaining({ code: 'DUR_IDENTITY_FILE' }));
  });

  it('sends credentials in their order (PROTO-339, PROTO-340, PROTO-342, PROTO-345, PROTO-346)', async () => {
    const sent: Array<{ auth: object; scopes: string[] }> = [];
    const { url } = await scripted((socket, params, id) => {
      sent.push(params as never);
      socket.send(hello(id));
    });
    const tokens = { load: () => ({ token: 'stored', scopes: ['operator.read'] }), save() {}, remove() {} };
    const none = { ...tokens, load: () => undefined };
    const all = { token: 't', deviceToken: 'd', bootstrapToken: 'b' };
    await clientOf({ url, tokens, auth: all, scopes: ['operator.write'] }).connect();
    await clientOf({ url, tokens, auth: { deviceToken: 'd', bootstrapToken: 'b' }, scopes: ['operator.write'] }).connect();
    const { scopes: _scopes, ...implicit } = { scopes: 0, url, tokens, identity: loadIdentity({ stateDir: folder() }), client: info };
    const stored = createGatewayClient({ ...implicit, socketFactory: nodeSocketFactory(), auth: { bootstrapToken: 'b' } });
    await stored.connect();
    stored.close();
    await clientOf({ url, tokens: none, auth: { bootstrapToken: 'b' } }).connect();
    expect(sent.map(({ auth }) => auth)).toEqual([
      { token: 't' },
      { token: 'd', deviceToken: 'd' },
      { token: 'stored', deviceToken: 'stored' },
      { bootstrapToken: 'b' },
    ]);
    expect(sent.map(({ scopes }) => scopes)).toEqual([['operator.write'], ['operator.write'], ['operator.read'], [...OPERATOR_SCOPES]]);
  });

  it('tries its device token once after a token mismatch, then gives up (PROTO-365, PROTO-366)', async () => {
    const sent: object[] = [];
    const { url, attempts } = await scripted((socket, params, id) => {
      sent.push((params as unknown as { auth: object }).auth);
      socket.send(refusal(id, { code: 'AUTH_TOKEN_MISMATCH', canRetryWithDeviceToken: true }));
    });
    const tokens = { load: () => ({ token: 'stored', scopes: [] }), save() {}, remove() {} };
    await expect(clientOf({ url, tokens, reconnect: true, backoffMs: { first: 5, longest: 5 } }).connect()).rejects.toMatchObject({
      code: 'DUR_GATEWAY_REFUSED',
    });
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(sent).toEqual([{ token: TOKEN }, { token: TOKEN, deviceToken: 'stored' }]);
    expect(attempts()).toBe(2);
  });

  it('comes back after a lost connection, and stops at a refusal that stays', async () => {
    const { url, attempts } = await scripted((socket, _params, id, attempt) => {
      if (attempt === 4) socket.send(refusal(id, { code: 'PAIRING_REQUIRED' }));
      else if (attempt === 2) socket.terminate();
      else socket.send(hello(id));
      if (attempt === 1 || attempt === 3) setTimeout(() => socket.close(1012, 'service restart'), 5);
    });
    const lost: unknown[] = [];
    const client = clientOf({ url, reconnect: true, backoffMs: { first: 5, longest: 10 }, onDisconnected: (close) => lost.push(close) });
    await client.connect();
    const reader = client.events();
    await expect(reader.next()).rejects.toMatchObject({ code: 'DUR_GATEWAY_REFUSED' });
    expect(attempts()).toBe(4);
    expect(lost).toEqual([
      { code: 1012, reason: 'service restart' },
      { code: 1012, reason: 'service restart' },
    ]);
  });

  it('notices a silent gateway, a gap in the events, and a challenge that never comes', async () => {
    const gaps: unknown[] = [];
    const gone = Promise.withResolvers<unknown>();
    const { url } = await scripted((socket, _params, id) => {
      socket.send(hello(id, 20));
      for (const seq of [5, 6, 9]) socket.send(JSON.stringify({ type: 'event', event: 'tick', payload: {}, seq }));
    });
    const client = clientOf({ url, onGap: (gap) => gaps.push(gap), onDisconnected: gone.resolve });
    await client.connect();
    expect(await gone.promise).toMatchObject({ code: 4000 });
    expect(gaps).toEqual([{ expected: 7, received: 9 }]);
    const mute = await scripted(() => {}, false);
    await expect(clientOf({ url: mute.url, connectTimeoutMs: 30 }).connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_TIMEOUT' });
  });

  it('asks for the state again after a gap and after coming back, once for several', async () => {
    const asked: string[] = [];
    const { url, sockets } = await scripted((socket, _params, id) => {
      socket.send(hello(id, 15_000, ['health', 'system-presence']));
      socket.on('message', (data) => {
        const { id: call, method } = JSON.parse(String(data)) as { id: string; method: string };
        if (method === 'connect') return;
        asked.push(method);
        const payload = method === 'health' ? { ok: true } : [{ ts: 1 }];
        socket.send(JSON.stringify({ type: 'res', id: call, ok: true, payload }));
      });
    });
    const states: unknown[] = [];
    const gaps: unknown[] = [];
    const client = clientOf({
      url,
      reconnect: true,
      backoffMs: { first: 5, longest: 5 },
      onGap: (gap) => gaps.push(gap),
      onRefresh: (state) => states.push(state),
    });
    await client.connect();
    for (const seq of [5, 9, 12]) for (const socket of sockets()) socket.send(JSON.stringify({ type: 'event', event: 'tick', payload: {}, seq }));
    await vi.waitFor(() => expect(states).toEqual([{ health: { ok: true }, presence: [{ ts: 1 }] }]));
    expect(gaps).toEqual([
      { expected: 6, received: 9 },
      { expected: 10, received: 12 },
    ]);
    expect(asked).toEqual(['health', 'system-presence']);
    for (const socket of sockets()) socket.terminate();
    await vi.waitFor(() => expect(states).toHaveLength(2), { timeout: 5000 });
    expect(await client.refresh()).toEqual(states[0]);
  });

  it('forgets a device token that the gateway does not know, and says that it stopped', async () => {
    const removed: string[] = [];
    const tokens = { load: () => ({ token: 'stored', scopes: [] }), save() {}, remove: (role: string) => void removed.push(role) };
    const { url } = await scripted((socket, _params, id, attempt) => {
      if (attempt === 1) {
        socket.send(hello(id));
        setTimeout(() => socket.close(1012, 'service restart'), 5);
      } else socket.send(refusal(id, { code: attempt === 2 ? 'AUTH_DEVICE_TOKEN_MISMATCH' : 'AUTH_TOKEN_MISSING' }));
    });
    const stopped = Promise.withResolvers<Error>();
    const client = clientOf({ url, tokens, reconnect: true, backoffMs: { first: 5, longest: 5 }, onStopped: stopped.resolve });
    await client.connect();
    expect(await stopped.promise).toMatchObject({ code: 'DUR_GATEWAY_REFUSED', details: { details: { code: 'AUTH_TOKEN_MISSING' } } });
    expect(removed).toEqual(['operator']);
  });

  it('keeps tokens handed over at a bootstrap, on a trusted transport only (PROTO-343, PROTO-344)', async () => {
    const auth = { deviceToken: 'n', role: 'node', scopes: [], deviceTokens: [{ deviceToken: 'o', role: 'operator', scopes: ['operator.read'] }] };
    const { url } = await scripted((socket, _params, id) => {
      const frame = JSON.parse(hello(id)) as { payload: object };
      socket.send(JSON.stringify({ ...frame, payload: { ...frame.payload, auth } }));
    });
    const kept = async (options: Partial<GatewayClientOptions>) => {
      const saved: string[] = [];
      const tokens = { load: () => undefined, save: (role: string) => void saved.push(role), remove() {} };
      await clientOf({ url, tokens, role: 'node', ...options }).connect();
      return saved;
    };
    expect(await kept({ auth: { bootstrapToken: 'b' } })).toEqual(['node', 'operator']);
    expect(await kept({ auth: { bootstrapToken: 'b' }, isTrusted: false })).toEqual(['node']);
    expect(await kept({ auth: { token: 't' } })).toEqual(['node']);
  });

  it('drops the oldest events of a reader that falls behind', async () => {
    const { url, gateway } = await startGateway();
    const client = clientOf({ url });
    await client.connect();
    const reader = client.events({ limit: 2 });
    for (const n of [1, 2, 3]) gateway.broadcast('fixture.n', { n });
    await client.request('health', {});
    expect((await reader.next()).value).toMatchObject({ payload: { n: 2 } });
    await reader.return?.();
    expect(await reader.next()).toMatchObject({ done: true });
  });
});

describe('a gateway elsewhere', () => {
  it.each([
    ['wss://gateway.example', undefined, 1],
    ['wss://gateway.example', true, 2],
    ['ws://127.0.0.1:1', undefined, 2],
    ['ws://127.0.0.1:1', false, 1],
  ] as const)('%s gets the stored device token only where it is trusted: %s', async (url, isTrusted, attempts) => {
    const gateway = await scripted((socket, _params, id) => {
      socket.send(refusal(id, { code: 'AUTH_TOKEN_MISMATCH', canRetryWithDeviceToken: true }));
      socket.close(1008, 'no');
    });
    const open = nodeSocketFactory();
    const tokens = { load: () => ({ token: 'device-token-example', scopes: [] }), save: () => undefined, remove: () => undefined };
    const client = clientOf({ url, tokens, socketFactory: () => open(gateway.url), ...(isTrusted === undefined ? {} : { isTrusted }) });
    await expect(client.connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_REFUSED' });
    expect(gateway.attempts()).toBe(attempts);
  });
});

describe('a client that is closed', () => {
  it('while its socket is still being made does not connect after all', async () => {
    const { url, gateway } = await startGateway();
    const open = nodeSocketFactory();
    const gate = Promise.withResolvers<void>();
    const onConnected = vi.fn();
    const socketFactory = async (to: string) => {
      await gate.promise;
      return await open(to);
    };
    const client = clientOf({ url, socketFactory, onConnected });
    const connecting = client.connect();
    client.close();
    gate.resolve();
    await expect(connecting).rejects.toMatchObject({ code: 'DUR_GATEWAY_CLOSED' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_CLOSED' });
    expect(onConnected).not.toHaveBeenCalled();
    expect(gateway.connections()).toBe(0);
  });

  it('is told what is wrong with a challenge that holds nothing', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    server.on('connection', (socket) => socket.send(JSON.stringify({ type: 'event', event: 'connect.challenge' })));
    await new Promise<void>((resolve) => server.once('listening', resolve));
    const client = clientOf({ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` });
    await expect(client.connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_REFUSED', message: expect.stringContaining('challenge missing nonce') });
  });
});
