import { describe, expect, it } from 'vitest';
import { HANDSHAKE_DEVIATIONS, HELLO_ABSENT } from './deviations.ts';
import { connect, dial, shake, startGateway } from './harness.ts';
import { handshakes, recording, retold, shapeOf } from './recording.ts';

/** The origin that the page of each handshake of recording 11 came from. */
const ORIGINS = [undefined, 'https://elsewhere.example', 'http://localhost:18789'];

describe('recorded handshakes', () => {
  const cases = ['03', '04', '05', '07', '08', '09', '10', '11'].flatMap((number) => handshakes(number).map((group, index) => ({ number, index, group })));

  it.each(cases)('answers handshake $index of recording $number as recorded (PROTO-012, PROTO-030, PROTO-380)', async ({ number, index, group }) => {
    const { url } = await startGateway();
    const origin = number === '11' ? ORIGINS[index] : undefined;
    const socket = await dial(url, origin === undefined ? {} : { headers: { origin } });
    const { nonce } = (await socket.event('connect.challenge')).payload as { nonce: string };
    const sent = group[1]?.frame;
    const answer = await socket.call(sent?.method ?? '', sent?.method === 'connect' ? retold(group, nonce) : sent?.params, sent?.id);
    const deviation = HANDSHAKE_DEVIATIONS.find(({ file, group: at }) => file === number && at === index);
    if (deviation !== undefined) {
      expect(answer, deviation.why).toMatchObject(deviation.answer);
      return;
    }
    expect(answer).toEqual(group.find(({ frame }) => frame?.type === 'res')?.frame);
    const close = group.find(({ dir }) => dir === 'close');
    if (close !== undefined) expect(await socket.closed).toEqual({ code: close.code, reason: close.reason });
  });

  it('names every deviation that the recordings show, and no other', () => {
    for (const { file, group } of HANDSHAKE_DEVIATIONS) expect(cases.some(({ number, index }) => number === file && index === group)).toBe(true);
  });

  it('locks browsers out as recorded (12)', async () => {
    const { url } = await startGateway();
    const page = { headers: { origin: 'http://localhost:3000' } };
    for (let i = 0; i < 10; i += 1) await shake(url, { params: { auth: { token: 'wrong' } } }, page);
    const { answer } = await shake(url, { params: { auth: { token: 'wrong' } } }, page);
    expect(answer).toEqual(recording('12').find(({ frame }) => frame?.type === 'res')?.frame);
  });

  it('says hello in the recorded shape (01, PROTO-038)', async () => {
    const { url } = await startGateway();
    const recorded = recording('01').find(({ frame }) => frame?.type === 'res')?.frame?.payload;
    await connect(url);
    const { hello } = await connect(url);
    const [theirs, ours] = [shapeOf(recorded), shapeOf(hello)];
    const missing = [...theirs].filter((path) => !ours.has(path)).map((path) => path.slice(0, path.lastIndexOf(':')));
    const unexplained = missing.filter((path) => !Object.keys(HELLO_ABSENT).some((absent) => path === absent || path.startsWith(`${absent}.`)));
    expect(unexplained).toEqual([]);
  });
});

describe('recorded runs', () => {
  /** Times differ; numbers of events are compared by their steps. */
  const stable = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (key, member) => (['ts', 'timestamp', 'acceptedAt', 'startedAt', 'endedAt', 'durationMs'].includes(key) ? 0 : member));

  it('tells a two-stage run as recorded (16, GW-149 to GW-152)', async () => {
    const frames = recording('16').flatMap(({ frame }) => (frame === undefined ? [] : [frame]));
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const request = frames[0];
    const ack = await socket.call('agent', request?.params, 'op-1');
    expect(stable(ack)).toEqual(stable(frames[1]));
    const told = frames
      .filter(({ event }) => event === 'agent')
      .map(({ payload }) => payload as { runId: string; stream: 'assistant'; data: Record<string, unknown> });
    for (const { runId, stream, data } of told) agent.emit(runId, stream, data);
    const final = frames.at(-1)?.payload as { runId: string; result: { payloads: Array<{ text: string; mediaUrl: null }>; meta: never } };
    agent.finish(final.runId, final.result);
    expect(stable(await socket.next(({ id }) => id === 'op-1'))).toEqual(stable(frames.at(-1)));
    const heard = socket.frames.filter(({ event }) => event === 'agent').map(({ payload }) => payload);
    expect(stable(heard)).toEqual(stable(told));
    const last = (list: typeof frames) => list.findLast(({ event }) => event === 'chat')?.payload;
    expect(stable(last(socket.frames as typeof frames))).toEqual(stable(last(frames)));
    const numbers = socket.frames.flatMap(({ event, seq }) => (event === 'agent' || event === 'chat' ? [seq as number] : []));
    expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0))).toBe(true);
  });

  it('answers as recorded what is asked of runs that are not there (18)', async () => {
    const { url } = await startGateway();
    const socket = await connect(url);
    const frames = recording('18').flatMap(({ frame }) => (frame === undefined ? [] : [frame]));
    for (const id of ['op-4', 'op-5', 'op-6']) {
      const [request, answer] = frames.filter((frame) => frame.id === id);
      expect(await socket.call(request?.method ?? '', request?.params, id)).toEqual(answer);
    }
  });

  it('starts, repeats and aborts chat runs as recorded (19, 21)', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const replay = async (number: string, ids: string[]) => {
      const frames = recording(number).flatMap(({ frame }) => (frame === undefined ? [] : [frame]));
      for (const id of ids) {
        const [request, answer] = frames.filter((frame) => frame.id === id);
        expect(await socket.call(request?.method ?? '', request?.params, id)).toEqual(answer);
      }
      return frames;
    };
    await replay('19', ['op-7', 'op-8']);
    agent.finish('run-chat-1');
    const frames = await replay('21', ['op-13']);
    for (const text of ['word0', 'word0 word1 word2 word3 word4 word5 word6 word7 word8']) agent.emit('run-slow-1', 'assistant', { text });
    await replay('21', ['op-14', 'op-15']);
    const aborted = (list: typeof frames) => list.find(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'aborted')?.payload;
    const { seq: _ours, ...ours } = stable(aborted(socket.frames as typeof frames)) as { seq: number };
    const { seq: _theirs, ...theirs } = stable(aborted(frames)) as { seq: number };
    expect(ours).toEqual(theirs);
  });

  it('stops as recorded (39, GW-166)', async () => {
    const { url, gateway } = await startGateway();
    const socket = await connect(url);
    void gateway.close();
    const [shutdown, close] = recording('39').slice(-2);
    expect((await socket.event('shutdown')).payload).toEqual(shutdown?.frame?.payload);
    expect(await socket.closed).toEqual({ code: close?.code, reason: close?.reason });
  });
});
