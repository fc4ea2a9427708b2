import type { ChannelOutboundAdapter } from 'Durar/plugin-sdk/core';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newDiscord, settings, toAnn, toGeneral } from '../../../test/fixtures/discord-account.ts';
import { ANN, ANN_DM, createDiscordServer, type DiscordServer, GENERAL, THREAD } from '../../../test/fixtures/discord-server.ts';
import { toDiscord } from './dialect.ts';
import { parseTarget } from './target.ts';

let server: DiscordServer;
let outbound: Required<ChannelOutboundAdapter>;

beforeEach(async () => {
  server = await createDiscordServer();
  outbound = newDiscord().outbound as Required<ChannelOutboundAdapter>;
});
afterEach(() => server.close());

const cfg = (more = {}) => settings(server.url, more);
const lastBody = () => server.of('POST messages').at(-1)?.body;

describe('what goes out', () => {
  it('goes to people and channels, and to a thread before its channel (SYS-033)', async () => {
    await outbound.sendText({ ...toAnn(cfg()), text: 'to you' });
    await outbound.sendText({ ...toAnn(cfg()), text: 'again' });
    await outbound.sendText({ ...toGeneral(cfg()), text: 'to all' });
    await outbound.sendText({ ...toGeneral(cfg(), { threadId: THREAD.id }), text: 'to the thread' });
    expect(server.messages.map(({ channel_id }) => channel_id)).toEqual([ANN_DM, ANN_DM, GENERAL.id, THREAD.id]);
    expect(server.of('POST channels')).toHaveLength(1);
    expect(server.of('POST channels')[0]?.body).toEqual({ recipient_id: ANN.id });
  });

  it.each(['123', 'annsmith', '', 'user:ann', 'role:1', 'channel:1/../2'])('refuses the target %j', async (to) => {
    await expect(outbound.sendText({ cfg: cfg(), to, text: 'x' })).rejects.toMatchObject({ code: 'DISCORD_TARGET', retryable: false });
    expect(server.requests).toEqual([]);
  });

  it('takes targets as they are written', () => {
    expect(parseTarget(' Discord:Channel:12 ')).toEqual({ kind: 'channel', id: '12' });
    expect(parseTarget('user:12', '99')).toEqual({ kind: 'user', id: '12' });
    expect(parseTarget('channel:12', '99')).toEqual({ kind: 'channel', id: '99' });
  });

  it.each(['@everyone look', '@here', '<@&5>', '<@7>', '[x](<@7>)', '`@everyone`', '| a |\n|---|\n| @everyone |'])('pings nobody: %j', async (text) => {
    await outbound.sendText({ ...toGeneral(cfg()), text });
    await outbound.sendMedia({ ...toGeneral(cfg()), text, mediaUrl: 'data:text/plain,x' });
    await outbound.editText({ ...toGeneral(cfg()), messageId: String(server.messages[0]?.id), text });
    for (const { body } of server.requests) expect(body.allowed_mentions).toEqual({ parse: [], replied_user: false });
    await outbound.sendPoll({ ...toGeneral(cfg()), poll: { question: text, options: ['a', 'b'], maxSelections: 1 } });
    expect(lastBody()?.allowed_mentions).toEqual({ parse: [], replied_user: false });
  });

  it('pings people and no more where the operator allows it', async () => {
    await outbound.sendText({ ...toGeneral(cfg({ allowedMentions: 'users' })), text: '<@7> @everyone <@&9>' });
    expect(lastBody()).toMatchObject({ content: '<@7> @everyone <@&9>', allowed_mentions: { parse: ['users'] } });
  });

  it('answers a message, also one that is gone', async () => {
    const id = server.say('hello', { channel_id: GENERAL.id });
    await outbound.sendText({ ...toGeneral(cfg(), { replyToId: id }), text: 'hi' });
    expect(server.messages.at(-1)).toMatchObject({ type: 19, referenced_message: { id } });
    await outbound.sendText({ ...toGeneral(cfg(), { replyToId: '1' }), text: 'hi' });
    await outbound.sendText({ ...toGeneral(cfg(), { replyToId: 'edit:1:2' }), text: 'hi' });
    expect(lastBody()).not.toHaveProperty('message_reference');
  });

  it('says the same key once, also after a restart, and different keys apart', async () => {
    const key = { idempotencyKey: 'outbox-1:0' };
    const first = await outbound.sendText({ ...toGeneral(cfg(), key), text: 'once' });
    const again = await (newDiscord().outbound as typeof outbound).sendText({ ...toGeneral(cfg(), key), text: 'once' });
    await outbound.sendText({ ...toGeneral(cfg(), { idempotencyKey: 'outbox-1:1' }), text: 'once' });
    expect(again.messageId).toBe(first.messageId);
    expect(server.messages).toHaveLength(2);
    expect(outbound.idempotent).toBe(true);
    expect(String(lastBody()?.nonce).length).toBeLessThanOrEqual(25);
  });

  it('uploads files with their caption, and cuts a long one', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'durar-discord-'));
    try {
      const file = join(dir, 'report.txt');
      await writeFile(file, 'content');
      await outbound.sendMedia({ ...toGeneral(cfg()), text: `**here** ${'word '.repeat(600)}`, mediaUrl: pathToFileURL(file).href });
      const [upload, rest] = server.of('POST messages');
      expect(upload?.files).toEqual([{ field: 'files[0]', name: 'report.txt', bytes: Buffer.from('content') }]);
      expect(String(upload?.body.content)).toMatch(/^\*\*here\*\* word/);
      expect(rest?.files).toEqual([]);
      const large = { ...toGeneral(cfg({ mediaMaxMb: 0.000_001 })), text: '', mediaUrl: pathToFileURL(file).href };
      await expect(outbound.sendMedia(large)).rejects.toMatchObject({ code: 'DISCORD_FILE_SIZE', retryable: false });
      await expect(outbound.sendMedia({ ...large, mediaUrl: `file://${dir}/none` })).rejects.toMatchObject({ code: 'DISCORD_MEDIA' });
      expect(server.of('POST messages')).toHaveLength(2);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('lets Discord fetch what is at an address', async () => {
    await outbound.sendMedia({ ...toGeneral(cfg()), text: 'see', mediaUrl: 'https://example.org/a_b.png' });
    expect(lastBody()?.content).toBe('see\nhttps://example.org/a_b.png');
  });

  it('sends a sticker of Discord as what it is', async () => {
    await outbound.sendMedia({ ...toGeneral(cfg()), text: '', mediaUrl: 'https://media.discordapp.net/stickers/749054660769218631.png?size=160' });
    expect(lastBody()).toMatchObject({ sticker_ids: ['749054660769218631'] });
    expect(lastBody()).not.toHaveProperty('content');
  });

  it('makes polls, and refuses those that Discord does not have', async () => {
    const poll = { question: 'Tea?', options: ['yes', 'no'], maxSelections: 2, durationHours: 2 };
    const sent = await outbound.sendPoll({ ...toGeneral(cfg()), poll, silent: true });
    expect(sent).toMatchObject({ channelId: GENERAL.id, pollId: sent.messageId });
    expect(lastBody()).toMatchObject({
      flags: 4096,
      poll: { question: { text: 'Tea?' }, answers: [{ poll_media: { text: 'yes' } }, { poll_media: { text: 'no' } }], duration: 2, allow_multiselect: true },
    });
    for (const bad of [{ durationHours: 800 }, { question: 'x'.repeat(301) }, { options: ['x'.repeat(56), 'y'] }]) {
      await expect(outbound.sendPoll({ ...toGeneral(cfg()), poll: { ...poll, ...bad } })).rejects.toMatchObject({ code: 'DISCORD_POLL', retryable: false });
    }
    await expect(outbound.sendPoll({ ...toGeneral(cfg()), poll, isAnonymous: true })).rejects.toMatchObject({ code: 'DISCORD_POLL' });
  });

  it('edits, deletes and reacts', async () => {
    const to = toGeneral(cfg());
    const { messageId = '' } = await outbound.sendText({ ...to, text: 'hello' });
    await outbound.editText({ ...to, messageId, text: '*changed*' });
    expect(server.messages[0]?.content).toBe('*changed*');
    await outbound.sendReaction({ ...to, messageId, emoji: '👍' });
    await outbound.sendReaction({ ...to, messageId, emoji: '<:durar:55>' });
    expect(server.of('PUT reactions').map(({ path }) => decodeURIComponent(path))).toEqual([
      `/channels/${GENERAL.id}/messages/${messageId}/reactions/👍/@me`,
      `/channels/${GENERAL.id}/messages/${messageId}/reactions/durar:55/@me`,
    ]);
    Object.assign(server.messages[0] ?? {}, {
      reactions: [
        { me: true, emoji: { id: null, name: '👍' } },
        { me: false, emoji: { id: null, name: '🎉' } },
      ],
    });
    await outbound.sendReaction({ ...to, messageId, emoji: '' });
    expect(server.of('DELETE reactions').map(({ path }) => decodeURIComponent(path))).toEqual([
      `/channels/${GENERAL.id}/messages/${messageId}/reactions/👍/@me`,
    ]);
    await outbound.deleteMessage({ ...to, messageId });
    await outbound.deleteMessage({ ...to, messageId });
    await expect(outbound.editText({ ...to, messageId, text: 'x' })).rejects.toMatchObject({ code: 'DISCORD_REFUSED', retryable: false });
    await expect(outbound.editText({ ...to, messageId: '../1', text: 'x' })).rejects.toMatchObject({ code: 'DISCORD_MESSAGE_ID' });
  });

  it('shows that it types', async () => {
    await outbound.sendTyping(toAnn(cfg()));
    expect(server.of('POST typing')[0]?.path).toBe(`/channels/${ANN_DM}/typing`);
  });
});

describe('the dialect', () => {
  it.each([
    ['**b** *i* ~~s~~ `c`', '**b** *i* ~~s~~ `c`'],
    ['a snake_case_name and 2 * 3', 'a snake\\_case\\_name and 2 \\* 3'],
    ['see https://example.org/a_b_c now', 'see https://example.org/a_b_c now'],
    ['[text](https://example.org/x)', '[text](https://example.org/x)'],
    ['[text](javascript:alert)', 'text (javascript:alert)'],
    ['hello <@12> <:my_emoji:5> <#7>', 'hello <@12> <:my_emoji:5> <#7>'],
    ['## Title\n\n##### small', '## Title\n\n**small**'],
    ['- a\n- b\n  - c\n\n3. x\n4. y', '- a\n- b\n  - c\n\n3. x\n4. y'],
    ['> quoted\n> twice', '> quoted\n> twice'],
    ['```ts\nconst a = 1;\n```', '```ts\nconst a = 1;\n```'],
    ['| a | b |\n|---|---|\n| 1 | 2 |', '```\na | b\n--|--\n1 | 2\n```'],
    ['\\# no title', '\\# no title'],
  ])('%j becomes %j', (markdown, shown) => expect(toDiscord(markdown)).toBe(shown));

  it('sends as it was written what would grow beyond the limit', () => {
    const text = 'a_b '.repeat(500).trim();
    expect(toDiscord(text)).toBe(text);
  });

  it('lets no code block be left early', () => {
    expect(toDiscord('~~~\n```\n@everyone\n~~~')).toBe('```\n``\u200b`\n@everyone\n```');
  });
});
