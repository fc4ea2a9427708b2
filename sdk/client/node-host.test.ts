import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSelfSigned } from '../../core/gateway/self-signed.ts';
import { tlsFingerprint } from '../../core/gateway/tls.ts';
import type { Contribution } from '../../core/kernel/generation.ts';
import { startGateway, TOKEN } from '../../test/conformance/harness.ts';
import { ApprovalsFile } from '../exec/approvals-file.ts';
import { createTokenStore, loadIdentity, nodeSocketFactory } from './node.ts';
import { createNodeHost, type NodeHostOptions, type NodeState } from './node-host.ts';

/** A node with a key of its own and short pauses. */
function nodeOf(url: string, more: Partial<NodeHostOptions> & { pin?: string } = {}) {
  const stateDir = mkdtempSync(join(tmpdir(), 'durar-node-host-'));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const { pin, ...options } = more;
  const identity = loadIdentity({ stateDir });
  const states: NodeState[] = [];
  const waiting: Array<{ state: string; resolve(state: NodeState): void }> = [];
  const host = createNodeHost({
    url,
    socketFactory: nodeSocketFactory(pin === undefined ? {} : { tlsFingerprint: pin }),
    identity,
    tokens: createTokenStore({ stateDir, deviceId: identity.deviceId }),
    auth: { token: TOKEN },
    version: '1.0.0',
    displayName: 'Test',
    approvals: new ApprovalsFile(join(stateDir, 'exec-approvals.json')),
    env: { PATH: '/usr/bin:/bin' },
    backoffMs: { first: 20, longest: 80 },
    onState(state) {
      states.push(state);
      for (const one of waiting.filter(({ state: wanted }) => wanted === state.state)) one.resolve(state);
    },
    ...options,
  });
  onTestFinished(() => host.stop());
  const reached = (state: NodeState['state']) => new Promise<NodeState>((resolve) => waiting.push({ state, resolve }));
  return { host, states, reached, identity };
}

/** Takes what nodes answer. */
function answers() {
  const got: Array<Record<string, unknown>> = [];
  const arrived: Array<() => void> = [];
  const contribution = {
    kind: 'gatewayMethod',
    key: 'node.invoke.result',
    owner: 'fixture',
    value: {
      options: { role: 'node' },
      handler(params: Record<string, unknown>) {
        got.push(params);
        arrived.shift()?.();
        return { ok: true };
      },
    },
  } as unknown as Contribution;
  const next = () => new Promise<void>((resolve) => arrived.push(resolve));
  return { got, contribution, next };
}

describe('a node host', () => {
  it('says what it is and answers what it is asked, failures too', async () => {
    const { got, contribution, next } = answers();
    const { gateway, url } = await startGateway({ contributions: [contribution] });
    const { host, reached, identity } = nodeOf(url);
    const connected = reached('connected');
    const running = host.run();
    await connected;
    expect(gateway.sockets.list()).toMatchObject([
      { role: 'node', deviceId: identity.deviceId, clientId: 'node-host', clientMode: 'node', displayName: 'Test', caps: ['system'], scopes: [] },
    ]);
    expect(gateway.sockets.list()[0]?.commands).toEqual(expect.arrayContaining(['system.run', 'system.which']));
    const ask = async (id: string, command: string, paramsJSON: string | null) => {
      const answered = next();
      gateway.sockets.sendTo({ role: 'node' }, 'node.invoke.request', { id, nodeId: identity.deviceId, command, paramsJSON, idempotencyKey: 'key' });
      await answered;
      return got.at(-1);
    };
    expect(await ask('1', 'system.which', '{"bins":["sh"]}')).toEqual({
      id: '1',
      nodeId: identity.deviceId,
      ok: true,
      payloadJSON: expect.stringMatching(/"sh":".*\/sh"/),
    });
    expect(await ask('2', 'camera.snap', null)).toMatchObject({ ok: false, error: { code: 'UNKNOWN_COMMAND' } });
    expect(await ask('3', 'system.which', '{')).toMatchObject({ ok: false, error: { code: 'INVALID_REQUEST' } });
    expect(await ask('4', 'system.which', '[]')).toMatchObject({ ok: false, error: { message: 'the params are not an object' } });
    host.stop();
    await running;
    await gateway.close();
    expect(gateway.sockets.list()).toEqual([]);
  });

  it('keeps trying while nobody answers, with growing pauses, and comes back after a loss', async () => {
    const port = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const { port: free } = probe.address() as { port: number };
        probe.close(() => resolve(free));
      });
    });
    const { host, states, reached } = nodeOf(`ws://127.0.0.1:${port}`);
    const lost = reached('disconnected');
    const running = host.run();
    await lost;
    const connected = reached('connected');
    const { gateway, stateDir } = await startGateway({ settings: { port } });
    await connected;
    const pauses = states.flatMap((state) => (state.state === 'disconnected' ? [state.retryInMs] : []));
    expect(pauses.slice(0, 3)).toEqual([20, 40, 80].slice(0, pauses.length));
    const again = reached('disconnected');
    await gateway.close();
    expect(await again).toMatchObject({ reason: 'service restart', retryInMs: 20 });
    const back = reached('connected');
    await startGateway({ settings: { port }, stateDir });
    await back;
    host.stop();
    await running;
  });

  it('waits for its pairing to be approved', async () => {
    const { url, gateway } = await startGateway();
    // A forwarded header makes it a client from elsewhere.
    const { WebSocket } = await import('ws');
    const { host, reached } = nodeOf(url, { socketFactory: (address) => new WebSocket(address, { headers: { 'x-forwarded-for': '192.0.2.7' } }) as never });
    const pairing = reached('pairing');
    const running = host.run();
    expect(await pairing).toEqual({ state: 'pairing', requestId: expect.stringMatching(/^[\w-]{36}$/) });
    expect(await reached('disconnected')).toMatchObject({ reason: expect.stringContaining('pairing required') });
    expect(gateway.sockets.list()).toEqual([]);
    host.stop();
    await running;
  });

  it('gives up where only its operator can help: a wrong token, another certificate than the pinned one (PROTO-396)', async () => {
    const { url } = await startGateway();
    await expect(nodeOf(url, { auth: { token: 'wrong' } }).host.run()).rejects.toMatchObject({ code: 'DUR_GATEWAY_REFUSED' });
    const tls = createSelfSigned();
    const secure = await startGateway({ settings: { tls } });
    await expect(nodeOf(secure.url, { pin: 'ab'.repeat(32) }).host.run()).rejects.toMatchObject({ code: 'DUR_GATEWAY_TLS_PIN' });
    const { host, reached } = nodeOf(secure.url, { pin: tlsFingerprint(tls.cert) });
    const connected = reached('connected');
    const running = host.run();
    await connected;
    expect(secure.gateway.sockets.list()).toMatchObject([{ address: secure.url.replace('wss:', 'https:') }]);
    host.stop();
    await running;
  });
});
