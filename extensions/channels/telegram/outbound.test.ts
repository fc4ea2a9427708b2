import type { ChannelOutboundAdapter } from 'Durar/plugin-sdk/core';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settings, toAnn } from '../../../test/fixtures/telegram-account.ts';
import { createTelegramServer, type TelegramServer, TOKEN } from '../../../test/fixtures/telegram-server.ts';
import { resolveAccount } from './account.ts';
import { createTelegram } from './channel.ts';
import { toHtml, visibleLength } from './dialect.ts';
import { menuOf } from './menu.ts';
import { setup } from './setup.ts';
import { normalizeSender, parseTarget } from './target.ts';

let server: TelegramServer;
let outbound: Required<ChannelOutboundAdapter>;
let cfg: Record<string, unknown>;
let folder: string;

beforeEach(async () => {
  server = await createTelegramServer();
  outbound = createTelegram().outbound as Required<ChannelOutboundAdapter>;
  cfg = settings(server.url);
  folder = await mkdtemp(join(tmpdir(), 'durar-telegram-'));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});
const last = (method: string) => server.of(method).at(-1);

describe('text', () => {
  it('is HTML that Telegram reads (SYS-032)', async () => {
    const text =
      '# Title\n\n**bold** *it* ~~no~~ `a < b` [link](https://example.org/?a=1&b=2)\n\n> quote\n> > deep\n\n```ts\nif (a < b) {}\n```\n\n- one\n  - two\n\n<script>';
    await outbound.sendText({ ...toAnn(cfg), text });
    expect(server.of('sendMessage')).toHaveLength(1);
    expect(last('sendMessage')?.payload).toEqual({ chat_id: 7001, parse_mode: 'HTML', text: expect.stringContaining('<b>Title</b>') });
    const html = String(last('sendMessage')?.payload.text);
    for (const part of [
      '<b>bold</b> <i>it</i> <s>no</s> <code>a &lt; b</code>',
      '<a href="https://example.org/?a=1&amp;b=2">link</a>',
      '<pre><code class="language-ts">if (a &lt; b) {}</code></pre>',
      '• one\n  • two',
      '&lt;script&gt;',
    ])
      expect(html).toContain(part);
    expect(html.match(/<blockquote>/g)).toHaveLength(1);
  });

  it('hostile markup never needs the plain text', async () => {
    const samples = [
      '<b>',
      '</pre>',
      '[a](javascript:alert(1))',
      '[a"onclick=x](https://x.y/"q)',
      '**a *b** c*',
      '&lt;b&gt;',
      '`<code>`',
      '| a | b |\n|--|--|\n| <i> | ** |',
      '[](https://a.b)',
      '![x](y)',
    ];
    for (const text of samples) await outbound.sendText({ ...toAnn(cfg), text });
    expect(server.of('sendMessage')).toHaveLength(samples.length);
    expect(JSON.stringify(server.of('sendMessage').map(({ payload }) => payload.text))).not.toContain('href=\\"javascript');
  });

  it('that grows beyond the limit as HTML goes out as it was written', async () => {
    const table = ['| name | value |', '|--|--|', `| ${'x'.repeat(900)} | y |`, ...Array.from({ length: 8 }, () => '| a | b |')].join('\n');
    expect(visibleLength(toHtml(table))).toBeGreaterThan(4096);
    await outbound.sendText({ ...toAnn(cfg), text: table });
    expect(server.of('sendMessage').map(({ payload }) => payload)).toEqual([{ chat_id: 7001, text: table }]);
  });

  it('shows tables as the settings say', async () => {
    const text = '| a | b |\n|--|--|\n| 1 | 2 |';
    const shown = async (tables: string) => {
      await outbound.sendText({ ...toAnn(settings(server.url, { markdown: { tables } })), text });
      return last('sendMessage')?.payload.text;
    };
    expect(await shown('code')).toContain('<pre>');
    expect(await shown('bullets')).toBe('• a: 1; b: 2');
    expect(await shown('off')).toBe(text);
  });

  it('answers a message, without a preview of links where that is set', async () => {
    await outbound.sendText({ ...toAnn(settings(server.url, { linkPreview: false }), { replyToId: '55' }), text: 'yes' });
    expect(last('sendMessage')?.payload).toMatchObject({
      reply_parameters: { message_id: 55, allow_sending_without_reply: true },
      link_preview_options: { is_disabled: true },
    });
    await outbound.sendText({ ...toAnn(cfg, { replyToId: 'callback:9' }), text: 'yes' });
    expect(last('sendMessage')?.payload).not.toHaveProperty('reply_parameters');
  });

  it('goes into the topic; into General without its id, which typing keeps', async () => {
    await outbound.sendText({ cfg, to: '-100123:topic:5', text: 'in 5' });
    expect(last('sendMessage')?.payload).toMatchObject({ chat_id: -100123, message_thread_id: 5 });
    await outbound.sendText({ cfg, to: '-100123', threadId: '6', text: 'in 6' });
    expect(last('sendMessage')?.payload).toMatchObject({ message_thread_id: 6 });
    await outbound.sendText({ cfg, to: '-100123:topic:1', threadId: '1', text: 'in General' });
    expect(last('sendMessage')?.payload).not.toHaveProperty('message_thread_id');
    await outbound.sendTyping({ cfg, to: '-100123:topic:1' });
    expect(last('sendChatAction')?.payload).toEqual({ chat_id: -100123, action: 'typing', message_thread_id: 1 });
  });

  it('follows a group that got another id', async () => {
    server.fail('sendMessage', { error_code: 400, description: 'Bad Request: group chat was upgraded', parameters: { migrate_to_chat_id: -100777 } });
    await outbound.sendText({ cfg, to: '-123', text: 'hello' });
    expect(server.of('sendMessage').map(({ payload }) => payload.chat_id)).toEqual([-123, -100777]);
  });

  it('is not typed twice: typing is asked for once, whatever happens', async () => {
    server.fail('sendChatAction', 'reset');
    await expect(outbound.sendTyping(toAnn(cfg))).rejects.toMatchObject({ code: 'TELEGRAM_CONNECTION' });
    expect(server.of('sendChatAction')).toHaveLength(1);
  });
});

describe('files', () => {
  const send = (mediaUrl: string, text = '', more: object = {}) => outbound.sendMedia({ ...toAnn(cfg), text, mediaUrl, ...more });

  it('go out as what they are', async () => {
    const kinds: Array<[string, string, string]> = [
      ['image/png', 'sendPhoto', 'photo'],
      ['image/gif', 'sendAnimation', 'animation'],
      ['image/webp', 'sendSticker', 'sticker'],
      ['audio/ogg', 'sendVoice', 'voice'],
      ['audio/mpeg', 'sendAudio', 'audio'],
      ['video/mp4', 'sendVideo', 'video'],
      ['application/zip', 'sendDocument', 'document'],
    ];
    for (const [type, method, field] of kinds) {
      await send(`data:${type};base64,${Buffer.from(type).toString('base64')}`);
      expect(last(method)?.files).toMatchObject([{ field, bytes: Buffer.from(type) }]);
    }
    await send('data:audio/mpeg;base64,AAAA', '', { asVoice: true });
    expect(server.of('sendVoice')).toHaveLength(2);
    // a sticker has no caption
    await send('data:image/webp;base64,AAAA', 'look');
    expect(last('sendPhoto')?.payload).toMatchObject({ caption: 'look' });
  });

  it('are read from disk, or fetched by Telegram from an address', async () => {
    const file = join(folder, 'my "notes".txt');
    await writeFile(file, 'hello');
    await send(pathToFileURL(file).href, 'a *file*');
    expect(last('sendDocument')).toMatchObject({
      payload: { caption: 'a <i>file</i>', parse_mode: 'HTML' },
      files: [{ name: 'my _notes_.txt', bytes: Buffer.from('hello') }],
    });
    await send('https://example.org/pic.jpg?x=1');
    expect(last('sendPhoto')?.payload).toMatchObject({ photo: 'https://example.org/pic.jpg?x=1' });
  });

  it('that are no photo for Telegram go out as a document', async () => {
    server.fail('sendPhoto', { error_code: 400, description: 'Bad Request: PHOTO_INVALID_DIMENSIONS' });
    await send('data:image/png;base64,AAAA', 'long and thin');
    expect(last('sendDocument')?.payload).toMatchObject({ caption: 'long and thin' });
  });

  it('that cannot be had are refused before anything is sent, for good', async () => {
    const small = settings(server.url, { mediaMaxMb: 0.001 });
    await writeFile(join(folder, 'big.bin'), Buffer.alloc(2000));
    for (const [mediaUrl, config] of [
      [pathToFileURL(join(folder, 'big.bin')).href, small],
      [`data:application/zip;base64,${Buffer.alloc(2000).toString('base64')}`, small],
      [pathToFileURL(join(folder, 'none')).href, cfg],
      [pathToFileURL(folder).href, cfg],
      ['ftp://example.org/a', cfg],
      ['data:nothing', cfg],
    ] as const)
      await expect(outbound.sendMedia({ ...toAnn(config), text: 'x', mediaUrl })).rejects.toMatchObject({
        retryable: false,
        hint: expect.stringMatching(/\w/),
      });
    expect(server.requests).toEqual([]);
  });
});

describe('the rest', () => {
  it('polls', async () => {
    const poll = { question: 'Tea?', options: ['yes', 'no', 'coffee'], maxSelections: 2, durationSeconds: 60 };
    expect(await outbound.sendPoll({ ...toAnn(cfg), poll, silent: true, isAnonymous: false })).toEqual({
      messageId: '1',
      pollId: 'poll-1',
      conversationId: '7001',
    });
    expect(last('sendPoll')?.payload).toEqual({
      chat_id: 7001,
      question: 'Tea?',
      options: [{ text: 'yes' }, { text: 'no' }, { text: 'coffee' }],
      allows_multiple_answers: true,
      is_anonymous: false,
      open_period: 60,
      disable_notification: true,
    });
    const { durationSeconds: _, ...open } = poll;
    await expect(outbound.sendPoll({ ...toAnn(cfg), poll: { ...open, durationHours: 1 } })).rejects.toMatchObject({ code: 'TELEGRAM_POLL', retryable: false });
  });

  it('edits and deletes; what is so already is no failure', async () => {
    const { messageId = '' } = await outbound.sendText({ ...toAnn(cfg), text: 'before' });
    await outbound.editText({ ...toAnn(cfg), messageId, text: '**after**' });
    await outbound.editText({ ...toAnn(cfg), messageId, text: '**after**' });
    expect(server.messages.map(({ text }) => text)).toEqual(['after']);
    await outbound.deleteMessage({ ...toAnn(cfg), messageId });
    await outbound.deleteMessage({ ...toAnn(cfg), messageId });
    expect(server.messages).toEqual([]);
    await expect(outbound.editText({ ...toAnn(cfg), messageId, text: 'x' })).rejects.toMatchObject({ code: 'TELEGRAM_REFUSED' });
    await expect(outbound.deleteMessage({ ...toAnn(cfg), messageId: 'x' })).rejects.toMatchObject({ code: 'TELEGRAM_MESSAGE_ID' });
  });

  it('an edit or deletion whose answer was lost is not a failure the second time', async () => {
    const { messageId = '' } = await outbound.sendText({ ...toAnn(cfg), text: 'before' });
    server.fail('editMessageText', 'lost');
    await outbound.editText({ ...toAnn(cfg), messageId, text: 'after' });
    server.fail('deleteMessage', 'lost');
    await outbound.deleteMessage({ ...toAnn(cfg), messageId });
    expect([server.of('editMessageText').length, server.of('deleteMessage').length]).toEqual([2, 2]);
  });

  it('reactions, taken away by an empty one, and never where they are switched off', async () => {
    await outbound.sendReaction({ ...toAnn(cfg), messageId: '3', emoji: '👍' });
    expect(last('setMessageReaction')?.payload).toEqual({ chat_id: 7001, message_id: 3, reaction: [{ type: 'emoji', emoji: '👍' }] });
    await outbound.sendReaction({ ...toAnn(cfg), messageId: '3', emoji: '' });
    expect(last('setMessageReaction')?.payload.reaction).toEqual([]);
    const off = settings(server.url, { reactionLevel: 'off' });
    await expect(outbound.sendReaction({ ...toAnn(off), messageId: '3', emoji: '👍' })).rejects.toMatchObject({
      code: 'TELEGRAM_REACTIONS_OFF',
      retryable: false,
    });
  });

  it('tells an approved person', async () => {
    await createTelegram().pairing?.notifyApproval?.(toAnn(cfg));
    expect(server.messages).toHaveLength(1);
  });
});

it('has the defaults that its manifest tells', async () => {
  const manifest = JSON.parse(await readFile(new URL('Durar.plugin.json', import.meta.url), 'utf8'));
  const { properties } = manifest.channelConfigs.telegram.schema;
  const defaults = resolveAccount({ channels: { telegram: {} } });
  expect(defaults.mediaMaxBytes).toBe(properties.mediaMaxMb.default * 1024 * 1024);
  expect(properties.textChunkLimit.description).toContain(String(outbound.textChunkLimit));
  expect(properties.timeoutSeconds.description).toContain(String(defaults.timeoutMs / 1000));
  expect(properties.apiRoot.description).toContain(defaults.apiRoot);
  for (const [key, value] of Object.entries(defaults.retry)) expect(properties.retry.properties[key].description).toContain(`default ${value}`);
  expect([manifest.id, manifest.channels]).toEqual(['telegram', [createTelegram().id]]);
});

it('reads targets in every form, and refuses what is none', () => {
  expect(
    ['7001', 'tg:7001', 'telegram:user:7001', '-100123:topic:5', '@Some_Chat', 'some_chat', 'https://t.me/some_chat'].map((to) => parseTarget(to)),
  ).toEqual([
    { chatId: 7001 },
    { chatId: 7001 },
    { chatId: 7001 },
    { chatId: -100123, topicId: 5 },
    { chatId: '@Some_Chat' },
    { chatId: '@some_chat' },
    { chatId: '@some_chat' },
  ]);
  expect(parseTarget('-100123:topic:5', '6')).toEqual({ chatId: -100123, topicId: 6 });
  for (const to of ['', 'a b', '1:2:3', '@', '@a/../b'])
    expect(() => parseTarget(to)).toThrow(expect.objectContaining({ code: 'TELEGRAM_TARGET', retryable: false }));
});

it('compares people without prefix and case', () => {
  expect(['tg:7001', 'telegram:7001', ' 7001 ', '@AnnSmith', 'TG:@AnnSmith', '*'].map(normalizeSender)).toEqual([
    '7001',
    '7001',
    '7001',
    'annsmith',
    'annsmith',
    '*',
  ]);
});

it("puts the operator's commands before the host's, each once, and no more than Telegram takes", () => {
  const menu = menuOf({ customCommands: [{ command: '/status', description: 'mine' }], nativeCommands: true });
  expect(menu[0]).toEqual({ command: 'status', description: 'mine' });
  expect(menu.filter(({ command }) => command === 'status')).toHaveLength(1);
  for (const { command, description } of menu) expect([command, description.length <= 256]).toEqual([expect.stringMatching(/^[a-z0-9_]{1,32}$/), true]);
  expect(menuOf({ customCommands: [], nativeCommands: false })).toEqual([]);
  const many = Array.from({ length: 120 }, (_, index) => ({ command: `c${index}`, description: 'x' }));
  expect(menuOf({ customCommands: many, nativeCommands: true })).toHaveLength(100);
});

describe('the token', () => {
  const account = (telegram: object, accountId?: string) => resolveAccount({ channels: { telegram } }, accountId);

  it('is that of the account, else of the channel, else the variable, which only the default account takes', () => {
    process.env.TELEGRAM_BOT_TOKEN = 'of-the-environment';
    try {
      expect(account({}).token).toBe('of-the-environment');
      expect(account({ botToken: 'a' }).token).toBe('a');
      expect(account({ tokenFile: '/t' })).toMatchObject({ tokenFile: '/t' });
      expect(account({ tokenFile: '/t' }).token).toBeUndefined();
      expect(account({ botToken: 'a', accounts: { work: { botToken: 'b' }, home: {}, file: { tokenFile: '/t' } } }, 'work').token).toBe('b');
      expect(account({ botToken: 'a', accounts: { home: {} } }, 'home').token).toBe('a');
      expect(account({ botToken: 'a', accounts: { file: { tokenFile: '/t' } } }, 'file').token).toBeUndefined();
      expect(account({ accounts: { home: {} } }, 'home').token).toBeUndefined();
    } finally {
      delete process.env.TELEGRAM_BOT_TOKEN;
    }
  });

  it('is read from a file that is no link', async () => {
    const file = join(folder, 'token');
    const link = join(folder, 'link');
    await writeFile(file, `${TOKEN}\n`);
    await symlink(file, link);
    const at = (tokenFile: string) => settings(server.url, { botToken: undefined, tokenFile });
    await outbound.sendText({ ...toAnn(at(file)), text: 'hello' });
    expect(last('sendMessage')?.token).toBe(TOKEN);
    for (const [path, why] of [
      [link, 'is a symbolic link'],
      [folder, 'is not a file'],
      [join(folder, 'none'), 'ENOENT'],
    ] as const)
      await expect(outbound.sendText({ ...toAnn(at(path)), text: 'hello' })).rejects.toMatchObject({
        code: 'TELEGRAM_TOKEN_FILE',
        message: expect.stringContaining(why),
      });
    await expect(outbound.sendText({ ...toAnn({ channels: { telegram: {} } }), text: 'x' })).rejects.toMatchObject({ code: 'TELEGRAM_TOKEN_MISSING' });
  });

  it('is what setup asks for', () => {
    const token = '123456789:AAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx';
    expect(setup.fields.find(({ key }) => key === 'botToken')).toMatchObject({ secret: true, env: 'TELEGRAM_BOT_TOKEN' });
    expect(setup.validateInput?.({})).toContain('needed');
    expect(setup.validateInput?.({ botToken: 'x' })).toContain('no bot token');
    expect(setup.validateInput?.({ tokenFile: 'relative' })).toContain('absolute');
    expect(setup.validateInput?.({ botToken: token, tokenFile: '/t' })).toContain('not both');
    expect(setup.validateInput?.({ botToken: token })).toBeUndefined();
    expect(setup.accountConfig({ botToken: token, allowFrom: '7001, @ann' })).toEqual({ botToken: token, allowFrom: ['7001', '@ann'] });
  });
});
