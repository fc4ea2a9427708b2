import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connect, connectParamsFor, dial, startGateway } from '../conformance/harness.ts';
import { frame, OPCODE, openRaw, type RawSocket } from '../conformance/raw-socket.ts';
import { answeredAs, brokenUtf8, bytes, faultOf, texts } from './hostile.ts';

const settings = { maxPreauthConnectionsPerAddress: 10_000, handshakeTimeoutMs: 30_000 };
/** Close codes that the protocol page or RFC 6455 names for what is sent here. */
const CLOSES = new Set([1000, 1002, 1003, 1007, 1008, 1009]);

async function raw(port: number): Promise<RawSocket> {
  const socket = await openRaw(port);
  onTestFinished(() => socket.destroy());
  return socket;
}

async function connected(port: number): Promise<RawSocket> {
  const socket = await raw(port);
  const { payload } = JSON.parse((await socket.next()) ?? '') as { payload: { nonce: string } };
  await socket.write(frame(JSON.stringify({ type: 'req', id: 'connect', method: 'connect', params: connectParamsFor(payload.nonce) })));
  expect(JSON.parse((await socket.next()) ?? '')).toMatchObject({ id: 'connect', ok: true });
  return socket;
}

const health = (id: string) => frame(JSON.stringify({ type: 'req', id, method: 'health' }));

/** Skips events. */
async function answer(socket: RawSocket): Promise<Record<string, unknown> | undefined> {
  for (;;) {
    const text = await socket.next();
    if (text === undefined) return undefined;
    const parsed = JSON.parse(text) as Record<string, unknown>;
    if (parsed.type === 'res') return parsed;
  }
}

describe('hostile clients', () => {
  it('after the handshake every text is answered under its id or ignored, and the socket goes on (PROTO-044 to PROTO-046)', async () => {
    const { url } = await startGateway({ settings });
    let socket = await connect(url);
    let sentinel = 0;
    await fc.assert(
      fc.asyncProperty(texts(), async (text) => {
        if (socket.raw.readyState !== socket.raw.OPEN) socket = await connect(url);
        const expected = answeredAs(text);
        const from = socket.frames.length;
        socket.send(text);
        sentinel += 1;
        const answers = [];
        if (expected !== undefined) answers.push(await socket.next(({ type, id }) => type === 'res' && id === expected.id));
        await socket.call('health', {}, `sentinel-${sentinel}`);
        for (const each of answers) expect(faultOf(each as never, expected ?? { isRequest: false })).toBeUndefined();
        if (expected === undefined)
          expect(socket.frames.slice(from).filter(({ type, id }) => type === 'res' && !String(id).startsWith('sentinel-'))).toEqual([]);
      }),
      { numRuns: 600 },
    );
  });

  it('before the handshake every text ends in a documented close (PROTO-013)', async () => {
    const { url } = await startGateway({ settings });
    await fc.assert(
      fc.asyncProperty(texts(), async (text) => {
        const socket = await dial(url);
        socket.send(text);
        const { code, reason } = await socket.closed;
        const expected = answeredAs(text);
        if (Buffer.byteLength(text) > 65_536) expect([code, reason]).toEqual([1009, 'preauth payload too large']);
        else if (expected === undefined) expect([code, reason]).toEqual([1000, '']);
        else if (!expected.isRequest) expect([code, reason]).toEqual([1008, 'invalid request frame']);
        else expect(code).toBe(1008);
      }),
      { numRuns: 200 },
    );
    expect((await (await connect(url)).call('health')).ok).toBe(true);
  });

  it('bytes that are no frames, and texts that are no UTF-8, close one socket and nothing else', async () => {
    const { url, port } = await startGateway({ settings });
    const witness = await connect(url);
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.oneof(
          bytes(),
          brokenUtf8().map((text) => frame(text)),
        ),
        async (isAccepted, data) => {
          const socket = await (isAccepted ? connected(port) : raw(port));
          await socket.write(data);
          // a close of our own ends those that wait for the rest of a frame
          await socket.write(frame(Buffer.from([0x03, 0xe8]), { opcode: OPCODE.close }));
          socket.tcp.end();
          const close = await socket.ended;
          if (close !== undefined) expect(CLOSES).toContain(close.code);
        },
      ),
      { numRuns: 300 },
    );
    expect((await witness.call('health')).ok).toBe(true);
    const broken = await connected(port);
    await broken.write(frame(Buffer.from([0x22, 0xe2, 0x82, 0x22])));
    expect(await broken.ended).toMatchObject({ code: 1007 });
  });

  it('takes a frame split at any byte', async () => {
    const { port } = await startGateway({ settings });
    const socket = await connected(port);
    const length = health('split').length;
    for (let at = 1; at < length; at += 1) {
      const whole = health('split');
      await socket.write(whole.subarray(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      await socket.write(whole.subarray(at));
      expect(await answer(socket)).toMatchObject({ id: 'split', ok: true });
    }
    // the handshake byte by byte
    const slow = await raw(port);
    const { payload } = JSON.parse((await slow.next()) ?? '') as { payload: { nonce: string } };
    const connectFrame = frame(JSON.stringify({ type: 'req', id: 'connect', method: 'connect', params: connectParamsFor(payload.nonce) }));
    for (const byte of connectFrame) await slow.write(Buffer.from([byte]));
    expect(await answer(slow)).toMatchObject({ id: 'connect', ok: true });
    // and fragments of one message
    const text = Buffer.from(JSON.stringify({ type: 'req', id: 'parts', method: 'health' }));
    await slow.write(frame(text.subarray(0, 10), { fin: false }));
    for (const byte of text.subarray(10, -1)) await slow.write(frame(Buffer.from([byte]), { opcode: OPCODE.continuation, fin: false }));
    await slow.write(frame('', { opcode: OPCODE.ping }));
    await slow.write(frame(text.subarray(-1), { opcode: OPCODE.continuation }));
    expect(await answer(slow)).toMatchObject({ id: 'parts', ok: true });
  });

  it('closes what is too large before it is read (PROTO-031)', async () => {
    const { port } = await startGateway({ settings });
    const early = await raw(port);
    await early.write(frame('', { claim: 100_000_000 }));
    expect(await early.ended).toMatchObject({ code: 1009 });
    const late = await connected(port);
    await late.write(frame('', { claim: 26_214_401 }));
    expect(await late.ended).toMatchObject({ code: 1009 });
  });

  it('keeps the findings about a hostile request few', async () => {
    const { url } = await startGateway();
    const socket = await connect(url);
    const attachments = Array.from({ length: 200_000 }, () => 1);
    const { error } = await socket.call('chat.send', { sessionKey: 'main', message: 'x', idempotencyKey: 'k', attachments });
    expect(String(error?.message).length).toBeLessThan(10_000);
    const extra = Object.fromEntries(Array.from({ length: 100_000 }, (_item, at) => [`k${at}`, 1]));
    expect(String((await socket.call('sessions.list', extra)).error?.message).length).toBeLessThan(10_000);
  });
});
