import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { type ContextEngine, type IngestParams, messageText, type ProviderRequest } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';
import type { ComparedTurn } from './comparison.ts';

interface Seen {
  seq: number | undefined;
  text: string;
  replay: boolean | undefined;
}

/** An engine that keeps what it is given, in memory that survives a restart of the host. */
function keeper(id: string, seen: Seen[], more: Partial<ContextEngine> = {}): ContextEngine {
  return {
    info: { id, name: id },
    async ingest({ message, seq, replay }: IngestParams) {
      seen.push({ seq, text: messageText(message), replay });
      return { ingested: true };
    },
    assemble: async ({ messages }) => ({ messages, estimatedTokens: 10 }),
    compact: async () => ({ ok: true, compacted: false, reason: 'not my work' }),
    ...more,
  };
}

function watchedProvider(requests: ProviderRequest[]) {
  const offline = createOfflineProvider({});
  const stream = offline.stream?.bind(offline);
  return {
    ...offline,
    stream(request: ProviderRequest, options: { signal: AbortSignal }) {
      requests.push(structuredClone(request));
      return stream?.(request, options) ?? (async function* none() {})();
    },
  };
}

const never = () => new Promise<never>(() => undefined);

/** Compared turns, once there are as many. */
async function rows(host: AgentHost, count: number): Promise<ComparedTurn[]> {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = host.state.shadow.list({});
    if (found.length >= count) return found.map(({ row, ...rest }) => ({ ...(row as ComparedTurn), ...rest }));
    if (Date.now() > end) throw new Error(`${found.length} turns were compared, ${count} expected`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The second turn's requests and its reply. */
async function conversation(parts: HostParts): Promise<{ requests: ProviderRequest[]; texts: Array<string | undefined>; host: AgentHost }> {
  const requests: ProviderRequest[] = [];
  const host = await createAgentHost({ ...parts, providers: [watchedProvider(requests)] });
  const texts: Array<string | undefined> = [];
  for (const message of ['[[offline: say one]]', '[[offline: tool look]] [[offline: say two]]', 'three']) {
    const result = await host.agent.wait(await host.start(message), 10_000);
    texts.push(result?.payloads[0]?.text);
  }
  return { requests, texts, host };
}

const look = {
  name: 'look',
  description: 'looks',
  parameters: { type: 'object' },
  execute: async () => ({ content: [{ type: 'text' as const, text: 'seen' }] }),
};
/** What differs from run to run, whoever looks on. */
const plain = (requests: ProviderRequest[]) =>
  JSON.stringify(requests, (key, value) => (key === 'sessionId' || key === 'workspaceDir' ? undefined : value)).replaceAll(/durar-agent-\w+/g, 'dir');

describe('a shadow has no effect', () => {
  // what a request says of the time is not about the shadow
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_790_000_000_000 }));
  afterEach(() => void vi.useRealTimers());

  const shadows: Record<string, () => ContextEngine> = {
    'drops and adds': () =>
      keeper('shadow', [], { assemble: async ({ messages }) => ({ messages: messages.slice(-1), estimatedTokens: 1, systemPromptAddition: 'LOOK AT ME' }) }),
    throws: () => keeper('shadow', [], { ingest: () => Promise.reject(new Error('no')), assemble: () => Promise.reject(new Error('no')) }),
    'throws at once': () =>
      keeper('shadow', [], {
        assemble() {
          throw new Error('no');
        },
      }),
    hangs: () => keeper('shadow', [], { bootstrap: never }),
    'hangs in assemble': () => keeper('shadow', [], { assemble: never }),
    'changes what it gets': () =>
      keeper('shadow', [], {
        async ingest({ message }) {
          message.content = [];
          return { ingested: true };
        },
        async assemble({ messages }) {
          messages.splice(0);
          return { messages, estimatedTokens: 0 };
        },
      }),
    'compacts and rewrites': () =>
      keeper('shadow', [], {
        async afterTurn({ runtimeContext, messages }) {
          const answers = [
            await runtimeContext?.compactSession?.({ sessionId: 'x', force: true }),
            await runtimeContext?.rewriteTranscriptEntries?.({ replacements: messages.map((message) => ({ entryId: '00000001', message })) }),
          ];
          if (JSON.stringify(answers).includes('"changed":true') || JSON.stringify(answers).includes('"compacted":true')) throw new Error('it could');
        },
      }),
  };

  for (const [name, shadow] of Object.entries(shadows)) {
    it(`on the bytes of a request, the reply and its engine, when it ${name}`, async () => {
      const alone = await conversation({ tools: [look] });
      const beside = await conversation({ tools: [look], shadow: shadow() });
      expect(beside.texts).toEqual(alone.texts);
      expect(beside.requests).toHaveLength(4);
      expect(plain(beside.requests)).toBe(plain(alone.requests));
      const entries = async (host: AgentHost) => (await host.messages()).map((message) => [message.role, messageText(message)]);
      expect(await entries(beside.host)).toEqual(await entries(alone.host));
    });
  }

  it('on the time of a reply, nor on the next turn, while it hangs', async () => {
    const host = await createAgentHost({ shadow: keeper('shadow', [], { assemble: never }) });
    for (const text of ['one', 'two', 'three']) {
      const result = await host.agent.wait(await host.start(`[[offline: say ${text}]]`), 5_000);
      expect(result?.payloads[0]?.text).toBe(text);
    }
    expect(host.state.shadow.list({})).toEqual([]);
  });

  it('on the hooks: they are called for the active engine alone', async () => {
    const host = await createAgentHost({ shadow: keeper('shadow', []) });
    const calls: string[] = [];
    for (const hook of ['context.ingest', 'context.afterTurn'] as const) host.on(hook, () => void calls.push(hook));
    host.on('context.assemble', () => void calls.push('context.assemble'));
    await host.run('[[offline: say one]]');
    await rows(host, 1);
    expect(calls).toEqual(['context.ingest', 'context.assemble', 'context.ingest', 'context.afterTurn']);
  });

  it('when it is the active engine too, or fails to activate: nothing is repeated', async () => {
    const engine = keeper('same', []);
    const host = await createAgentHost({ engine, shadow: engine });
    expect((await host.run('[[offline: say one]]')).status).toBe('ok');
    await host.agent.drain(50);
    expect(host.state.shadow.list({})).toEqual([]);
  });
});

describe('what is recorded', () => {
  it('both engines of a turn: tokens, messages, what one dropped and the other kept, latency', async () => {
    const host = await createAgentHost({
      shadow: keeper('shadow', [], {
        assemble: async ({ messages }) => ({ messages: structuredClone(messages.slice(-1)), estimatedTokens: 7, systemPromptAddition: 'x'.repeat(40) }),
      }),
    });
    await host.run('[[offline: say one]]');
    await host.run('[[offline: say two]]');
    const [, second] = await rows(host, 2);
    const [active, shadow] = second?.engines ?? [];
    const ids = (await host.entries()).map(({ id }) => id);
    expect(second).toMatchObject({ history: 3, runId: expect.any(String), tokenBudget: expect.any(Number), skipped: 0 });
    expect(active).toMatchObject({ engine: 'legacy', assemblies: 1, messages: 3, droppedCount: 0, failures: [], overBudget: false });
    expect(shadow).toMatchObject({
      engine: 'shadow',
      messages: 1,
      added: 0,
      estimate: 7,
      additionTokens: 10,
      dropped: ids.slice(0, 2),
      droppedCount: 2,
      failures: [],
    });
    expect(shadow?.tokens).toBeLessThan(active?.tokens ?? 0);
    expect(shadow?.assembleMs).toBeGreaterThanOrEqual(0);
    expect(shadow?.ingestMs).toBeGreaterThan(0);
    const { groups } = host.agent.compareEngines({});
    expect(groups).toHaveLength(1);
    expect(groups[0]).toMatchObject({
      turns: 2,
      sessions: 1,
      skipped: 0,
      disabled: 0,
      engines: [
        { engine: 'legacy', role: 'active' },
        { engine: 'shadow', role: 'shadow', dropped: 2 },
      ],
    });
    expect(groups[0]?.verdict).toMatch(/^shadow used \d+% fewer tokens than legacy on average, assembled in .* and failed in 0 of 2 turns \(legacy: 0\)$/);
    expect(host.agent.compareEngines({ sessionKey: 'agent:main:other' }).turns).toBe(0);
    expect(host.agent.compareEngines({ since: Date.now() + 1_000 }).turns).toBe(0);
  });

  it('a context that is too large, a failure by its code, a hang by the same limits', async () => {
    const large = 'word '.repeat(400_000);
    let mode = 0;
    const shadow = keeper('shadow', [], {
      async assemble({ messages }) {
        mode += 1;
        if (mode === 2) return never();
        if (mode === 3) throw new Error('broken');
        return { messages: [...messages, { role: 'user', content: large, timestamp: 1 }], estimatedTokens: 1 };
      },
    });
    const host = await createAgentHost({ shadow, limits: { engine: { assemble: 60 } } });
    for (const count of [1, 2, 3]) {
      await host.run('[[offline: say ok]]');
      await rows(host, count);
    }
    const turns = (await rows(host, 3)).map(({ engines }) => engines[1]);
    expect(turns[0]).toMatchObject({ overBudget: true, added: 1, failures: [] });
    expect(turns[1]?.failures).toEqual([{ method: 'assemble', code: 'DUR_ENGINE_TIMEOUT' }]);
    expect(turns[2]?.failures).toEqual([{ method: 'assemble', code: 'DUR_ENGINE_FAILED' }]);
    expect(host.agent.compareEngines({}).groups[0]?.engines[1]).toMatchObject({
      answered: 1,
      overBudget: 1,
      failedTurns: 2,
      failures: { DUR_ENGINE_TIMEOUT: 1, DUR_ENGINE_FAILED: 1 },
    });
  });

  it('is given up in a session after three failed turns in a row, which is recorded, and tried again after a reload', async () => {
    let calls = 0;
    const broken = keeper('shadow', [], {
      assemble() {
        calls += 1;
        return Promise.reject(new Error('broken'));
      },
    });
    const host = await createAgentHost({ shadow: broken });
    for (const count of [1, 2, 3]) {
      await host.run('[[offline: say ok]]');
      await rows(host, count);
    }
    await host.run('[[offline: say ok]]');
    await host.run('[[offline: say ok]]', { sessionKey: 'other' });
    const all = await rows(host, 4);
    expect(calls).toBe(4);
    expect(all.map(({ disabled, skipped }) => [disabled, skipped])).toEqual([
      [undefined, 0],
      [undefined, 0],
      [true, 1],
      [undefined, 0],
    ]);
    expect(host.agent.compareEngines({}).groups[0]).toMatchObject({ disabled: 1, skipped: 1 });
    expect(host.logged.some(({ level, message }) => level === 'warn' && message.includes('given up'))).toBe(true);
  });

  it("compactions: the shadow's own is asked for when the active engine is, and gets no work of the host", async () => {
    const asked: Array<Record<string, unknown>> = [];
    const shadow = keeper('shadow', [], {
      async compact({ runtimeContext, force, customInstructions }) {
        asked.push({ force, customInstructions, host: await runtimeContext?.compactSession?.({ sessionId: 'x' }) });
        return { ok: true, compacted: true, result: { tokensBefore: 10, tokensAfter: 5 } };
      },
    });
    const host = await createAgentHost({ shadow });
    await host.run('[[offline: say one]]');
    const before = (await host.entries()).length;
    await host.agent.compact({ sessionKey: 'main', instructions: 'names' });
    const [, row] = await rows(host, 2);
    expect(asked).toEqual([{ force: true, customInstructions: 'names', host: { ok: false, compacted: false, reason: expect.stringContaining('shadow') } }]);
    expect(row?.engines.map(({ compactions }) => compactions)).toEqual([
      { asked: 1, done: expect.any(Number) },
      { asked: 1, done: 1 },
    ]);
    expect((await host.entries()).filter(({ type }) => type === 'compaction').length).toBeLessThanOrEqual(1);
    expect((await host.entries()).length - before).toBeLessThanOrEqual(1);
  });

  it('the transcript is a copy, as far as it went when each call was made', async () => {
    const files: Array<{ method: string; lines: string[]; file: string }> = [];
    const note = (method: string, file = '') => void files.push({ method, file, lines: readFileSync(file, 'utf8').trim().split('\n') });
    const shadow = keeper('shadow', [], {
      async bootstrap({ sessionFile }) {
        note('bootstrap', sessionFile);
        writeFileSync(sessionFile ?? '', 'spoilt');
        return { bootstrapped: true };
      },
      async afterTurn({ sessionFile }) {
        note('afterTurn', sessionFile);
      },
    });
    const host = await createAgentHost({});
    await host.run('[[offline: say one]]');
    host.swap({ shadow });
    await host.run('[[offline: say two]]');
    await rows(host, 1);
    // a header, then two entries a turn
    expect(files.map(({ method, lines }) => [method, lines.length])).toEqual([
      ['bootstrap', 3],
      ['afterTurn', 5],
    ]);
    expect(files.every(({ file }) => file.startsWith(join(host.dir, 'shadow')))).toBe(true);
    await host.idle();
    await vi.waitFor(() => expect(files.some(({ file }) => existsSync(file))).toBe(false));
    expect((await host.messages()).map(messageText)).toContain('one');
  });

  it('goes with its session', async () => {
    const host = await createAgentHost({ shadow: keeper('shadow', []) });
    await host.run('[[offline: say one]]');
    await rows(host, 1);
    await host.agent.remove({ sessionKey: 'main' });
    expect(host.state.shadow.list({})).toEqual([]);
  });
});

describe('each entry reaches the shadow exactly once', () => {
  const texts = (seen: readonly Seen[]) => seen.map(({ seq, text }) => `${seq} ${text}`);

  it('in order, as it was written', async () => {
    const seen: Seen[] = [];
    const host = await createAgentHost({ shadow: keeper('shadow', seen), tools: [look] });
    await host.run('[[offline: tool look]] [[offline: say done]]');
    await host.run('[[offline: say again]]');
    await rows(host, 2);
    expect(texts(seen)).toEqual(['1 [[offline: tool look]] [[offline: say done]]', '2 ', '3 seen', '4 done', '5 [[offline: say again]]', '6 again']);
    expect(seen.every(({ replay }) => replay === undefined)).toBe(true);
  });

  it('when the process ends while the shadow is behind: what it lacks comes after the restart, flagged', async () => {
    const seen: Seen[] = [];
    let stuck = true;
    const reached = Promise.withResolvers<void>();
    const shadow = keeper('shadow', seen, {
      async afterTurn() {
        reached.resolve();
        if (stuck) await never();
      },
    });
    const host = await createAgentHost({ shadow });
    for (const text of ['one', 'two']) await host.agent.wait(await host.start(`[[offline: say ${text}]]`), 5_000);
    await reached.promise;
    stuck = false;
    const restarted = await host.restart();
    await restarted.run('[[offline: say three]]');
    await rows(restarted, 1);
    expect(texts(seen)).toEqual(['1 [[offline: say one]]', '2 one', '3 [[offline: say two]]', '4 two', '5 [[offline: say three]]', '6 three']);
    expect(seen.map(({ replay }) => replay === true)).toEqual([false, false, true, true, false, false]);
  });

  it('over a swap to the active slot and back', async () => {
    const a: Seen[] = [];
    const b: Seen[] = [];
    const first = keeper('a', a);
    const second = keeper('b', b);
    const host = await createAgentHost({ engine: first, shadow: second });
    await host.run('[[offline: say one]]');
    await rows(host, 1);
    host.swap({ engine: second, shadow: first });
    await host.run('[[offline: say two]]');
    await rows(host, 2);
    host.swap({ engine: first, shadow: second });
    await host.run('[[offline: say three]]');
    await rows(host, 3);
    const all = ['1 [[offline: say one]]', '2 one', '3 [[offline: say two]]', '4 two', '5 [[offline: say three]]', '6 three'];
    expect(texts(a)).toEqual(all);
    expect(texts(b)).toEqual(all);
    expect(host.agent.compareEngines({}).groups.map(({ engines, turns }) => [engines.map(({ engine }) => engine).join('/'), turns])).toEqual([
      ['a/b', 2],
      ['b/a', 1],
    ]);
  });

  it('becomes active while it hangs as a shadow: the turn does not wait', async () => {
    const seen: Seen[] = [];
    let stuck = true;
    const reached = Promise.withResolvers<void>();
    const engine = keeper('late', seen, {
      async afterTurn() {
        reached.resolve();
        if (stuck) await never();
      },
    });
    const host = await createAgentHost({ shadow: engine });
    await host.agent.wait(await host.start('[[offline: say one]]'), 5_000);
    await reached.promise;
    stuck = false;
    host.swap({ engine, shadow: keeper('other', []) });
    const result = await host.agent.wait(await host.start('[[offline: say two]]'), 5_000);
    expect(result?.meta.contextEngine).toBe('late');
    expect(texts(seen)).toEqual(['1 [[offline: say one]]', '2 one', '3 [[offline: say two]]', '4 two']);
  });
});
