import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSelfSigned } from '../../core/gateway/self-signed.ts';
import { tlsFingerprint } from '../../core/gateway/tls.ts';
import { createGatewayClient } from '../../sdk/client/client.ts';
import { loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';
import { OPERATOR_SCOPES } from '../../sdk/protocol/scopes.ts';
import { connect, startGateway, TOKEN } from './harness.ts';

const info = { id: 'cli', version: '1.0.0', platform: process.platform, mode: 'cli' };

function clientOf(url: string, factory: Parameters<typeof nodeSocketFactory>[0], extra: object = {}) {
  const stateDir = mkdtempSync(join(tmpdir(), 'durar-tls-client-'));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const client = createGatewayClient({
    url,
    socketFactory: nodeSocketFactory(factory),
    client: info,
    identity: loadIdentity({ stateDir }),
    auth: { token: TOKEN },
    scopes: OPERATOR_SCOPES,
    ...extra,
  });
  onTestFinished(() => client.close());
  return client;
}

describe('TLS', () => {
  it('serves sockets and HTTP, and nothing in plain text (PROTO-395, PROTO-398)', async () => {
    const tls = createSelfSigned();
    const { url, port } = await startGateway({ settings: { tls } });
    expect(url).toBe(`wss://127.0.0.1:${port}`);
    const trusting = await clientOf(url, { tlsFingerprint: tlsFingerprint(tls.cert) }).connect();
    expect(trusting.type).toBe('hello-ok');
    const status = await new Promise<string>((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: tls.cert }, () =>
        socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
      );
      let text = '';
      socket.on('data', (chunk) => (text += String(chunk)));
      socket.on('end', () => resolve(text.split('\r\n')[0] ?? ''));
      socket.on('error', reject);
    });
    expect(status).toBe('HTTP/1.1 200 OK');
    await expect(connect(`ws://127.0.0.1:${port}`)).rejects.toThrow();
    const plain = await new Promise<string>((resolve) => {
      const socket = connectTcp(port, '127.0.0.1', () => socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.on('close', () => resolve(text));
      socket.on('error', () => undefined);
    });
    expect(plain).not.toContain('HTTP/1.1 200');
  });

  it('accepts the pinned certificate in every spelling of its fingerprint, and no other (PROTO-396)', async () => {
    const tls = createSelfSigned();
    const { url } = await startGateway({ settings: { tls } });
    const pin = tlsFingerprint(tls.cert);
    const spelled = (pin.match(/../g) ?? []).join(':').toUpperCase();
    for (const tlsFingerprint of [pin, spelled, `sha256:${spelled}`, ` ${pin} `]) {
      expect((await clientOf(url, { tlsFingerprint }).connect()).protocol).toBe(3);
    }
    for (const wrong of [tlsFingerprint(createSelfSigned().cert), pin.slice(2), '']) {
      await expect(clientOf(url, { tlsFingerprint: wrong }).connect()).rejects.toMatchObject({
        code: 'DUR_GATEWAY_TLS_PIN',
        message: expect.stringContaining(pin),
      });
    }
    // Nobody vouches for it, and nothing is pinned.
    await expect(clientOf(url, {}).connect()).rejects.toMatchObject({
      code: 'DUR_GATEWAY_UNREACHABLE',
      cause: { message: expect.stringContaining('self-signed') },
    });
  });

  it('sends nothing to a server with another certificate (PROTO-397)', async () => {
    const { createServer: createTlsServer } = await import('node:tls');
    const heard: string[] = [];
    const server = createTlsServer(createSelfSigned(), (socket) => {
      socket.on('data', (chunk) => heard.push(String(chunk)));
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    await expect(clientOf(`wss://127.0.0.1:${port}`, { tlsFingerprint: 'aa'.repeat(32) }).connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_TLS_PIN' });
    expect(heard).toEqual([]);
  });

  it('is not given up for a pin: plain text and dead servers are told as such', async () => {
    const pin = 'aa'.repeat(32);
    await expect(clientOf('ws://127.0.0.1:1', { tlsFingerprint: pin }).connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_PLAINTEXT' });
    await expect(clientOf('wss://127.0.0.1:1', { tlsFingerprint: pin }).connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_UNREACHABLE' });
    const mute = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void mute.close());
    const { port } = mute.address() as { port: number };
    await expect(clientOf(`wss://127.0.0.1:${port}`, { tlsFingerprint: pin }).connect()).rejects.toMatchObject({ code: 'DUR_GATEWAY_UNREACHABLE' });
  });

  it('comes back over it after a restart', async () => {
    const tls = createSelfSigned();
    const first = await startGateway({ settings: { tls } });
    const lost = Promise.withResolvers<void>();
    const client = clientOf(
      first.url,
      { tlsFingerprint: tlsFingerprint(tls.cert) },
      { reconnect: true, backoffMs: { first: 5, longest: 20 }, onDisconnected: () => lost.resolve() },
    );
    await client.connect();
    await first.gateway.close();
    await lost.promise;
    const again = Promise.withResolvers<void>();
    const poll = setInterval(() => client.hello !== undefined && again.resolve(), 5);
    await startGateway({ settings: { tls, port: first.port }, stateDir: first.stateDir });
    await again.promise;
    clearInterval(poll);
    expect((await client.request('health', {})).ok).toBe(true);
  });

  it('does not come back to a gateway that shows another certificate', async () => {
    const tls = createSelfSigned();
    const first = await startGateway({ settings: { tls } });
    const stopped = Promise.withResolvers<Error>();
    const client = clientOf(
      first.url,
      { tlsFingerprint: tlsFingerprint(tls.cert) },
      { reconnect: true, backoffMs: { first: 50, longest: 50 }, onStopped: stopped.resolve },
    );
    await client.connect();
    await first.gateway.close();
    await startGateway({ settings: { tls: createSelfSigned(), port: first.port } });
    expect(await stopped.promise).toMatchObject({ code: 'DUR_GATEWAY_TLS_PIN' });
  });
});
