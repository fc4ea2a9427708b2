/** What a hostile client tries, over real sockets. */
import { connect as connectTcp } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createSelfSigned } from '../../core/gateway/self-signed.ts';
import { connect, dial, newDevice, shake, startGateway, TOKEN } from './harness.ts';

describe('a hostile client', () => {
  it('is asked no more once it lost its access, even if it does not let go of its socket (PROTO-204)', async () => {
    const { url, agent } = await startGateway();
    const [admin, device] = [await connect(url), newDevice()];
    const victim = await connect(url, { device });
    victim.raw.pause();
    expect((await admin.call('device.pair.remove', { deviceId: device.id })).ok).toBe(true);
    await admin.call('health', {});
    victim.send({ type: 'req', id: 'late', method: 'agent', params: { message: 'after the end', idempotencyKey: 'late' } });
    victim.raw.resume();
    expect(await victim.closed).toEqual({ code: 4001, reason: 'device removed' });
    expect(agent.requests).toEqual([]);
  });

  it.each(['deviceToken', 'bootstrapToken'])('gets no more guesses at the shared secret for a %s beside them (PROTO-362)', async (beside) => {
    const rateLimit = { maxAttempts: 3, windowMs: 60_000, lockoutMs: 60_000, exemptLoopback: false };
    const { url } = await startGateway({ settings: { auth: { mode: 'token', token: TOKEN, rateLimit } } });
    const guess = async (token: string, more: object = {}) => {
      const { answer } = await shake(url, { params: { auth: { token, ...more } } });
      return answer.ok === true ? 'in' : (answer.error as { details: { code: string } }).details.code;
    };
    for (let i = 0; i < 4; i += 1) expect(await guess(`guess-${i}`, { [beside]: 'garbage' })).not.toBe('in');
    expect(await guess(TOKEN, { [beside]: 'garbage' })).toBe('AUTH_RATE_LIMITED');
  });

  it('does not become the owner of a run by using its id, nor take its events away (PROTO-199)', async () => {
    const { url, agent } = await startGateway();
    const writer = () => connect(url, { params: { scopes: ['operator.write'] } });
    const [owner, thief] = [await writer(), await writer()];
    await owner.call('chat.send', { sessionKey: 'main', message: 'mine', idempotencyKey: 'run-1' });
    await thief.call('agent', { sessionKey: 'main', message: 'mine now', idempotencyKey: 'run-1' });
    const abort = async (socket: typeof owner) => await socket.call('chat.abort', { sessionKey: 'main', runId: 'run-1' });
    expect((await abort(thief)).error).toMatchObject({ code: 'INVALID_REQUEST', message: 'unauthorized' });
    agent.emit('run-1', 'lifecycle', { phase: 'start' });
    expect((await abort(owner)).payload).toMatchObject({ aborted: true, runIds: ['run-1'] });
    expect((await owner.event('chat')).payload).toMatchObject({ runId: 'run-1', state: 'aborted' });
  });

  it('holds no socket after a refused upgrade, and does not keep the gateway from stopping', async () => {
    const { url, port, gateway } = await startGateway({ settings: { maxPreauthConnectionsPerAddress: 1 } });
    await dial(url);
    const tcp = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void tcp.destroy());
    tcp.write(
      `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    const text = await new Promise<string>((resolve) => tcp.once('data', (chunk) => resolve(String(chunk))));
    expect(text).toContain('503');
    const silent = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void silent.destroy());
    await new Promise((resolve) => silent.once('connect', resolve));
    await gateway.close();
  });

  it('that never ends its TLS handshake does not keep the gateway from stopping', async () => {
    const { port, gateway } = await startGateway({ settings: { tls: createSelfSigned() } });
    const silent = connectTcp({ port, host: '127.0.0.1' });
    onTestFinished(() => void silent.destroy());
    silent.on('error', () => silent.destroy());
    await new Promise((resolve) => silent.once('connect', resolve));
    await gateway.close();
  });

  it('cannot stop an event from reaching the others: a listener that throws is passed over', async () => {
    const { url, gateway } = await startGateway();
    const socket = await connect(url);
    const heard = vi.fn();
    gateway.onBroadcast(() => {
      throw new Error('broken');
    });
    gateway.onBroadcast(heard);
    gateway.broadcast('tick', { ts: 7 });
    expect((await socket.event('tick')).payload).toEqual({ ts: 7 });
    expect(heard).toHaveBeenCalledOnce();
  });

  it.each([null, [], 7, 'text', true, [{}], JSON.parse('{"__proto__":{"isAdmin":true},"constructor":1}')])(
    'gets an answer to params %j from every method of the host, and the socket stays usable (PROTO-247)',
    async (params) => {
      const { url, gateway } = await startGateway();
      const socket = await connect(url);
      const { methods } = socket.hello.features as { methods: string[] };
      for (const method of methods) {
        const answer = await socket.call(method, params);
        expect(typeof answer.ok, method).toBe('boolean');
        if (params === null || Array.isArray(params) || typeof params !== 'object') {
          expect(answer.error, method).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining(`invalid ${method} params`) });
        }
      }
      expect((await socket.call('no.such.method', params)).error).toMatchObject({ code: 'INVALID_REQUEST', message: 'unknown method: no.such.method' });
      expect((await socket.call('__proto__', {})).error).toMatchObject({ message: 'unknown method: __proto__' });
      expect((await socket.call('health', {})).ok).toBe(true);
      expect(gateway.connections()).toBe(1);
    },
  );
});
