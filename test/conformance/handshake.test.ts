import { describe, expect, it } from 'vitest';
import { METHODS } from '../../sdk/protocol/generated/tables.ts';
import { type ConnectSpec, connect, connectParamsFor, dial, newDevice, shake, startGateway, TOKEN } from './harness.ts';

const cli = { id: 'cli', version: '1.2.3', platform: 'linux', mode: 'cli' };

describe('handshake', () => {
  it('starts with a challenge of its own for each socket (PROTO-009, PROTO-010, PROTO-011)', async () => {
    const { url } = await startGateway();
    const challenges = await Promise.all([1, 2].map(async () => (await dial(url)).event('connect.challenge')));
    const payloads = challenges.map(({ payload }) => payload as { nonce: string; ts: number });
    expect(payloads[0]?.nonce).not.toBe(payloads[1]?.nonce);
    expect(Object.keys(challenges[0] ?? {}).sort()).toEqual(['event', 'payload', 'type']);
    expect(typeof payloads[0]?.ts).toBe('number');
  });

  it('answers hello-ok with features, snapshot, token and policy (PROTO-030, PROTO-031, PROTO-032, PROTO-038, PROTO-335, GW-128 to GW-135)', async () => {
    const { url } = await startGateway({ settings: { tickIntervalMs: 15_000 } });
    const device = newDevice();
    const { hello } = await connect(url, { device });
    expect(hello).toMatchObject({ type: 'hello-ok', protocol: 3, policy: { maxPayload: 26_214_400, maxBufferedBytes: 52_428_800, tickIntervalMs: 15_000 } });
    const { features, snapshot, auth } = hello as unknown as {
      features: { methods: string[]; events: string[] };
      snapshot: Record<string, unknown> & { presence: Array<Record<string, unknown>> };
      auth: { deviceToken: string; role: string; scopes: string[] };
    };
    expect(features.methods.every((name) => name in METHODS)).toBe(true);
    expect(features.methods).not.toContain('sessions.get');
    expect(features.events).toEqual(expect.arrayContaining(['agent', 'chat', 'tick', 'shutdown']));
    expect(Object.keys(snapshot)).toEqual(
      expect.arrayContaining(['presence', 'health', 'stateVersion', 'uptimeMs', 'sessionDefaults', 'configPath', 'stateDir', 'authMode']),
    );
    expect(snapshot.presence[0]).toMatchObject({ mode: 'gateway', reason: 'self' });
    expect(auth.deviceToken).toMatch(/^[\w-]{43}$/);
    expect(auth).toMatchObject({ role: 'operator', scopes: [...auth.scopes].sort() });
    expect((await connect(url, { device })).hello.auth).toEqual(auth);
  });

  it('tells only administrators where its files are', async () => {
    const { url } = await startGateway();
    const { hello } = await connect(url, { params: { scopes: ['operator.read'] } });
    expect(Object.keys(hello.snapshot as object)).not.toContain('stateDir');
  });

  it.each<[string, ConnectSpec, Record<string, unknown>, number]>([
    ['protocol too new (PROTO-323)', { params: { minProtocol: 4, maxProtocol: 5 } }, { message: 'protocol mismatch', details: { expectedProtocol: 3 } }, 1002],
    ['protocol too old (PROTO-323)', { params: { minProtocol: 1, maxProtocol: 2 } }, { message: 'protocol mismatch' }, 1002],
    ['unknown role (PROTO-020)', { params: { role: 'admin' } }, { message: 'invalid role' }, 1008],
    [
      'missing client id (PROTO-014, PROTO-029)',
      { params: { client: { version: '1', platform: 'linux', mode: 'cli' } as never } },
      { message: "invalid connect params: at /client: must have required property 'id'" },
      1008,
    ],
    ['unknown key (PROTO-029)', { params: { zzz: 1 } as never }, { message: "invalid connect params: at root: unexpected property 'zzz'" }, 1008],
    [
      'no secret (PROTO-356 to PROTO-358)',
      { params: { auth: {} } },
      {
        message: 'unauthorized: gateway token missing (set gateway.remote.token to match gateway.auth.token)',
        details: {
          code: 'AUTH_TOKEN_MISSING',
          authReason: 'token_missing',
          canRetryWithDeviceToken: false,
          recommendedNextStep: 'update_auth_configuration',
        },
      },
      1008,
    ],
    [
      'wrong secret (PROTO-359, PROTO-364, GW-163)',
      { params: { auth: { token: 'wrong' } } },
      { details: { code: 'AUTH_TOKEN_MISMATCH', canRetryWithDeviceToken: true, recommendedNextStep: 'retry_with_device_token' } },
      1008,
    ],
    [
      'password in token mode (PROTO-328, PROTO-360)',
      { params: { auth: { password: TOKEN } } },
      { details: { code: 'AUTH_TOKEN_MISSING', recommendedNextStep: 'update_auth_configuration' } },
      1008,
    ],
    ['foreign device token', { params: { auth: { deviceToken: 'x'.repeat(43) } } }, { details: { code: 'AUTH_DEVICE_TOKEN_MISMATCH' } }, 1008],
    ['bootstrap token nobody issued', { params: { auth: { bootstrapToken: 'x' } } }, { details: { code: 'AUTH_BOOTSTRAP_TOKEN_INVALID' } }, 1008],
    [
      'no device (PROTO-374)',
      { device: null },
      { code: 'NOT_PAIRED', message: 'device identity required', details: { code: 'DEVICE_IDENTITY_REQUIRED' } },
      1008,
    ],
    [
      'no device and a wrong secret (PROTO-361)',
      { device: null, params: { auth: { token: 'wrong' } } },
      { details: { code: 'AUTH_TOKEN_MISMATCH', canRetryWithDeviceToken: false, recommendedNextStep: 'update_auth_credentials' } },
      1008,
    ],
    [
      'a node without device',
      { device: null, params: { role: 'node', client: { ...cli, id: 'node-host', mode: 'node' } } },
      { code: 'NOT_PAIRED', details: { code: 'DEVICE_IDENTITY_REQUIRED' } },
      1008,
    ],
    [
      'malformed key (PROTO-387)',
      { tamper: { publicKey: 'not-a-key' } },
      { message: 'device public key invalid', details: { code: 'DEVICE_AUTH_PUBLIC_KEY_INVALID', reason: 'device-public-key' } },
      1008,
    ],
    [
      'id that is not the fingerprint (PROTO-386)',
      { tamper: { id: 'abc' } },
      { message: 'device identity mismatch', details: { code: 'DEVICE_AUTH_DEVICE_ID_MISMATCH', reason: 'device-id-mismatch' } },
      1008,
    ],
    [
      'old signature (PROTO-385)',
      { signedAt: Date.now() - 200_000 },
      { message: 'device signature expired', details: { code: 'DEVICE_AUTH_SIGNATURE_EXPIRED', reason: 'device-signature-stale' } },
      1008,
    ],
    [
      'no nonce (PROTO-028, PROTO-380, PROTO-381)',
      { tamper: { nonce: undefined } },
      { message: 'device nonce required', details: { code: 'DEVICE_AUTH_NONCE_REQUIRED', reason: 'device-nonce-missing' } },
      1008,
    ],
    ['blank nonce (PROTO-382)', { tamper: { nonce: '  ' } }, { details: { code: 'DEVICE_AUTH_NONCE_REQUIRED' } }, 1008],
    [
      'nonce of another socket (PROTO-379, PROTO-383)',
      { nonce: 'another' },
      { message: 'device nonce mismatch', details: { code: 'DEVICE_AUTH_NONCE_MISMATCH', reason: 'device-nonce-mismatch' } },
      1008,
    ],
    [
      'broken signature (PROTO-384)',
      { tamper: { signature: 'A'.repeat(86) } },
      { message: 'device signature invalid', details: { code: 'DEVICE_AUTH_SIGNATURE_INVALID', reason: 'device-signature' } },
      1008,
    ],
  ])('refuses %s', async (_name, spec, error, code) => {
    const { url } = await startGateway();
    const { socket, answer } = await shake(url, spec);
    expect(answer).toMatchObject({ type: 'res', id: 'connect-1', ok: false, error });
    expect(await socket.closed).toMatchObject({ code });
  });

  it('verifies what was signed, not what is claimed (PROTO-391, PROTO-392)', async () => {
    const { url } = await startGateway();
    const changes: Array<(params: Record<string, object>) => void> = [
      (params) => Object.assign(params.client ?? {}, { platform: 'darwin' }),
      (params) => Object.assign(params, { scopes: ['operator.read'] }),
      (params) => Object.assign(params.client ?? {}, { id: 'gateway-client' }),
      (params) => Object.assign(params, { role: 'node' }),
      (params) => Object.assign(params.auth ?? {}, { token: 'other' }),
    ];
    for (const change of changes) {
      const socket = await dial(url);
      const { nonce } = (await socket.event('connect.challenge')).payload as { nonce: string };
      const params = connectParamsFor(nonce);
      change(params as Record<string, object>);
      expect((await socket.call('connect', params)).error).toMatchObject({ details: { code: 'DEVICE_AUTH_SIGNATURE_INVALID' } });
    }
  });

  it.each<[string, ConnectSpec]>([
    ['older signatures (PROTO-393)', { version: 'v2' }],
    ['a wide protocol range (PROTO-013, PROTO-323)', { params: { minProtocol: 2, maxProtocol: 4 } }],
    ['unknown client ids and modes (PROTO-017, PRES-018)', { params: { client: { ...cli, id: 'ios-node', mode: 'operator' } } }],
    ['locale and user agent (PROTO-026, PROTO-027)', { params: { locale: 'en-US', userAgent: 'Durar-cli/1.2.3' } }],
    ['a signature that is 110 s old', { signedAt: Date.now() - 110_000 }],
    [
      'a node with its claims (PROTO-039 to PROTO-043)',
      {
        params: {
          client: { id: 'ios-node', version: '1.2.3', platform: 'ios', mode: 'node' },
          role: 'node',
          scopes: [],
          caps: ['camera', 'canvas'],
          commands: ['camera.snap'],
          permissions: { 'camera.capture': true },
          userAgent: 'Durar-ios/1.2.3',
        },
      },
    ],
  ])('accepts %s', async (_name, spec) => {
    const { url } = await startGateway();
    expect((await shake(url, spec)).answer).toMatchObject({ ok: true });
  });

  it('closes sockets that begin with something else (PROTO-005 to PROTO-008, GW-127, GW-165)', async () => {
    const { url } = await startGateway();
    const begin = async (frame: unknown) => {
      const socket = await dial(url);
      await socket.event('connect.challenge');
      socket.send(frame);
      return { closed: await socket.closed, answers: socket.frames.slice(1) };
    };
    expect(await begin('{not json')).toEqual({ closed: { code: 1000, reason: '' }, answers: [] });
    expect(await begin({ type: 'event', event: 'x' })).toEqual({ closed: { code: 1008, reason: 'invalid request frame' }, answers: [] });
    expect(await begin(Buffer.from('{"type":"req"}'))).toMatchObject({ closed: { code: 1008 }, answers: [] });
    const message = 'invalid handshake: first request must be connect';
    expect(await begin({ type: 'req', id: 'x-1', method: 'health', params: {} })).toMatchObject({
      closed: { code: 1008, reason: message },
      answers: [{ id: 'x-1', ok: false, error: { code: 'INVALID_REQUEST', message } }],
    });
  });

  it('answers nothing that was sent behind a refused connect (PROTO-008)', async () => {
    const { url } = await startGateway();
    const socket = await dial(url);
    const { nonce } = (await socket.event('connect.challenge')).payload as { nonce: string };
    socket.send({ type: 'req', id: 'c', method: 'connect', params: connectParamsFor(nonce, { params: { auth: { token: 'wrong' } } }) });
    socket.send({ type: 'req', id: 'h', method: 'health' });
    await socket.closed;
    expect(socket.frames.map((frame) => frame.id)).toEqual([undefined, 'c']);
  });

  it('limits what an unauthenticated socket may send', async () => {
    const { url } = await startGateway();
    for (const size of [70_000, 400_000]) {
      const socket = await dial(url);
      await socket.event('connect.challenge');
      socket.send({ type: 'req', id: 'x', method: 'connect', params: 'x'.repeat(size) });
      expect(await socket.closed).toMatchObject({ code: 1009, reason: 'preauth payload too large' });
    }
  });

  it('gives a socket a limited time to connect', async () => {
    const { url } = await startGateway({ settings: { handshakeTimeoutMs: 40 } });
    const socket = await dial(url);
    expect(await socket.closed).toEqual({ code: 1000, reason: '' });
  });

  it('refuses more unauthenticated sockets of one address than allowed, and counts them down again', async () => {
    const { url } = await startGateway({ settings: { maxPreauthConnectionsPerAddress: 2 } });
    const [first] = [await dial(url), await dial(url)];
    await expect(dial(url)).rejects.toThrow('503');
    first?.raw.close();
    await first?.closed;
    await connect(url);
    await connect(url);
  });

  it('cuts long close reasons to what a frame can carry', async () => {
    const { url } = await startGateway();
    const { socket } = await shake(url, { params: { ['é'.repeat(200)]: 1 } as never });
    const { reason } = await socket.closed;
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    expect(reason).not.toContain('\uFFFD');
  });
});
