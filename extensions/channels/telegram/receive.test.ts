import type { Channel, InboundMessage } from 'Durar/plugin-sdk/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningAccount, runAccount, until } from '../../../test/fixtures/channel-account.ts';
import { settings } from '../../../test/fixtures/telegram-account.ts';
import { ANN, ANN_CHAT, createTelegramServer, type TelegramServer, TOKEN } from '../../../test/fixtures/telegram-server.ts';
import { createTelegram } from './channel.ts';

const OTHER_TOKEN = '654321:the-token-of-another-bot-0123456789';

let server: TelegramServer;
let channel: Channel;
let running: RunningAccount[];

beforeEach(async () => {
  server = await createTelegramServer({ tokens: [TOKEN, OTHER_TOKEN] });
  channel = createTelegram();
  running = [];
});
afterEach(async () => {
  for (const account of running) await account.stop().catch(() => undefined);
  await server.close();
});

function run(cfg = settings(server.url), options: Parameters<typeof runAccount>[2] = {}): RunningAccount {
  const account = runAccount(channel, cfg, options);
  running.push(account);
  return account;
}
const texts = ({ delivered }: RunningAccount) => delivered.map(({ text }) => text);
const received = (account: RunningAccount, count: number) => until(() => account.delivered.length >= count, `message ${count}`);

describe('an account', () => {
  it('says who it is, sets its menu, takes the webhook away and polls (SYS-032)', async () => {
    const account = run(settings(server.url, { customCommands: [{ command: 'tea', description: 'make tea' }] }));
    await until(() => account.status.connected, 'the connection');
    await until(() => server.of('getUpdates').length > 0, 'the first poll');
    expect(server.requests.map(({ method }) => method).slice(0, 4)).toEqual(['getMe', 'setMyCommands', 'deleteWebhook', 'getUpdates']);
    expect(server.of('deleteWebhook')[0]?.payload).toEqual({ drop_pending_updates: false });
    expect(server.of('setMyCommands')[0]?.payload.commands).toEqual(
      expect.arrayContaining([
        { command: 'tea', description: 'make tea' },
        { command: 'status', description: expect.any(String) },
      ]),
    );
    expect(account.status).toMatchObject({ bot: '@durar_test_bot', mode: 'polling', readsAllGroupMessages: false, lastEventAt: expect.any(Number) });
    await account.stop();
    expect(account.status.connected).toBe(false);
  });

  it('hands over who wrote what, where (SYS-032, QUEUE-054)', async () => {
    const account = run();
    const id = server.say('hello');
    await received(account, 1);
    expect(account.delivered[0]).toEqual({
      accountId: 'default',
      chatType: 'direct',
      conversationId: '7001',
      conversationName: 'Ann Smith',
      messageId: String(id),
      senderAliases: ['annsmith'],
      senderId: '7001',
      senderName: 'Ann Smith',
      senderUsername: 'annsmith',
      text: 'hello',
      timestamp: expect.any(Number),
    });
  });

  it('starts although its menu is refused', async () => {
    server.fail('setMyCommands', { error_code: 400, description: 'Bad Request: BOT_COMMANDS_TOO_MUCH' });
    const account = run();
    server.say('hello');
    await received(account, 1);
    expect(account.log.join()).toContain('BOT_COMMANDS_TOO_MUCH');
  });

  it('ends with an explanation when the token is wrong, and never shows it', async () => {
    const token = '999:some-token-that-nobody-knows-0123456789';
    const account = run(settings(server.url, { botToken: token }));
    await expect(account.done).rejects.toMatchObject({ code: 'TELEGRAM_TOKEN', message: expect.stringContaining('does not know this bot token') });
    expect(server.of('getMe')).toHaveLength(1);
    await expect(
      channel.status?.probeAccount?.({
        account: channel.config.resolveAccount(settings(server.url, { botToken: token })),
        cfg: settings(server.url, { botToken: token }),
        timeoutMs: 1000,
      }),
    ).resolves.toMatchObject({ ok: false });
    expect(JSON.stringify([account.log, account.status])).not.toContain('some-token');
  });

  it('ends with an explanation when another program polls, and when the connection is lost', async () => {
    const account = run();
    await until(() => server.of('getUpdates').length > 0, 'the first poll');
    server.fail('getUpdates', { error_code: 409, description: 'Conflict: terminated by other getUpdates request' });
    server.say('wakes the poll up');
    await expect(account.done).rejects.toMatchObject({ code: 'TELEGRAM_CONFLICT', message: expect.stringContaining('another program') });

    const lost = run();
    await until(() => server.of('getUpdates').length > 2, 'the next poll');
    await server.down();
    await expect(lost.done).rejects.toMatchObject({ code: 'TELEGRAM_CONNECTION' });
    expect(lost.status).toMatchObject({ connected: false, lastProblem: expect.stringContaining('no connection') });
    await server.up();
  });

  it('goes on after a short outage by itself', async () => {
    const account = run(settings(server.url, { retry: { attempts: 20, minDelayMs: 20, maxDelayMs: 50 } }));
    server.say('before');
    await received(account, 1);
    await server.down();
    await until(() => account.status.lastProblem, 'the loss');
    await server.up();
    server.say('after');
    await received(account, 2);
    expect(texts(account)).toEqual(['before', 'after']);
    expect(account.status).toMatchObject({ connected: true, lastProblem: undefined });
  });

  it('stays connected while a message that it sends meets a fault', async () => {
    const cfg = settings(server.url);
    const account = run(cfg);
    await until(() => account.status.connected, 'the connection');
    server.fail('sendMessage', 'reset');
    await channel.outbound?.sendText?.({ cfg, to: '7001', text: 'hello' });
    expect(account.status.connected).toBe(true);
    expect(account.log.join()).toContain('tried again in');
  });

  it('runs beside others, each with its own bot; two with one token are refused', async () => {
    const accounts = { home: {}, work: { botToken: OTHER_TOKEN }, copy: {} };
    const cfg = settings(server.url, { accounts, defaultAccount: 'work' });
    expect([channel.config.listAccountIds(cfg), channel.config.defaultAccountId?.(cfg)]).toEqual([['home', 'work', 'copy'], 'work']);
    const [home, work] = ['home', 'work'].map((accountId) => run(cfg, { accountId }));
    await until(() => home?.status.connected && work?.status.connected, 'both');
    await expect(run(cfg, { accountId: 'copy' }).done).rejects.toMatchObject({ code: 'TELEGRAM_TOKEN_SHARED' });
    await channel.outbound?.sendText?.({ cfg, to: '7001', text: 'from work' });
    await channel.outbound?.sendText?.({ cfg, to: '7001', text: 'from home', accountId: 'home' });
    expect(server.of('sendMessage').map(({ token }) => token)).toEqual([OTHER_TOKEN, TOKEN]);
  });

  it('can be asked who it is', async () => {
    const cfg = settings(server.url);
    const probe = (timeoutMs: number) => channel.status?.probeAccount?.({ account: channel.config.resolveAccount(cfg), cfg, timeoutMs });
    expect(await probe(5000)).toEqual({ ok: true, identity: { id: '123456', name: '@durar_test_bot' }, canJoinGroups: true, readsAllGroupMessages: false });
    server.fail('getMe', 'stall');
    expect(await probe(50)).toMatchObject({ ok: false, error: expect.stringContaining('in time') });
    await server.down();
    expect(await probe(5000)).toMatchObject({ ok: false, error: expect.stringContaining('ECONNREFUSED') });
    await server.up();
  });
});

describe('an update', () => {
  it('is confirmed only when the host has it', async () => {
    let keep: (() => void) | undefined;
    const account = run(settings(server.url), { deliver: () => new Promise((resolve) => (keep = () => resolve({ accepted: true }))) });
    server.say('hello');
    await until(() => keep, 'the delivery');
    const polls = server.of('getUpdates').length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.of('getUpdates')).toHaveLength(polls);
    expect(server.pending()).toHaveLength(1);
    keep?.();
    await until(() => server.pending().length === 0, 'the confirmation');
    expect(texts(account)).toEqual(['hello']);
  });

  it('comes again when the host could not keep it, and the account ends for that', async () => {
    const account = run(settings(server.url), { deliver: () => Promise.reject(new Error('the disk is full')) });
    server.say('hello');
    await expect(account.done).rejects.toThrow('the disk is full');
    expect(server.pending()).toHaveLength(1);
    const next = run();
    await received(next, 1);
    expect(texts(next)).toEqual(['hello']);
    await until(() => server.pending().length === 0, 'the confirmation');
  });

  it('is confirmed at a stop, when the host has it', async () => {
    let keep: (() => void) | undefined;
    const account = run(settings(server.url), { deliver: () => new Promise((resolve) => (keep = () => resolve({ accepted: true }))) });
    server.say('hello');
    await until(() => keep, 'the delivery');
    const stopped = account.stop();
    keep?.();
    await stopped;
    expect(server.pending()).toEqual([]);
  });

  it('is confirmed when the host refused its sender', async () => {
    run(settings(server.url), { deliver: async () => ({ accepted: false, reason: 'pairing' }) });
    server.say('hello');
    await until(() => server.pending().length === 0 && server.of('getUpdates').length > 1, 'the confirmation');
  });

  it('goes out in the order of its id, each chat by itself', async () => {
    const gate: Array<() => void> = [];
    const deliver = async (message: InboundMessage) => {
      if (message.text === 'slow') await new Promise<void>((resolve) => gate.push(resolve));
      return { accepted: true };
    };
    const bob = { id: 7002, is_bot: false, first_name: 'Bob' };
    const from = (person: { id: number; first_name: string }, message_id: number, text: string) => ({
      message: { message_id, date: 1, from: person, chat: { id: person.id, type: 'private', first_name: person.first_name }, text },
    });
    server.push({ update_id: 12, ...from(ANN, 3, 'third') });
    server.push({ update_id: 10, ...from(ANN, 1, 'slow') });
    server.push({ update_id: 13, ...from(bob, 4, 'of Bob') });
    server.push({ update_id: 11, ...from(ANN, 2, 'second') });
    const account = run(settings(server.url), { deliver });
    await received(account, 1);
    expect(texts(account)).toEqual(['of Bob']);
    gate[0]?.();
    await received(account, 4);
    expect(texts(account)).toEqual(['of Bob', 'slow', 'second', 'third']);
  });

  it('that comes twice has the same message id, by which the host knows it', async () => {
    const account = run();
    const update = { update_id: 50, message: { message_id: 9, date: 1, from: ANN, chat: ANN_CHAT, text: 'once' } };
    server.push(update);
    server.push(update);
    await received(account, 2);
    expect(new Set(account.delivered.map(({ messageId }) => messageId)).size).toBe(1);
  });

  it('that nobody can read is left out, and does not stand before later ones', async () => {
    const account = run();
    server.push({ message: { message_id: 1, date: 1, from: null, chat: null } });
    server.push({ something_new: { a: 1 } });
    server.push({ message: 'what' });
    server.say('hello');
    await received(account, 1);
    expect(texts(account)).toEqual(['hello']);
    await until(() => server.pending().length === 0, 'the confirmation');
  });

  it('of a pressed button is confirmed to the person after the host has it', async () => {
    const account = run();
    const message = { message_id: 5, date: 1, from: { id: 123456, is_bot: true, first_name: 'Testbot' }, chat: ANN_CHAT, text: 'Tea?' };
    server.push({ callback_query: { id: 'q1', from: ANN, chat_instance: 'x', data: 'yes', message } });
    await until(() => server.of('answerCallbackQuery')[0], 'the confirmation');
    expect(account.delivered[0]).toMatchObject({
      text: 'callback_data: yes',
      messageId: 'callback:q1',
      senderId: '7001',
      replyTo: { messageId: '5', text: 'Tea?' },
    });
    expect(server.of('answerCallbackQuery')[0]?.payload).toEqual({ callback_query_id: 'q1' });
  });

  it('of a reaction is told for messages of the bot', async () => {
    const account = run();
    const sent = await channel.outbound?.sendText?.({ cfg: settings(server.url), to: '7001', text: 'hello' });
    const reaction = (message_id: number) => ({
      message_reaction: { chat: ANN_CHAT, message_id, user: ANN, date: 5, old_reaction: [], new_reaction: [{ type: 'emoji', emoji: '👍' }] },
    });
    server.push(reaction(4711));
    server.push(reaction(Number(sent?.messageId)));
    server.say('next');
    await received(account, 2);
    expect(account.delivered[0]).toMatchObject({ kind: 'event', text: `Ann Smith reacted with 👍 to message ${sent?.messageId}` });
    expect(texts(account)[1]).toBe('next');
  });
});

describe('files', () => {
  const document = { file_id: 'doc', file_unique_id: 'd', file_name: 'notes.txt', mime_type: 'text/plain', file_size: 5 };
  const load = async (account: RunningAccount) => {
    await received(account, 1);
    return account.delivered[0]?.media?.[0]?.load(AbortSignal.timeout(5000));
  };

  it('are told with the message and fetched when the host asks', async () => {
    server.addFile('doc', Buffer.from('hello'));
    const account = run();
    server.say('', { document, caption: 'my notes' });
    const bytes = await load(account);
    expect(account.delivered[0]).toMatchObject({ text: 'my notes', media: [{ kind: 'file', fileName: 'notes.txt', mimeType: 'text/plain', size: 5 }] });
    expect(Buffer.from(bytes ?? []).toString()).toBe('hello');
    expect(account.delivered[0]?.media?.[0]).not.toHaveProperty('fileId');
  });

  it('are fetched again after a fault', async () => {
    server.addFile('doc', Buffer.from('hello'));
    server.fail('getFile', 'reset');
    server.fail('file', 'reset');
    const account = run();
    server.say('', { document });
    expect(Buffer.from((await load(account)) ?? []).toString()).toBe('hello');
    expect([server.of('getFile').length, server.of('file').length]).toEqual([2, 2]);
  });

  it('are not read beyond the limit, whatever size was announced', async () => {
    server.addFile('doc', Buffer.alloc(2000));
    const account = run(settings(server.url, { mediaMaxMb: 0.001 }));
    server.say('', { document });
    await expect(load(account)).rejects.toMatchObject({ code: 'TELEGRAM_FILE_SIZE' });
  });

  it('that are gone fail without the token in the text', async () => {
    const account = run();
    server.say('', { document });
    const error = (await load(account).catch((reason: unknown) => reason)) as Error;
    expect(error.message).toContain('invalid file_id');
    expect(error.message).not.toContain(TOKEN);
  });
});

describe('by webhook', () => {
  const SECRET = 'a-secret_01';
  let port: number;

  /** A port that is free now. */
  beforeEach(async () => {
    const probe = await createTelegramServer();
    port = Number(new URL(probe.url).port);
    await probe.close();
  });

  const hook = (more: Record<string, unknown> = {}) =>
    settings(server.url, { webhookUrl: `http://127.0.0.1:${port}/telegram-webhook`, webhookSecret: SECRET, webhookPort: port, ...more });
  const update = (text: string, update_id = 1) => ({ update_id, message: { message_id: update_id, date: 1, from: ANN, chat: ANN_CHAT, text } });
  async function connected(cfg = hook(), options: Parameters<typeof runAccount>[2] = {}): Promise<RunningAccount> {
    const account = run(cfg, options);
    await until(() => account.status.connected, 'the webhook');
    return account;
  }

  it('tells Telegram where, with which secret, and takes what it posts', async () => {
    const account = await connected();
    expect(server.webhook()).toMatchObject({ url: `http://127.0.0.1:${port}/telegram-webhook`, secret_token: SECRET, max_connections: 1 });
    expect(server.of('getUpdates')).toEqual([]);
    expect(await server.post(update('hello'))).toBe(200);
    expect(texts(account)).toEqual(['hello']);
    expect(account.status).toMatchObject({ mode: 'webhook', webhookPort: port });
  });

  it('refuses everybody who does not know the secret', async () => {
    const account = await connected();
    for (const secret of [undefined, '', 'a-secret_02', `${SECRET}x`]) {
      const headers: Record<string, string> = secret === undefined ? {} : { 'x-telegram-bot-api-secret-token': secret };
      const answered = await fetch(`http://127.0.0.1:${port}/telegram-webhook`, { method: 'POST', headers, body: JSON.stringify(update('hello')) });
      expect(answered.status).toBe(401);
    }
    expect(account.delivered).toEqual([]);
  });

  it('takes nothing else: other paths, methods, bodies', async () => {
    await connected();
    const headers = { 'x-telegram-bot-api-secret-token': SECRET };
    const status = async (path: string, init: RequestInit) => (await fetch(`http://127.0.0.1:${port}${path}`, { headers, ...init })).status;
    expect(await status('/', { method: 'POST', body: '{}' })).toBe(404);
    expect(await status('/telegram-webhook', { method: 'GET' })).toBe(405);
    expect(await status('/telegram-webhook', { method: 'POST', body: '{"update_id":' })).toBe(400);
    expect(await status('/telegram-webhook', { method: 'POST', body: '[1]' })).toBe(400);
    expect(await status('/telegram-webhook', { method: 'POST', body: 'x'.repeat(5_000_000) })).toBe(413);
  });

  it('says 200 only when the host has the update; else Telegram brings it again', async () => {
    let isFull = true;
    const account = await connected(hook(), { deliver: () => (isFull ? Promise.reject(new Error('the disk is full')) : Promise.resolve({ accepted: true })) });
    expect(await server.post(update('hello'))).toBe(500);
    isFull = false;
    expect(await server.post(update('hello'))).toBe(200);
    expect(texts(account)).toEqual(['hello']);
    expect(account.log.join()).toContain('the disk is full');
  });

  it('hands an update over once that is posted again while the host still works on it', async () => {
    let calls = 0;
    await connected(hook(), {
      async deliver() {
        calls += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { accepted: true };
      },
    });
    expect(await Promise.all([server.post(update('hello')), server.post(update('hello'))])).toEqual([200, 200]);
    expect(calls).toBe(1);
  });

  it('serves several accounts on one port, each with its path and secret', async () => {
    const accounts = {
      home: {},
      work: { botToken: OTHER_TOKEN, webhookPath: '/work', webhookUrl: `http://127.0.0.1:${port}/work`, webhookSecret: 'other' },
      clash: { botToken: '1:x' },
    };
    const cfg = hook({ accounts });
    const home = await connected(cfg, { accountId: 'home' });
    const work = await connected(cfg, { accountId: 'work' });
    const answered = await fetch(`http://127.0.0.1:${port}/work`, {
      method: 'POST',
      headers: { 'x-telegram-bot-api-secret-token': 'other' },
      body: JSON.stringify(update('to work')),
    });
    expect([answered.status, texts(home), texts(work)]).toEqual([200, [], ['to work']]);
    await home.stop();
    expect((await fetch(`http://127.0.0.1:${port}/telegram-webhook`, { method: 'POST' })).status).toBe(404);
    await work.stop();
    await expect(fetch(`http://127.0.0.1:${port}/work`)).rejects.toThrow();
  });

  it('refuses two accounts on one path, and says which port is taken', async () => {
    const cfg = hook({ accounts: { home: {}, work: { botToken: OTHER_TOKEN } } });
    await connected(cfg, { accountId: 'home' });
    await expect(run(cfg, { accountId: 'work' }).done).rejects.toMatchObject({ code: 'TELEGRAM_WEBHOOK_PATH' });
    const taken = hook({ botToken: OTHER_TOKEN, webhookPort: Number(new URL(server.url).port) });
    await expect(run(taken).done).rejects.toMatchObject({ code: 'TELEGRAM_WEBHOOK_LISTEN', message: expect.stringContaining('EADDRINUSE') });
  });

  it('is not opened without a secret', async () => {
    await expect(run(hook({ webhookSecret: '' })).done).rejects.toMatchObject({ code: 'TELEGRAM_WEBHOOK_SECRET' });
    expect(server.of('setWebhook')).toEqual([]);
  });

  it('gives way to polling when it is taken out of the settings', async () => {
    await (await connected()).stop();
    const account = run();
    server.say('hello');
    await received(account, 1);
    expect(server.webhook()).toBeUndefined();
  });
});
