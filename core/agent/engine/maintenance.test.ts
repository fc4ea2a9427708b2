import { describe, expect, it } from 'vitest';
import { type AgentMessage, type ContextEngine, type MaintainParams, messageText, type RuntimeContext, type SessionEndedParams } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost } from '../../../test/agent-host.ts';

/** An engine that passes messages on. */
function engineOf(more: Partial<ContextEngine> = {}, id = 'keeper'): ContextEngine {
  return {
    info: { id, name: 'Keeper' },
    ingest: async () => ({ ingested: true }),
    assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }),
    compact: async () => ({ ok: true, compacted: true, result: { tokensBefore: 2, tokensAfter: 1 } }),
    ...more,
  };
}

const NOTHING = { changed: false, bytesFreed: 0, rewrittenEntries: 0 };
const look = {
  name: 'look',
  description: 'looks',
  parameters: { type: 'object' },
  execute: async () => ({ content: [{ type: 'text' as const, text: `seen ${'x'.repeat(400)}` }] }),
};
const KEY = 'agent:main:main';
const texts = (messages: readonly AgentMessage[]) => messages.map(messageText);

/** Gives what the engine is lent in `maintain` to `work`, once. */
function lending(work: (context: RuntimeContext, params: MaintainParams) => Promise<void>): Pick<ContextEngine, 'maintain'> {
  let isDone = false;
  return {
    async maintain(params) {
      if (!isDone && params.reason === 'turn') {
        isDone = true;
        await work(params.runtimeContext ?? {}, params);
      }
      return NOTHING;
    },
  };
}

async function told(host: AgentHost, count: number, seen: readonly unknown[]): Promise<void> {
  for (let tries = 0; seen.length < count && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 2));
  await host.idle();
}

describe('maintain', () => {
  it('comes after bootstrap, compaction and a good turn, when the reply is out (ENGINE-026, ENGINE-078)', async () => {
    const reasons: Array<string | undefined> = [];
    let release = () => undefined as void;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const engine = engineOf({
      bootstrap: async () => ({ bootstrapped: true }),
      async maintain({ reason, sessionFile, sessionKey, signal }) {
        expect([typeof sessionFile, sessionKey, signal instanceof AbortSignal]).toEqual(['string', KEY, true]);
        await held;
        reasons.push(reason);
        return NOTHING;
      },
    });
    const host = await createAgentHost({ engine });
    const runId = await host.start('[[offline: say one]]');
    expect((await host.agent.wait(runId, 10_000))?.payloads[0]?.text).toBe('one');
    expect(reasons).toEqual([]);
    release();
    await host.idle();
    expect(reasons).toEqual(['bootstrap', 'turn']);
    await host.run('[[offline: fail nothing works]]');
    expect(reasons).toEqual(['bootstrap', 'turn']);
    expect((await host.agent.compact({ sessionKey: KEY })).compacted).toBe(true);
    await told(host, 3, reasons);
    expect(reasons).toEqual(['bootstrap', 'turn', 'compaction']);
  });

  it('holds nobody who asked for a compaction', async () => {
    let release = () => undefined as void;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const order: string[] = [];
    const engine = engineOf({
      async maintain({ reason }) {
        if (reason === 'compaction') await held;
        order.push(`maintain ${reason}`);
        return NOTHING;
      },
    });
    const host = await createAgentHost({ engine });
    await host.run('[[offline: say one]]');
    await host.agent.compact({ sessionKey: KEY });
    order.push('answered');
    // the next turn of the session waits for it
    const next = host.run('[[offline: say two]]');
    release();
    await next;
    expect(order).toEqual(['maintain turn', 'answered', 'maintain compaction', 'maintain turn']);
  });

  it.each([
    ['throws', async () => Promise.reject(new Error('disk on fire')), 'DUR_ENGINE_FAILED'],
    ['hangs', async () => new Promise<never>(() => undefined), 'DUR_ENGINE_TIMEOUT'],
    ['answers nonsense', async () => ({}) as never, 'DUR_ENGINE_RESULT'],
  ])('that %s is logged, shown with the next run, and changes no result (ENGINE-101)', async (_what, maintain, code) => {
    let isBroken = true;
    const engine = engineOf({ maintain: async () => (isBroken ? maintain() : NOTHING) });
    const host = await createAgentHost({ engine, limits: { engine: { maintain: 40 } } });
    const first = await host.run('[[offline: say one]]');
    expect(first).toMatchObject({ status: 'ok' });
    expect(first.meta.problems).toBeUndefined();
    expect(host.logged).toContainEqual({ level: 'error', message: expect.stringContaining("'keeper'"), fields: expect.objectContaining({ code }) });
    isBroken = false;
    const second = await host.run('[[offline: say two]]');
    expect(second).toMatchObject({ status: 'ok', meta: { problems: [{ code }] } });
    expect((await host.run('[[offline: say three]]')).meta.problems).toBeUndefined();
  });
});

describe('rewriting the transcript', () => {
  it('changes what later turns see, and gives nothing anew to an engine that had it (ENGINE-019, ENGINE-078)', async () => {
    const ingested: Array<[number | undefined, boolean | undefined]> = [];
    let views: string[][] = [];
    let done: unknown;
    const engine = engineOf({
      async ingest({ seq, replay }) {
        ingested.push([seq, replay]);
        return { ingested: true };
      },
      async assemble({ messages }) {
        views.push(texts(messages));
        return { messages, estimatedTokens: 1 };
      },
      ...lending(async ({ rewriteTranscriptEntries }, { sessionKey }) => {
        const entries = await host.entries(sessionKey);
        const entry = entries.find((each) => each.type === 'message' && each.message.role === 'toolResult');
        if (entry?.type !== 'message') throw new Error('no result');
        done = await rewriteTranscriptEntries?.({
          replacements: [{ entryId: entry.id, message: { ...entry.message, content: [{ type: 'text', text: 'seen' }] } as AgentMessage }],
        });
      }),
    });
    const host = await createAgentHost({ engine, tools: [look] });
    await host.run('[[offline: tool look]] [[offline: say done]]');
    expect(done).toMatchObject({ changed: true, rewrittenEntries: 1, bytesFreed: expect.any(Number) });
    views = [];
    await host.run('[[offline: say two]]');
    expect(views[0]).toEqual(['[[offline: tool look]] [[offline: say done]]', '', 'seen', 'done', '[[offline: say two]]']);
    expect(ingested.map(([seq]) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(ingested.every(([, replay]) => replay === undefined)).toBe(true);

    // an engine that comes later gets the new message under the entry's old place, once
    const later: Array<[number | undefined, string]> = [];
    host.swap({
      engine: engineOf(
        {
          async ingest({ seq, message }) {
            later.push([seq, messageText(message)]);
            return { ingested: true };
          },
        },
        'later',
      ),
    });
    await host.run('[[offline: say three]]');
    expect(later.map(([seq]) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(later[2]).toEqual([3, 'seen']);
    const again = await host.restart();
    expect(texts(await again.messages())).toContain('seen');
    await again.run('[[offline: say four]]');
    expect(later.map(([seq]) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each<[string, (entry: { id: string; message: AgentMessage }) => { entryId: string; message: AgentMessage }, RegExp]>([
    ['an entry that is not there', ({ message }) => ({ entryId: 'ffffffff', message }), /is no entry/],
    ['another role', ({ id }) => ({ entryId: id, message: { role: 'user', content: 'me?', timestamp: 1 } }), /has the role 'toolResult'/],
    ['the result of another call', ({ id, message }) => ({ entryId: id, message: { ...message, toolCallId: 'other' } as AgentMessage }), /another call/],
    ['nothing', ({ id, message }) => ({ entryId: id, message: { ...message, content: undefined } as never }), /no content/],
  ])('%s is refused with its reason, and nothing changes', async (_what, change, reason) => {
    const answers: unknown[] = [];
    const engine = engineOf(
      lending(async ({ rewriteTranscriptEntries }) => {
        const entries = await host.entries();
        const entry = entries.find((each) => each.type === 'message' && each.message.role === 'toolResult');
        if (entry?.type !== 'message') throw new Error('no result');
        const good = { entryId: entries[0]?.id ?? '', message: { role: 'user', content: 'changed', timestamp: 1 } as AgentMessage };
        answers.push(await rewriteTranscriptEntries?.({ replacements: [good, change(entry)] }));
      }),
    );
    const host = await createAgentHost({ engine, tools: [look] });
    await host.run('[[offline: tool look]] [[offline: say done]]');
    expect(answers).toEqual([{ ...NOTHING, reason: expect.stringMatching(reason) }]);
    expect(texts(await host.messages())).toEqual(['[[offline: tool look]] [[offline: say done]]', '', expect.stringMatching(/^seen x+$/), 'done']);
    expect(host.logged).toContainEqual(expect.objectContaining({ level: 'warn', fields: expect.objectContaining({ code: 'DUR_SESSION_REWRITE' }) }));
  });

  it('a reply must go on making the calls that it made', async () => {
    const answers: unknown[] = [];
    const engine = engineOf(
      lending(async ({ rewriteTranscriptEntries }) => {
        const entry = (await host.entries()).find((each) => each.type === 'message' && each.message.role === 'assistant');
        if (entry?.type !== 'message' || entry.message.role !== 'assistant') throw new Error('no reply');
        answers.push(await rewriteTranscriptEntries?.({ replacements: [{ entryId: entry.id, message: { ...entry.message, content: [] } }] }));
      }),
    );
    const host = await createAgentHost({ engine, tools: [look] });
    await host.run('[[offline: tool look]] [[offline: say done]]');
    expect(answers).toEqual([{ ...NOTHING, reason: expect.stringContaining('other tool calls') }]);
  });

  it('is lent for the call and not beyond it', async () => {
    let kept: RuntimeContext | undefined;
    const engine = engineOf({
      async afterTurn({ runtimeContext }) {
        kept = runtimeContext;
      },
    });
    const host = await createAgentHost({ engine });
    await host.run('[[offline: say one]]');
    const [entry] = await host.entries();
    const replacements = [{ entryId: entry?.id ?? '', message: { role: 'user' as const, content: 'late', timestamp: 1 } }];
    expect(await kept?.rewriteTranscriptEntries?.({ replacements })).toMatchObject({ changed: false, reason: expect.stringContaining('has ended') });
    await expect(kept?.compactSession?.({ sessionId: 'x' })).rejects.toMatchObject({ code: 'DUR_COMPACTION_DELEGATE' });
    expect(kept).toMatchObject({ provider: 'offline', model: 'script', agentId: 'main' });
  });

  it('compact and afterTurn may rewrite too, and an engine may have the host compact behind a turn (ENGINE-078, ENGINE-083)', async () => {
    const offered: Array<[string, boolean, boolean]> = [];
    const note = (where: string, context: RuntimeContext | undefined) =>
      offered.push([where, typeof context?.compactSession === 'function', typeof context?.rewriteTranscriptEntries === 'function']);
    let count = 0;
    const engine = engineOf({
      async afterTurn({ runtimeContext, sessionId }) {
        note('afterTurn', runtimeContext);
        count += 1;
        if (count === 4) await runtimeContext?.compactSession?.({ sessionId });
      },
      async compact({ runtimeContext }) {
        note('compact', runtimeContext);
        return { ok: true, compacted: false };
      },
      async maintain({ runtimeContext }) {
        note('maintain', runtimeContext);
        return NOTHING;
      },
    });
    const host = await createAgentHost({ engine });
    for (const word of ['one', 'two', 'three', 'four']) await host.run(`[[offline: say ${word}]]`);
    await host.agent.compact({ sessionKey: KEY });
    expect(new Set(offered.map(String))).toEqual(new Set(['afterTurn,true,true', 'maintain,false,true', 'compact,true,true']));
    expect((await host.entries()).filter(({ type }) => type === 'compaction')).toHaveLength(1);
    expect(await host.sessions.get(KEY)).toMatchObject({ compactionCount: 1 });
  });
});

describe('a session that goes', () => {
  const recording = (seen: SessionEndedParams[], id?: string) =>
    engineOf(
      {
        async onSessionEnded(params) {
          seen.push(params);
        },
      },
      id,
    );

  it.each(['deleted', 'reset'] as const)('is told of once to the selected engine, when it is %s, and its cursors go', async (reason) => {
    const seen: SessionEndedParams[] = [];
    const host = await createAgentHost({ engine: recording(seen) });
    await host.run('[[offline: say one]]');
    const session = await host.sessions.get(KEY);
    const sessionId = session?.sessionId ?? '';
    expect(host.state.cursors.get('keeper', sessionId)).toBe(2);
    if (reason === 'reset') await host.agent.reset({ sessionKey: KEY, reason });
    else await host.agent.remove({ sessionKey: KEY });
    expect(seen).toEqual([{ sessionId, sessionKey: KEY, reason, signal: expect.any(AbortSignal) }]);
    expect(host.state.cursors.get('keeper', sessionId)).toBe(0);
    await host.run('[[offline: say two]]');
    expect(seen).toHaveLength(1);
  });

  it('is told of to an engine that was not selected then, when it next is; what it fails on comes again', async () => {
    const seen: SessionEndedParams[] = [];
    const host = await createAgentHost({ engine: recording(seen) });
    await host.run('[[offline: say one]]', { sessionKey: 'first' });
    await host.run('[[offline: say one]]', { sessionKey: 'second' });
    host.swap({ engine: engineOf({}, 'other') });
    await host.run('[[offline: say two]]', { sessionKey: 'first' });
    await host.agent.remove({ sessionKey: 'first' });
    await host.agent.reset({ sessionKey: 'second', reason: 'new' });
    expect(seen).toEqual([]);
    let isBroken = true;
    const broken = recording(seen);
    const tell = broken.onSessionEnded?.bind(broken);
    host.swap({ engine: { ...broken, onSessionEnded: async (params) => (isBroken ? Promise.reject(new Error('locked')) : tell?.(params)) } });
    expect((await host.run('[[offline: say three]]')).status).toBe('ok');
    expect(seen).toEqual([]);
    isBroken = false;
    const again = await host.restart();
    await again.run('[[offline: say four]]');
    expect(seen.map(({ sessionKey, reason }) => [sessionKey, reason])).toEqual([
      ['agent:main:first', 'deleted'],
      ['agent:main:second', 'reset'],
    ]);
    await again.run('[[offline: say five]]');
    expect(seen).toHaveLength(2);
  });

  it('goes whatever the engine makes of it', async () => {
    const engine = engineOf({ onSessionEnded: async () => Promise.reject(new Error('locked')) });
    const host = await createAgentHost({ engine });
    await host.run('[[offline: say one]]');
    expect(await host.agent.remove({ sessionKey: KEY })).toMatchObject({ deleted: true });
    expect(host.logged).toContainEqual(expect.objectContaining({ level: 'error', message: expect.stringContaining('locked') }));
  });
});
