import type { ChannelOutboundAdapter } from 'Durar/plugin-sdk/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newDiscord, settings, toGeneral } from '../../../test/fixtures/discord-account.ts';
import { createDiscordServer, type DiscordServer, type Fault, TOKEN } from '../../../test/fixtures/discord-server.ts';

let server: DiscordServer;
let outbound: Required<ChannelOutboundAdapter>;

beforeEach(async () => {
  server = await createDiscordServer();
  outbound = newDiscord().outbound as Required<ChannelOutboundAdapter>;
});
afterEach(() => server.close());

const limited = (retry_after?: number, global = false): Fault => ({
  status: 429,
  body: { message: 'You are being rate limited.', ...(retry_after === undefined ? {} : { retry_after }), global },
});
/** Settings in which `retry` is all there is. */
const cfg = (retry?: object) => settings(server.url, { retry });
const quick = () => cfg({ minDelayMs: 1, jitter: 0 });
const say = (text: string, config = quick(), more = {}) => outbound.sendText({ ...toGeneral(config, more), text });
const posts = () => server.of('POST messages');
const waits = (kind = 'POST messages') => {
  const times = server.of(kind).map(({ at }) => at);
  return times.slice(1).map((time, index) => time - (times[index] ?? 0));
};

describe('the retry of one request', () => {
  it('tries three times, then throws (RETRY-004)', async () => {
    server.fail('POST messages', ...Array.from({ length: 9 }, () => limited()));
    await expect(say('hello')).rejects.toMatchObject({ code: 'DISCORD_RATE_LIMIT', retryable: true });
    expect(posts()).toHaveLength(3);
  });

  it('waits 500 ms, then twice as long, within a tenth (RETRY-008, RETRY-011, RETRY-006)', async () => {
    server.fail('POST messages', limited(), limited());
    await say('hello', cfg());
    const [first = 0, second = 0] = waits();
    expect(first).toBeGreaterThanOrEqual(499);
    expect(second).toBeGreaterThanOrEqual(890);
    expect(second).toBeGreaterThan(first);
  });

  it('waits as long as Discord asks, fractions included (RETRY-010)', async () => {
    server.fail('POST messages', limited(0.35));
    await say('hello');
    expect(waits()[0]).toBeGreaterThanOrEqual(349);
  });

  it('takes the header where the body says nothing (RETRY-010)', async () => {
    server.fail('POST messages', { status: 429, body: {}, headers: { 'retry-after': '1' } });
    await say('hello', cfg({ minDelayMs: 1, maxDelayMs: 300 }));
    expect(waits()[0]).toBeGreaterThanOrEqual(299);
  });

  it.each(['reset', 'stall', 'page', { status: 500 }, { status: 502 }, { status: 503 }, { status: 400 }, { status: 403 }] as const)(
    'makes one request and throws: %j (RETRY-009)',
    async (fault) => {
      server.fail('POST messages', fault);
      await expect(say('hello', settings(server.url, { timeoutSeconds: 0.3 }))).rejects.toMatchObject({ name: 'DiscordError' });
      expect(posts()).toHaveLength(1);
    },
  );

  it('goes by its own settings (RETRY-022, RETRY-027, RETRY-028, RETRY-029, RETRY-030)', async () => {
    server.fail('POST messages', limited(), limited(), limited(), limited(), limited(), limited());
    await expect(say('once', cfg({ attempts: 1 }))).rejects.toMatchObject({ code: 'DISCORD_RATE_LIMIT' });
    expect(posts()).toHaveLength(1);
    const telegram = {
      channels: { ...(cfg({ attempts: 4, minDelayMs: 40, maxDelayMs: 100, jitter: 0 }).channels as object), telegram: { retry: { attempts: 1 } } },
    };
    await expect(say('four', telegram)).rejects.toMatchObject({ code: 'DISCORD_RATE_LIMIT' });
    expect(posts()).toHaveLength(5);
    const [, first = 0, second = 0, third = 0] = waits();
    expect(first).toBeGreaterThanOrEqual(39);
    expect(second).toBeGreaterThanOrEqual(79);
    expect(third).toBeGreaterThanOrEqual(99);
    expect(third).toBeLessThan(160 + second);
  });

  it('holds everything back while the global limit lasts', async () => {
    server.fail('POST messages', limited(0.3, true));
    const first = say('first');
    await expect.poll(() => posts().length).toBe(1);
    await outbound.sendText({ ...toGeneral(quick(), { to: 'channel:810000000000000002' }), text: 'elsewhere' });
    await first;
    expect(waits()[0]).toBeGreaterThanOrEqual(299);
  });

  it('keeps within an announced limit without using up a try', async () => {
    const headers = { 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '0.3' };
    server.fail('POST messages', { status: 200, body: { id: '1', channel_id: '2', author: { id: '3', username: 'x' } }, headers });
    await say('first', cfg({ attempts: 1 }));
    await say('second', cfg({ attempts: 1 }));
    expect(waits()[0]).toBeGreaterThanOrEqual(280);
  });

  it('keeps the order of a channel while one of its messages waits (RETRY-002)', async () => {
    server.fail('POST messages', limited(0.1), limited(0.05));
    await Promise.all(['one', 'two', 'three'].map((text) => say(text)));
    expect(server.messages.map(({ content }) => content)).toEqual(['one', 'two', 'three']);
    expect(posts().map(({ body }) => body.content)).toEqual(['one', 'one', 'one', 'two', 'three']);
  });

  it('never repeats what succeeded, and shows a repeated delivery once (RETRY-003)', async () => {
    server.fail('POST messages', 'lost');
    const once = { idempotencyKey: 'm1:0' };
    await expect(say('hello', quick(), once)).rejects.toMatchObject({ code: 'DISCORD_CONNECTION', retryable: true });
    expect(posts()).toHaveLength(1);
    const { messageId } = await say('hello', quick(), once);
    expect(server.messages.map(({ id }) => id)).toEqual([messageId]);
  });

  it('covers sends, uploads, reactions, polls, stickers, edits and direct channels (RETRY-032, RETRY-033, RETRY-034, RETRY-035, RETRY-036)', async () => {
    const to = toGeneral(quick());
    const { messageId = '' } = await outbound.sendText({ ...to, text: 'hello' });
    const kinds: Array<[string, () => Promise<unknown>]> = [
      ['POST messages', () => outbound.sendText({ ...to, text: 'again' })],
      ['POST messages', () => outbound.sendMedia({ ...to, text: '', mediaUrl: 'data:text/plain,hi' })],
      ['PUT reactions', () => outbound.sendReaction({ ...to, messageId, emoji: '👍' })],
      ['POST messages', () => outbound.sendPoll({ ...to, poll: { question: 'Tea?', options: ['yes', 'no'], maxSelections: 1 } })],
      ['POST messages', () => outbound.sendMedia({ ...to, text: '', mediaUrl: 'https://cdn.discordapp.com/stickers/5.png' })],
      ['PATCH message', () => outbound.editText({ ...to, messageId, text: 'changed' })],
      ['POST channels', () => outbound.sendText({ ...to, to: 'user:700000000000000009', text: 'hi' })],
      ['DELETE message', () => outbound.deleteMessage({ ...to, messageId })],
    ];
    for (const [kind, act] of kinds) {
      const before = server.of(kind).length;
      server.fail(kind, limited());
      await act();
      expect(server.of(kind).length - before).toBe(2);
    }
    expect(server.of('POST messages').filter(({ files }) => files.length === 1)).toHaveLength(2);
  });

  it('does not repeat the steps of a message that are done (RETRY-001, RETRY-037)', async () => {
    const text = `${'word '.repeat(500)}end`;
    const send = () => outbound.sendMedia({ ...toGeneral(quick(), { idempotencyKey: 'k' }), text, mediaUrl: 'data:text/plain,hi' });
    server.fail('POST messages', undefined, { status: 500 });
    await expect(send()).rejects.toMatchObject({ code: 'DISCORD_SERVER', retryable: true });
    await send();
    expect(posts().filter(({ files }) => files.length > 0)).toHaveLength(1);
    expect(server.messages).toHaveLength(2);
  });

  it('does not try a typing sign again', async () => {
    server.fail('POST typing', limited());
    await expect(outbound.sendTyping(toGeneral(quick()))).rejects.toMatchObject({ code: 'DISCORD_RATE_LIMIT' });
    expect(server.of('POST typing')).toHaveLength(1);
  });

  it('ends a wait when it is given up', async () => {
    const controller = new AbortController();
    server.fail('POST messages', limited(20));
    const sending = say('hello', cfg(), { signal: controller.signal });
    await expect.poll(() => posts().length).toBe(1);
    controller.abort();
    await expect(sending).rejects.toMatchObject({ code: 'DISCORD_RATE_LIMIT' });
  });

  it('shows the token in no error', async () => {
    const wrong = `${TOKEN}x`;
    server.fail('POST messages', { status: 400, body: { message: `bad ${wrong}`, code: 50_035 } }, { status: 401, body: { message: `401 ${wrong}` } });
    const config = settings(server.url, { token: wrong });
    for (const code of ['DISCORD_REFUSED', 'DISCORD_TOKEN']) {
      const error = await say('hello', config).catch((thrown: unknown) => thrown as Error);
      expect(error).toMatchObject({ code, retryable: false });
      expect(JSON.stringify({ ...(error as object), message: (error as Error).message, stack: (error as Error).stack })).not.toContain(TOKEN);
    }
  });
});
