import type { Channel, OutboundTarget } from 'Durar/plugin-sdk/core';
import { retryDelay } from 'Durar/plugin-sdk/retry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settings, toAnn } from '../../../test/fixtures/slack-account.ts';
import { BOT_TOKEN, createSlackServer, type Fault, type SlackServer } from '../../../test/fixtures/slack-server.ts';
import { resolveAccount } from './account.ts';
import { createSlack } from './channel.ts';

const TOO_MANY: Fault = { status: 429, retryAfter: 0 };
const PNG = `data:image/png;base64,${Buffer.from('a picture').toString('base64')}`;
const KEYED = { idempotencyKey: 'run:1:0' };

let server: SlackServer;
let channel: Channel;

beforeEach(async () => {
  server = await createSlackServer();
  channel = createSlack();
});
afterEach(() => server.close());

const send = (text: string, more: Partial<OutboundTarget> = {}, cfg = settings(server.url)) => channel.outbound?.sendText?.({ ...toAnn(cfg, more), text });
const sendMedia = (text: string, more: Partial<OutboundTarget> = {}) =>
  channel.outbound?.sendMedia?.({ ...toAnn(settings(server.url), more), text, mediaUrl: PNG });
const posts = () => server.of('chat.postMessage').length;

describe('the policy', () => {
  it('has three tries, a cap of 30 s and a tenth of jitter, set by channels.slack.retry (RETRY-004, RETRY-005, RETRY-006)', () => {
    const retryOf = (slack: object, accountId?: string) => resolveAccount({ channels: { slack: { botToken: BOT_TOKEN, ...slack } } }, accountId).retry;
    expect(retryOf({})).toEqual({ attempts: 3, minDelayMs: 500, maxDelayMs: 30_000, jitter: 0.1 });
    expect([1, 2, 3, 10].map((attempt) => retryDelay(retryOf({}), attempt, undefined, 0.5))).toEqual([500, 1000, 2000, 30_000]);
    expect(retryOf({ retry: { attempts: 5, jitter: 0 }, accounts: { work: { retry: { attempts: 2 } } } }, 'work')).toMatchObject({ attempts: 2, jitter: 0 });
  });

  it('counts tries, and ends with the error of the server; the library makes none of its own (RETRY-004)', async () => {
    server.fail('chat.postMessage', TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY);
    await expect(send('hello')).rejects.toMatchObject({ code: 'SLACK_RATE_LIMIT', retryable: true });
    expect(posts()).toBe(3);
    await expect(send('hello', {}, settings(server.url, { retry: { attempts: 1 } }))).rejects.toMatchObject({ code: 'SLACK_RATE_LIMIT' });
    expect(posts()).toBe(4);
  });

  it('waits as long as Slack asks, and no longer than the cap (RETRY-005)', async () => {
    server.fail('chat.postMessage', { status: 429, retryAfter: 1 }, { status: 429, retryAfter: 600 });
    await send('hello', {}, settings(server.url, { retry: { minDelayMs: 1, maxDelayMs: 1200 } }));
    const [first, second, third] = server.of('chat.postMessage').map(({ at }) => at);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(950);
    expect((third ?? 0) - (second ?? 0)).toBeGreaterThanOrEqual(1150);
  });
});

describe('what is tried again', () => {
  const cured: Array<[string, Fault]> = [
    ['429', TOO_MANY],
    ['a limit without a time', { status: 429 }],
    ['a limit in the answer', { error: 'ratelimited' }],
    ['503', { status: 503 }],
    ['500', { status: 500 }],
    ['a failure inside Slack', { error: 'internal_error' }],
    ['a reset connection', 'reset'],
  ];
  for (const [name, fault] of cured) {
    it(`${name}`, async () => {
      server.fail('chat.postMessage', fault);
      const sent = await send('hello');
      expect(sent).toEqual({ messageId: server.messages[0]?.ts });
      expect(posts()).toBe(2);
      expect(server.messages).toHaveLength(1);
    });
  }

  it('a server that does not answer in time, or that is not there', async () => {
    server.fail('chat.postMessage', 'stall');
    await send('hello', {}, settings(server.url, { timeoutSeconds: 0.3 }));
    expect(posts()).toBe(2);
    await server.down();
    const sent = send('later', {}, settings(server.url, { retry: { attempts: 20, minDelayMs: 20, maxDelayMs: 50 } }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await server.up();
    await sent;
    expect(server.messages.map(({ text }) => text)).toEqual(['hello', 'later']);
  });

  it('and nothing else: one request', async () => {
    const final: Array<[Fault, object]> = [
      [{ error: 'channel_not_found' }, { code: 'SLACK_TARGET', retryable: false }],
      [{ error: 'not_in_channel' }, { code: 'SLACK_NOT_MEMBER', retryable: false }],
      [
        { error: 'missing_scope', needed: 'chat:write' },
        { code: 'SLACK_SCOPE', retryable: false, hint: expect.stringContaining('chat:write') },
      ],
      [{ error: 'token_revoked' }, { code: 'SLACK_AUTH', retryable: false }],
      [{ error: 'is_archived' }, { code: 'SLACK_REFUSED', retryable: false }],
      [{ status: 404 }, { code: 'SLACK_SERVER', retryable: true }],
      ['portal', { code: 'SLACK_SERVER', retryable: true }],
    ];
    for (const [index, [fault, wanted]] of final.entries()) {
      server.fail('chat.postMessage', fault);
      await expect(send('hello')).rejects.toMatchObject(wanted);
      expect(posts()).toBe(index + 1);
    }
  });

  it('not what had a success response, though it is incomplete (RETRY-003)', async () => {
    server.fail('chat.postMessage', 'cut', 'cut');
    await expect(send('hello')).rejects.toMatchObject({ code: 'SLACK_ANSWER_LOST', retryable: false });
    const found = await send('hello', KEYED);
    expect(found).toEqual({ messageId: server.messages[1]?.ts });
    expect(posts()).toBe(2);
    server.fail('chat.postMessage', 'cut');
    server.fail('conversations.history', { status: 503 });
    await expect(send('hello', { idempotencyKey: 'run:3:0' })).rejects.toMatchObject({ code: 'SLACK_ANSWER_LOST', retryable: false });
    expect(posts()).toBe(3);
    // what changes nothing is asked again
    server.fail('chat.update', 'cut');
    const cfg = settings(server.url);
    await expect(channel.outbound?.editText?.({ ...toAnn(cfg), messageId: found?.messageId ?? '', text: 'changed' })).resolves.toBeDefined();
  });

  it('not when the caller gives up', async () => {
    server.fail('chat.postMessage', { status: 429, retryAfter: 20 });
    const controller = new AbortController();
    const sent = send('hello', { signal: controller.signal }, settings(server.url, { retry: {} }));
    setTimeout(() => controller.abort(), 100);
    await expect(sent).rejects.toMatchObject({ code: 'SLACK_RATE_LIMIT' });
    expect(posts()).toBe(1);
  });

  const kinds: Array<[string, string, () => Promise<unknown> | undefined]> = [
    ['RETRY-032', 'chat.postMessage', () => send('hello')],
    ['RETRY-033', 'files.getUploadURLExternal', () => sendMedia('')],
    ['RETRY-033', 'upload', () => sendMedia('')],
    ['RETRY-033', 'files.completeUploadExternal', () => sendMedia('')],
    ['RETRY-034', 'reactions.add', () => channel.outbound?.sendReaction?.({ ...toAnn(settings(server.url)), messageId: '1.1', emoji: '👍' })],
    ['RETRY-032', 'conversations.open', () => send('hello', { to: 'user:U0ANN00001' })],
  ];
  for (const [id, method, work] of kinds) {
    it(`${method} (${id})`, async () => {
      server.fail(method, TOO_MANY);
      await work();
      expect(server.of(method)).toHaveLength(2);
    });
  }
});

describe('a message whose answer was lost', () => {
  for (const place of [{}, { threadId: '1700000000.000100' }]) {
    it(`is found in its conversation and not sent again${'threadId' in place ? ', also in a thread' : ''} (RETRY-003)`, async () => {
      server.fail('chat.postMessage', 'lost');
      const sent = await send('hello', { ...KEYED, ...place });
      expect(sent).toEqual({ messageId: server.messages[0]?.ts });
      expect(server.messages).toHaveLength(1);
      expect(posts()).toBe(1);
    });
  }

  it('is found when the host tries it again (RETRY-003)', async () => {
    server.fail('chat.postMessage', 'lost');
    const once = settings(server.url, { retry: { attempts: 1 } });
    await expect(send('hello', KEYED, once)).rejects.toMatchObject({ code: 'SLACK_CONNECTION', retryable: true });
    await expect(send('hello', KEYED, once)).resolves.toEqual({ messageId: server.messages[0]?.ts });
    await send('hello', { idempotencyKey: 'run:2:0' }, once);
    expect(server.messages).toHaveLength(2);
  });

  for (const place of [{}, { threadId: '1700000000.000100' }]) {
    it(`is found by another process after a crash${'threadId' in place ? ', also in a thread' : ''} (RETRY-003)`, async () => {
      for (let index = 0; index < 130; index += 1) await send(`before ${index}`, { idempotencyKey: `old:${index}`, ...place });
      const sent = await send('hello', { ...KEYED, ...place });
      if (!('threadId' in place)) for (let index = 0; index < 130; index += 1) await send(`after ${index}`);
      const before = server.messages.length;
      channel = createSlack();
      await expect(send('hello', { ...KEYED, ...place, uncertain: true })).resolves.toEqual(sent);
      expect(server.messages).toHaveLength(before);
      // nobody looks without need
      const looks = () => server.of('conversations.history').length + server.of('conversations.replies').length;
      const looked = looks();
      await send('another', { idempotencyKey: 'run:9:0', ...place });
      expect(looks()).toBe(looked);
      await send('a third', { idempotencyKey: 'run:9:1', ...place, uncertain: true });
      expect(server.messages).toHaveLength(before + 2);
    });
  }

  it('is not sent while nobody can tell whether it went out before a crash', async () => {
    server.fail('conversations.history', { status: 503 });
    await expect(send('hello', { ...KEYED, uncertain: true })).rejects.toMatchObject({ retryable: true });
    expect(posts()).toBe(0);
  });

  it('is sent again when it is not there, or the app may not look', async () => {
    server.fail('chat.postMessage', 'reset');
    await send('one', KEYED);
    server.fail('chat.postMessage', 'lost');
    server.fail('conversations.history', { error: 'missing_scope', needed: 'im:history' });
    await send('two', { idempotencyKey: 'run:2:0' });
    expect(server.messages.map(({ text }) => text)).toEqual(['one', 'two', 'two']);
  });
});

describe('a file', () => {
  it('repeats only the step that failed (RETRY-001, RETRY-037)', async () => {
    server.fail('upload', 'reset');
    server.fail('files.completeUploadExternal', { status: 503 });
    await sendMedia('look');
    const counts = ['files.getUploadURLExternal', 'upload', 'files.completeUploadExternal'].map((method) => server.of(method).length);
    expect(counts).toEqual([1, 2, 2]);
    expect(server.messages.map(({ text }) => text)).toEqual(['look[file.png]']);
  });

  it('goes on where it was when the host tries it again (RETRY-003, RETRY-037)', async () => {
    const long = `${'word '.repeat(900)}\n\n${'more '.repeat(300)}`;
    server.fail('files.completeUploadExternal', { error: 'channel_not_found' });
    await expect(sendMedia(long, KEYED)).rejects.toMatchObject({ code: 'SLACK_TARGET' });
    server.fail('chat.postMessage', { error: 'not_in_channel' });
    await expect(sendMedia(long, KEYED)).rejects.toMatchObject({ code: 'SLACK_NOT_MEMBER' });
    await sendMedia(long, KEYED);
    expect(server.of('upload')).toHaveLength(1);
    expect(server.of('files.completeUploadExternal')).toHaveLength(2);
    expect(server.messages[0]?.text).toBe('[file.png]');
    expect(server.messages).toHaveLength(3);
  });

  it('is shown once when the answer was lost', async () => {
    server.fail('files.completeUploadExternal', 'lost');
    await sendMedia('look', KEYED);
    expect(server.messages).toHaveLength(1);
  });
});
