import { describe, expect, it } from 'vitest';
import type { RunRequest, RunResult } from '../../agent/service.ts';
import { applyDefaults } from '../../config/defaults.ts';
import { mayBeSilent, type RunTrace, repliesOf } from './reply.ts';

const REQUEST: RunRequest = {
  runId: 'r1',
  message: 'hi',
  sessionKey: 'agent:main:main',
  channel: 'chat',
  accountId: 'work',
  to: 'amy',
  replyToId: 'in-1',
  autoReply: true,
};

const resultOf = (payloads: RunResult['payloads'], more: Partial<RunResult> = {}): RunResult => ({
  runId: 'r1',
  status: 'ok',
  sessionKey: 'agent:main:main',
  sessionId: 's1',
  startedAt: 0,
  endedAt: 1,
  payloads,
  meta: { durationMs: 1, aborted: false, agentMeta: { sessionId: 's1', provider: 'acme', model: 'anvil-2' } },
  ...more,
});

const replies = (
  texts: string[],
  { chat = {}, config = {}, request = {}, trace }: { chat?: object; config?: object; request?: Partial<RunRequest>; trace?: RunTrace } = {},
) => repliesOf({ ...REQUEST, ...request }, resultOf(texts.map((text) => ({ text, mediaUrl: null }))), applyDefaults({ ...config, channels: { chat } }), trace);
const payloads = (...args: Parameters<typeof replies>) => replies(...args).map(({ payload }) => payload);

describe('repliesOf', () => {
  it('has the same ids whenever it is asked, and says whose they are', () => {
    expect(replies(['one', 'two'], { request: { threadId: 't' } })).toEqual([
      { id: 'r1:0', channel: 'chat', accountId: 'work', to: 'amy', threadId: 't', runId: 'r1', sessionKey: 'agent:main:main', payload: { text: 'one' } },
      { id: 'r1:1', channel: 'chat', accountId: 'work', to: 'amy', threadId: 't', runId: 'r1', sessionKey: 'agent:main:main', payload: { text: 'two' } },
    ]);
  });

  it.each<[string, Partial<RunRequest>]>([
    ['no channel', { channel: undefined as never }],
    ['the host’s own chat', { channel: 'webchat' }],
    ['a caller that did not ask for it', { autoReply: undefined as never }],
    ['a caller that refuses it', { deliver: false }],
  ])('is empty for %s', (_name, request) => {
    expect(replies(['one'], { request })).toEqual([]);
  });

  it('says nothing for the silent token alone, whatever case', () => {
    expect(replies(['NO_REPLY', ' no_reply\n', '[[reply_to_current]] NO_REPLY', ''])).toEqual([]);
    expect(payloads(['NO_REPLY is what I would say'])).toEqual([{ text: 'NO_REPLY is what I would say' }]);
  });

  it('takes directives out of the text and obeys them', () => {
    expect(payloads(['[[reply_to_current]] yes', 'no [[ reply_to: m-9 ]]', '[[audio_as_voice]]listen', 'a [[link]]'])).toEqual([
      { text: 'yes', replyToId: 'in-1', replyMark: 'explicit' },
      { text: 'no', replyToId: 'm-9', replyMark: 'explicit' },
      { text: 'listen', asVoice: true },
      { text: 'a [[link]]' },
    ]);
  });

  it.each([
    ['off', [undefined, undefined]],
    ['first', ['in-1', undefined]],
    ['all', ['in-1', 'in-1']],
  ])('answers the message as replyToMode %s says', (replyToMode, expected) => {
    const of = (chat: object) => payloads(['one', 'two'], { chat }).map((payload) => (payload as { replyToId?: string }).replyToId);
    expect(of({ replyToMode })).toEqual(expected);
    expect(of({ replyToMode: 'off', accounts: { work: { replyToMode } } })).toEqual(expected);
  });

  it('puts the prefix before each text, once', () => {
    const config = { messages: { responsePrefix: '[{identity.name} {modelFull} {other}]' }, agents: { list: [{ id: 'main', identity: { name: 'Ada' } }] } };
    expect(payloads(['one', '[Ada acme/anvil-2 {other}] two'], { config })).toEqual([
      { text: '[Ada acme/anvil-2 {other}] one' },
      { text: '[Ada acme/anvil-2 {other}] two' },
    ]);
    expect(payloads(['one'], { config: { ...config, messages: { responsePrefix: 'auto' } } })).toEqual([{ text: '[Ada] one' }]);
    expect(payloads(['one'], { config, chat: { responsePrefix: '' } })).toEqual([{ text: 'one' }]);
  });

  it('drops what the run has sent itself, however it is spaced', () => {
    expect(payloads(['The  build\nis done.', 'And more.'], { trace: { sent: ['the build is done. '] } })).toEqual([{ text: 'And more.' }]);
  });

  it('goes on behind the blocks that are out', () => {
    const trace: RunTrace = { sent: [], blocks: ['First paragraph.\n\n', 'Second one. ', '\n\nNext message. '] };
    const rest = replies(['First paragraph.\n\nSecond one. Third one.', 'Next message. Its end.', 'Last.'], { trace });
    expect(rest.map(({ id, payload }) => [id, (payload as { text: string }).text])).toEqual([
      ['r1:3', 'Third one.'],
      ['r1:4', 'Its end.'],
      ['r1:5', 'Last.'],
    ]);
    expect(replies(['First paragraph.\n\nSecond one.'], { trace: { sent: [], blocks: ['First paragraph.\n\n', 'Second one.'] } })).toEqual([]);
  });

  it('makes the draft its first message, or takes it away', () => {
    expect(payloads(['one', 'two'], { trace: { sent: [], draftId: 'd1' } })).toEqual([{ text: 'one', draftId: 'd1' }, { text: 'two' }]);
    expect(payloads(['NO_REPLY'], { trace: { sent: [], draftId: 'd1' } })).toEqual([{ text: '', draftId: 'd1' }]);
  });

  it('tells a failure in one line, after what was said', () => {
    const error = { code: 'DUR_MODEL', message: `the model said no\n    at stack (file.ts:1)`, hint: '', retry: false } as never;
    const failed = resultOf([{ text: 'I begin' }, { text: 'x', isError: true }], { status: 'error', error });
    expect(repliesOf(REQUEST, failed, applyDefaults({ messages: { responsePrefix: 'P' } })).map(({ payload }) => payload)).toEqual([
      { text: 'P I begin' },
      { text: '⚠️ the model said no' },
    ]);
  });

  it('tells why a command was refused, and leaves out what failed on the way of a run', () => {
    const refused = [{ text: 'Unrecognized queue mode "x".', isError: true }];
    const command = resultOf(refused, { meta: { ...resultOf([]).meta, stopReason: 'command' } });
    expect(repliesOf(REQUEST, command, applyDefaults({})).map(({ payload }) => payload)).toEqual([{ text: 'Unrecognized queue mode "x".' }]);
    expect(repliesOf(REQUEST, resultOf([...refused, { text: 'done' }]), applyDefaults({})).map(({ payload }) => payload)).toEqual([{ text: 'done' }]);
  });

  it('tells of a deadline, and of no other end that somebody made', () => {
    const end = (stopReason: string) =>
      resultOf([{ text: 'half' }], { status: 'error', error: { message: 'too late' } as never, meta: { ...resultOf([]).meta, aborted: true, stopReason } });
    const config = applyDefaults({});
    expect(repliesOf(REQUEST, end('timeout'), config).map(({ payload }) => (payload as { text: string }).text)).toEqual(['half', '⚠️ too late']);
    expect(repliesOf(REQUEST, end('stop'), config)).toEqual([]);
    expect(repliesOf(REQUEST, end('shutdown'), config)).toEqual([]);
  });

  it('tells of a failed tool when nothing else is told', () => {
    expect(payloads([], { trace: { sent: [], failedTool: 'exec' } })).toEqual([{ text: '⚠️ exec failed, and there is no answer.' }]);
    expect(payloads([], { trace: { sent: ['done'], failedTool: 'exec' } })).toEqual([]);
    expect(payloads(['fine'], { trace: { sent: [], failedTool: 'exec' } })).toEqual([{ text: 'fine' }]);
  });
});

it('a text is held back as long as it may become the silent token', () => {
  expect(['', 'N', 'NO_RE', 'no_reply', ' NO_REPLY\n'].every(mayBeSilent)).toBe(true);
  expect(['No way', 'NO_REPLY.', 'Hello'].some(mayBeSilent)).toBe(false);
});
