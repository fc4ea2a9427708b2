import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import {
  type AgentMessage,
  type AssistantMessage,
  type EntryBody,
  emptyUsage,
  INJECTED_MODEL,
  messageText,
  type Provider,
  type ProviderRequest,
  type ToolResultMessage,
} from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';
import { applyDefaults } from '../../config/defaults.ts';
import { lookupSchema } from '../../config/schema-lookup.ts';
import { viewSchema } from '../../config/schema-view.ts';
import { createTokenEstimator } from '../budget/tokens.ts';
import { readDuration } from '../duration.ts';
import { IMAGE_REMOVED } from './old-images.ts';
import { createPruning } from './pruning.ts';
import { createPruningSettings, pruningMode } from './pruning-settings.ts';

const MINUTE = 60_000;
const CLEARED = '[Old tool result content cleared]';
const image = { type: 'image' as const, data: 'AAAA', mimeType: 'image/png' };
let clock = 1_000_000;
const tick = () => (clock += 1);

const user = (text: string, withImage = false): AgentMessage => ({
  role: 'user',
  content: withImage ? [{ type: 'text', text }, image] : text,
  timestamp: tick(),
});
const reply = (text: string, more: Partial<AssistantMessage> = {}): AssistantMessage => ({
  role: 'assistant',
  content: [{ type: 'text', text }],
  api: 'a',
  provider: 'p',
  model: 'm',
  usage: emptyUsage(),
  stopReason: 'stop',
  timestamp: tick(),
  ...more,
});
const call = (id: string, name = 'exec'): AssistantMessage => reply('', { content: [{ type: 'toolCall', id, name, arguments: {} }], stopReason: 'toolUse' });
const result = (id: string, text: string, name = 'exec', pictured = false): ToolResultMessage => ({
  role: 'toolResult',
  toolCallId: id,
  toolName: name,
  content: [{ type: 'text', text }, ...(pictured ? [image] : [])],
  isError: false,
  timestamp: tick(),
});
/** A finished turn around one tool result. */
const turn = (id: string, text: string, name = 'exec'): AgentMessage[] => [user(`ask ${id}`), call(id, name), result(id, text, name), reply(`done ${id}`)];
const filler = (turns: number): AgentMessage[] => Array.from({ length: turns }, (_none, index) => [user(`q${index}`), reply(`a${index}`)]).flat();
const big = (mark: string, length = 60_000) => `${mark}-head ${'x'.repeat(length)} ${mark}-tail`;
const body = (messages: readonly AgentMessage[], id: string) => {
  const found = messages.find((message) => message.role === 'toolResult' && message.toolCallId === id);
  return found === undefined ? '' : messageText(found);
};

function setup(contextPruning: Record<string, unknown> = { mode: 'cache-ttl' }, { provider = 'openai', window = 20_000 } = {}) {
  let now = clock + 1_000_000;
  const estimator = createTokenEstimator();
  const pruning = createPruning({ now: () => now, measure: estimator.message });
  const config = applyDefaults({ agents: { defaults: { contextPruning } } });
  return {
    pass(ms: number) {
      now += ms;
    },
    apply: (messages: AgentMessage[], sessionId = 's') => pruning.apply({ config, sessionId, messages, provider, window, overhead: 500 }),
  };
}

describe('the modes', () => {
  it.each([
    [undefined, 'anthropic', 'cache-ttl'],
    [undefined, 'Anthropic', 'cache-ttl'],
    [undefined, 'claude-cli', 'cache-ttl'],
    [undefined, 'openai', 'off'],
    [undefined, 'ollama', 'off'],
    ['off', 'anthropic', 'off'],
    ['cache-ttl', 'openai', 'cache-ttl'],
  ] as const)('set %s for %s: %s (PRUNE-021, PRUNE-023, PRUNE-025, PRUNE-026, PRUNE-027, PRUNE-029)', (mode, provider, expected) => {
    expect(pruningMode(mode, provider)).toBe(expected);
  });

  it('off leaves the very array of the engine (PRUNE-026, PRUNE-029)', () => {
    const messages = [...turn('a', big('a')), ...filler(4)];
    for (const [pruning, provider] of [
      [{}, 'openai'],
      [{ mode: 'off' }, 'anthropic'],
    ] as const) {
      const { apply, pass } = setup(pruning, { provider });
      pass(60 * MINUTE);
      expect(apply(messages)).toBe(messages);
    }
  });

  it('keys and their defaults are those of the reference (PRUNE-030)', () => {
    expect(applyDefaults({}).agents.defaults.contextPruning).toEqual({
      ttl: '5m',
      keepLastAssistants: 3,
      softTrimRatio: 0.3,
      hardClearRatio: 0.5,
      minPrunableToolChars: 50_000,
      softTrim: { maxChars: 4000, headChars: 1500, tailChars: 1500 },
      hardClear: { enabled: true, placeholder: CLEARED },
      tools: {},
    });
    const place = lookupSchema(viewSchema({ plugins: [], channels: [] }), 'agents.defaults.contextPruning');
    expect(place?.children.map(({ key }) => key)).toEqual(
      expect.arrayContaining([
        'mode',
        'ttl',
        'keepLastAssistants',
        'softTrimRatio',
        'hardClearRatio',
        'minPrunableToolChars',
        'softTrim',
        'hardClear',
        'tools',
      ]),
    );
  });

  it.each([
    ['5m', 300_000],
    ['2s', 2_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    [' 1.5 h ', 5_400_000],
    ['7', 420_000],
    [7, 420_000],
    [0, 0],
  ])('ttl %j is %d ms (PRUNE-008, PRUNE-028)', (ttl, ms) => {
    expect(readDuration(ttl, MINUTE)).toBe(ms);
  });

  it.each([
    [undefined, undefined, { exec: true, Read: true }],
    [[], [], { exec: true }],
    [['exec'], undefined, { exec: true, EXEC: true, execute: false }],
    [['web_*'], undefined, { web_search: true, WEB_fetch: true, exec: false }],
    [['*'], ['exec', 'img*'], { exec: false, image: true, img_x: false, read: true }],
    [['exec'], ['*'], { exec: false }],
    [['a.b'], undefined, { 'a.b': true, axb: false }],
  ] as const)('tools allow %j deny %j', (allow, deny, expected) => {
    const tools = { ...(allow === undefined ? {} : { allow }), ...(deny === undefined ? {} : { deny }) };
    const settings = createPruningSettings()(applyDefaults({ agents: { defaults: { contextPruning: { mode: 'cache-ttl', tools } } } }), 'x');
    for (const [name, covered] of Object.entries(expected)) expect([name, settings?.covers(name)]).toEqual([name, covered]);
  });
});

describe('a pass', () => {
  it('waits for the TTL, then runs once and starts the window anew (PRUNE-008, PRUNE-012)', () => {
    const { apply, pass } = setup();
    const messages = [...turn('a', big('a')), ...filler(4)];
    const recent = messages.map((message) => ({ ...message, timestamp: message.timestamp + 1_000_000 }));
    expect(apply(recent)).toBe(recent);
    pass(4 * MINUTE);
    expect(apply(recent)).toBe(recent);
    pass(5 * MINUTE);
    const pruned = apply(recent);
    expect(JSON.stringify(pruned).length).toBeLessThan(JSON.stringify(recent).length / 4);
    pass(MINUTE);
    const more = [...recent, ...turn('b', big('b')), ...filler(4)];
    expect(body(apply(more), 'b')).toBe(big('b'));
    expect(JSON.stringify(apply(more)).startsWith(JSON.stringify(pruned).slice(0, -1))).toBe(true);
    pass(5 * MINUTE);
    expect(body(apply(more), 'b')).not.toBe(big('b'));
  });

  it('keeps head and tail of what is oversized (PRUNE-010, AMB-030)', () => {
    const { apply } = setup({ mode: 'cache-ttl', hardClear: { enabled: false }, ttl: 0 });
    const text = `${'H'.repeat(1500)}${'m'.repeat(40_000)}${'T'.repeat(1500)}`;
    const shown = body(apply([...turn('a', text), ...filler(4)]), 'a');
    expect(shown.startsWith(`${'H'.repeat(1500)}\n...\n`)).toBe(true);
    expect(shown.endsWith(`\n...\n${'T'.repeat(1500)}`)).toBe(true);
    expect(shown).toContain('43000');
    expect(shown).not.toContain('m'.repeat(200));
  });

  it('never parts a character', () => {
    const { apply } = setup({ mode: 'cache-ttl', hardClear: { enabled: false }, ttl: 0, softTrim: { maxChars: 100, headChars: 11, tailChars: 11 } });
    const shown = body(apply([...turn('a', `h${'😀'.repeat(30_000)}t`), ...filler(4)]), 'a');
    expect(shown.isWellFormed()).toBe(true);
  });

  it('clears whole results, oldest first, until the context is small enough (PRUNE-011, PRUNE-013)', () => {
    const rules = { mode: 'cache-ttl', ttl: 0, softTrim: { maxChars: 1_000_000 } };
    const messages = [...turn('a', big('a', 30_000)), ...turn('b', big('b', 30_000)), ...turn('c', big('c', 30_000)), ...filler(4)];
    const pruned = setup(rules).apply(messages);
    expect(['a', 'b', 'c'].map((id) => body(pruned, id) === CLEARED)).toEqual([true, true, false]);
    expect(pruned.map(({ role }) => role)).toEqual(messages.map(({ role }) => role));
    const own = setup({ ...rules, hardClear: { placeholder: '(gone)' } }).apply(messages);
    expect(body(own, 'a')).toBe('(gone)');
    for (const more of [{ hardClear: { enabled: false } }, { minPrunableToolChars: 100_000 }, { hardClearRatio: 1 }, { tools: { deny: ['exec'] } }]) {
      expect(setup({ ...rules, ...more }, { window: 30_000 }).apply(messages)).toBe(messages);
    }
  });

  it('leaves a context alone that fills little of the window', () => {
    const messages = [...turn('a', big('a')), ...filler(4)];
    expect(setup({ mode: 'cache-ttl', ttl: 0 }, { window: 200_000 }).apply(messages)).toBe(messages);
  });

  it.each(['exec', 'read', 'web_search'])('covers results of %s and nothing else (PRUNE-001 to PRUNE-005, PRUNE-009, PRUNE-033)', (name) => {
    const messages = [user(big('said')), reply(big('told')), ...turn('a', big('a'), name), ...filler(4)];
    const pruned = setup({ mode: 'cache-ttl', ttl: 0 }).apply(messages);
    const changed = messages.filter((message, index) => JSON.stringify(message) !== JSON.stringify(pruned[index]));
    expect(changed.map(({ role }) => role)).toEqual(['toolResult']);
  });

  it('keeps the results after the nth-last reply, and what is not answered (AMB-030)', () => {
    const held = (messages: AgentMessage[], rules: object = {}) => body(setup({ mode: 'cache-ttl', ttl: 0, ...rules }).apply(messages), 'a') === big('a');
    // the call itself is a reply: two more make three
    expect(held([...turn('a', big('a')), ...filler(1)])).toBe(true);
    expect(held([...turn('a', big('a')), ...filler(2)])).toBe(false);
    expect(held([...turn('a', big('a')), ...filler(2)], { keepLastAssistants: 4 })).toBe(true);
    expect(held(turn('a', big('a')), { keepLastAssistants: 0 })).toBe(false);
    const open = [user('q'), call('a'), result('a', big('a'))];
    for (const more of [[], [reply('', { stopReason: 'error' })], [reply('note', { model: INJECTED_MODEL })]]) {
      expect(held([...filler(5), ...open, ...more], { keepLastAssistants: 0 })).toBe(true);
    }
    expect(held([call('a'), result('a', big('a')), ...filler(5)])).toBe(true);
    expect(held([user('q'), call('a'), result('a', big('a'), 'exec', true), reply('r'), ...filler(2)])).toBe(true);
  });

  it('never brings back what was cleared', () => {
    const pruning = createPruning({ now: Date.now, measure: createTokenEstimator().message });
    const hardClear = { placeholder: `(gone ${'.'.repeat(6_000)})` };
    const messages = [...turn('a', big('a')), ...filler(4)];
    const shown = (softTrim: object) => {
      const rules = { mode: 'cache-ttl', ttl: 0, hardClearRatio: 0, minPrunableToolChars: 0, softTrim, hardClear };
      const config = applyDefaults({ agents: { defaults: { contextPruning: rules } } });
      return body(pruning.apply({ config, sessionId: 's', messages, provider: 'p', window: 4_000, overhead: 0 }), 'a');
    };
    expect(shown({ maxChars: 1_000_000 })).toBe(hardClear.placeholder);
    expect(shown({})).toBe(hardClear.placeholder);
  });

  it('keeps to its decisions when the configuration changes', () => {
    const estimator = createTokenEstimator();
    let now = clock + 10 * MINUTE;
    const pruning = createPruning({ now: () => now, measure: estimator.message });
    const apply = (contextPruning: object, messages: AgentMessage[]) =>
      pruning.apply({
        config: applyDefaults({ agents: { defaults: { contextPruning } } }),
        sessionId: 's',
        messages,
        provider: 'p',
        window: 20_000,
        overhead: 0,
      });
    const messages = [...turn('a', big('a')), ...filler(4)];
    const first = apply({ mode: 'cache-ttl' }, messages);
    now += MINUTE;
    expect(apply({ mode: 'cache-ttl', hardClear: { placeholder: 'other' }, softTrim: { headChars: 3 } }, messages)).toEqual(first);
  });
});

describe('old pictures', () => {
  const shown = (id: string): AgentMessage[] => [user(`look ${id}`, true), call(id), result(id, 'seen', 'browser', true), reply(`ok ${id}`)];

  it('go after three completed turns, in any mode and inside the TTL (PRUNE-014 to PRUNE-020, AMB-031)', () => {
    const messages = ['a', 'b', 'c', 'd', 'e'].flatMap(shown);
    const before = JSON.stringify(messages);
    const { apply } = setup({ mode: 'off' });
    const clean = apply(messages);
    expect(clean.slice(8)).toEqual(messages.slice(8));
    expect(JSON.stringify(clean.slice(0, 8))).not.toContain('AAAA');
    expect(clean[0]?.content).toEqual([
      { type: 'text', text: 'look a' },
      { type: 'text', text: '[image data removed - already processed by model]' },
    ]);
    expect(clean[2]?.content).toEqual([
      { type: 'text', text: 'seen' },
      { type: 'text', text: IMAGE_REMOVED },
    ]);
    expect(apply(clean)).toBe(clean);
    expect(JSON.stringify(messages)).toBe(before);
    const open = [...messages, user('next', true), call('f'), result('f', 'seen', 'browser', true)];
    expect(JSON.stringify(apply(open)).startsWith(JSON.stringify(clean).slice(0, -1))).toBe(true);
    expect(apply(open).slice(8)).toEqual(open.slice(8));
  });

  it('stay when there are no more than three turns', () => {
    const messages = ['a', 'b', 'c'].flatMap(shown);
    expect(setup().apply(messages)).toBe(messages);
    const failed = [...messages, user('d', true), reply('', { stopReason: 'error', content: [] })];
    expect(setup().apply(failed)).toBe(failed);
  });
});

describe('random sessions', () => {
  const SEEDS = Array.from({ length: 16 }, (_none, seed) => seed);
  let trimmed = 0;

  it.each(SEEDS)('seed %d: what was sent stays sent until the next event (PRUNE-005, PRUNE-012, PRUNE-020)', (seed) => {
    const random = generator(seed + 1);
    const below = (limit: number) => Math.floor(random() * limit);
    const ttl = (1 + below(5)) * MINUTE;
    const { apply, pass } = setup(
      {
        mode: 'cache-ttl',
        ttl: `${ttl}ms`,
        keepLastAssistants: below(5),
        softTrimRatio: random() * 0.5,
        hardClearRatio: random(),
        minPrunableToolChars: below(80_000),
      },
      { window: 4_000 + below(60_000) },
    );
    const messages: AgentMessage[] = [];
    let sent: AgentMessage[] | undefined;
    let sentRaw: AgentMessage[] = [];
    /** One model call: what it carries beside what the last one carried. */
    const request = () => {
      const gap = below(ttl * 1.3);
      pass(gap);
      const raw = structuredClone(messages);
      const carried = apply(raw);
      expect(raw).toEqual(messages);
      expect(carried.length).toBe(messages.length);
      const lastReply = messages.findLastIndex(({ role }) => role === 'assistant');
      for (const [index, message] of carried.entries()) {
        const original = messages[index];
        if (message.role === 'toolResult')
          expect([message.toolCallId, index > lastReply ? message : null]).toEqual([
            (original as ToolResultMessage).toolCallId,
            index > lastReply ? original : null,
          ]);
        else if (!JSON.stringify(original).includes('AAAA')) expect(message).toEqual(original);
      }
      if (sent !== undefined && gap < ttl) {
        for (const [index, before] of sent.entries()) {
          const now = carried[index];
          const pictureWent = JSON.stringify(now).includes(IMAGE_REMOVED) && JSON.stringify(sentRaw[index]).includes('AAAA');
          if (!pictureWent) expect(JSON.stringify(now)).toBe(JSON.stringify(before));
        }
        if (!JSON.stringify(messages).includes('AAAA')) {
          expect(JSON.stringify(carried).startsWith(JSON.stringify(sent).slice(0, -1))).toBe(true);
        }
      }
      if (carried.some((message, index) => message.role === 'toolResult' && messageText(message) !== messageText(messages[index] ?? message))) trimmed += 1;
      sent = structuredClone(carried);
      sentRaw = raw;
    };
    const pictured = seed % 2 === 1;
    for (let index = 0; index < 25; index++) {
      messages.push(user(`say ${below(1e6)}`, pictured && below(4) === 0));
      for (let calls = below(4); calls > 0; calls--) {
        request();
        // some models use their ids again
        const ids = Array.from({ length: 1 + below(3) }, (_none, at) => `call_${at}`);
        const content = ids.map((id) => ({ type: 'toolCall' as const, id, name: 'exec', arguments: {} }));
        messages.push(reply('', { content, stopReason: 'toolUse' }));
        for (const id of ids) messages.push(result(id, `${below(1e6)} `.repeat(below(4_000)), 'exec', pictured && below(8) === 0));
      }
      request();
      messages.push(reply(`told ${below(1e6)}`));
    }
  });

  it('were trimmed often enough to say something', () => expect(trimmed).toBeGreaterThan(SEEDS.length * 10));
});

/** A small deterministic generator (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('in a turn', () => {
  async function seeded(parts: HostParts = {}, provider = 'offline') {
    const requests: ProviderRequest[] = [];
    let now = Date.now();
    const offline = createOfflineProvider({});
    const watched: Provider = {
      ...offline,
      id: provider,
      async *stream(request, options) {
        requests.push(structuredClone(request));
        yield* offline.stream?.(request, options) ?? [];
      },
    };
    const config = { agents: { defaults: { model: `${provider}/script`, contextTokens: 60_000, contextPruning: { mode: 'cache-ttl' } } }, ...parts.config };
    const host = await createAgentHost({ ...parts, config, providers: [watched], now: () => now });
    const { session } = await host.agent.session({ sessionKey: 'main' });
    const history = [...turn('a', big('a', 80_000)), ...filler(4)].map((message) => ({ ...message, timestamp: now - 60_000 + (message.timestamp % 1000) }));
    await host.sessions.append(
      session,
      history.map((message): EntryBody => ({ type: 'message', message })),
    );
    const file = async () => readFileSync((await host.sessions.sessionFile(session)) ?? '', 'utf8');
    const last = () => requests.at(-1)?.messages ?? [];
    return {
      host,
      requests,
      file,
      last,
      pass(ms: number) {
        now += ms;
      },
      config,
    };
  }
  const text = async (host: AgentHost) => (await host.run('[[offline: say hello]]')).payloads[0]?.text;

  it('only the request changes, whatever engine is active (ENGINE-097, PRUNE-006, PRUNE-007, PRUNE-031, PRUNE-032, CTX-089)', async () => {
    const legacy = createLegacyEngine();
    const copying = {
      ...legacy,
      info: { ...legacy.info, id: 'copying' },
      assemble: async (params: Parameters<typeof legacy.assemble>[0]) => structuredClone(await legacy.assemble(params)),
    };
    for (const engine of [legacy, copying]) {
      const { host, requests, file, last, pass } = await seeded({ engine });
      expect(await text(host)).toBe('hello');
      expect(body(last(), 'a')).toBe(big('a', 80_000));
      pass(6 * MINUTE);
      const before = await file();
      await text(host);
      expect(body(last(), 'a').length).toBeLessThan(4_000);
      expect(
        createHash('sha256')
          .update((await file()).slice(0, before.length))
          .digest('hex'),
      ).toBe(createHash('sha256').update(before).digest('hex'));
      expect(body(await host.messages(), 'a')).toBe(big('a', 80_000));
      expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(false);
      const sent = JSON.stringify(last()).slice(0, -1);
      pass(MINUTE);
      await text(host);
      expect(JSON.stringify(last()).startsWith(sent)).toBe(true);
      const [fixed, now] = requests.slice(-2).map(({ systemPrompt, tools }) => JSON.stringify([systemPrompt, tools]));
      expect(now).toBe(fixed);
    }
  });

  it('is on for Anthropic without a word in the configuration (PRUNE-021)', async () => {
    const { host, last, pass } = await seeded({ config: { agents: { defaults: { model: 'anthropic/script', contextTokens: 60_000 } } } }, 'anthropic');
    pass(6 * MINUTE);
    await text(host);
    expect(body(last(), 'a').length).toBeLessThan(4_000);
  });

  it('makes room, so that compaction comes later (PRUNE-034, PRUNE-035)', async () => {
    const grown = { agents: { defaults: { contextTokens: 60_000, compaction: { reserveTokens: 1_000, reserveTokensFloor: 0 } } } };
    for (const [mode, compactions] of [
      ['off', 1],
      ['cache-ttl', 0],
    ] as const) {
      const { agents } = grown;
      const config = { agents: { defaults: { ...agents.defaults, contextTokens: 20_000, contextPruning: { mode } } } };
      const { host, pass } = await seeded({ config });
      pass(6 * MINUTE);
      await text(host);
      expect((await host.entries()).filter(({ type }) => type === 'compaction')).toHaveLength(compactions);
    }
  });
});
