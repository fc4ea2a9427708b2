import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AgentMessage, messageText, type Tool } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';
import type { Outgoing } from '../../state/state.ts';
import type { RunRequest } from '../run-request.ts';

const MAIN = 'agent:main:main';
const STALL = '[[offline: stall]]';

async function until(ask: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let left = 2_000; left > 0; left -= 1) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${what} did not come about`);
}

/** A new process on the files as they are in this instant; the old one is as if it had been killed. */
async function killed(host: AgentHost, parts: HostParts = {}): Promise<AgentHost> {
  const dir = mkdtempSync(join(tmpdir(), 'durar-killed-'));
  cpSync(host.dir, dir, { recursive: true });
  return createAgentHost(parts, dir, 1_000);
}

const replies = (request: RunRequest, { payloads, status }: { payloads: Array<{ text?: string }>; status: string }): Outgoing[] =>
  payloads.map(({ text }, index) => ({ id: `${request.runId}:${index}`, channel: 'irc', accountId: 'a', to: '#x', payload: { text, status } }));

function texts(messages: readonly AgentMessage[]): string[] {
  return messages.map((message) => `${message.role}: ${messageText(message)}`);
}

const sent = (host: AgentHost) => host.state.outbox.pending().map(({ id, payload }) => [id, (payload as { text: string }).text]);
const isEmpty = (host: AgentHost) => Object.values(host.state.inbox.counts()).every((count) => count === 0);

describe('a message that was accepted', () => {
  it('is on disk when its sender is told, large or not, and gone with its reply in the outbox', async () => {
    const host = await createAgentHost({ replies });
    const data = 'A'.repeat(3_000_000);
    await host.start('[[offline: delay 30]] [[offline: say hi]]', { runId: 'm1', images: [{ data, mimeType: 'image/png' }] });
    expect(JSON.stringify(host.state.inbox.get('m1')?.request)).toContain(data);
    await host.agent.wait('m1', 5_000);
    expect(sent(host)).toEqual([['m1:0', 'hi']]);
    expect(isEmpty(host)).toBe(true);
  });

  it('runs after a kill before its turn, in the order of its session, and later ones behind', async () => {
    const host = await createAgentHost();
    await host.start(STALL, { runId: 'm1' });
    for (const id of ['m2', 'm3']) await host.start(`[[offline: say to ${id}]]`, { runId: id });
    host.state.inbox.drop('m1');
    const next = await killed(host, { replies });
    await next.start('[[offline: say to m4]]', { runId: 'm4' });
    expect(next.agent.active(MAIN).map(({ runId }) => runId)).toEqual(['m4']);
    next.agent.resume();
    next.agent.resume();
    expect(await next.agent.wait('m3', 5_000)).toMatchObject({ status: 'ok', payloads: [{ text: 'to m3' }] });
    await next.agent.wait('m4', 5_000);
    expect(sent(next).map(([id]) => id)).toEqual(['m2:0', 'm3:0', 'm4:0']);
    expect(isEmpty(next)).toBe(true);
  });

  it('that waits behind those of an earlier process can be taken back at once, and with its session so can they', async () => {
    const host = await createAgentHost();
    await host.start(STALL, { runId: 'm1' });
    await host.start('[[offline: say to m2]]', { runId: 'm2' });
    const next = await killed(host);
    await next.start('x', { runId: 'm3' });
    await next.start('x', { runId: 'm4', autoReply: true });
    for (const id of ['m3', 'm4']) {
      next.agent.abort({ runId: id, origin: 'rpc' });
      expect(await next.agent.wait(id, 5_000)).toMatchObject({ meta: { aborted: true } });
    }
    next.agent.resume();
    await until(() => next.agent.active(MAIN).some(({ runId }) => runId === 'm1'), 'the first');
    expect(next.agent.abort({ sessionKey: 'main', origin: 'rpc' }).runIds).toContain('m1');
    expect(await next.agent.wait('m1', 5_000)).toMatchObject({ meta: { aborted: true } });
    await until(() => isEmpty(next), 'an empty inbox');
    expect((await next.messages()).filter(({ role }) => role === 'user')).toHaveLength(1);
  });

  it('goes on from the transcript when its words are there; a tool is never run again', async () => {
    let runs = 0;
    const tool: Tool = {
      name: 'once',
      description: 'counts',
      parameters: { type: 'object' },
      async execute() {
        runs += 1;
        await new Promise(() => undefined);
        return { content: [] };
      },
    };
    const host = await createAgentHost({ tools: [tool] });
    await host.start('[[offline: tool once {}]] [[offline: say went on]]', { runId: 'm1' });
    await until(() => runs === 1, 'the tool');
    const next = await killed(host, { replies, tools: [tool] });
    next.agent.resume();
    expect(await next.agent.wait('m1', 5_000)).toMatchObject({ status: 'ok', payloads: [{ text: 'went on' }] });
    expect(runs).toBe(1);
    expect(texts(await next.messages()).slice(1)).toEqual(['assistant: ', 'toolResult: interrupted by restart', 'assistant: went on']);
    expect(next.events.filter(({ stream }) => stream === 'lifecycle').map(({ data }) => data.phase)).toEqual(['start', 'end']);
    expect(sent(next)).toEqual([['m1:0', 'went on']]);
  });

  it('is only delivered when its reply is there', async () => {
    const host = await createAgentHost();
    await host.run('[[offline: say before]]');
    // the reply is on disk, the message not ticked off
    const { finish } = host.state.inbox;
    host.state.inbox.finish = () => undefined;
    await host.run('[[offline: say first]] [[offline: tool none {}]] [[offline: say last]]', { runId: 'm1', preface: ['asked on the way'] });
    host.state.inbox.finish = finish;
    const next = await killed(host, { replies });
    const before = await next.messages();
    next.agent.resume();
    expect(await next.agent.wait('m1', 5_000)).toMatchObject({
      status: 'ok',
      payloads: [{ text: 'asked on the way' }, { text: 'first' }, { text: 'last' }],
    });
    expect(sent(next).map(([, text]) => text)).toEqual(['asked on the way', 'first', 'last']);
    expect(await next.messages()).toEqual(before);
    expect(next.events.find(({ stream }) => stream === 'assistant')?.data.text).toBe('first\n\nlast');
    expect(isEmpty(next)).toBe(true);
  });

  it('that shared a turn is answered with the others, once', async () => {
    const config = { messages: { queue: { debounceMs: 5 } } };
    const host = await createAgentHost({ config });
    const say = (runId: string, message: string) => host.agent.accept({ runId, message, sessionKey: 'main', autoReply: true });
    await say('m0', STALL);
    for (const id of ['m1', 'm2', 'm3']) await say(id, id === 'm3' ? STALL : `hello from ${id}`);
    host.agent.abort({ runId: 'm0', origin: 'rpc' });
    await until(async () => (await host.messages()).filter(({ role }) => role === 'user').length === 2, 'the shared turn');
    const next = await killed(host, { replies, config, providers: [] });
    next.agent.resume();
    // no provider: the turn ends with an error, which is an end
    expect(await next.agent.wait('m3', 5_000)).toMatchObject({ status: 'error' });
    expect(await next.agent.wait('m1', 5_000)).toMatchObject({ status: 'ok', meta: { joinedRunId: 'm3' } });
    expect((await next.messages()).filter(({ role }) => role === 'user')).toHaveLength(2);
    expect(isEmpty(next)).toBe(true);
  });

  it('keeps the mode of its session over the restart (QUEUE-048)', async () => {
    const config = { messages: { queue: { debounceMs: 5 } } };
    const host = await createAgentHost({ config });
    const { session } = await host.agent.session({ sessionKey: 'main' });
    await host.sessions.patch(session.key, { extra: { queueMode: 'followup' } });
    const say = (runId: string, message: string) => host.agent.accept({ runId, message, sessionKey: 'main', autoReply: true });
    await say('m0', '[[offline: stall]]');
    for (const id of ['m1', 'm2']) await say(id, `hello from ${id}`);
    host.state.inbox.drop('m0');
    const next = await killed(host, { config });
    next.agent.resume();
    await next.agent.wait('m2', 5_000);
    expect(texts(await next.messages()).filter((text) => text.includes('hello'))).toEqual(['user: hello from m1', 'user: hello from m2']);
  });

  it('is put off by a stop of the host, not lost and not counted', async () => {
    const host = await createAgentHost();
    await host.start('[[offline: say begun]] [[offline: stall]]', { runId: 'm1' });
    await host.start('[[offline: say to m2]]', { runId: 'm2' });
    await until(() => host.events.some(({ stream }) => stream === 'assistant'), 'the first words');
    const next = await host.restart();
    expect(next.state.inbox.get('m1')).toMatchObject({ state: 'started', attempts: 0 });
    expect(texts(await next.messages())).toEqual(['user: [[offline: say begun]] [[offline: stall]]']);
    next.agent.resume();
    await until(() => next.events.some(({ stream }) => stream === 'assistant'), 'the first words again');
    next.agent.abort({ runId: 'm1', origin: 'rpc' });
    expect(await next.agent.wait('m2', 5_000)).toMatchObject({ payloads: [{ text: 'to m2' }] });
    expect(isEmpty(next)).toBe(true);
  });

  it('with which the process died three times is given up, and the next goes on', async () => {
    let host = await createAgentHost();
    await host.start(STALL, { runId: 'poison' });
    await host.start('[[offline: say alive]]', { runId: 'next' });
    for (let deaths = 1; deaths < 3; deaths += 1) {
      await until(() => host.state.inbox.get('poison')?.attempts === deaths, 'the attempt');
      host = await killed(host);
      host.agent.resume();
    }
    await until(() => host.state.inbox.get('poison')?.attempts === 3, 'the last attempt');
    host = await killed(host, { replies });
    host.agent.resume();
    expect(await host.agent.wait('next', 5_000)).toMatchObject({ payloads: [{ text: 'alive' }] });
    expect(await host.agent.wait('poison', 5_000)).toMatchObject({ status: 'error', error: { code: 'DUR_RUN_GIVEN_UP' } });
    expect(host.agent.queue.list(10)).toMatchObject([
      { id: 'poison', box: 'inbox', state: 'dead', attempts: 3, lastError: expect.stringContaining('given up') },
      { id: 'next:0', box: 'outbox', state: 'pending', text: 'alive' },
    ]);
    // tried again it is said again, as others have spoken since
    expect(host.agent.queue.retry(undefined)).toEqual(['poison']);
    await until(() => host.agent.active(MAIN).length === 1, 'the retry');
    expect(() => host.agent.queue.retry('poison')).toThrow(expect.objectContaining({ code: 'DUR_QUEUE_NOT_DEAD' }));
    host.agent.queue.drop('poison');
    expect(await host.agent.wait('poison', 5_000)).toMatchObject({ meta: { aborted: true } });
    expect(() => host.agent.queue.drop('poison')).toThrow(expect.objectContaining({ code: 'DUR_QUEUE_UNKNOWN' }));
    expect((await host.messages()).filter(({ role }) => role === 'user')).toHaveLength(3);
  });

  it('is not given up while its turn comes further with each attempt', async () => {
    let letGo: () => void = () => undefined;
    let calls = 0;
    const tool: Tool = {
      name: 'step',
      description: 'every second call takes long',
      parameters: { type: 'object' },
      async execute() {
        calls += 1;
        if (calls % 2 === 0) {
          await new Promise<void>((resolve) => {
            letGo = resolve;
          });
        }
        return { content: [{ type: 'text', text: 'done' }] };
      },
    };
    const steps = '[[offline: tool step {}]]'.repeat(12);
    let host = await createAgentHost({ tools: [tool] });
    await host.start(`${steps} [[offline: say at last]]`, { runId: 'long' });
    for (let deaths = 1; deaths <= 5; deaths += 1) {
      await until(() => calls === deaths * 2, `step ${deaths}`);
      host = await killed(host, { tools: [tool] });
      host.agent.resume();
    }
    const opener = setInterval(() => letGo(), 5);
    expect(await host.agent.wait('long', 10_000)).toMatchObject({ status: 'ok', payloads: [{ text: 'at last' }] });
    clearInterval(opener);
  });

  it('that was only under way beside the one that ends the process is answered', async () => {
    let host = await createAgentHost();
    const of = (id: string) => host.state.inbox.get(id);
    await host.start(STALL, { runId: 'poison', sessionKey: 'poison' });
    await host.start('[[offline: delay 1500]] [[offline: say fine]]', { runId: 'beside', sessionKey: 'beside' });
    for (let deaths = 1; deaths <= 3; deaths += 1) {
      await until(() => of('poison')?.attempts === deaths && of('beside')?.attempts === deaths, `attempt ${deaths} of both`);
      host = await killed(host);
      host.agent.resume();
    }
    // both are suspects now and run one at a time; the process ends with the one of them
    for (let attempts = 4; attempts <= 5; attempts += 1) {
      await until(() => of('poison')?.state === 'dead' || of('poison')?.attempts === attempts, `attempt ${attempts}`);
      if (of('poison')?.state === 'dead') break;
      host = await killed(host);
      host.agent.resume();
    }
    expect(await host.agent.wait('beside', 10_000)).toMatchObject({ status: 'ok', payloads: [{ text: 'fine' }] });
    await until(() => of('poison')?.state === 'dead', 'the end of the attempts');
  });

  it('a command is not carried out a second time', async () => {
    const host = await createAgentHost();
    const { finish } = host.state.inbox;
    host.state.inbox.finish = () => undefined;
    await host.agent.accept({
      runId: 'c1',
      message: '/queue followup',
      sessionKey: 'main',
      senderAllowed: true,
      senderId: 'me',
      senderIsOwner: true,
      channel: 'irc',
    });
    await host.agent.wait('c1', 5_000);
    host.state.inbox.finish = finish;
    const next = await killed(host, { replies });
    next.agent.resume();
    expect(await next.agent.wait('c1', 5_000)).toMatchObject({ status: 'error', error: { code: 'DUR_RUN_INTERRUPTED' } });
    expect(isEmpty(next)).toBe(true);
  });
});

describe('the same message again', () => {
  it('is known by its id and by its key, before and after a restart', async () => {
    const host = await createAgentHost();
    const more = { dedupeKey: 'irc:a:#x:77' };
    await host.start('[[offline: say once]]', { runId: 'm1', ...more });
    await host.agent.wait('m1', 5_000);
    await host.idle();
    expect(await host.agent.accept({ runId: 'other', message: 'again', sessionKey: 'main', ...more })).toMatchObject({ runId: 'm1', repeated: true });
    const next = await host.restart();
    for (const request of [{ runId: 'm1' }, { runId: 'other', ...more }]) {
      expect(next.agent.known(request)).toMatchObject({ runId: 'm1', repeated: true });
      expect(await next.agent.accept({ message: 'again', sessionKey: 'main', ...request })).toMatchObject({ runId: 'm1', sessionKey: MAIN, agentId: 'main' });
    }
    expect(await next.agent.wait('m1', 0)).toMatchObject({ status: 'ok', payloads: [{ text: 'once' }] });
    expect(await next.messages()).toHaveLength(2);
    expect(next.agent.known({ runId: 'never' })).toBeUndefined();
  });

  it('of two at once with one key, one runs', async () => {
    const host = await createAgentHost();
    const accept = (runId: string) => host.agent.accept({ runId, message: '[[offline: say x]]', sessionKey: 'main', dedupeKey: 'k' });
    const accepted = await Promise.all([accept('a'), accept('b')]);
    expect(accepted.map(({ runId }) => runId)).toEqual(['a', 'a']);
    await host.agent.wait('a', 5_000);
    expect(await host.messages()).toHaveLength(2);
  });

  it('is still under way while the first waits in the backlog', async () => {
    const host = await createAgentHost();
    await host.start(STALL, { runId: 'm0' });
    await host.start('[[offline: say late]]', { runId: 'm1' });
    host.state.inbox.drop('m0');
    const next = await killed(host);
    expect(await next.agent.accept({ runId: 'm1', message: 'again', sessionKey: 'main' })).toMatchObject({ runId: 'm1', repeated: true });
    expect(await next.agent.wait('m1', 1)).toBeUndefined();
    const waiting = next.agent.wait('m1', 5_000);
    next.agent.resume();
    expect(await waiting).toMatchObject({ payloads: [{ text: 'late' }] });
  });
});

describe('a large backlog', () => {
  it('is taken up without being held in memory, and a stuck session stops no other', async () => {
    const host = await createAgentHost();
    const { inbox } = host.state;
    const text = 'x'.repeat(2_000);
    for (let n = 0; n < 4_000; n += 1) {
      const runId = `m${n}`;
      const sessionKey = `agent:main:s${n % 200}`;
      const stuck = n % 200 === 0;
      const request = { runId, message: stuck ? STALL : `[[offline: say ok]] ${text}`, sessionKey, autoReply: true };
      inbox.add({ id: runId, sessionKey, request: { request, accepted: { runId, sessionKey, sessionId: '', agentId: 'main', acceptedAt: 1 } } }, 1);
    }
    for (let n = 0; n < 200; n += 1) await host.agent.session({ sessionKey: `agent:main:s${n}` });
    const next = await killed(host, { config: { messages: { queue: { debounceMs: 1 } } } });
    expect(next.agent.queue.state()).toMatchObject({ backlog: 4_000, inbox: { waiting: 4_000 } });
    next.agent.resume();
    await until(() => next.state.inbox.counts().waiting + next.state.inbox.counts().started <= 20, 'all but the stuck session');
    expect(next.state.inbox.lines().every(({ sessionKey }) => sessionKey === 'agent:main:s0')).toBe(true);
    const written = (await next.messages('agent:main:s7')).flatMap((message) => (message.role === 'user' ? (message.runIds ?? []) : []));
    expect(written).toHaveLength(20);
    expect(new Set(written).size).toBe(20);
  });
});
