import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { messageText, type Tool } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';
import type { RunRequest } from '../run-request.ts';

const MAIN = 'agent:main:main';
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const queue = (settings: object) => ({ messages: { queue: { debounceMs: 20, ...settings } } });

async function until(ask: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let left = 2_000; left > 0; left -= 1) {
    if (await ask()) return;
    await pause(5);
  }
  throw new Error(`${what} did not come about`);
}

/** A tool that runs until it is let go, and what was called. */
function gate() {
  const called: string[] = [];
  const waiting: Array<() => void> = [];
  const tool: Tool = {
    name: 'gate',
    description: 'waits',
    parameters: { type: 'object' },
    async execute(_id, params, signal) {
      called.push(String((params as { n?: number }).n ?? ''));
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        signal?.addEventListener('abort', () => resolve());
      });
      return { content: [{ type: 'text', text: 'open' }] };
    },
  };
  return { tool, called, open: () => waiting.splice(0).forEach((let_go) => void let_go()) };
}

/** A host whose main session is busy among its tools until `open`. */
async function busy(settings: object, parts: HostParts = {}) {
  const { tool, called, open } = gate();
  const host = await createAgentHost({ tools: [tool], config: queue(settings), ...parts });
  const say = (id: string, message = `[[offline: say to ${id}]]`, more: Partial<RunRequest> = {}) =>
    host.agent.accept({ runId: id, message, sessionKey: 'main', autoReply: true, channel: 'webchat', ...more });
  const block = (more: Partial<RunRequest> = {}) =>
    say('m0', '[[offline: tool gate {"n":1}]] [[offline: also gate {"n":2}]] [[offline: also gate {"n":3}]] [[offline: say to m0]]', more);
  await block();
  await until(() => called.length === 1, 'the tool');
  return { host, called, open, say, end: (id: string) => host.agent.wait(id, 10_000) };
}

async function users(host: AgentHost): Promise<string[]> {
  return (await host.messages()).flatMap((message) => (message.role === 'user' ? [messageText(message)] : []));
}

async function openAll(open: () => void, host: AgentHost): Promise<void> {
  await until(() => {
    open();
    return host.agent.active(MAIN).length === 0;
  }, 'the end of all runs');
}

describe('messages that come while their session is busy', () => {
  it('collect: one more turn answers them all, and each sender is told which (QUEUE-001, QUEUE-021, QUEUE-028, QUEUE-029, QUEUE-059)', async () => {
    const { host, open, say, end } = await busy({});
    for (const id of ['m1', 'm2', 'm3']) await say(id, `hello from ${id}`, { senderName: id === 'm2' ? 'Ben' : 'Anna' });
    expect(await users(host)).toHaveLength(1);
    await openAll(open, host);
    const [, collected, ...rest] = await users(host);
    expect(rest).toEqual([]);
    for (const id of ['m1', 'm2', 'm3']) expect(collected).toContain(`hello from ${id}`);
    expect(collected).toContain('(2) Ben: hello from m2');
    expect(await end('m1')).toMatchObject({ status: 'ok', payloads: [], meta: { stopReason: 'collected', joinedRunId: 'm3' } });
    expect(await end('m3')).toMatchObject({ status: 'ok', payloads: [{ text: 'done' }] });
    expect(host.events.filter(({ data }) => data.phase === 'end').map(({ runId }) => runId)).toEqual(['m0', 'm1', 'm2', 'm3']);
    expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
    const entry = (await host.messages()).filter(({ role }) => role === 'user').at(-1);
    expect(entry).toMatchObject({ runIds: ['m3', 'm1', 'm2'] });
  });

  it('collect keeps images, and what is to be answered elsewhere or with other rights apart, in order (QUEUE-022)', async () => {
    const { host, open, say } = await busy({ debounceMs: 5 });
    const image = { data: 'AAAA', mimeType: 'image/png' };
    await say('m1', 'one', { images: [image] });
    await say('m2', 'two', { images: [image] });
    await say('m3', 'three', { threadId: 't' });
    await say('m4', 'four', { threadId: 't', senderIsOwner: true });
    await openAll(open, host);
    const found = (await host.messages()).filter(({ role }) => role === 'user').slice(1);
    expect(found.map((message) => (message.role === 'user' ? message.runIds : []))).toEqual([['m2', 'm1'], ['m3'], ['m4']]);
    expect(JSON.stringify(found[0]).match(/"image"/g)).toHaveLength(2);
  });

  it('followup: each has its own turn (QUEUE-020)', async () => {
    const { host, open, say } = await busy({ mode: 'followup', debounceMs: 5 });
    for (const id of ['m1', 'm2']) await say(id, `hello from ${id}`);
    await openAll(open, host);
    expect((await users(host)).slice(1)).toEqual(['hello from m1', 'hello from m2']);
  });

  it.each(['steer', 'queue'])(
    '%s: the running tool ends, the others are skipped, and the next model call has the message (QUEUE-017, QUEUE-018, QUEUE-026)',
    async (mode) => {
      const { host, called, open, say, end } = await busy({ mode });
      await say('m1', '[[offline: say steered]]');
      await pause(30);
      expect(called).toEqual(['1']);
      open();
      expect(await end('m0')).toMatchObject({ status: 'ok', payloads: [{ text: 'steered' }] });
      expect(await end('m1')).toMatchObject({ status: 'ok', payloads: [], meta: { stopReason: 'steered', joinedRunId: 'm0' } });
      expect(called).toEqual(['1']);
      const messages = await host.messages();
      expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'toolResult', 'toolResult', 'user', 'assistant']);
      expect(messages.slice(2, 5).map((message) => [messageText(message), message.role === 'toolResult' && message.isError])).toEqual([
        ['open', false],
        ['skipped: the user sent a new message', true],
        ['skipped: the user sent a new message', true],
      ]);
      await host.idle();
      expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
    },
  );

  it('steer: a turn that is in its last model call does not take it, so it is the next one (QUEUE-019, QUEUE-040)', async () => {
    const host = await createAgentHost({ config: queue({ mode: 'steer' }) });
    const say = (runId: string, message: string) => host.agent.accept({ runId, message, sessionKey: 'main', autoReply: true });
    await say('m0', '[[offline: delay 60]] [[offline: say first]]');
    await until(() => host.events.length > 0, 'the begin');
    await say('m1', '[[offline: say second]]');
    expect(await host.agent.wait('m0', 5_000)).toMatchObject({ payloads: [{ text: 'first' }] });
    expect(await host.agent.wait('m1', 5_000)).toMatchObject({ payloads: [{ text: 'second' }] });
    expect(await users(host)).toHaveLength(2);
  });

  it('steer: a message of another conversation is not put into this one', async () => {
    const { host, open, say, end } = await busy({ mode: 'steer', debounceMs: 5 });
    await say('m1', '[[offline: say elsewhere]]', { channel: 'irc', to: '#ops' });
    await openAll(open, host);
    expect(await end('m0')).toMatchObject({ payloads: [{ text: 'to m0' }] });
    expect(await end('m1')).toMatchObject({ payloads: [{ text: 'elsewhere' }] });
  });

  it.each(['steer-backlog', 'steer+backlog'])('%s: in the running turn and again in one of its own (QUEUE-023, QUEUE-024, QUEUE-027)', async (mode) => {
    const { host, open, say, end } = await busy({ mode, debounceMs: 5 });
    await say('m1', '[[offline: say twice]]');
    await openAll(open, host);
    expect((await users(host)).slice(1)).toEqual(['[[offline: say twice]]', '[[offline: say twice]]']);
    expect(await end('m0')).toMatchObject({ payloads: [{ text: 'twice' }] });
    expect(await end('m1')).toMatchObject({ payloads: [{ text: 'twice' }] });
  });

  it('interrupt: the turn is aborted, older ones are told, the newest runs (QUEUE-025)', async () => {
    const { host, say, end } = await busy({ mode: 'interrupt' });
    await say('m1', '[[offline: say newest]]');
    expect(await end('m0')).toMatchObject({ status: 'ok', meta: { aborted: true } });
    expect(await end('m1')).toMatchObject({ status: 'ok', payloads: [{ text: 'newest' }] });
    await host.idle();
    expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
  });

  it('the mode of a channel comes before the general one, that of the session before both (QUEUE-031, QUEUE-047, QUEUE-049)', async () => {
    const { host, open, say } = await busy({ mode: 'followup', byChannel: { webchat: 'collect' }, debounceMs: 5 });
    await say('m1', 'one');
    await say('m2', 'two');
    await openAll(open, host);
    expect((await users(host)).slice(1)).toHaveLength(1);
    const { sessions } = host;
    await sessions.patch(MAIN, { extra: { queueMode: 'followup' } });
    await say('n0', '[[offline: delay 50]]');
    await until(() => host.events.some(({ runId }) => runId === 'n0'), 'the begin');
    await say('n1', 'three');
    await say('n2', 'four');
    await openAll(open, host);
    expect((await users(host)).slice(-2)).toEqual(['three', 'four']);
  });

  it('a command does not wait and asks no model (QUEUE-030)', async () => {
    const { host, open, say, end } = await busy({});
    await say('c1', '/queue followup', { senderAllowed: true, senderId: 'me', senderIsOwner: true });
    expect(await end('c1')).toMatchObject({ payloads: [{ text: 'Queue mode set to followup.' }], meta: { stopReason: 'command' } });
    expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 1, dead: 0 });
    await openAll(open, host);
  });

  it('requests of programs and of other sessions wait their turn, one by one (QUEUE-011, QUEUE-012)', async () => {
    const { host, open, say } = await busy({});
    await say('m1', 'one', { provenance: { kind: 'inter_session' } });
    await host.agent.accept({ runId: 'm2', message: 'two', sessionKey: 'main' });
    await openAll(open, host);
    expect((await users(host)).slice(1)).toEqual(['one', 'two']);
  });
});

describe('a full queue', () => {
  const fill = async (settings: object) => {
    const made = await busy({ cap: 2, debounceMs: 5, ...settings });
    for (const id of ['m1', 'm2', 'm3', 'm4']) await made.say(id, `hello from ${id}`);
    await openAll(made.open, made.host);
    await made.host.idle();
    expect(made.host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
    return { ...made, last: (await users(made.host)).at(-1) ?? '' };
  };

  it.each([
    ['old', ['m1', 'm2'], ['m3', 'm4']],
    ['new', ['m3', 'm4'], ['m1', 'm2']],
  ])('drop %s: their senders are told (QUEUE-034, QUEUE-043, QUEUE-044)', async (drop, gone, kept) => {
    const { end, last, host } = await fill({ drop });
    for (const id of gone) expect(await end(id)).toMatchObject({ status: 'error', error: { code: 'DUR_QUEUE_FULL' } });
    for (const id of kept) expect(last).toContain(`hello from ${id}`);
    for (const id of gone) expect(last).not.toContain(`hello from ${id}`);
    expect(host.events.filter(({ data }) => data.phase === 'error').map(({ runId }) => runId)).toEqual(gone);
  });

  it('summarize: the next turn begins with a list of them (QUEUE-035, QUEUE-045, QUEUE-046)', async () => {
    const { end, last } = await fill({});
    expect(last).toMatch(/^\[2 earlier messages were dropped because the queue was full\]\n- hello from m1\n- hello from m2\n/);
    expect(await end('m1')).toMatchObject({ status: 'ok', payloads: [], meta: { stopReason: 'summarized' } });
    expect(await end('m4')).toMatchObject({ status: 'ok', payloads: [{ text: 'done' }] });
  });
});

describe('lanes', () => {
  it.each([
    ['main', {}, 4],
    ['main', { maxConcurrent: 2 }, 2],
    ['subagent', {}, 8],
    ['cron', {}, 1],
    ['of-an-extension', {}, 1],
  ])('%s with %j runs %d at once (QUEUE-002, QUEUE-006 to QUEUE-009, QUEUE-014, QUEUE-061)', async (lane, defaults, cap) => {
    const host = await createAgentHost({ config: { agents: { defaults } } });
    const begun = () => host.events.filter(({ data }) => data.phase === 'start').length;
    for (let n = 0; n <= cap; n += 1) await host.start('[[offline: stall]]', { sessionKey: `s${n}`, lane });
    await until(() => begun() === cap, 'the cap');
    await pause(30);
    expect(begun()).toBe(cap);
    expect(host.agent.queue.state()).toMatchObject({ lanes: [{ lane, running: cap, waiting: 1 }], sessions: { busy: cap + 1 } });
    host.agent.abort({ sessionKey: 's0', origin: 'rpc' });
    await until(() => begun() === cap + 1, 'the next');
  });

  it('main is for messages and for heartbeats of all sessions (QUEUE-060)', async () => {
    const host = await createAgentHost({ config: { agents: { defaults: { maxConcurrent: 1 } } } });
    await host.start('[[offline: stall]]', { runId: 'beat', sessionKey: 'a', trigger: 'heartbeat' });
    await until(() => host.events.length > 0, 'the heartbeat');
    await host.start('[[offline: say x]]', { runId: 'm1', sessionKey: 'b' });
    await pause(30);
    expect(host.events.some(({ runId }) => runId === 'm1')).toBe(false);
    expect(host.agent.queue.state().lanes).toMatchObject([{ lane: 'main', running: 1, waiting: 1 }]);
    host.agent.abort({ runId: 'beat', origin: 'rpc' });
    expect(await host.agent.wait('m1', 5_000)).toMatchObject({ status: 'ok' });
  });

  it('need no package and no worker thread (QUEUE-064)', () => {
    for (const name of ['queue', 'lanes', 'dispatch', 'batch', 'backlog', 'injections']) {
      const source = readFileSync(new URL(`./${name}.ts`, import.meta.url), 'utf8');
      for (const [, from = ''] of source.matchAll(/ from '([^']+)'/g)) expect(from, name).toMatch(/^\.\.?\//);
      expect(source).not.toContain('worker_threads');
    }
  });

  it('the cap of cron is a key of the configuration, and a full background lane does not hold up messages (QUEUE-062)', async () => {
    const host = await createAgentHost({ config: { cron: { maxConcurrentRuns: 2 } } });
    for (let n = 0; n < 5; n += 1) await host.start('[[offline: stall]]', { sessionKey: `s${n}`, lane: 'cron' });
    const id = await host.start('[[offline: say at once]]');
    expect(await host.agent.wait(id, 10_000)).toMatchObject({ payloads: [{ text: 'at once' }] });
    expect(host.agent.queue.state().lanes).toMatchObject([{ lane: 'cron', running: 2, waiting: 3 }]);
  });

  it.each(['cron', 'subagent'])('a detached run in %s is listed while it runs (QUEUE-063)', async (lane) => {
    const host = await createAgentHost();
    await host.start('[[offline: stall]]', { runId: 'detached', sessionKey: 'nightly', lane });
    await until(() => host.agent.queue.list(10).some(({ state }) => state === 'started'), 'the begin');
    expect(host.agent.queue.list(10)).toMatchObject([{ id: 'detached', box: 'inbox', state: 'started', sessionKey: 'agent:main:nightly' }]);
    expect(host.agent.queue.state().lanes).toMatchObject([{ lane, running: 1, waiting: 0 }]);
    host.agent.abort({ runId: 'detached', origin: 'rpc' });
    await until(() => host.agent.queue.list(10).length === 0, 'the end');
  });

  it('are named in the verbose log with what waits there, and so is a long wait (QUEUE-010, QUEUE-013, QUEUE-015, QUEUE-065, QUEUE-066)', async () => {
    let time = Date.now();
    const host = await createAgentHost({ now: () => time });
    await host.start('[[offline: stall]]', { runId: 'a' });
    const lines = () => host.logged.filter(({ level, message }) => level === 'debug' && message.startsWith('queued'));
    await until(() => lines().length === 2, 'the second lane');
    await host.start('[[offline: say later]]', { runId: 'b' });
    expect(lines().map(({ message, fields }) => [message, fields?.runId, fields?.running])).toEqual([
      [`queued in lane session:${MAIN}`, 'a', 0],
      ['queued in lane main', 'a', 0],
      [`queued in lane session:${MAIN}`, 'b', 1],
    ]);
    time += 3_000;
    host.agent.abort({ runId: 'a', origin: 'rpc' });
    await host.agent.wait('b', 5_000);
    expect(lines().at(-1)).toMatchObject({ message: 'queued for 3000ms', fields: { runId: 'b', lane: 'main', depth: 0 } });
  });

  it('tell their listeners of a run before it begins (QUEUE-016)', async () => {
    const { host, say } = await busy({});
    await say('m1');
    expect(host.queued).toEqual(['m0', 'm1']);
    expect(host.events.some(({ runId }) => runId === 'm1')).toBe(false);
  });
});

describe('what is taken back', () => {
  it('a waiting message leaves the queue and the inbox at once', async () => {
    const { host, open, say, end } = await busy({});
    await say('m1', 'one');
    await say('m2', 'two');
    expect(host.agent.abort({ runId: 'm1', origin: 'rpc' }).runIds).toEqual(['m1']);
    expect(await end('m1')).toMatchObject({ status: 'ok', meta: { aborted: true } });
    expect(host.state.inbox.get('m1')).toBeUndefined();
    await openAll(open, host);
    expect((await users(host)).slice(1)).toEqual(['two']);
  });

  it('with the whole session: nothing is left, not even the summary of what was dropped', async () => {
    const { host, say } = await busy({ cap: 1 });
    for (const id of ['m1', 'm2', 'm3']) await say(id);
    host.agent.abort({ sessionKey: 'main', origin: 'rpc' });
    await until(() => host.agent.active().length === 0, 'the end');
    await pause(60);
    expect(await users(host)).toHaveLength(1);
    expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
  });

  it('messages that were dropped are told of even when all that came after them is taken back', async () => {
    const { host, open, say } = await busy({ cap: 1, debounceMs: 5 });
    for (const id of ['m1', 'm2', 'm3']) await say(id, `hello from ${id}`);
    await until(() => host.events.filter(({ data }) => data.stopReason === 'summarized').length === 2, 'two drops');
    host.agent.abort({ runId: 'm3', origin: 'rpc' });
    await openAll(open, host);
    await until(async () => (await users(host)).length === 2, 'the summary');
    await openAll(open, host);
    expect((await users(host)).at(-1)).toContain('- hello from m1\n- hello from m2');
    await host.idle();
    expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
  });

  it('a burst of messages, steering and aborts ends with every run over and the inbox empty', async () => {
    const { tool, open } = gate();
    const host = await createAgentHost({ tools: [tool], config: queue({ debounceMs: 1, cap: 3 }) });
    let state = 11;
    const next = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const modes = ['collect', 'steer', 'followup', 'steer-backlog', 'interrupt'];
    const ids: string[] = [];
    const opener = setInterval(open, 3);
    for (let n = 0; n < 120; n += 1) {
      const sessionKey = `s${Math.floor(next() * 3)}`;
      const choice = next();
      if (choice < 0.08) host.agent.abort({ sessionKey, origin: 'rpc' });
      else if (choice < 0.16) {
        const { session } = await host.agent.session({ sessionKey });
        await host.sessions.patch(session.key, { extra: { queueMode: modes[Math.floor(next() * modes.length)] } });
      } else {
        const runId = `r${n}`;
        ids.push(runId);
        const message = next() < 0.5 ? `[[offline: tool gate {}]] [[offline: say ${n}]]` : `[[offline: say ${n}]]`;
        const request = { runId, message, sessionKey, ...(choice < 0.3 ? {} : { autoReply: true as const }) };
        if (choice > 0.95) await host.agent.steer(request);
        else await host.agent.accept(request);
      }
      if (next() < 0.3) await pause(3);
    }
    for (const id of ids) expect(await host.agent.wait(id, 10_000), id).toBeDefined();
    await host.idle();
    clearInterval(opener);
    await until(() => host.agent.queue.state().sessions.busy === 0, 'the lanes');
    expect(host.state.inbox.counts()).toEqual({ waiting: 0, started: 0, dead: 0 });
    for (let s = 0; s < 3; s += 1) {
      const written = (await host.messages(`agent:main:s${s}`)).flatMap((message) => (message.role === 'user' ? (message.runIds ?? []) : []));
      expect(new Set(written).size).toBe(written.length);
    }
  });
});
