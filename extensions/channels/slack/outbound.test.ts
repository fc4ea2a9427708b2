import type { Channel, OutboundTarget } from 'Durar/plugin-sdk/core';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settings, toAnn } from '../../../test/fixtures/slack-account.ts';
import { ANN, ANN_CHAT, BOT_TOKEN, createSlackServer, GENERAL, type SlackServer } from '../../../test/fixtures/slack-server.ts';
import { createSlack } from './channel.ts';
import { toMrkdwn } from './dialect.ts';

let server: SlackServer;
let channel: Channel;

beforeEach(async () => {
  server = await createSlackServer();
  channel = createSlack();
});
afterEach(() => server.close());

const to = (more: Partial<OutboundTarget> = {}, slack: Record<string, unknown> = {}) => toAnn(settings(server.url, slack), more);
const send = (text: string, more: Partial<OutboundTarget> = {}) => channel.outbound?.sendText?.({ ...to(more), text });

describe('the dialect', () => {
  it('is mrkdwn', () => {
    const markdown =
      '# A *title*\n\n**bold** _it_ ~~gone~~ `a<b` [a page](https://x.example/?a=1&b=2) <https://y.example>\n\n> quoted\n\n- one\n  - two\n1. three';
    expect(toMrkdwn(markdown)).toBe(
      [
        '*A _title_*',
        '*bold* _it_ ~gone~ `a&lt;b` <https://x.example/?a=1&amp;b=2|a page> <https://y.example>',
        '> quoted',
        '• one\n    • two',
        '1. three',
      ].join('\n\n'),
    );
    expect(toMrkdwn('```js\nif (a < b) `x`;\n```')).toBe('```\nif (a &lt; b) `x`;\n```');
    expect(toMrkdwn('| a | b |\n|---|---|\n| 1 | 2 |')).toBe('```\na | b\n--|--\n1 | 2\n```');
    expect(toMrkdwn('| a | b |\n|---|---|\n| 1 | 2 |', 'bullets')).toBe('• a: 1; b: 2');
  });

  it('calls people and nobody else, whatever the model writes', () => {
    expect(toMrkdwn(`ask <@${ANN}>`)).toBe(`ask <@${ANN}>`);
    const hostile = [
      '<!channel> <!here|x> <!everyone> <!subteam^S012345>',
      '**<!channel>** _<!here>_ ~~<!everyone>~~',
      '`<!channel>`',
      '```\n<!channel>\n```',
      '[<!channel>](https://x.example)',
      '[x](!channel) [y](<!channel>) [z](https://x.example/><!channel>)',
      '[a](https://x.example/|<!here>)',
      '![<!here>](https://x.example/a.png)',
      '<https://x.example|<!channel>>',
      '<@U0ANN00001|<!channel>> <@<!channel>>',
      '| <!channel> |\n|---|\n| <!here> |',
      '> <!channel>',
      '# <!channel>',
      '- <!channel>',
      '<b><!channel></b>',
      '&lt;!channel&gt; &#60;!channel&#62;',
      '\\<!channel\\>',
      '[r]\n\n[r]: !channel "<!here>"',
      '``` <!channel>\n```\n<!channel>',
    ];
    for (const text of hostile) for (const tables of ['code', 'bullets', 'off'] as const) expect(toMrkdwn(text, tables), text).not.toMatch(/<!|<@[^U]|<#/);
  });
});

describe('a message', () => {
  it('goes to a conversation, to a person, to a thread', async () => {
    const sent = await send('**hello** <!channel>');
    expect(sent).toEqual({ messageId: server.messages[0]?.ts });
    expect(server.messages[0]).toMatchObject({ channel: ANN_CHAT, text: '*hello* &lt;!channel&gt;' });
    expect(server.messages[0]).not.toHaveProperty('thread_ts');
    await send('to a person', { to: `user:${ANN.toLowerCase()}` });
    await send('again', { to: `slack:<@${ANN}>` });
    expect(server.messages.slice(1).map((message) => message.channel)).toEqual([ANN_CHAT, ANN_CHAT]);
    expect(server.of('conversations.open')).toHaveLength(1);
    await send('in a thread', { to: `channel:${GENERAL}`, threadId: '1700000000.000100', replyToId: '1700000000.000200' });
    await send('as an answer', { to: GENERAL, replyToId: '1700000000.000200' });
    await send('to no message', { to: GENERAL, replyToId: 'event:1.2' });
    expect(server.messages.slice(3).map(({ thread_ts }) => thread_ts)).toEqual(['1700000000.000100', '1700000000.000200', undefined]);
    for (const wrong of ['general', '', 'user:C0123', `channel:${ANN}`, '<!channel>']) {
      await expect(send('x', { to: wrong })).rejects.toMatchObject({ code: 'SLACK_TARGET', retryable: false });
    }
    await expect(send('x', { to: 'U0NOBODY' })).rejects.toMatchObject({ code: 'SLACK_TARGET' });
  });

  it('is changed, reacted to and taken away', async () => {
    const { messageId = '' } = (await send('first')) ?? {};
    const { outbound } = channel;
    await outbound?.editText?.({ ...to(), messageId, text: '**second**' });
    expect(server.messages[0]?.text).toBe('*second*');
    for (const emoji of ['👀', ':tada:', 'thumbsup', '❤️', '👀']) await outbound?.sendReaction?.({ ...to(), messageId, emoji });
    expect(server.messages[0]?.reactions).toEqual(['eyes', 'tada', 'thumbsup', 'heart']);
    await expect(outbound?.sendReaction?.({ ...to(), messageId, emoji: '🪗' })).rejects.toMatchObject({ code: 'SLACK_EMOJI', retryable: false });
    await outbound?.sendReaction?.({ ...to(), messageId, emoji: '' });
    expect(server.messages[0]?.reactions).toEqual([]);
    await expect(outbound?.sendReaction?.({ ...to({}, { reactionLevel: 'off' }), messageId, emoji: '👀' })).rejects.toMatchObject({
      code: 'SLACK_REACTIONS_OFF',
    });
    await outbound?.deleteMessage?.({ ...to(), messageId });
    await outbound?.deleteMessage?.({ ...to(), messageId });
    expect(server.messages).toEqual([]);
    await expect(outbound?.editText?.({ ...to(), messageId, text: 'x' })).rejects.toMatchObject({ retryable: false });
    await expect(outbound?.editText?.({ ...to(), messageId: 'draft', text: 'x' })).rejects.toMatchObject({ code: 'SLACK_MESSAGE_ID' });
  });

  it('has no previews where they are switched off', async () => {
    await channel.outbound?.sendText?.({ ...to({}, { linkPreview: false }), text: 'https://x.example' });
    expect(server.of('chat.postMessage')[0]?.payload).toMatchObject({ unfurl_links: 'false', unfurl_media: 'false' });
  });

  it('keeps the order of a conversation, and holds up no other (RETRY-002)', async () => {
    server.fail('chat.postMessage', { status: 429, retryAfter: 1 });
    const cfg = settings(server.url, { retry: { maxDelayMs: 300 } });
    const work = ['one', 'two'].map((text) => channel.outbound?.sendText?.({ ...toAnn(cfg), text }));
    await channel.outbound?.sendText?.({ cfg, to: GENERAL, text: 'elsewhere' });
    expect(server.messages.map(({ text }) => text)).toEqual(['elsewhere']);
    await Promise.all(work);
    expect(server.messages.map(({ text }) => text)).toEqual(['elsewhere', 'one', 'two']);
  });
});

describe('a file', () => {
  it('is sent from disk or from its content, with its caption; an address goes out as it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'durar-slack-'));
    try {
      const path = join(folder, 'plan.pdf');
      await writeFile(path, 'the plan');
      const mediaUrl = pathToFileURL(path).href;
      await channel.outbound?.sendMedia?.({ ...to({ threadId: '1700000000.000100' }), text: '**look** <!here>', mediaUrl });
      expect(server.messages[0]).toMatchObject({ channel: ANN_CHAT, text: '*look* &lt;!here&gt;[plan.pdf]', thread_ts: '1700000000.000100' });
      expect(server.of('upload')[0]).toMatchObject({ token: '', bytes: Buffer.from('the plan') });
      await channel.outbound?.sendMedia?.({ ...to(), text: '', mediaUrl: `data:image/png;base64,${Buffer.from('png').toString('base64')}` });
      expect(server.messages[1]?.text).toBe('[file.png]');
      await channel.outbound?.sendMedia?.({ ...to(), text: 'a page', mediaUrl: 'https://x.example/a.png' });
      expect(server.messages[2]?.text).toBe('a page\n\n<https://x.example/a.png>');
      expect(server.of('upload')).toHaveLength(2);
      const tooMuch = channel.outbound?.sendMedia?.({ ...to({}, { mediaMaxMb: 0.000001 }), text: '', mediaUrl });
      await expect(tooMuch).rejects.toMatchObject({ code: 'SLACK_FILE_SIZE', retryable: false });
      for (const wrong of ['ftp://x', 'data:nothing', 'data:,%E0%A4%A', `${mediaUrl}.gone`, pathToFileURL(folder).href]) {
        await expect(channel.outbound?.sendMedia?.({ ...to(), text: '', mediaUrl: wrong })).rejects.toMatchObject({ code: 'SLACK_MEDIA' });
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a probe', () => {
  const probe = (slack: Record<string, unknown> = {}) => {
    const cfg = settings(server.url, slack);
    return channel.status?.probeAccount?.({ account: channel.config.resolveAccount(cfg), cfg, timeoutMs: 2000 });
  };

  it('says who the app is, or what to do', async () => {
    expect(await probe()).toMatchObject({ ok: true, identity: { id: 'U0BOT00001', name: 'testbot' }, team: 'Testers', scopes: ['chat:write', 'im:history'] });
    const wrong = await probe({ botToken: 'xoxb-wrong-token' });
    expect(wrong).toMatchObject({ ok: false, error: expect.stringMatching(/invalid_auth.*Install the app/) });
    expect(JSON.stringify(wrong)).not.toContain('xoxb-wrong-token');
    server.fail('auth.test', 'stall');
    expect(await probe({ timeoutSeconds: 0.1 })).toMatchObject({ ok: false });
  });
});

it('shows the token in no error and to no other host', async () => {
  server.fail('chat.postMessage', { error: 'invalid_auth' }, 'portal', 'cut', { status: 404 }, { error: `bad <${BOT_TOKEN}>` });
  for (let times = 0; times < 5; times += 1) {
    const error = await send('hello')?.catch((failure: unknown) => failure);
    expect(error).toMatchObject({ name: 'SlackError', hint: expect.stringMatching(/\w/) });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).stack)).not.toContain(BOT_TOKEN);
  }
});
