import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Channel, ChannelActionRequest, OutboundTarget } from '../../../sdk/index.ts';
import { applyDefaults } from '../../config/defaults.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import { createHookTable } from '../../kernel/hooks.ts';
import { silentLogger } from '../../logging/logger.ts';
import { openState, type State } from '../../state/state.ts';
import { createMessageActions } from './message-actions.ts';
import { createOutbound, type Outbound } from './outbound.ts';

let dir: string;
let state: State;
let outbound: Outbound | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durar-actions-'));
  state = openState({ dir });
});
afterEach(async () => {
  await outbound?.worker.stop(0);
  state.close();
  rmSync(dir, { recursive: true, force: true });
});

const HERE = { channel: 'chat', accountId: 'default', to: '#ops', threadId: 't1', messageId: 'in-1' };

function host(config: Record<string, unknown> = {}) {
  const calls: Array<Record<string, unknown>> = [];
  const noted: unknown[] = [];
  const record =
    (call: string) =>
    async ({ cfg: _cfg, signal: _signal, idempotencyKey: _key, onUncertain: _told, ...params }: OutboundTarget & Record<string, unknown>) => {
      calls.push({ call, ...params });
      return { messageId: `m${calls.length}` };
    };
  const base = (id: string): Partial<Channel> & { id: string } => ({
    id,
    meta: { label: id },
    capabilities: { chatTypes: ['direct'] },
    config: { listAccountIds: () => ['default'], resolveAccount: () => ({}) },
  });
  const chat = {
    ...base('chat'),
    outbound: {
      deliveryMode: 'direct',
      sendText: record('text'),
      sendMedia: record('media'),
      editText: record('edit'),
      deleteMessage: record('delete'),
      sendReaction: record('react'),
      sendPoll: record('poll'),
    },
    actions: {
      describeMessageTool: () => ({ actions: ['pin'], schema: { pinFor: { type: 'integer' } } }),
      handleAction: async ({ action, to, params }: Record<string, unknown>) => ({ action, to, params }),
    },
  } as unknown as Channel;
  const line = { ...base('line'), outbound: { deliveryMode: 'direct', sendText: record('line') } } as unknown as Channel;
  const whole = applyDefaults({ ...config, channels: { chat: {}, line: {}, ...(config.channels as object) } });
  const channels = [chat, line];
  const generation = {
    config: whole,
    resolvedConfig: whole,
    hooks: createHookTable({ log: silentLogger, timeoutMs: 1_000 }),
    contribution: async (_kind: string, key: string) => {
      const value = channels.find(({ id }) => id === key);
      return value === undefined ? undefined : { value };
    },
    loaded: () => [...channels, { ...base('unconfigured') }].map((value) => ({ value })),
  };
  const source = { current: () => generation, lease: () => ({ generation, release() {} }) } as unknown as GenerationSource;
  outbound = createOutbound({ source, outbox: state.outbox, log: silentLogger, isRunning: () => true });
  const actions = createMessageActions({ source, outbound, follower: { noteSent: (...args) => void noted.push(args) } });
  const act = (action: string, params: Record<string, unknown> = {}, more: Partial<ChannelActionRequest> = {}) =>
    actions.act({ action, params, callId: 'c1', runId: 'r1', current: HERE, ...more });
  return { ...actions, act, calls, noted };
}

describe('describe', () => {
  it('has what the outbound members and the channel itself offer, of configured channels', () => {
    expect(host().describe()).toEqual([
      { channel: 'chat', label: 'chat', actions: ['send', 'reply', 'react', 'edit', 'delete', 'poll', 'pin'], schema: { pinFor: { type: 'integer' } } },
      { channel: 'line', label: 'line', actions: ['send', 'reply'] },
    ]);
  });

  it('leaves out what the configuration switches off, and so does act', async () => {
    const { describe: described, act } = host({ channels: { chat: { actions: { reactions: false, messages: false, pin: false } } } });
    expect(described()[0]?.actions).toEqual(['poll']);
    await expect(act('react', { emoji: '👍' })).rejects.toMatchObject({ code: 'DUR_CHANNEL_ACTION_UNKNOWN' });
  });
});

describe('act', () => {
  it('sends to the conversation of the run, and notes it', async () => {
    const { act, calls, noted } = host();
    expect(await act('send', { message: 'hello' })).toEqual({ ok: true, action: 'send', channel: 'chat', to: '#ops', messageId: 'm1' });
    expect(calls).toEqual([{ call: 'text', to: '#ops', accountId: 'default', threadId: 't1', text: 'hello' }]);
    expect(noted).toEqual([['r1', { channel: 'chat', accountId: 'default', to: '#ops', threadId: 't1' }, 'hello']]);
  });

  it('sends once for one call, however often it is made', async () => {
    const { act, calls } = host();
    await act('send', { message: 'hello' });
    await act('send', { message: 'hello' });
    await act('send', { message: 'hello' }, { callId: 'c2' });
    expect(calls).toHaveLength(2);
  });

  it('replies to the message of the run, or to the one that is named', async () => {
    const { act, calls } = host();
    await act('reply', { message: 'yes' });
    await act('reply', { message: 'no', messageId: 'in-9' }, { callId: 'c2' });
    expect(calls.map(({ replyToId }) => replyToId)).toEqual(['in-1', 'in-9']);
  });

  it('marks, edits, deletes, asks, and hands on what is the channel’s own', async () => {
    const { act, calls } = host();
    await act('react', { emoji: '👍' });
    await act('react', { messageId: 'in-2', remove: true });
    expect(await act('edit', { messageId: 'm1', message: 'better' })).toMatchObject({ messageId: 'm1' });
    await act('delete', { messageId: 'm1' });
    await act('poll', { question: 'Tea?', options: ['yes', 'no'] });
    expect(await act('pin', { messageId: 'm1', pinFor: 3 })).toMatchObject({ result: { action: 'pin', to: '#ops', params: { pinFor: 3 } } });
    expect(calls.map(({ call, messageId, emoji, text }) => [call, messageId ?? null, emoji ?? text ?? null])).toEqual([
      ['react', 'in-1', '👍'],
      ['react', 'in-2', ''],
      ['edit', 'm1', 'better'],
      ['delete', 'm1', null],
      ['poll', null, null],
    ]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['send', {}, 'message'],
    ['edit', { messageId: 'm1' }, 'message'],
    ['delete', {}, 'messageId'],
    ['poll', { options: ['a', 'b'] }, 'question'],
    ['poll', { question: 'Tea?', options: ['a'] }, 'options'],
  ])('%s says what it lacks', async (action, params, missing) => {
    await expect(host().act(action, params)).rejects.toMatchObject({ code: 'DUR_CHANNEL_ACTION_INPUT', message: expect.stringContaining(`'${missing}'`) });
  });

  it('names the actions that there are', async () => {
    await expect(host().act('sing')).rejects.toMatchObject({ code: 'DUR_CHANNEL_ACTION_UNKNOWN', message: expect.stringContaining('send, reply') });
  });
});

describe('another conversation', () => {
  it('of the same channel is in reach, one of another channel is not', async () => {
    const { act, calls } = host();
    await act('send', { message: 'x' }, { to: 'amy' });
    expect(calls[0]).toEqual({ call: 'text', to: 'amy', accountId: 'default', text: 'x' });
    await expect(act('send', { message: 'x' }, { channel: 'line', to: 'amy' })).rejects.toMatchObject({ code: 'DUR_CHANNEL_CROSS_CONTEXT' });
  });

  it('is as the configuration says', async () => {
    const { act } = host({ tools: { message: { crossContext: { allowWithinProvider: false, allowAcrossProviders: true } } } });
    await expect(act('send', { message: 'x' }, { to: 'amy' })).rejects.toMatchObject({ code: 'DUR_CHANNEL_CROSS_CONTEXT' });
    expect(await act('send', { message: 'x' }, { channel: 'line', to: 'amy' })).toMatchObject({ ok: true });
  });

  it('is any for a run of the host’s own chat, which has to name it', async () => {
    const { act } = host();
    const current = { channel: 'webchat' };
    expect(await act('send', { message: 'x' }, { channel: 'line', to: 'amy', current })).toMatchObject({ ok: true });
    await expect(act('send', { message: 'x' }, { current })).rejects.toMatchObject({ code: 'DUR_CHANNEL_ACTION_INPUT' });
    await expect(act('send', { message: 'x' }, { channel: 'line', current })).rejects.toMatchObject({ code: 'DUR_CHANNEL_ACTION_INPUT' });
  });
});
