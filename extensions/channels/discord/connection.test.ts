import type { Channel, DeliveryReceipt, InboundMessage } from 'Durar/plugin-sdk/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningAccount, runAccount, until } from '../../../test/fixtures/channel-account.ts';
import { newDiscord, settings } from '../../../test/fixtures/discord-account.ts';
import { BOT, CONTENT_INTENT, createDiscordServer, type DiscordServer, GENERAL, NAMED, TOKEN } from '../../../test/fixtures/discord-server.ts';

let server: DiscordServer;
const accounts: RunningAccount[] = [];

beforeEach(async () => {
  server = await createDiscordServer();
});
afterEach(async () => {
  for (const account of accounts.splice(0)) await account.stop().catch(() => undefined);
  await server.close();
});

interface StartOptions {
  more?: object;
  channel?: Channel;
  deliver?(message: InboundMessage): Promise<DeliveryReceipt>;
}

function run({ more = {}, channel = newDiscord(), deliver }: StartOptions = {}): RunningAccount {
  const account = runAccount(channel, settings(server.url, more as Record<string, unknown>), deliver === undefined ? {} : { deliver });
  accounts.push(account);
  return account;
}
async function start(options?: StartOptions): Promise<RunningAccount> {
  const account = run(options);
  await connected(account);
  return account;
}
const connected = (account: RunningAccount) => until(() => account.status.connected === true, 'the connection');
const texts = ({ delivered }: RunningAccount) => delivered.map(({ text }) => text);
const heard = (account: RunningAccount, count: number) => until(() => account.delivered.length >= count, `message ${count}`);
const frames = (op: number) => server.frames.filter((frame) => frame.op === op);

describe('the gateway connection', () => {
  it('identifies once with what it needs and no more, and says who it is', async () => {
    const account = await start();
    const [identify] = frames(2);
    expect(identify?.d).toMatchObject({ token: TOKEN, intents: 1 | (1 << 9) | (1 << 10) | (1 << 12) | (1 << 13) | CONTENT_INTENT });
    expect(account.status).toMatchObject({ connected: true, bot: 'durar-test', lastEventAt: expect.any(Number) });
    await account.stop();
    expect(account.status.connected).toBe(false);
    expect(server.connected()).toBe(0);
  });

  it('beats, and leaves a connection that no longer answers', async () => {
    await server.close();
    server = await createDiscordServer({ heartbeatMs: 60 });
    const account = await start();
    await until(() => frames(1).length >= 3, 'heartbeats');
    server.answersHeartbeats = false;
    await until(() => frames(6).length === 1, 'the resumption');
    server.answersHeartbeats = true;
    server.say('after');
    await heard(account, 1);
  });

  it('goes on where it was when the connection broke, and misses nothing', async () => {
    const account = await start();
    server.say('one');
    await heard(account, 1);
    server.drop();
    server.say('two');
    server.say('three');
    await heard(account, 3);
    expect(texts(account)).toEqual(['one', 'two', 'three']);
    expect(frames(2)).toHaveLength(1);
    expect(frames(6)).toHaveLength(1);
  });

  it.each([4000, 4008, 4009])('comes back after the close code %i', async (code) => {
    const account = await start();
    server.drop(code);
    server.say('during');
    await until(() => frames(6).length + frames(2).length === 2, 'the way back');
    await until(() => account.status.connected === true, 'the connection');
    server.say('after');
    await until(() => texts(account).includes('after'), 'the message after');
  });

  it('resumes when Discord asks it to connect anew', async () => {
    const account = await start();
    server.send(7);
    await until(() => frames(6).length === 1, 'the resumption');
    server.say('after');
    await heard(account, 1);
    expect(frames(2)).toHaveLength(1);
  });

  it('begins anew when its session is gone, and reads what it missed', async () => {
    const account = await start();
    server.say('before', { channel_id: GENERAL.id, ...NAMED });
    server.say('before');
    await heard(account, 2);
    server.forget();
    server.drop();
    server.say('missed in the channel', { channel_id: GENERAL.id, ...NAMED, member: { roles: ['77'] } });
    server.say('missed too', { channel_id: GENERAL.id });
    server.say('missed by the person');
    await heard(account, 5);
    expect(texts(account).toSorted()).toEqual(['before', 'before', 'missed by the person', 'missed in the channel', 'missed too']);
    expect(account.delivered.find(({ text }) => text === 'missed in the channel')).toMatchObject({
      guildId: GENERAL.guild_id,
      mentioned: true,
      senderRoles: ['77'],
    });
    expect(frames(2)).toHaveLength(2);
  });

  it('reads what it missed also when the host could not keep that at first', async () => {
    const stored = new Map<string, unknown>();
    let isFull = false;
    const deliver = async () => {
      if (isFull) throw new Error('the disk is full');
      return { accepted: true };
    };
    const first = await start({ channel: newDiscord(stored), deliver });
    server.say('before');
    await heard(first, 1);
    isFull = true;
    server.forget();
    server.drop();
    server.say('missed');
    await expect(first.done).rejects.toThrow('could not keep');
    isFull = false;
    const second = await start({ channel: newDiscord(stored), deliver });
    server.say('after');
    await heard(second, 2);
    expect(texts(second)).toEqual(['missed', 'after']);
    expect(frames(2)).toHaveLength(2);
  }, 30_000);

  it('tells an event that comes twice once', async () => {
    const account = await start();
    server.say('one');
    server.repeat();
    server.say('two');
    await heard(account, 2);
    expect(texts(account)).toEqual(['one', 'two']);
  });

  it('goes on after a restart of the program with what was not dealt with', async () => {
    const stored = new Map<string, unknown>();
    const first = await start({ channel: newDiscord(stored) });
    server.say('one');
    await heard(first, 1);
    await first.stop();
    server.say('two');
    const second = await start({ channel: newDiscord(stored) });
    await heard(second, 1);
    expect(texts(second)).toEqual(['two']);
    expect(frames(2)).toHaveLength(1);
    expect(JSON.stringify([...stored])).not.toContain(TOKEN);
  });

  it('gets again what the host could not keep, and nothing overtakes it', async () => {
    const stored = new Map<string, unknown>();
    let isFull = true;
    const deliver = async ({ text }: InboundMessage) => {
      if (isFull && text === 'two') throw new TypeError('the disk is full');
      return { accepted: true };
    };
    const first = await start({ channel: newDiscord(stored), deliver });
    for (const text of ['one', 'two', 'three']) server.say(text);
    await expect(first.done).rejects.toThrow('could not keep');
    expect(texts(first)).toEqual(['one']);
    isFull = false;
    const second = await start({ channel: newDiscord(stored), deliver });
    await heard(second, 2);
    expect(texts(second)).toEqual(['two', 'three']);
  });

  it('keeps the order of a channel, and lets no channel wait for another', async () => {
    const gate = Promise.withResolvers<void>();
    const account = await start({
      async deliver({ text }) {
        if (text === 'slow') await gate.promise;
        return { accepted: true };
      },
    });
    server.say('slow');
    server.say('after it');
    server.say('beside it', { channel_id: GENERAL.id });
    await heard(account, 1);
    expect(texts(account)).toEqual(['beside it']);
    gate.resolve();
    await heard(account, 3);
    expect(texts(account)).toEqual(['beside it', 'slow', 'after it']);
  });

  it('is given up when nobody is there, and can begin again', async () => {
    const stored = new Map<string, unknown>();
    const account = await start({ channel: newDiscord(stored) });
    await server.down();
    await expect(account.done).rejects.toMatchObject({ code: 'DISCORD_CONNECTION', retryable: true });
    await server.up();
    server.say('meanwhile');
    const again = await start({ channel: newDiscord(stored) });
    await heard(again, 1);
    expect(frames(2)).toHaveLength(1);
  });

  it('is given up when no session ever begins, as Discord counts the attempts', async () => {
    const account = await start();
    server.refusesSessions = 'break';
    server.forget();
    server.drop();
    await expect(account.done).rejects.toMatchObject({ code: 'DISCORD_CONNECTION' });
    expect(frames(2).length).toBeLessThan(5);
  }, 40_000);

  it.each([7, 9] as const)(
    'bears being sent away (%i) while it identifies',
    async (op) => {
      server.refusesSessions = op;
      const account = run();
      await until(() => frames(2).length === 1, 'the first attempt');
      await new Promise((resolve) => setTimeout(resolve, 100));
      server.refusesSessions = undefined;
      await connected(account);
      server.say('here');
      await heard(account, 1);
      await new Promise((resolve) => setTimeout(resolve, 1200));
      expect(server.connected()).toBe(1);
    },
    30_000,
  );

  it.each([
    [4004, 'DISCORD_TOKEN', 'Reset the token'],
    [4013, 'DISCORD_INTENTS', 'Update Durar'],
    [4014, 'DISCORD_INTENTS', 'Message Content Intent'],
  ])('ends with a clear error on the close code %i', async (closeCode, code, hint) => {
    const account = await start();
    server.drop(closeCode);
    await expect(account.done).rejects.toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  it('says what is missing for the content of messages, and does without it', async () => {
    await server.close();
    server = await createDiscordServer({ hasContentIntent: false });
    await expect(run().done).rejects.toMatchObject({ code: 'DISCORD_INTENTS', hint: expect.stringContaining('channels.discord.messageContent') });
    const account = await start({ more: { messageContent: false } });
    server.say('nothing to see', { channel_id: GENERAL.id });
    server.say('for the bot', { channel_id: GENERAL.id, mentions: [BOT] });
    await heard(account, 1);
    expect(texts(account)).toEqual(['for the bot']);
  });

  it('ends with a clear error when the token is wrong, which no line shows', async () => {
    const account = run({ more: { token: `${TOKEN}x` } });
    await expect(account.done).rejects.toMatchObject({ code: 'DISCORD_TOKEN', hint: expect.stringContaining('Developer Portal') });
    expect(account.log.join('\n')).not.toContain(TOKEN);
  });

  it('lets no two accounts have one bot', async () => {
    const channel = newDiscord();
    await start({ channel });
    const cfg = settings(server.url, { accounts: { default: {}, other: {} } });
    await expect(runAccount(channel, cfg, { accountId: 'other' }).done).rejects.toMatchObject({ code: 'DISCORD_TOKEN_SHARED' });
  });

  it('takes another address for the gateway', async () => {
    const account = await start({ more: { gatewayUrl: server.url.replace('http', 'ws').replace('/api', '/proxy') } });
    server.say('hello');
    await heard(account, 1);
  });

  it('takes no address that is none, whoever names it', async () => {
    await expect(run({ more: { gatewayUrl: 'ws://' } }).done).rejects.toMatchObject({ code: 'DISCORD_GATEWAY' });
    server.fail('GET gateway', {
      status: 200,
      body: { url: 'http://x', shards: 1, session_start_limit: { total: 1, remaining: 1, reset_after: 0, max_concurrency: 1 } },
    });
    await expect(run().done).rejects.toMatchObject({ code: 'DISCORD_GATEWAY' });
    const kept = { shards: [{ sessionId: 'a', resumeURL: 'x', sequence: 1, shardId: 0, shardCount: 1 }, null, 5], places: 7 };
    const stored = new Map<string, unknown>();
    await (await start({ channel: newDiscord(stored) })).stop();
    for (const key of stored.keys()) stored.set(key, kept);
    await start({ channel: newDiscord(stored) });
    expect(frames(2)).toHaveLength(2);
  });

  it('can be stopped while it connects', async () => {
    const account = run();
    await account.stop();
    await until(() => server.connected() === 0, 'the end of the connection');
    const second = run();
    await until(() => server.requests.some(({ kind }) => kind === 'GET gateway'), 'the question');
    await second.stop();
    await until(() => server.connected() === 0, 'the end of the connection');
  });
});

describe('probe and settings', () => {
  it('says who the bot is and whether it may read messages', async () => {
    const channel = newDiscord();
    const probe = (cfg: Record<string, unknown>) => channel.status?.probeAccount?.({ account: channel.config.resolveAccount(cfg), cfg, timeoutMs: 2000 });
    expect(await probe(settings(server.url))).toEqual({ ok: true, identity: { id: BOT.id, name: BOT.username }, messageContentIntent: true });
    const wrong = await probe(settings(server.url, { token: `${TOKEN}x` }));
    expect(wrong).toMatchObject({ ok: false, error: expect.stringContaining('does not know this bot token') });
    expect(JSON.stringify(wrong)).not.toContain(TOKEN);
    server.fail('GET me', 'stall');
    expect(await channel.status?.probeAccount?.({ account: { accountId: 'default' }, cfg: settings(server.url), timeoutMs: 50 })).toMatchObject({ ok: false });
  });

  it('reads accounts, which take what they do not set from the channel', () => {
    const { config } = newDiscord();
    const cfg = settings('https://x.test/api/', { mediaMaxMb: 2, defaultAccount: 'b', accounts: { a: {}, b: { token: 'Bot own', retry: { attempts: 9 } } } });
    expect(config.listAccountIds(cfg)).toEqual(['a', 'b']);
    expect(config.defaultAccountId?.(cfg)).toBe('b');
    expect(config.resolveAccount(cfg)).toMatchObject({ token: 'own', apiRoot: 'https://x.test/api', mediaMaxBytes: 2 * 1024 * 1024 });
    expect(config.resolveAccount(cfg)).toMatchObject({ retry: { attempts: 9, minDelayMs: 1 } });
    expect(config.resolveAccount({}, 'a')).not.toHaveProperty('token');
    expect(config.isConfigured?.(config.resolveAccount({}, 'a'), {})).toBe(false);
  });

  it('asks for a token that looks like one', () => {
    const { setup } = newDiscord();
    expect(setup?.validateInput?.({ token: 'abc' })).toContain('three parts');
    expect(setup?.validateInput?.({ token: TOKEN })).toBeUndefined();
    expect(setup?.validateInput?.({})).toContain('needed');
    expect(setup?.accountConfig({ token: ` ${TOKEN}`, allowFrom: '1, 2' })).toEqual({ token: TOKEN, allowFrom: ['1', '2'] });
  });
});
