import type { Channel, OutboundTarget } from 'Durar/plugin-sdk/core';
import { RETRY_DEFAULTS, retryDelay } from 'Durar/plugin-sdk/retry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/fixtures/channel-account.ts';
import { settings, toAnn } from '../../../test/fixtures/telegram-account.ts';
import { createTelegramServer, type Fault, type TelegramServer, TOKEN } from '../../../test/fixtures/telegram-server.ts';
import { resolveAccount } from './account.ts';
import { createTelegram } from './channel.ts';

const TOO_MANY: Fault = { error_code: 429, description: 'Too Many Requests: retry later' };
const PNG = `data:image/png;base64,${Buffer.from('a picture').toString('base64')}`;

let server: TelegramServer;
let channel: Channel;

beforeEach(async () => {
  server = await createTelegramServer();
  channel = createTelegram();
});
afterEach(() => server.close());

const send = (text: string, cfg = settings(server.url), more: Partial<OutboundTarget> = {}) => channel.outbound?.sendText?.({ ...toAnn(cfg, more), text });
const retryOf = (retry: object) => resolveAccount({ channels: { telegram: { botToken: TOKEN, retry } } }).retry;

describe('the policy', () => {
  it('has three tries, a cap of 30 s, a tenth of jitter and a first wait of 400 ms (RETRY-004, RETRY-005, RETRY-006, RETRY-007)', () => {
    const { retry } = resolveAccount({ channels: { telegram: { botToken: TOKEN } } });
    expect(retry).toEqual({ attempts: 3, minDelayMs: 400, maxDelayMs: 30_000, jitter: 0.1 });
    expect(RETRY_DEFAULTS.minDelayMs).not.toBe(400);
    expect([0, 0.5, 0.999].map((random) => retryDelay(retry, 1, undefined, random))).toEqual([400, 400, 440]);
    expect([1, 2, 3, 10].map((attempt) => retryDelay(retry, attempt, undefined, 0.5))).toEqual([400, 800, 1600, 30_000]);
    expect(retryDelay(retry, 1, 90_000, 0.5)).toBe(30_000);
  });

  it('is set by channels.telegram.retry, and member by member by an account (RETRY-022, RETRY-023, RETRY-024, RETRY-025, RETRY-026)', () => {
    expect(retryOf({ attempts: 1 })).toMatchObject({ attempts: 1, minDelayMs: 400 });
    expect(retryDelay(retryOf({ minDelayMs: 50, jitter: 0 }), 1, undefined, 0.9)).toBe(50);
    expect([1, 2, 9].map((attempt) => retryDelay(retryOf({ maxDelayMs: 100, minDelayMs: 90 }), attempt, undefined, 0.99))).toEqual([99, 100, 100]);
    expect([0, 0.3, 0.9].map((random) => retryDelay(retryOf({ jitter: 0 }), 2, undefined, random))).toEqual([800, 800, 800]);
    const telegram = { retry: { attempts: 5, jitter: 0 }, accounts: { work: { botToken: TOKEN, retry: { attempts: 2 } } } };
    expect(resolveAccount({ channels: { telegram } }, 'work').retry).toMatchObject({ attempts: 2, jitter: 0 });
    // what another channel says is nothing to it
    expect(resolveAccount({ channels: { telegram: {}, discord: { retry: { attempts: 9 } } } }).retry.attempts).toBe(3);
  });

  it('counts tries, and ends with the error of the server (RETRY-004, RETRY-023)', async () => {
    server.fail('sendMessage', TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY);
    await expect(send('hello')).rejects.toMatchObject({ code: 'TELEGRAM_RATE_LIMIT', retryable: true });
    expect(server.of('sendMessage')).toHaveLength(3);
    await expect(send('hello', settings(server.url, { retry: { attempts: 1 } }))).rejects.toMatchObject({ code: 'TELEGRAM_RATE_LIMIT' });
    expect(server.of('sendMessage')).toHaveLength(4);
    expect(server.messages).toEqual([]);
  });
});

describe('what is tried again', () => {
  const cured: Array<[string, string, Fault]> = [
    ['RETRY-012', '429', TOO_MANY],
    ['RETRY-015', 'a reset connection', 'reset'],
    ['RETRY-016', 'a closed connection', 'close'],
    ['RETRY-017', 'temporarily unavailable', { error_code: 500, description: 'Bad Request: temporarily unavailable, try again later' }],
    ['RETRY-017', '503', { error_code: 503, description: 'Service Unavailable' }],
    ['RETRY-017', 'the page of a gateway without a server', 'page'],
  ];
  for (const [id, name, fault] of cured) {
    it(`${name} (${id})`, async () => {
      server.fail('sendMessage', fault);
      await expect(send('hello')).resolves.toEqual({ messageId: '1' });
      expect(server.of('sendMessage')).toHaveLength(2);
      expect(server.messages.map(({ text }) => text)).toEqual(['hello']);
    });
  }

  it('a server that does not answer in time (RETRY-013)', async () => {
    server.fail('sendMessage', 'stall');
    await expect(send('hello', settings(server.url, { timeoutSeconds: 0.2 }))).resolves.toEqual({ messageId: '1' });
    expect(server.of('sendMessage')).toHaveLength(2);
  });

  it('and the host is told when the first try may have been carried out', async () => {
    let told = 0;
    const onUncertain = () => {
      told += 1;
    };
    server.fail('sendMessage', 'lost', TOO_MANY);
    await send('hello', settings(server.url), { onUncertain });
    expect(server.messages).toHaveLength(2);
    expect(told).toBe(1);
    server.fail('sendMessage', TOO_MANY, { error_code: 503, description: 'Service Unavailable' });
    await send('again', settings(server.url), { onUncertain });
    expect(told).toBe(1);
  });

  it('a refused connection (RETRY-014)', async () => {
    const cfg = settings(server.url, { retry: { attempts: 20, minDelayMs: 20, maxDelayMs: 50 } });
    await server.down();
    const sent = send('hello', cfg);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await server.up();
    await expect(sent).resolves.toEqual({ messageId: '1' });
    expect(server.of('sendMessage')).toHaveLength(1);
  });

  it('and nothing else: one request (RETRY-018)', async () => {
    const final: Fault[] = [
      { error_code: 400, description: 'Bad Request: chat not found' },
      { error_code: 401, description: 'Unauthorized' },
      { error_code: 403, description: 'Forbidden: bot was blocked by the user' },
      { error_code: 404, description: 'Not Found' },
      { error_code: 500, description: 'Internal Server Error' },
    ];
    for (const [index, fault] of final.entries()) {
      server.fail('sendMessage', fault);
      await expect(send('hello')).rejects.toMatchObject({ name: 'TelegramError', hint: expect.stringMatching(/\w/) });
      expect(server.of('sendMessage')).toHaveLength(index + 1);
    }
  });

  it('tells the host which messages no later try can help', async () => {
    server.fail('sendMessage', { error_code: 403, description: 'Forbidden: bot was blocked by the user' });
    await expect(send('hello')).rejects.toMatchObject({ code: 'TELEGRAM_FORBIDDEN', retryable: false });
    server.fail('sendMessage', { error_code: 500, description: 'Internal Server Error' });
    await expect(send('hello')).rejects.toMatchObject({ code: 'TELEGRAM_SERVER', retryable: true });
    server.fail('sendMessage', 'portal');
    await expect(send('hello')).rejects.toMatchObject({
      code: 'TELEGRAM_SERVER',
      retryable: true,
      message: expect.stringContaining('not come from a Bot API server'),
    });
  });

  for (const fault of ['cut', 'hang'] as const) {
    it(`not what had a success response, though it is incomplete: ${fault} (RETRY-003)`, async () => {
      server.fail('sendMessage', fault);
      await expect(send('hello', settings(server.url, { timeoutSeconds: 0.3 }))).rejects.toMatchObject({ code: 'TELEGRAM_ANSWER_LOST', retryable: false });
      expect(server.of('sendMessage')).toHaveLength(1);
      expect(server.messages).toHaveLength(1);
    });
  }
});

describe('how long it waits', () => {
  it('as long as the server asks (RETRY-019)', async () => {
    server.fail('sendMessage', { error_code: 429, description: 'Too Many Requests: retry after 1', parameters: { retry_after: 1 } });
    await send('hello', settings(server.url, { retry: { minDelayMs: 1 } }));
    const [first, second] = server.of('sendMessage');
    // a timer may fire a little early
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(950);
  });

  it('no longer than the cap, whatever the server asks (RETRY-005, RETRY-025)', async () => {
    server.fail('sendMessage', { error_code: 429, description: 'Too Many Requests: retry after 3600', parameters: { retry_after: 3600 } });
    await expect(send('hello')).resolves.toEqual({ messageId: '1' });
  });

  it('longer each time by itself (RETRY-020)', async () => {
    server.fail('sendMessage', 'reset', 'reset');
    await send('hello', settings(server.url, { retry: { minDelayMs: 100, jitter: 0 } }));
    const [first = 0, second = 0, third = 0] = server.of('sendMessage').map(({ at }) => at);
    expect(second - first).toBeGreaterThan(95);
    expect(third - second).toBeGreaterThan(195);
  });

  it('not at all when the caller gives up', async () => {
    const controller = new AbortController();
    server.fail('sendMessage', TOO_MANY);
    const cfg = settings(server.url, { retry: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    const sent = send('hello', cfg, { signal: controller.signal });
    await until(() => server.of('sendMessage').length === 1, 'the first try');
    controller.abort();
    await expect(sent).rejects.toMatchObject({ name: 'TelegramError' });
    expect(server.of('sendMessage')).toHaveLength(1);
  });
});

describe('markup that Telegram cannot read', () => {
  it('goes out as it was written, at once and without parse mode (RETRY-021)', async () => {
    server.fail('sendMessage', { error_code: 400, description: "Bad Request: can't parse entities: Unsupported start tag" });
    // a wait would be longer than the test
    await send('plain **bold**', settings(server.url, { retry: { minDelayMs: 60_000, maxDelayMs: 60_000 } }));
    const [first, second, ...more] = server.of('sendMessage').map(({ payload }) => payload);
    expect(first).toMatchObject({ text: 'plain <b>bold</b>', parse_mode: 'HTML' });
    expect(second).toEqual({ chat_id: 7001, text: 'plain **bold**' });
    expect(more).toEqual([]);
  });

  it('is tried again as plain text when that request meets a fault (RETRY-001, RETRY-021)', async () => {
    server.fail('sendMessage', { error_code: 400, description: "Bad Request: can't parse entities" }, TOO_MANY);
    await send('hello');
    expect(server.of('sendMessage').map(({ payload }) => payload.parse_mode)).toEqual(['HTML', undefined, undefined]);
  });

  it('in a caption and in an edited text too (RETRY-021)', async () => {
    const parse: Fault = { error_code: 400, description: "Bad Request: can't parse entities" };
    server.fail('sendPhoto', parse);
    server.fail('editMessageText', parse);
    const cfg = settings(server.url);
    await channel.outbound?.sendMedia?.({ ...toAnn(cfg), text: 'a **caption**', mediaUrl: PNG });
    expect(server.of('sendPhoto').map(({ payload }) => payload.caption)).toEqual(['a <b>caption</b>', 'a **caption**']);
    const sent = await send('before');
    await channel.outbound?.editText?.({ ...toAnn(cfg), messageId: String(sent?.messageId), text: '*after*' });
    expect(server.of('editMessageText').map(({ payload }) => payload.text)).toEqual(['<i>after</i>', '*after*']);
  });
});

describe('each kind of request', () => {
  const kinds: Array<[string, string, (outbound: NonNullable<Channel['outbound']>, cfg: Record<string, unknown>) => Promise<unknown> | undefined]> = [
    ['RETRY-032', 'sendMessage', (outbound, cfg) => outbound.sendText?.({ ...toAnn(cfg), text: 'hello' })],
    ['RETRY-033', 'sendPhoto', (outbound, cfg) => outbound.sendMedia?.({ ...toAnn(cfg), text: '', mediaUrl: PNG })],
    ['RETRY-033', 'sendDocument', (outbound, cfg) => outbound.sendMedia?.({ ...toAnn(cfg), text: '', mediaUrl: 'data:application/pdf;base64,AAAA' })],
    ['RETRY-033', 'sendVoice', (outbound, cfg) => outbound.sendMedia?.({ ...toAnn(cfg), text: '', mediaUrl: 'data:audio/ogg;base64,AAAA' })],
    ['RETRY-034', 'setMessageReaction', (outbound, cfg) => outbound.sendReaction?.({ ...toAnn(cfg), messageId: '5', emoji: '👍' })],
    ['RETRY-035', 'sendPoll', (outbound, cfg) => outbound.sendPoll?.({ ...toAnn(cfg), poll: { question: 'Tea?', options: ['yes', 'no'], maxSelections: 1 } })],
    ['RETRY-036', 'sendSticker', (outbound, cfg) => outbound.sendMedia?.({ ...toAnn(cfg), text: '', mediaUrl: 'data:image/webp;base64,AAAA' })],
  ];
  for (const [id, method, call] of kinds) {
    it(`${method} (${id})`, async () => {
      server.fail(method, TOO_MANY);
      await call(channel.outbound ?? { deliveryMode: 'direct' }, settings(server.url));
      const requests = server.of(method);
      expect(requests).toHaveLength(2);
      // a file is whole the second time as well
      expect(requests[1]?.files).toEqual(requests[0]?.files);
      expect(requests[1]?.payload).toEqual(requests[0]?.payload);
    });
  }
});

describe('flows of several requests', () => {
  const LONG = 'word '.repeat(400).trim();
  const media = (more: Partial<OutboundTarget> = {}) => channel.outbound?.sendMedia?.({ ...toAnn(settings(server.url), more), text: LONG, mediaUrl: PNG });

  it('repeat only the step that failed (RETRY-001, RETRY-037)', async () => {
    server.fail('sendMessage', TOO_MANY);
    await media();
    expect(server.requests.map(({ method }) => method)).toEqual(['sendPhoto', 'sendMessage', 'sendMessage']);
    expect(server.of('sendPhoto')[0]?.files[0]?.bytes.toString()).toBe('a picture');
  });

  it('go on where they were when the host tries the message again (RETRY-003, RETRY-037)', async () => {
    server.fail('sendMessage', TOO_MANY, TOO_MANY, TOO_MANY);
    const first = media({ idempotencyKey: 'reply-1' });
    await expect(first).rejects.toMatchObject({ code: 'TELEGRAM_RATE_LIMIT' });
    await expect(media({ idempotencyKey: 'reply-1' })).resolves.toEqual({ messageId: '1' });
    expect(server.of('sendPhoto')).toHaveLength(1);
    expect(server.messages.map(({ method, text }) => [method, text])).toEqual([
      ['sendPhoto', undefined],
      ['sendMessage', LONG],
    ]);
    // done: the same again is a new message
    await media({ idempotencyKey: 'reply-1' });
    expect(server.of('sendPhoto')).toHaveLength(2);
  });

  it('keep the order of a chat, and hold up no other (RETRY-002)', async () => {
    const cfg = settings(server.url, { retry: { minDelayMs: 300, maxDelayMs: 300 } });
    server.fail('sendMessage', TOO_MANY);
    await Promise.all([send('one', cfg), send('two', cfg), channel.outbound?.sendText?.({ cfg, to: '8002', text: 'elsewhere' })]);
    expect(server.messages.map(({ text }) => text)).toEqual(['elsewhere', 'one', 'two']);
    expect(server.of('sendMessage').filter(({ payload }) => payload.text === 'two')).toHaveLength(1);
  });

  it('go on with the next message after one that failed', async () => {
    server.fail('sendMessage', { error_code: 400, description: 'Bad Request: chat not found' });
    const [one, two] = await Promise.allSettled([send('one'), send('two')]);
    expect([one.status, two.status]).toEqual(['rejected', 'fulfilled']);
  });
});

it('keeps the token out of every error', async () => {
  const faults: Fault[] = ['reset', 'page', 'cut', { error_code: 400, description: `Bad Request: ${TOKEN}` }, { error_code: 404, description: 'Not Found' }];
  for (const fault of faults) {
    server.fail('sendMessage', fault);
    const error: unknown = await send('hello', settings(server.url, { retry: { attempts: 1 } }))?.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    const shown = [JSON.stringify(error), String((error as Error).stack), String((error as Error).cause), Object.getOwnPropertyNames(error).join()].join();
    expect(shown).not.toContain(TOKEN);
    expect(shown).not.toContain(TOKEN.split(':')[1]);
  }
});
