import { describe, expect, it } from 'vitest';
import { HANDOFF_ADDED, HELLO_ABSENT } from './deviations.ts';
import { connect, dial, newDevice, type Socket, startGateway, type TestDevice, TOKEN } from './harness.ts';
import { handshakes, type Recorded, recording, retold, shapeOf } from './recording.ts';

const REMOTE = { headers: { 'x-forwarded-for': '203.0.113.9' } };
const TIMES = ['ts', 'createdAtMs', 'approvedAtMs', 'rotatedAtMs', 'revokedAtMs', 'lastUsedAtMs'];

/** Times differ, and so does the address: here it is that of the proxy. */
const stable = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (key, member) => (TIMES.includes(key) ? 0 : key === 'remoteIp' || key === 'seq' ? undefined : member));

async function replay(url: string, group: Recorded[], device: TestDevice, changes: Record<string, unknown> = {}, options = {}) {
  const socket = await dial(url, options);
  const { nonce } = (await socket.event('connect.challenge')).payload as { nonce: string };
  const answer = await socket.call('connect', retold(group, nonce, device, changes), group[1]?.frame?.id);
  return { socket, answer, recorded: group.find(({ frame }) => frame?.type === 'res')?.frame };
}

/** What is missing in our shape and is not explained. */
function unexplained(recorded: unknown, ours: unknown): string[] {
  const present = shapeOf(ours);
  return (
    [...shapeOf(recorded)]
      .filter((path) => !present.has(path))
      .map((path) => path.slice(0, path.lastIndexOf(':')))
      // This gateway has no session yet.
      .filter((path) => !path.includes('sessions.recent[]'))
      .filter((path) => !Object.keys(HELLO_ABSENT).some((absent) => path === absent || path.startsWith(`${absent}.`)))
  );
}

/** Replaces the recorded names of things by ours, so that whole frames can be compared. */
function renamer(pairs: ReadonlyArray<readonly [string, string]>) {
  return (value: unknown): unknown => JSON.parse(pairs.reduce((text, [theirs, ours]) => text.replaceAll(theirs, ours), JSON.stringify(value)));
}

describe('recorded devices', () => {
  it('welcomes a node as recorded (02, PROTO-039 to PROTO-043)', async () => {
    const { url } = await startGateway();
    await connect(url);
    const { answer, recorded } = await replay(url, handshakes('02')[0] ?? [], newDevice());
    expect(answer).toMatchObject({ id: 'connect-1', ok: true, payload: { type: 'hello-ok', protocol: 3, auth: { role: 'node', scopes: [] } } });
    expect(unexplained(recorded?.payload, answer.payload)).toEqual([]);
  });

  it('takes a bootstrap token as recorded: an invalid one, then a valid one from elsewhere (06, PROTO-033 to PROTO-035)', async () => {
    const { url } = await startGateway();
    const operator = await connect(url);
    const [invalid = [], valid = []] = handshakes('06');
    const refused = await replay(url, invalid, newDevice());
    expect(refused.answer).toEqual(refused.recorded);
    expect(await refused.socket.closed).toEqual({ code: 1008, reason: invalid.find(({ dir }) => dir === 'close')?.reason });
    const { bootstrapToken } = (await operator.call('device.bootstrap.issue', {})).payload as { bootstrapToken: string };
    const { answer, recorded } = await replay(url, valid, newDevice(), { auth: { bootstrapToken } }, REMOTE);
    expect(unexplained(recorded?.payload, answer.payload)).toEqual([]);
    const [theirs, ours] = [recorded?.payload, answer.payload].map((payload) => (payload as { auth: Record<string, unknown> }).auth);
    const { deviceTokens, ...primary } = ours ?? {};
    expect(Object.keys(primary).sort()).toEqual(Object.keys(theirs ?? {}).sort());
    expect(primary).toMatchObject({ role: 'node', scopes: [] });
    expect(deviceTokens, HANDOFF_ADDED).toMatchObject([{ role: 'operator' }]);
  });

  it('pairs a device from elsewhere as recorded (13, PROTO-201, PROTO-202, PROTO-369)', async () => {
    const { url } = await startGateway();
    const frames = recording('13');
    const [first = [], second = [], third = []] = handshakes('13');
    const cli = await connect(url, { params: { scopes: ['operator.admin', 'operator.read', 'operator.write', 'operator.approvals', 'operator.pairing'] } });
    const approver = await connect(url, {
      params: {
        client: { id: 'gateway-client', version: '1.2.3', platform: 'linux', mode: 'ui', displayName: 'Approver' },
        scopes: ['operator.read', 'operator.write', 'operator.approvals', 'operator.pairing'],
      },
    });
    const phone = newDevice();

    const asked = await replay(url, first, phone, {}, REMOTE);
    const { requestId } = (asked.answer.error as { details: { requestId: string } }).details;
    const payloadOf = (fits: (frame: NonNullable<Recorded['frame']>) => boolean) =>
      frames.find(({ frame }) => frame !== undefined && fits(frame))?.frame?.payload;
    const recordedRequest = payloadOf(({ event }) => event === 'device.pair.requested') as Record<string, string>;
    const { paired: listed } = payloadOf(({ id, type }) => id === 'op-1' && type === 'res') as { paired: Array<Record<string, string>> };
    const mine = await ids(cli);
    const rename = renamer([
      [recordedRequest.requestId ?? '', requestId],
      [recordedRequest.deviceId ?? '', phone.id],
      [recordedRequest.publicKey ?? '', phone.publicKey],
      ...listed.flatMap((device, index) => [
        [device.deviceId ?? '', mine[index]?.deviceId ?? ''] as const,
        [device.publicKey ?? '', mine[index]?.publicKey ?? ''] as const,
      ]),
    ]);
    expect(asked.answer).toEqual(rename(asked.recorded));
    expect(await asked.socket.closed).toEqual({ code: 1008, reason: 'pairing required' });
    expect(stable((await approver.event('device.pair.requested')).payload)).toEqual(stable(rename(recordedRequest)));

    const answered = async (socket: Socket, id: string) => {
      const [request, response] = frames.flatMap(({ frame }) => (frame?.id === id ? [frame] : []));
      const answer = await socket.call(request?.method ?? '', rename(request?.params), id);
      expect(stable(answer)).toEqual(stable(rename(response)));
    };
    await answered(cli, 'op-1');
    await answered(approver, 'appr-1');
    const resolved = payloadOf(({ event }) => event === 'device.pair.resolved');
    const heard = await cli.next(({ event, payload }) => event === 'device.pair.resolved' && (payload as { requestId: string }).requestId === requestId);
    expect(stable(heard.payload)).toEqual(stable(rename(resolved)));

    const welcomed = await replay(url, second, phone, {}, REMOTE);
    expect(unexplained(welcomed.recorded?.payload, welcomed.answer.payload)).toEqual([]);
    expect(welcomed.answer.payload).toMatchObject({ auth: { role: 'operator', scopes: ['operator.read'] } });
    const upgrade = await replay(url, third, phone, {}, REMOTE);
    const [theirs, ours] = [upgrade.recorded, upgrade.answer].map(
      (frame) => (frame?.error as { details: { requestId: string } } | undefined)?.details.requestId ?? '',
    );
    expect(upgrade.answer).toEqual(renamer([[theirs ?? '', ours ?? '']])(upgrade.recorded));
  });

  it('rotates, revokes, rejects and removes as recorded (14, PROTO-203 to PROTO-206)', async () => {
    const { url } = await startGateway();
    const frames = recording('14').flatMap(({ frame }) => (frame === undefined ? [] : [frame]));
    const admin = await connect(url);
    const approver = await connect(url, { params: { scopes: ['operator.read', 'operator.write', 'operator.approvals', 'operator.pairing'] } });
    const phone = newDevice();
    const held = await connect(url, { device: phone, params: { scopes: ['operator.read'] } });
    const second = await connect(url, { device: phone, params: { scopes: ['operator.read'] } });
    const pairs: Array<[string, string]> = [['f20553d80f1d633b39119a6f4b4b8df759516c548920b996de4ecd42a91902f4', phone.id]];
    const sent = (id: string) => frames.filter((frame) => frame.id === id);
    const answered = async (socket: Socket, id: string, ignore?: 'token') => {
      const [request, response] = sent(id);
      const rename = renamer(pairs);
      const answer = await socket.call(request?.method ?? '', rename(request?.params), id);
      const strip = (value: unknown) => JSON.parse(JSON.stringify(stable(value)), (key, member) => (key === ignore ? typeof member : member));
      expect(strip(answer)).toEqual(strip(rename(response)));
    };
    await answered(approver, 'appr-3', 'token');
    expect(await held.closed).toEqual({ code: 4001, reason: 'device removed' });
    expect(await second.closed).toEqual({ code: 4001, reason: 'device removed' });
    await answered(approver, 'appr-4');
    await answered(approver, 'appr-5');
    const asked = await replay(url, handshakes('13')[2] ?? [], phone, { auth: { token: TOKEN } }, REMOTE);
    pairs.push(['7a846243-d4b9-4c30-8a39-d0903bcf89c3', (asked.answer.error as { details: { requestId: string } }).details.requestId]);
    await answered(admin, 'op-3');
    await answered(admin, 'op-4');
    await answered(admin, 'op-5');
    await answered(approver, 'appr-2');
  });
});

async function ids(socket: Socket): Promise<Array<{ deviceId: string; publicKey: string }>> {
  return ((await socket.call('device.pair.list', {})).payload as { paired: Array<{ deviceId: string; publicKey: string }> }).paired;
}
