import type { Channel } from 'Durar/plugin-sdk/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningAccount, runAccount, until } from '../../../test/fixtures/channel-account.ts';
import { settings, toAnn } from '../../../test/fixtures/slack-account.ts';
import { ANN, ANN_CHAT, BOT_TOKEN, BOT_USER, createSlackServer, GENERAL, type SlackServer } from '../../../test/fixtures/slack-server.ts';
import { createSlack } from './channel.ts';

let server: SlackServer;
let channel: Channel;
let account: RunningAccount;

beforeEach(async () => {
  server = await createSlackServer({ redeliverMs: 300 });
  channel = createSlack();
});
afterEach(async () => {
  await account.stop().catch(() => undefined);
  await server.close();
});

async function run(more: Record<string, unknown> = {}, options: Parameters<typeof runAccount>[2] = {}): Promise<void> {
  account = runAccount(channel, settings(server.url, more), options);
  await until(() => account.status.connected === true, 'the connection');
}
const arrived = (count: number) => until(() => account.delivered.length >= count, `message ${count}`);
const inGeneral = { channel: GENERAL, channel_type: 'channel' };

describe('messages', () => {
  it('come in with sender, conversation and thread, and are confirmed when the host has them (SYS-034)', async () => {
    const gate = Promise.withResolvers<void>();
    await run({}, { deliver: () => gate.promise.then(() => ({ accepted: true })) });
    const ts = server.say('hello &lt;b&gt; &amp; <https://example.com|a page>');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.acked).toEqual([]);
    gate.resolve();
    await until(() => server.acked.length === 1, 'the confirmation');
    expect(account.delivered).toEqual([
      expect.objectContaining({
        text: 'hello <b> & a page (https://example.com)',
        senderId: ANN,
        senderName: 'Ann Smith',
        conversationId: ANN_CHAT,
        chatType: 'direct',
        messageId: ts,
        teamId: 'T1',
        accountId: 'default',
      }),
    ]);
    expect(account.delivered[0]).not.toHaveProperty('mentioned');
    expect(account.delivered[0]).not.toHaveProperty('threadId');

    server.say(`<@${BOT_USER}>: /status of <@${ANN}> in <#C1|ops> <!here>`, { ...inGeneral, thread_ts: '1700000000.000100' });
    await arrived(2);
    expect(account.delivered[1]).toMatchObject({
      text: '/status of @Ann Smith in #ops @here',
      conversationId: GENERAL,
      conversationName: '#general',
      conversationAliases: ['#general'],
      chatType: 'channel',
      mentioned: true,
      threadId: '1700000000.000100',
    });
  });

  it('are meant for the bot when they name it, or stand in a thread that it has a part in', async () => {
    await run();
    server.say('about nothing', inGeneral);
    server.say(`is <@${BOT_USER}> here?`, inGeneral);
    server.say('an answer', { ...inGeneral, thread_ts: '1700000000.000200', parent_user_id: BOT_USER });
    server.say('an answer', { ...inGeneral, thread_ts: '1700000000.000300', parent_user_id: ANN });
    await arrived(4);
    expect(account.delivered.map(({ mentioned }) => mentioned)).toEqual([false, true, true, false]);
    await channel.outbound?.sendText?.({ ...toAnn(settings(server.url)), to: GENERAL, threadId: '1700000000.000300', text: 'I am here' });
    server.say('and more', { ...inGeneral, thread_ts: '1700000000.000300', parent_user_id: ANN });
    await arrived(5);
    expect(account.delivered[4]?.mentioned).toBe(true);
  });

  it('of group conversations are groups; a mention that comes twice has one id', async () => {
    await run();
    const ts = server.say(`<@${BOT_USER}> hi`, { channel: 'G0GROUP001', channel_type: 'mpim' });
    server.emit({ type: 'app_mention', user: ANN, text: `<@${BOT_USER}> hi`, ts, channel: 'G0GROUP001' });
    await arrived(2);
    const [one, other] = account.delivered;
    expect(one).toMatchObject({ text: 'hi', chatType: 'group', mentioned: true, messageId: ts });
    expect(other).toEqual(one);
  });

  it('in a thread come with what stood there before, once, and not where the bot has answered', async () => {
    await run({ thread: { initialHistoryLimit: 3 } });
    const root = '1700000000.000100';
    const written = (ts: string, text: string, user: string, thread_ts?: string) =>
      server.messages.push({ channel: GENERAL, ts, text, user, reactions: [], ...(thread_ts === undefined ? {} : { thread_ts }) });
    written(root, 'the &lt;root&gt;', ANN);
    for (const [at, text] of ['one', 'two', 'three'].entries()) written(`1700000000.00020${at}`, text, 'U0BEN00001', root);
    const thread = { ...inGeneral, thread_ts: root };
    server.say('to others', thread);
    server.say(`<@${BOT_USER}> what do you think?`, thread);
    server.say(`<@${BOT_USER}> and now?`, thread);
    await arrived(3);
    expect(account.delivered[0]).not.toHaveProperty('replyTo');
    expect(account.delivered[1]?.replyTo).toEqual({ messageId: root, senderId: ANN, senderName: 'Ann Smith', text: 'the <root>\nBen: two\nBen: three' });
    expect(account.delivered[2]).not.toHaveProperty('replyTo');

    const other = '1700000000.000500';
    written(other, 'a root', ANN);
    written('1700000000.000501', 'an answer', BOT_USER, other);
    server.say(`<@${BOT_USER}> go on`, { ...inGeneral, thread_ts: other });
    await arrived(4);
    expect(account.delivered[3]).not.toHaveProperty('replyTo');
    server.fail('conversations.replies', { error: 'missing_scope', needed: 'channels:history' });
    server.say('a thread that it may not read', { thread_ts: '1700000000.000900' });
    await arrived(5);
    expect(account.delivered[4]).not.toHaveProperty('replyTo');
  });

  it('of bots, of itself and of Slack are left out, and confirmed', async () => {
    await run();
    server.say('a bot', { bot_id: 'B7' });
    server.say('itself', { user: BOT_USER });
    server.say('Slack', { user: 'USLACKBOT' });
    server.say('joined', { subtype: 'channel_join' });
    server.say('a webhook', { subtype: 'bot_message', user: undefined, bot_id: 'B8' });
    server.say('a person');
    await until(() => server.acked.length === 6, 'the confirmations');
    expect(account.delivered.map(({ text }) => text)).toEqual(['a person']);
  });

  it('without a readable form do not stop those behind them', async () => {
    await run();
    server.emit({ type: 'message', channel: ANN_CHAT, user: ANN, ts: '1.1', text: 5 });
    server.emit({ type: 'nothing_known' });
    server.frame({ type: 'events_api', envelope_id: 'e1', payload: { type: 'event_callback', event_id: 'Ev1', event: { type: 'message' } } });
    for (const frame of [{ type: 'events_api', envelope_id: 'e0' }, { type: 5 }, []]) server.frame(frame);
    server.frame({ type: 'slash_commands', envelope_id: 'e2', payload: { command: '/x' } });
    server.say('after it');
    await arrived(1);
    await until(() => server.acked.includes('e1') && server.acked.includes('e2') && server.pending().length === 0, 'the confirmations');
    expect(account.delivered.map(({ text }) => text)).toEqual(['after it']);
  });

  it('keep their names out where the app may not ask for them', async () => {
    server.fail('users.info', { error: 'missing_scope', needed: 'users:read' });
    await run();
    server.say('hello');
    await arrived(1);
    expect(account.delivered[0]).not.toHaveProperty('senderName');
    expect(server.of('users.info')).toHaveLength(1);
  });
});

describe('what happens', () => {
  it('is told as events: edits, deletions, reactions, arrivals', async () => {
    await run({ reactionNotifications: 'all' });
    const changed = (fields: object) => ({ type: 'message', subtype: 'message_changed', ...inGeneral, ...fields });
    const before = { user: ANN, ts: '1700000000.000100', text: 'old' };
    server.emit(changed({ message: { ...before, text: 'new', edited: { ts: '2' } }, previous_message: before }));
    // a preview of a link
    server.emit(changed({ message: { ...before, attachments: [] }, previous_message: before }));
    server.emit({ type: 'message', subtype: 'message_deleted', ...inGeneral, deleted_ts: before.ts, previous_message: before });
    server.emit({ type: 'reaction_added', user: ANN, reaction: 'tada', item: { type: 'message', channel: GENERAL, ts: before.ts }, item_user: ANN });
    server.emit({ type: 'reaction_removed', user: ANN, reaction: 'tada', item: { type: 'message', channel: GENERAL, ts: before.ts }, item_user: ANN });
    server.emit({ type: 'member_joined_channel', user: 'U0BEN00001', channel: GENERAL, channel_type: 'C' });
    await arrived(5);
    expect(account.delivered.every(({ kind, conversationId }) => kind === 'event' && conversationId === GENERAL)).toBe(true);
    expect(account.delivered.map(({ text }) => text)).toEqual([
      'Ann Smith edited message 1700000000.000100: new',
      'Ann Smith deleted message 1700000000.000100',
      'Ann Smith reacted with :tada: to message 1700000000.000100',
      'Ann Smith took back :tada: from message 1700000000.000100',
      'Ben joined',
    ]);
  });

  it('to messages of others is not told by default', async () => {
    await run();
    const item = { type: 'message', channel: GENERAL, ts: '1700000000.000100' };
    server.emit({ type: 'reaction_added', user: ANN, reaction: 'x', item, item_user: ANN });
    server.emit({ type: 'reaction_added', user: ANN, reaction: 'eyes', item, item_user: BOT_USER });
    await arrived(1);
    expect(account.delivered[0]?.text).toContain(':eyes:');
  });
});

describe('repetitions', () => {
  it('of what the host has are confirmed and not told again', async () => {
    await run();
    const body = server.emit({ type: 'member_joined_channel', user: ANN, channel: GENERAL });
    await arrived(1);
    server.again(body);
    await until(() => server.acked.length === 2, 'both confirmations');
    expect(account.delivered).toHaveLength(1);
  });

  it('come for what could not be kept, until it is', async () => {
    let tries = 0;
    const deliver = async () => {
      tries += 1;
      if (tries < 3) throw new Error('disk full');
      return { accepted: true };
    };
    await run({}, { deliver });
    server.say('hello');
    await arrived(1);
    await until(() => server.pending().length === 0, 'the confirmation');
    expect(tries).toBe(3);
    expect(account.log.join()).toContain('was not kept and comes again: disk full');
  });

  it('that come while the host is at work wait for the same work', async () => {
    const gate = Promise.withResolvers<void>();
    await run({}, { deliver: () => gate.promise.then(() => ({ accepted: true })) });
    server.say('slow');
    await new Promise((resolve) => setTimeout(resolve, 700));
    gate.resolve();
    await until(() => server.pending().length === 0, 'the confirmation');
    expect(account.delivered).toHaveLength(1);
  });
});

describe('files', () => {
  it('are fetched with the token from Slack alone, within the limit', async () => {
    await run({ mediaMaxMb: 0.001 });
    const file = server.addFile('note.txt', 'text/plain', Buffer.from('content'));
    const page = server.addFile('page.png', 'image/png', Buffer.from('x'));
    server.say('look', { subtype: 'file_share', files: [file, { ...page, url_private_download: 'https://evil.example/page.png' }, { ...file, size: 5000 }] });
    server.say('', { files: [{ name: 'plan', mode: 'external', external_url: 'https://docs.example/plan' }, { mode: 'tombstone' }] });
    await arrived(2);
    const [media = []] = account.delivered.map((message) => message.media);
    expect(media.map(({ kind, fileName, mimeType, size }) => ({ kind, fileName, mimeType, size }))).toEqual([
      { kind: 'file', fileName: 'note.txt', mimeType: 'text/plain', size: 7 },
      { kind: 'image', fileName: 'page.png', mimeType: 'image/png', size: 1 },
      { kind: 'file', fileName: 'note.txt', mimeType: 'text/plain', size: 5000 },
    ]);
    const load = (index: number) => media[index]?.load(AbortSignal.timeout(5000));
    expect(Buffer.from((await load(0)) ?? []).toString()).toBe('content');
    // the host may want less than the account takes
    await expect(media[0]?.load(AbortSignal.timeout(5000), { maxBytes: 3 })).rejects.toMatchObject({ code: 'SLACK_FILE_SIZE' });
    await expect(load(1)).rejects.toMatchObject({ code: 'SLACK_FILE' });
    await expect(load(2)).rejects.toMatchObject({ code: 'SLACK_FILE_SIZE' });
    expect(account.delivered[1]).toMatchObject({ text: '[file: plan https://docs.example/plan]' });
    expect(account.delivered[1]).not.toHaveProperty('media');
    expect(server.of('file').map(({ token }) => token)).toEqual([BOT_TOKEN]);
  });
});

describe('a file that is not where it seems', () => {
  const first = async () => {
    await arrived(1);
    return account.delivered[0]?.media?.[0]?.load(AbortSignal.timeout(5000));
  };

  it('of another workspace is asked for', async () => {
    await run();
    const { id, name } = server.addFile('shared.txt', 'text/plain', Buffer.from('shared'));
    server.say('look', { files: [{ id, name, file_access: 'check_file_info', mode: 'hosted' }] });
    expect(Buffer.from((await first()) ?? []).toString()).toBe('shared');
  });

  it('is followed within Slack and nowhere else', async () => {
    await run();
    const file = server.addFile('note.txt', 'text/plain', Buffer.from('content'));
    server.say('look', { files: [file] });
    server.fail('file', { status: 302, location: '/file/note.txt' });
    expect(Buffer.from((await first()) ?? []).toString()).toBe('content');
    expect(server.of('file')).toHaveLength(2);
    for (const location of ['http://127.0.0.1:1/file/note.txt', 'https://evil-slack.com/x', 'http://files.slack.com/x', 'file:///etc/passwd']) {
      server.fail('file', { status: 302, location });
      await expect(first()).rejects.toMatchObject({ code: 'SLACK_FILE' });
    }
  });

  it('is not taken for one when Slack shows a page to sign in', async () => {
    await run({ botToken: 'xoxp-of-somebody' });
    server.say('look', { files: [server.addFile('a.png', 'image/png', Buffer.from('x'))] });
    await expect(first()).rejects.toMatchObject({ code: 'SLACK_FILE', hint: expect.stringContaining('files:read') });
  });
});

describe('the socket', () => {
  it('is opened again when Slack closes it, with a word or without', async () => {
    await run();
    for (const reason of ['refresh_requested', 'warning', undefined]) {
      const before = server.of('apps.connections.open').length;
      server.disconnect(reason);
      await until(() => server.of('apps.connections.open').length > before && server.sockets() === 1, `a socket after ${reason}`);
    }
    server.say('still there');
    await arrived(1);
    await until(() => account.status.connected === true, 'the connection');
  });

  it('brings what was not confirmed before it broke', async () => {
    const gate = Promise.withResolvers<void>();
    await run({}, { deliver: () => gate.promise.then(() => ({ accepted: true })) });
    server.say('hello');
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.disconnect();
    gate.resolve();
    await until(() => server.pending().length === 0, 'the confirmation');
    expect(account.delivered).toHaveLength(1);
  });

  it('ends the account with a reason when none can be opened', async () => {
    server.fail('apps.connections.open', { error: 'not_allowed_token_type' });
    account = runAccount(channel, settings(server.url));
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_AUTH', retryable: false, hint: expect.stringContaining('appToken with xapp-') });
    server.fail('apps.connections.open', { error: 'missing_scope', needed: 'connections:write' });
    account = runAccount(channel, settings(server.url));
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_SCOPE', retryable: false, hint: expect.stringContaining('connections:write') });
    account = runAccount(channel, settings(server.url, { botToken: 'xoxb-wrong' }));
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_AUTH', message: expect.not.stringContaining('xoxb-wrong') });
    account = runAccount(channel, settings(server.url, { appToken: undefined }));
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_TOKEN_MISSING', hint: expect.stringContaining('SLACK_APP_TOKEN') });
  });

  it('is tried again within the policy, then the account ends and does not take the process with it', async () => {
    server.fail('apps.connections.open', 'cut', { status: 503 });
    await run();
    server.fail('socket', 'reset', 'reset');
    server.disconnect();
    await until(() => server.of('apps.connections.open').length === 6 && server.sockets() === 1, 'the third try');
    await server.down();
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_CONNECTION', retryable: true });
    expect(account.status.connected).toBe(false);
    await server.up();
  });

  it('ends the account when Socket Mode is switched off, or the app is taken out', async () => {
    await run();
    server.disconnect('link_disabled');
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_SOCKET_OFF' });
    await run();
    server.emit({ type: 'app_uninstalled' });
    await expect(account.done).rejects.toMatchObject({ code: 'SLACK_AUTH', message: expect.stringContaining('taken out') });
  });

  it('closes when the account is stopped, after the work that is under way', async () => {
    await run({}, { deliver: () => new Promise((resolve) => setTimeout(() => resolve({ accepted: true }), 100)) });
    server.say('last');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await account.stop();
    expect(server.acked).toHaveLength(1);
    await until(() => server.sockets() === 0, 'the end of the socket');
  });

  it('is one for each app', async () => {
    await run();
    const second = runAccount(channel, settings(server.url, { accounts: { default: {}, other: {} } }), { accountId: 'other' });
    await expect(second.done).rejects.toMatchObject({ code: 'SLACK_TOKEN_SHARED' });
  });
});
