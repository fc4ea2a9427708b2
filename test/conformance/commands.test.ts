import { describe, expect, it } from 'vitest';
import { createOfflineProvider } from '../../extensions/providers/offline/provider.ts';
import type { CommandContext, CompactParams, ContextEngine, ProviderRequest } from '../../sdk/index.ts';
import { messageText } from '../../sdk/index.ts';
import type { HostParts } from '../agent-host.ts';
import type { Socket } from './harness.ts';
import { ask, finished, refusal, startSessionHost } from './session-host.ts';

interface Final {
  result: { payloads: Array<{ text?: string; isError?: boolean }>; meta: Record<string, unknown> };
}

const SAY = '[[offline: say fine]]';

/** A gateway whose model remembers what it was asked. */
async function start(parts: HostParts = {}) {
  const requests: ProviderRequest[] = [];
  const offline = createOfflineProvider({});
  const provider = {
    ...offline,
    stream(request: ProviderRequest, options: { signal: AbortSignal }) {
      requests.push(structuredClone(request));
      return offline.stream?.(request, options) ?? (async function* none() {})();
    },
  };
  const { host, dial } = await startSessionHost({ providers: [provider], ...parts });
  const socket = await dial();
  let sent = 0;
  const run = async (message: string, by: Socket = socket): Promise<Final['result']> => {
    sent += 1;
    const runId = `m${sent}`;
    const { result } = await by.call('agent', { sessionKey: 'main', message, idempotencyKey: runId }).then(async () => {
      await finished(by, runId);
      return ask<Final>(by, 'agent', { sessionKey: 'main', message, idempotencyKey: runId });
    });
    return result;
  };
  const say = async (message: string, by?: Socket) => (await run(message, by)).payloads.map(({ text }) => text).join('\n');
  const asked = () => requests.map(({ messages }) => messageText(messages.at(-1) ?? { role: 'user', content: '', timestamp: 0 }));
  const row = () => host.sessions.get('main');
  return { host, dial, socket, run, say, asked, row, requests };
}

const engine = (compact: ContextEngine['compact']): ContextEngine => ({
  info: { id: 'fixture', name: 'Fixture' },
  ingest: async () => ({ ingested: true }),
  assemble: async ({ messages }) => ({ messages, estimatedTokens: 4321 }),
  compact,
});

describe('a command', () => {
  it('is answered by one final of the chat with seq 1, without a model, and is not part of the conversation (CTX-074, CTX-075)', async () => {
    const { host, socket, asked } = await start();
    expect(await ask(socket, 'chat.send', { sessionKey: 'main', message: '/status', idempotencyKey: 'c' })).toEqual({ runId: 'c', status: 'started' });
    await finished(socket, 'c');
    const chats = socket.frames.filter(({ event }) => event === 'chat').map(({ payload }) => payload);
    expect(chats).toEqual([
      {
        runId: 'c',
        sessionKey: 'agent:main:main',
        seq: 1,
        state: 'final',
        message: {
          role: 'assistant',
          content: [{ type: 'text', text: expect.stringContaining('Model: offline/script (default)') }],
          timestamp: expect.any(Number),
        },
      },
    ]);
    expect(asked()).toEqual([]);
    expect(await host.messages()).toEqual([]);
    expect(await ask(socket, 'chat.send', { sessionKey: 'main', message: '/status', idempotencyKey: 'c' })).toEqual({ runId: 'c', status: 'ok' });
  });

  it('/status tells model, engine, tokens, window, queue and settings (CTX-007, CTX-039, ENGINE-062)', async () => {
    const { say } = await start({ engine: engine(async () => ({ ok: true, compacted: false })) });
    const before = await say('/status');
    expect(before).toContain('Durar 2026.11.0\nModel: offline/script (default) · thinking off\nContext engine: fixture');
    expect(before).toContain('Context: 0 / 200,000 (0%) tokens · estimatedTokens 0 (history)');
    await say(SAY);
    await say('/think high');
    await say('/queue steer');
    const after = await say('/status');
    expect(after).toContain('thinking high');
    expect(after).toMatch(/Context: [1-9][\d,]* \/ 200,000 \(\d+%\) tokens · estimatedTokens 4,321/);
    expect(after).toMatch(/Last run: [1-9][\d,]* in \/ [1-9][\d,]* out/);
    expect(after).toMatch(/Queue: steer \(0 active\)/);
    expect(after).toContain('Session: agent:main:main · verbose off · reasoning off · usage off · compactions 0');
  });

  it('/help, /commands, /whoami and /models list', async () => {
    const { say } = await start({ commands: [{ name: 'acme', description: 'what acme knows', handler: () => ({ text: 'x' }) }] });
    expect(await say('/help')).toMatch(/^Commands:\n[\s\S]*\/status - /);
    const all = await say('/commands');
    for (const name of ['think', 'verbose', 'reasoning', 'elevated', 'model', 'queue', 'usage', 'compact', 'new', 'reset', 'stop']) {
      expect(all).toMatch(new RegExp(`^/${name} `, 'm'));
    }
    expect(all).toContain('From extensions:\n/acme - what acme knows (command-extension)');
    expect(await say('/whoami')).toMatch(/^You are .+ \(administrator\)\.$/);
    expect(await say('/models')).toMatch(/^Models:\n1\. offline\//);
  });

  it('/usage tokens puts a line under each reply, which the transcript does not have (CTX-010)', async () => {
    const { host, say, run, row } = await start();
    expect(await say('/usage nonsense')).toContain('Unrecognized usage mode "nonsense"');
    expect(await say('/usage tokens')).toBe('Usage line set to tokens.');
    expect(await say(SAY)).toMatch(/^fine\n\nUsage: [\d,]+ in \/ [\d,]+ out$/);
    expect(messageText((await host.messages()).at(-1) as never)).toBe('fine');
    await say('/usage full');
    expect(await say(SAY)).toMatch(/Usage: .* · session agent:main:main$/);
    expect(await say('[[offline: say NO_REPLY]]')).toBe('');
    expect(await say('/usage off')).toBe('Usage line disabled.');
    expect((await run(SAY)).payloads).toMatchObject([{ text: 'fine' }]);
    expect((await row())?.extra?.responseUsage).toBeUndefined();
    expect(await say('/usage cost')).toMatch(/^This session has cost about \$\d/);
  });

  it('/compact asks the selected engine, by force and with the instructions; no other makes a summary (ENGINE-024, CTX-092, CTX-094)', async () => {
    const calls: CompactParams[] = [];
    let answer: Awaited<ReturnType<ContextEngine['compact']>> = { ok: true, compacted: false, reason: 'all of it is new' };
    const fixture = engine(async (params) => {
      calls.push(params);
      return answer;
    });
    const { host, say, requests } = await start({ engine: fixture });
    await say(SAY);
    const before = requests.length;
    expect(await say('/compact keep the names')).toBe('Nothing was compacted: all of it is new.');
    answer = { ok: true, compacted: true, result: { tokensBefore: 12_000, tokensAfter: 3_000 } };
    expect(await say('/compact')).toBe('Compacted: 12,000 tokens, now 3,000.');
    expect(calls).toMatchObject([{ force: true, customInstructions: 'keep the names' }, { force: true }]);
    expect(calls[1]).not.toHaveProperty('customInstructions');
    expect(requests).toHaveLength(before);
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(false);
  });

  it('/compact with the engine that comes along leaves a summary and a smaller request (CTX-011, CTX-088)', async () => {
    const { host, say, requests } = await start();
    for (let turn = 0; turn < 12; turn++) await say(`${'words '.repeat(9_000)} ${turn} ${SAY}`);
    const size = JSON.stringify(requests.at(-1)?.messages).length;
    expect(await say('/compact')).toMatch(/^Compacted: [\d,]+ tokens, now [\d,]+\.$/);
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(true);
    await say(SAY);
    expect(JSON.stringify(requests.at(-1)?.messages).length).toBeLessThan(size);
  });

  it('/context list, detail and json report sizes, of the last run or as an estimate (CTX-008, CTX-009, CTX-012, CTX-033, CTX-095, CTX-097, CTX-099)', async () => {
    const { say, asked } = await start();
    const estimate = await say('/context');
    expect(estimate).toMatch(/^🧠 Context breakdown\nWorkspace: /);
    expect(estimate).toContain('System prompt (estimate): ');
    expect(estimate).toMatch(/^- AGENTS\.md: /m);
    expect(asked()).toEqual([]);
    await say(SAY);
    expect(await say('/context list')).toContain('System prompt (run): ');
    expect(await say('/context detail')).toMatch(/^🧠 Context breakdown \(detailed\)\n/);
    expect(JSON.parse(await say('/context json'))).toMatchObject({ key: 'agent:main:main', report: { source: 'run', model: 'script' } });
    expect(await say('/context all')).toContain('Unrecognized context format "all"');
  });

  it('that fails says why, and the run ends well', async () => {
    const { run } = await start({
      engine: engine(async () => {
        throw new Error('the index is gone');
      }),
    });
    await run(SAY);
    expect(await run('/compact')).toMatchObject({
      payloads: [{ isError: true, text: expect.stringContaining('the index is gone') }],
      meta: { aborted: false },
    });
  });

  it('/stop by the agent method stops the run of the session, for administrators', async () => {
    const { dial, socket, say } = await start();
    expect(await say('/stop')).toBe('Nothing is running.');
    const slow = socket.call('agent', { sessionKey: 'main', message: '[[offline: stall]]', idempotencyKey: 'slow' });
    await slow;
    const writer = await dial({ params: { scopes: ['operator.write'] } });
    expect(await say('/stop', writer)).toBe('Not allowed: missing scope: operator.admin.');
    expect(await say('/stop')).toBe('Stopped the run.');
    expect(await ask(socket, 'agent.wait', { runId: 'slow' })).toMatchObject({ runId: 'slow' });
  });

  it('does not wait for the run of its session', async () => {
    const { host, socket, say } = await start();
    await socket.call('agent', { sessionKey: 'main', message: '[[offline: stall]]', idempotencyKey: 'slow' });
    expect(await say('/verbose on')).toBe('Verbose logging enabled.');
    expect(await say('/status')).toMatch(/Queue: collect \(1 active\)/);
    host.agent.abort({ sessionKey: 'main', origin: 'rpc' });
  });

  it('is no steering: the running turn goes on', async () => {
    const { host, socket, row } = await start();
    await socket.call('agent', { sessionKey: 'main', message: '[[offline: stall]]', idempotencyKey: 'slow' });
    const answer = await ask(socket, 'sessions.steer', { key: 'main', message: '/reasoning on', idempotencyKey: 's' });
    expect(answer).not.toHaveProperty('interruptedActiveRun');
    await finished(socket, 's');
    expect((await row())?.reasoningLevel).toBe('on');
    expect(host.agent.active().map(({ runId }) => runId)).toEqual(['slow']);
    host.agent.abort({ sessionKey: 'main', origin: 'rpc' });
  });

  it('has no place in the transcript, and its followers are told of none', async () => {
    const { socket, dial, row } = await start();
    const follower = await dial();
    await ask(socket, 'agent', { sessionKey: 'main', message: SAY, idempotencyKey: 'a' });
    await finished(socket, 'a');
    await ask(follower, 'sessions.messages.subscribe', { key: 'main' });
    const sent = await ask(socket, 'sessions.send', { key: 'main', message: '/think low', idempotencyKey: 'b' });
    expect(sent).toEqual({ runId: 'b', status: 'started' });
    await finished(socket, 'b');
    await ask(follower, 'health');
    expect(follower.frames.filter(({ event }) => event === 'session.message')).toEqual([]);
    expect((await row())?.thinkingLevel).toBe('low');
  });

  it('that writes the configuration needs operator.admin', async () => {
    const { dial } = await start();
    const writer = await dial({ params: { scopes: ['operator.write'] } });
    expect(await refusal(writer, 'chat.send', { sessionKey: 'main', message: '/config set a=1', idempotencyKey: 'w' })).toBe('missing scope: operator.admin');
  });
});

describe('a directive', () => {
  it.each([
    ['/think high', { thinkingLevel: 'high' }, 'Thinking level set to high.'],
    ['/t off', { thinkingLevel: 'off' }, 'Thinking disabled.'],
    ['/verbose on', { verboseLevel: 'on' }, 'Verbose logging enabled.'],
    ['/v off', { verboseLevel: 'off' }, 'Verbose logging disabled.'],
    ['/reasoning stream', { reasoningLevel: 'stream' }, 'Reasoning set to stream.'],
    ['/elevated ask', { extra: { elevatedLevel: 'ask' } }, 'Elevated mode set to ask.'],
    [
      '/model offline/echo@work',
      { modelOverride: 'offline/echo', extra: { authProfileOverride: 'work', authProfileOverrideSource: 'user' } },
      'Model set to offline/echo with the profile work.',
    ],
    [
      '/queue collect debounce:2s cap:25 drop:summarize',
      { extra: { queueMode: 'collect', queueDebounceMs: 2000, queueCap: 25, queueDrop: 'summarize' } },
      'Queue mode set to collect. Queue debounce set to 2000ms. Queue cap set to 25. Queue drop set to summarize.',
    ],
  ])('%s alone is kept with the session and acknowledged (CTX-082)', async (message, kept, reply) => {
    const { say, asked, row } = await start();
    expect(await say(message)).toBe(reply);
    expect(asked()).toEqual([]);
    expect(await row()).toMatchObject(kept);
  });

  it.each(['/think high', '/verbose on', '/reasoning on', '/elevated full', '/model offline/echo', '/queue steer cap:3'])(
    '%s inside a message is left out of it and changes nothing of the session (CTX-076 CTX-077 CTX-078 CTX-079 CTX-080 CTX-081 CTX-083)',
    async (directive) => {
      const { host, say, asked, row } = await start();
      await say(SAY);
      const before = await row();
      await say(`fix this ${directive} ${SAY}`);
      expect(asked().at(-1)).toBe(`fix this ${SAY}`);
      expect(messageText((await host.messages()).at(-2) as never)).toBe(`fix this ${SAY}`);
      const { thinkingLevel, verboseLevel, reasoningLevel, modelOverride } = before ?? {};
      const after = await row();
      expect([after?.thinkingLevel, after?.verboseLevel, after?.reasoningLevel, after?.modelOverride]).toEqual([
        thinkingLevel,
        verboseLevel,
        reasoningLevel,
        modelOverride,
      ]);
      for (const key of ['elevatedLevel', 'queueMode', 'queueCap']) expect(after?.extra?.[key]).toBeUndefined();
    },
  );

  it('/model and /think inside a message hold for its run, alone for all that follow', async () => {
    const { run, say } = await start();
    expect((await run('say this /model offline/echo')).meta).toMatchObject({ agentMeta: { model: 'echo' } });
    expect((await run(SAY)).meta).toMatchObject({ agentMeta: { model: 'script' } });
    await say('/model offline/echo');
    expect((await run('hello')).meta).toMatchObject({ agentMeta: { model: 'echo' } });
    expect(await say('/model')).toContain('Model: offline/echo (chosen for this session)');
    expect(await say('/model default')).toBe('Model reset to default (offline/script).');
    expect((await run(SAY)).meta).toMatchObject({ agentMeta: { model: 'script' } });
  });

  it('/reasoning and /verbose inside a message show its run alone in another way (CTX-083)', async () => {
    const { socket, say, dial } = await start({
      tools: [{ name: 'look', description: 'looks', parameters: { type: 'object' }, execute: async () => ({ content: [{ type: 'text', text: 'seen' }] }) }],
    });
    const watcher = await dial({ params: { caps: ['tool-events'] } });
    const told = (by: Socket, stream: string) =>
      by.frames
        .map(({ event, payload }) => ({ event, ...(payload as { stream?: string; data?: object }) }))
        .filter((each) => each.event === 'agent' && each.stream === stream);
    await say('[[offline: think hm]][[offline: say one]]');
    expect(told(socket, 'thinking')).toEqual([]);
    await say('/reasoning stream [[offline: think hm]][[offline: say two]]');
    expect(told(socket, 'thinking')).toMatchObject([{ data: { text: 'hm' } }]);
    await say('[[offline: think hm]][[offline: say three]]');
    expect(told(socket, 'thinking')).toHaveLength(1);
    await say('[[offline: tool look]]', watcher);
    expect(told(watcher, 'tool').at(-1)?.data).not.toHaveProperty('result');
    await say('[[offline: tool look]] /verbose full', watcher);
    expect(told(watcher, 'tool').at(-1)?.data).toHaveProperty('result');
  });

  it('/model chooses from its list by number and refuses what it may not or does not know', async () => {
    const { say, row } = await start({
      config: { agents: { defaults: { models: { 'offline/echo': { alias: 'parrot' } } } } },
    });
    const list = await say('/model list');
    expect(list).toMatch(/^Models:\n1\. offline\/echo\n2\. offline\/script\nChoose/);
    expect(await say('/model #1')).toBe('Model set to offline/echo.');
    expect(await say('/model 9')).toContain('There is no model 9');
    expect(await say('/model parrot')).toBe('Model set to offline/echo.');
    expect(await say('/model openai/gpt-x')).toBe('Model "openai/gpt-x" is not allowed. Use /model to list available models.');
    expect((await row())?.modelOverride).toBe('offline/echo');
    const open = await start();
    expect(await open.say('/model nobody/nothing')).toBe('Model "nobody/nothing" is not known. Use /model list to list available models.');
  });

  it('without a value shows what holds; a wrong one changes nothing', async () => {
    const { say, row } = await start();
    expect(await say('/think')).toBe('Current thinking level: off.\nOptions: off, minimal, low, medium, high, xhigh, adaptive.');
    expect(await say('/think banana')).toContain('Unrecognized thinking level "banana"');
    expect((await row())?.thinkingLevel).toBeUndefined();
    expect(await say('/queue')).toContain('Current queue settings: mode=collect, debounce=1000ms, cap=20, drop=summarize.');
    await say('/queue followup cap:3');
    expect(await say('/queue')).toContain('mode=followup, debounce=1000ms, cap=3');
    expect(await say('/queue reset')).toBe('Queue mode reset to default.');
    expect((await row())?.extra?.queueMode).toBeUndefined();
  });

  it('several in one message are all kept; a shortcut among them is answered', async () => {
    const { say, row } = await start();
    const reply = await say('/think low /verbose full /status');
    expect(reply).toMatch(/^Thinking level set to low\.\nVerbose logging set to full\.\n\nDurar /);
    expect(reply).toContain('thinking low');
    expect(await row()).toMatchObject({ thinkingLevel: 'low', verboseLevel: 'full' });
  });

  it('does not loosen the host for who may not', async () => {
    const { dial, say, row } = await start();
    const writer = await dial({ params: { scopes: ['operator.write'] } });
    expect(await say('/elevated full', writer)).toContain('Not allowed');
    expect((await row())?.extra?.elevatedLevel).toBeUndefined();
    expect(await say('/elevated off', writer)).toBe('Elevated mode disabled.');
  });
});

describe('a shortcut inside a message', () => {
  it('is answered at once and left out of what the model sees (CTX-084, CTX-086)', async () => {
    const { run, asked, socket } = await start();
    const { payloads } = await run(`hey /status ${SAY}`);
    expect(payloads.map(({ text }) => text)).toEqual([expect.stringContaining('Context engine: legacy'), 'fine']);
    expect(asked()).toEqual([`hey ${SAY}`]);
    const final = socket.frames.map(({ payload }) => payload as { state?: string; message?: unknown }).find(({ state }) => state === 'final');
    expect(JSON.stringify(final?.message)).toMatch(/Context engine: legacy.*fine/);
  });
});

describe('settings for tools and providers', () => {
  it('/fast is kept with the session, or holds for one message; the provider is told', async () => {
    const { say, row, requests } = await start({ config: { agents: { list: [{ id: 'main', fastModeDefault: true }] } } });
    const told = async (message: string) => {
      await say(message);
      return requests.at(-1)?.fast;
    };
    expect(await told(SAY)).toBe(true);
    expect(await say('/fast')).toContain('Current fast mode: on.');
    expect(await say('/fast off')).toBe('Fast mode disabled.');
    expect((await row())?.extra?.fastMode).toBe(false);
    expect(await told(SAY)).toBeUndefined();
    expect(await told(`/fast on ${SAY}`)).toBe(true);
    expect((await row())?.extra?.fastMode).toBe(false);
    expect(await say('/fast on')).toBe('Fast mode enabled.');
    expect(await told(SAY)).toBe(true);
    expect(await say('/fast maybe')).toContain('Unrecognized fast mode "maybe"');
  });

  it('/fast of a model stands in its parameters, which the provider gets without it', async () => {
    const { say, requests } = await start({ config: { agents: { defaults: { models: { 'offline/script': { params: { fastMode: true, seed: 1 } } } } } } });
    await say(SAY);
    expect(requests.at(-1)).toMatchObject({ fast: true, params: { seed: 1 } });
    expect(requests.at(-1)?.params).not.toHaveProperty('fastMode');
  });

  it('/exec shows and changes how commands run, for who may loosen that', async () => {
    const { say, host, row } = await start({ config: { tools: { exec: { ask: 'always' } } } });
    expect(await say('/exec')).toMatch(/^Current exec settings: host=auto \(configured\), security=allowlist \(configured\), ask=always \(configured\)\./);
    expect(await say('/exec security=deny ask=off node=n1')).toBe('Exec settings: security=deny, ask=off, node=n1.');
    expect((await row())?.extra).toMatchObject({ execSecurity: 'deny', execAsk: 'off', execNode: 'n1' });
    expect(await say('/exec')).toContain('security=deny, ask=off, node=n1.');
    expect(await say('/exec security=open')).toContain('Unrecognized exec setting "security=open"');
    const byChannel = await host.run('/exec security=full', { channel: 'irc', senderId: 'ann', senderAllowed: true });
    expect(byChannel.payloads).toMatchObject([{ isError: true, text: expect.stringContaining('Not allowed') }]);
    expect((await row())?.extra?.execSecurity).toBe('deny');
    expect(await say('/exec default')).toBe('Exec settings reset to default.');
    expect((await row())?.extra?.execSecurity).toBeUndefined();
  });

  it('/tools names what the agent has here', async () => {
    const look = { name: 'look', description: 'looks around', parameters: { type: 'object' }, execute: async () => ({ content: [] }) };
    const { say } = await start({ tools: [look] });
    expect(await say('/tools')).toBe('Tools (profile full, 1):\nlook');
    expect(await say('/tools verbose')).toMatch(/^Tools \(profile full, 1\):\n- look \(.+\): looks around$/);
    expect(await say('/tools all')).toContain('Unrecognized tools format "all"');
  });
});

describe('a message that only looks like a command', () => {
  it('goes to the model as an extension says, as part of the conversation, or is answered', async () => {
    const { host, say, asked } = await start();
    host.on('command.expand', ({ name, args }, { agentId, sessionKey }) => {
      if (name === 'plan') return { message: `Plan this: ${args} [${agentId} ${sessionKey}]` };
      return name === 'plans' ? { reply: 'There are none.' } : undefined;
    });
    await say(`/plan the week ${SAY}`);
    expect(asked().at(-1)).toBe(`Plan this: the week ${SAY} [main agent:main:main]`);
    expect((await host.messages()).map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(await say('/plans')).toBe('There are none.');
    expect(await host.messages()).toHaveLength(2);
    await say(`/other ${SAY}`);
    expect(asked().at(-1)).toBe(`/other ${SAY}`);
    await host.run(`/plan ${SAY}`, { channel: 'irc', senderId: 'bob', senderAllowed: false });
    expect(asked().at(-1)).toBe(`/plan ${SAY}`);
  });
});

describe('the sender by a channel', () => {
  const by = { channel: 'irc', senderId: 'ann' };

  it('who is allowed uses commands; for all others text stays text and a command alone is passed over (CTX-085)', async () => {
    const { host, asked, row } = await start();
    const from = (message: string, senderAllowed: boolean) => host.run(message, { ...by, senderAllowed });
    expect((await from('/status', false)).payloads).toEqual([]);
    expect(asked()).toEqual([]);
    await from(`hey /status /think high ${SAY}`, false);
    expect(asked()).toEqual([`hey /status /think high ${SAY}`]);
    await from('/think high', false);
    expect((await row())?.thinkingLevel).toBeUndefined();
    expect((await from('/think high', true)).payloads).toMatchObject([{ text: 'Thinking level set to high.' }]);
    expect((await row())?.thinkingLevel).toBe('high');
    expect((await from('/elevated full', true)).payloads).toMatchObject([{ isError: true }]);
  });

  it('is known by commands.allowFrom alone where it is set', async () => {
    const { host } = await start({
      config: { commands: { allowFrom: { irc: ['ann'], '*': ['root'] } }, tools: { elevated: { allowFrom: { irc: ['ann'] } } } },
    });
    const answer = async (message: string, more: object) => (await host.run(message, { ...by, senderAllowed: true, ...more })).payloads.map(({ text }) => text);
    expect(await answer('/verbose on', {})).toEqual(['Verbose logging enabled.']);
    expect(await answer('/verbose on', { senderAllowed: false })).toEqual(['Verbose logging enabled.']);
    expect(await answer('/status', { senderId: 'bob' })).toEqual([]);
    expect(await answer('/status', { channel: 'telegram', senderId: 'ann' })).toEqual([]);
    expect(await answer('/verbose off', { channel: 'telegram', senderId: 'root' })).toEqual(['Verbose logging disabled.']);
    expect(await answer('/elevated full', {})).toEqual(['Elevated mode set to full.']);
  });

  it('stops with a word and starts over with a command', async () => {
    const { host, asked, row } = await start();
    const first = await host.run(SAY, { ...by, senderAllowed: true });
    await host.start('[[offline: stall]]', { ...by, senderAllowed: true });
    const stopped = await host.start('Stop!', { ...by, senderAllowed: true });
    expect((await host.agent.wait(stopped, 5_000))?.payloads).toMatchObject([{ text: 'Stopped the run.' }]);
    await host.idle();
    await host.run(`/new ${SAY}`, { ...by, senderAllowed: true });
    expect((await row())?.sessionId).not.toBe(first.sessionId);
    expect(asked().at(-1)).toBe(SAY);
    const kept = (await row())?.sessionId;
    await host.run('/new', { ...by, senderAllowed: false });
    expect((await row())?.sessionId).toBe(kept);
  });

  it('a message of nobody holds no commands', async () => {
    const { host, asked } = await start();
    await host.run(`/status ${SAY}`);
    expect(asked()).toEqual([`/status ${SAY}`]);
  });
});

describe('a command of an extension', () => {
  const seen: CommandContext[] = [];
  const commands = [
    {
      name: 'Acme',
      description: 'what acme knows',
      acceptsArgs: true,
      handler(context: CommandContext) {
        seen.push(context);
        return { text: `acme ${context.args ?? ''}`.trim() };
      },
    },
    { name: 'open', description: 'for everybody', requireAuth: false, handler: async () => ({ text: 'open to all' }) },
    {
      name: 'broken',
      description: 'fails',
      handler: () => {
        throw new Error('no luck');
      },
    },
    { name: 'quiet', description: 'says nothing', handler: () => undefined },
  ];

  it('is told who asked and what, and answers without a model', async () => {
    const { say, run, asked, dial } = await start({ commands });
    expect(await say('/acme one two')).toBe('acme one two');
    expect(await say('/ACME')).toBe('acme');
    expect(seen[0]).toMatchObject({
      args: 'one two',
      commandBody: '/acme one two',
      isAuthorizedSender: true,
      sessionKey: 'agent:main:main',
      sessionId: expect.any(String),
      gatewayClientScopes: expect.arrayContaining(['operator.admin']),
      config: expect.any(Object),
    });
    expect(seen[1]).not.toHaveProperty('args');
    expect(await say('/open now')).toBe('/open takes no arguments.');
    expect((await run('/quiet')).payloads).toEqual([]);
    expect((await run('/broken')).payloads).toMatchObject([{ isError: true, text: expect.stringContaining('the command /broken failed: no luck') }]);
    expect(asked()).toEqual([]);
    const writer = await dial({ params: { scopes: ['operator.write'] } });
    expect(await say('/acme', writer)).toBe('acme');
  });

  it('needs an allowed sender unless it says otherwise', async () => {
    const { host } = await start({ commands });
    const answer = async (message: string) =>
      (await host.run(message, { channel: 'irc', senderId: 'eve', senderAllowed: false })).payloads.map(({ text }) => text);
    expect(await answer('/acme x')).toEqual([]);
    expect(await answer('/open')).toEqual(['open to all']);
  });
});
