import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentEvent, Channel, OutboundTarget, SessionRecord } from '../../../sdk/index.ts';
import type { RunRequest, RunResult } from '../../agent/service.ts';
import { applyDefaults } from '../../config/defaults.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import { createHookTable } from '../../kernel/hooks.ts';
import { silentLogger } from '../../logging/logger.ts';
import { openState, type State } from '../../state/state.ts';
import { createOutbound } from '../outbound/outbound.ts';
import { createRunFollower } from './run-follower.ts';

let dir: string;
let state: State;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'setImmediate', 'clearImmediate'] });
  dir = mkdtempSync(join(tmpdir(), 'durar-follower-'));
  state = openState({ dir });
});
afterEach(() => {
  vi.useRealTimers();
  state.close();
  rmSync(dir, { recursive: true, force: true });
});

const REQUEST: RunRequest = {
  ...{ runId: 'r1', message: 'hi', sessionKey: 'agent:main:main', channel: 'chat', accountId: 'default', to: 'amy', replyToId: 'in-1' },
  autoReply: true,
};
const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

interface Options {
  config?: Record<string, unknown>;
  chat?: Record<string, unknown>;
  session?: Partial<SessionRecord>;
  outbound?: Record<string, unknown>;
  /** An extension signs what goes out. */
  hooked?: boolean;
}

function host({ config = {}, chat = {}, session, outbound: members = {}, hooked = false }: Options = {}) {
  const calls: Array<[string, string]> = [];
  const record = (call: string) => async (params: OutboundTarget & { text?: string; emoji?: string; messageId?: string }) => {
    calls.push([call, params.text ?? params.emoji ?? params.messageId ?? '']);
    return { messageId: `m${calls.length}` };
  };
  const channel = {
    id: 'chat',
    meta: { label: 'Chat' },
    capabilities: { chatTypes: ['direct'] },
    config: { listAccountIds: () => ['default'], resolveAccount: () => ({}) },
    outbound: {
      deliveryMode: 'direct',
      ...{ sendText: record('text'), editText: record('edit'), deleteMessage: record('delete'), sendTyping: record('typing'), sendReaction: record('react') },
      ...members,
    },
  } as unknown as Channel;
  const whole = applyDefaults({ ...config, channels: { chat } });
  const generation = {
    config: whole,
    resolvedConfig: whole,
    hooks: createHookTable({ log: silentLogger, timeoutMs: 1_000 }),
    contribution: async () => ({ value: channel }),
  };
  if (hooked) {
    const handler = ({ content }: { content: string }) => ({ content: `${content} Signed.` });
    generation.hooks.tap({ owner: 'x', hook: 'message_sending', priority: 0, handler: handler as never });
  }
  const source = { current: () => generation, lease: () => ({ generation, release() {} }) } as unknown as GenerationSource;
  const outbound = createOutbound({ source, outbox: state.outbox, log: silentLogger, isRunning: () => true });
  outbound.worker.start();
  let hear: (event: AgentEvent) => void = () => {};
  const ended = new Map<string, () => void>();
  const follower = createRunFollower({
    source,
    state,
    outbound,
    log: silentLogger,
    sessions: { get: async () => session as SessionRecord | undefined },
    agent: {
      onEvent(listener) {
        hear = listener;
        return () => {};
      },
      wait: (runId) => new Promise((resolve) => ended.set(runId, () => resolve(undefined))),
    },
  });
  return {
    calls,
    of: (call: string) => calls.filter(([name]) => name === call).map(([, text]) => text),
    ...follower,
    /** The process ends in the middle of everything. */
    async die() {
      const stopped = outbound.worker.stop(0);
      await settle(1);
      await stopped;
    },
    tell: (stream: AgentEvent['stream'], data: Record<string, unknown>, runId = 'r1') => hear({ runId, seq: 1, ts: 0, stream, data }),
    /** The end of a run, as the agent brings it about. */
    async end(texts: string[], request = REQUEST) {
      const result: RunResult = {
        ...{ runId: request.runId, status: 'ok', sessionKey: 'agent:main:main', sessionId: 's', startedAt: 0, endedAt: 1 },
        payloads: texts.map((text) => ({ text })),
        meta: { durationMs: 1, aborted: false, agentMeta: { sessionId: 's' } },
      };
      state.outbox.add(follower.replies(request, result), Date.now());
      ended.get(request.runId)?.();
      await settle();
    },
  };
}

describe('typing', () => {
  it('is shown before the run begins, repeated, and ends with it (QUEUE-016)', async () => {
    const chat = host();
    chat.follow(REQUEST, 'r1');
    await settle();
    expect(chat.of('typing')).toHaveLength(1);
    await settle(18_500);
    expect(chat.of('typing')).toHaveLength(4);
    await chat.end(['done']);
    await settle(60_000);
    expect(chat.of('typing')).toHaveLength(4);
    expect(chat.of('text')).toEqual(['done']);
  });

  it('is one sign for all runs of a conversation', async () => {
    const chat = host();
    chat.follow(REQUEST, 'r1');
    chat.follow({ ...REQUEST, runId: 'r2' }, 'r2');
    await settle(6_100);
    expect(chat.of('typing')).toHaveLength(2);
    await chat.end(['one']);
    await settle(6_000);
    expect(chat.of('typing')).toHaveLength(3);
    await chat.end(['two'], { ...REQUEST, runId: 'r2' });
    await settle(60_000);
    expect(chat.of('typing')).toHaveLength(3);
  });

  it.each([
    ['thinking', 'thinking', { text: 'hm' }],
    ['message', 'assistant', { text: 'Well' }],
  ] as const)('in the mode %s waits for it', async (typingMode, stream, data) => {
    const chat = host({ config: { session: { typingMode } } });
    chat.follow(REQUEST, 'r1');
    await settle(10_000);
    chat.tell('assistant', { text: 'NO_REP' });
    await settle(10_000);
    expect(chat.of('typing')).toEqual([]);
    chat.tell(stream, data);
    await settle();
    expect(chat.of('typing')).toHaveLength(1);
  });

  it('is not shown in the mode never, for heartbeats, and in rooms only when the agent speaks and was not named', async () => {
    const never = host({ config: { agents: { defaults: { typingMode: 'never' } } } });
    never.follow(REQUEST, 'r1');
    never.tell('assistant', { text: 'Well' });
    const chat = host();
    chat.follow({ ...REQUEST, trigger: 'heartbeat' }, 'r1');
    chat.follow({ ...REQUEST, runId: 'r2', to: '#ops', sessionKey: 'agent:main:chat:group:#ops' }, 'r2');
    await settle();
    expect([...never.of('typing'), ...chat.of('typing')]).toEqual([]);
    chat.follow({ ...REQUEST, runId: 'r3', to: '#dev', sessionKey: 'agent:main:chat:group:#dev', mentioned: true }, 'r3');
    chat.tell('assistant', { text: 'Well' }, 'r2');
    await settle();
    expect(chat.of('typing')).toHaveLength(2);
  });

  it('that fails is nobody’s business', async () => {
    const chat = host({ outbound: { sendTyping: () => Promise.reject(new Error('no')) } });
    chat.follow(REQUEST, 'r1');
    await settle(20_000);
    await chat.end(['done']);
    expect(chat.of('text')).toEqual(['done']);
  });
});

describe('a mark', () => {
  const messages = { ackReaction: '👀', ackReactionScope: 'all', removeAckAfterReply: true };

  it('stands until the reply is out', async () => {
    const chat = host({ config: { messages } });
    chat.follow(REQUEST, 'r1');
    await settle();
    expect(chat.of('react')).toEqual(['👀']);
    await chat.end(['done']);
    await settle();
    expect(chat.calls.filter(([call]) => call !== 'typing')).toEqual([
      ['react', '👀'],
      ['text', 'done'],
      ['react', ''],
    ]);
  });

  it('goes when there is no reply, too', async () => {
    const chat = host({ config: { messages } });
    chat.follow(REQUEST, 'r1');
    await chat.end([]);
    await settle();
    expect(chat.of('react')).toEqual(['👀', '']);
  });

  it.each<[string, Partial<RunRequest>, number]>([
    ['direct', {}, 1],
    ['direct', { sessionKey: 'agent:main:chat:group:#ops', mentioned: true }, 0],
    ['group-all', { sessionKey: 'agent:main:chat:group:#ops' }, 1],
    ['group-mentions', { sessionKey: 'agent:main:chat:group:#ops' }, 0],
    ['group-mentions', { sessionKey: 'agent:main:chat:group:#ops', mentioned: true }, 1],
    ['off', {}, 0],
  ])('has the scope %s', async (ackReactionScope, request, count) => {
    const chat = host({ config: { messages: { ...messages, ackReactionScope } } });
    chat.follow({ ...REQUEST, ...request }, 'r1');
    await settle();
    expect(chat.of('react')).toHaveLength(count);
  });
});

describe('what the run sent itself', () => {
  it('is not said again by its reply, also after a restart of the process', async () => {
    const chat = host();
    chat.follow(REQUEST, 'r1');
    chat.noteSent('r1', { channel: 'chat', to: 'amy' }, 'The build is done.');
    chat.noteSent('r1', { channel: 'chat', to: 'bob' }, 'Bob, look.');
    await chat.die();
    const next = host();
    await next.end(['the build is done.', 'Bob, look.']);
    expect(next.of('text')).toEqual(['Bob, look.']);
    await settle();
    expect(state.kv.list('channels:runs')).toEqual([]);
  });
});

describe('blocks', () => {
  const agents = { defaults: { blockStreamingChunk: { minChars: 10, maxChars: 40 }, blockStreamingCoalesce: { idleMs: 100 } } };
  const text = 'The first paragraph.\n\nThe second paragraph.\n\nThe end.';

  it('go out while the reply is written; the reply brings the rest', async () => {
    const chat = host({ config: { agents }, chat: { blockStreaming: true } });
    chat.follow(REQUEST, 'r1');
    await settle();
    for (let end = 1; end <= text.length; end += 1) chat.tell('assistant', { text: text.slice(0, end) });
    await settle(1_000);
    expect(chat.of('text')).toEqual(['The first paragraph.', 'The second paragraph.']);
    await chat.end([text]);
    expect(chat.of('text')).toEqual(['The first paragraph.', 'The second paragraph.', 'The end.']);
  });

  it('end with the model’s message, and go on with the next one', async () => {
    const chat = host({ config: { agents }, chat: { blockStreaming: true } });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('assistant', { text: 'Let me look.' });
    chat.tell('tool', { phase: 'start', name: 'read' });
    await settle();
    expect(chat.of('text')).toEqual(['Let me look.']);
    chat.tell('assistant', { text: 'Let me look.\n\nFound.' });
    await chat.end(['Let me look.', 'Found.']);
    expect(chat.of('text')).toEqual(['Let me look.', 'Found.']);
  });
});

describe('a draft', () => {
  it('becomes the reply, also when another process ends the run', async () => {
    const chat = host({ chat: { streaming: 'partial' } });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('assistant', { text: 'A reply that is on its way' });
    await settle();
    await chat.die();
    const next = host();
    await next.end(['A reply that has arrived.']);
    expect(chat.of('text')).toEqual(['A reply that is on its way']);
    expect(next.calls).toEqual([['edit', 'A reply that has arrived.']]);
  });

  it('is taken away when the run has nothing to say', async () => {
    const chat = host({ chat: { streaming: 'partial' } });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('assistant', { text: 'A reply that is on its way' });
    await settle();
    await chat.end([]);
    expect(chat.of('delete')).toEqual([`m${chat.calls.findIndex(([call]) => call === 'text') + 1}`]);
  });

  it('that comes up after the end is taken away', async () => {
    const { promise, resolve } = Promise.withResolvers<{ messageId: string }>();
    const sent: string[] = [];
    const sendText = async ({ text, idempotencyKey }: { text: string; idempotencyKey: string }) => {
      sent.push(text);
      return idempotencyKey.endsWith(':draft') ? promise : { messageId: 'final' };
    };
    const chat = host({ chat: { streaming: 'partial' }, outbound: { sendText } });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('assistant', { text: 'A reply that is on its way' });
    await settle();
    await chat.end(['Done.']);
    resolve({ messageId: 'late' });
    await settle();
    expect(sent).toEqual(['A reply that is on its way', 'Done.']);
    expect(chat.of('delete')).toEqual(['late']);
  });

  it('is none where extensions have a say in what goes out', async () => {
    const chat = host({ chat: { streaming: 'partial' }, hooked: true });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('assistant', { text: 'A reply that is on its way' });
    await chat.end(['Done.']);
    expect(chat.of('text')).toEqual(['Done. Signed.']);
  });

  it('is none where the channel cannot edit', async () => {
    const chat = host({ chat: { streaming: 'partial' }, outbound: { editText: undefined } });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('assistant', { text: 'A reply that is on its way' });
    await chat.end(['Done.']);
    expect(chat.of('text')).toEqual(['Done.']);
  });
});

describe('beside the reply', () => {
  it('tools are told of as the session wants it', async () => {
    const chat = host({ session: { verboseLevel: 'full' } });
    chat.follow(REQUEST, 'r1');
    chat.tell('tool', { phase: 'start', name: 'exec', args: { command: 'ls  -l' } });
    chat.tell('tool', { phase: 'result', name: 'exec', isError: false, result: { content: [{ type: 'text', text: 'a.txt\n' }] } });
    await settle();
    await chat.end(['One file.']);
    expect(chat.of('text')).toEqual(['🛠️ exec: ls -l', '🛠️ exec: a.txt', 'One file.']);
    const quiet = host();
    quiet.follow({ ...REQUEST, runId: 'r2' }, 'r2');
    quiet.tell('tool', { phase: 'start', name: 'exec', args: {} }, 'r2');
    await settle();
    expect(quiet.of('text')).toEqual([]);
  });

  it('thoughts stand before it where they are wanted', async () => {
    const chat = host({ session: { reasoningLevel: 'on' } });
    chat.follow(REQUEST, 'r1');
    await settle();
    chat.tell('thinking', { text: 'First' });
    chat.tell('thinking', { text: 'First this.' });
    chat.tell('assistant', { text: 'x' });
    chat.tell('thinking', { text: 'Then that.' });
    await chat.end(['The answer.']);
    expect(chat.of('text')).toEqual(['Reasoning:\nFirst this.\n\nThen that.', 'The answer.']);
  });
});
