import { type ChannelActionRequest, type ChannelActions, durarError, type ToolContext } from 'Durar/plugin-sdk/core';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMessageTool } from './tool.ts';

let dir: string;
let acted: ChannelActionRequest[];
let failure: unknown;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durar-message-'));
  mkdirSync(join(dir, 'workspace'));
  writeFileSync(join(dir, 'workspace/chart.png'), '');
  writeFileSync(join(dir, 'secret'), '');
  acted = [];
  failure = undefined;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const IRC: ChannelActions = { channel: 'irc', label: 'IRC', actions: ['send', 'reply'] };
const CHAT: ChannelActions = { channel: 'chat', label: 'Chat', actions: ['send', 'react', 'pin'], schema: { pinFor: { type: 'integer' } } };

function tool(channels: ChannelActions[], context: Partial<ToolContext> = {}) {
  const act = async (request: ChannelActionRequest) => {
    acted.push(request);
    if (failure !== undefined) throw failure;
    return { ok: true, messageId: 'm1' };
  };
  const whole: ToolContext = {
    ...{ config: {}, workspaceDir: join(dir, 'workspace'), agentId: 'main', sessionKey: 'agent:main:main', sessionId: 's', runId: 'r1', sandboxed: false },
    requestApproval: async () => ({ decision: 'deny' }),
    ...context,
  };
  return createMessageTool({ channels: { actions: () => channels, act } }, whole);
}
const call = async (params: Record<string, unknown>, context: Partial<ToolContext> = {}) => {
  const result = await tool([IRC, CHAT], context)?.execute('c1', params);
  return { text: result?.content.map((block) => ('text' in block ? block.text : '')).join(''), isError: result?.isError ?? false };
};

describe('what is offered', () => {
  it('is no tool without a channel', () => {
    expect(tool([])).toBeNull();
    expect(tool([{ ...IRC, actions: [] }])).toBeNull();
  });

  it('are the actions of all channels and the arguments that they take', () => {
    const { properties } = (tool([IRC, CHAT])?.parameters ?? {}) as { properties: Record<string, { enum?: string[] }> };
    expect(properties.action?.enum).toEqual(['pin', 'react', 'reply', 'send']);
    expect(properties.channel?.enum).toEqual(['irc', 'chat']);
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(['message', 'media', 'emoji', 'pinFor']));
    expect(Object.keys(properties)).not.toContain('question');
  });
});

describe('a call', () => {
  it('carries the place of the run, and its own id', async () => {
    const current = { channel: 'irc', to: '#ops', accountId: 'work', messageId: 'in-1' };
    expect(await call({ action: 'send', message: 'hello' }, { deliveryContext: current })).toEqual({ text: '{"ok":true,"messageId":"m1"}', isError: false });
    expect(acted).toEqual([{ action: 'send', params: { message: 'hello' }, callId: 'c1', runId: 'r1', sessionKey: 'agent:main:main', current }]);
  });

  it('names another place', async () => {
    await call({ action: 'send', channel: 'chat', to: 'amy', message: 'hello' });
    expect(acted).toMatchObject([{ channel: 'chat', to: 'amy', params: { message: 'hello' } }]);
  });

  it('is not carried out with an argument that nobody knows, such as another word for the place', async () => {
    const current = { channel: 'irc', to: '#ops' };
    const refused = await call({ action: 'send', target: 'amy', message: 'for amy alone' }, { deliveryContext: current });
    expect(refused).toMatchObject({ isError: true, text: expect.stringMatching(/'target' is no argument.* to,/) });
    expect(acted).toEqual([]);
    expect(await call({ action: 'send', target: null, message: 'here' }, { deliveryContext: current })).toMatchObject({ isError: false });
    expect(await call({ action: 'pin', anything: 1 }, { deliveryContext: current })).toMatchObject({ isError: false });
  });

  it('tells the model why not', async () => {
    failure = durarError('DUR_CHANNEL_CROSS_CONTEXT', { action: 'send', channel: 'chat', to: 'amy' });
    expect(await call({ action: 'send', message: 'x' })).toMatchObject({ isError: true, text: expect.stringContaining('crossContext') });
    failure = new Error('the service refuses this');
    expect(await call({ action: 'send', message: 'x' })).toEqual({ isError: true, text: 'the service refuses this' });
  });
});

describe('files', () => {
  it('of the working folder and https addresses are sent', async () => {
    await call({ action: 'send', media: ['chart.png', 'https://example.org/a.png'] });
    expect(acted[0]?.params.media).toEqual([expect.stringMatching(/^file:.*workspace\/chart\.png$/), 'https://example.org/a.png']);
  });

  it.each(['../secret', '/etc/passwd', 'link', 'file:///etc/passwd', 'http://example.org/a.png', 'data:text/plain,x', 'none.png'])(
    '%s is not',
    async (named) => {
      symlinkSync(join(dir, 'secret'), join(dir, 'workspace/link'));
      expect(await call({ action: 'send', media: [named] })).toMatchObject({ isError: true });
      expect(acted).toEqual([]);
    },
  );
});
