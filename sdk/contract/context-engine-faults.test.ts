import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { describeContract } from '../../test/contract-adapter.ts';
import type { AgentMessage } from '../messages.ts';
import type { AssembleParams, ContextEngine, IngestParams } from '../ports/context-engine.ts';
import { contextEngineFaults, type EngineFaultContext } from './context-engine-faults.ts';
import { runContractCase } from './contract.ts';

type Disk = Map<string, Map<string, AgentMessage>>;

const estimated = (messages: AgentMessage[]) => ({ messages, estimatedTokens: Math.ceil(JSON.stringify(messages).length / 4) });

/** An engine that answers from what it stored alone. What is on `disk` outlives it. */
function storing(disk: Disk): ContextEngine {
  const entries = (sessionId: string) => {
    const found = disk.get(sessionId) ?? new Map<string, AgentMessage>();
    disk.set(sessionId, found);
    return found;
  };
  return {
    info: { id: 'storing', name: 'Storing' },
    async ingest({ sessionId, entryId = '', message }) {
      if (entries(sessionId).has(entryId)) return { ingested: false };
      entries(sessionId).set(entryId, message);
      return { ingested: true };
    },
    assemble: async ({ sessionId }) => estimated([...entries(sessionId).values()]),
    compact: async ({ runtimeContext, ...params }) =>
      (await runtimeContext?.compactSession?.(params)) ?? { ok: false, compacted: false, reason: 'nothing to compact with' },
  };
}

function context(make: (disk: Disk) => ContextEngine): EngineFaultContext {
  const disk: Disk = new Map();
  return { engine: make(disk), id: 'storing', reopen: async () => make(disk) };
}

/** Takes whole histories in bootstrap, batches at the end of a turn; keeps nothing. */
function importing(): ContextEngine {
  const memory: Disk = new Map();
  const base = storing(memory);
  return {
    ...base,
    async bootstrap({ sessionId, messages = [] }) {
      const before = memory.get(sessionId)?.size ?? 0;
      for (const [index, message] of messages.entries()) await base.ingest({ sessionId, message, entryId: (index + 1).toString(16).padStart(8, '0') });
      return { bootstrapped: true, importedMessages: (memory.get(sessionId)?.size ?? 0) - before };
    },
    async ingestBatch({ sessionId, messages, entries = [] }) {
      let ingestedCount = 0;
      for (const [index, message] of messages.entries()) if ((await base.ingest({ sessionId, message, ...entries[index] })).ingested) ingestedCount += 1;
      return { ingestedCount };
    },
  };
}

describe('an engine with a store', () => describeContract<EngineFaultContext>(contextEngineFaults, () => context(storing)));
describe('an engine with bootstrap and batches', () => describeContract<EngineFaultContext>(contextEngineFaults, () => context(importing)));

/** A change of the storing engine, with what it may keep beside the disk. */
type Break = (engine: ContextEngine, disk: Disk) => Partial<ContextEngine>;

const BREAKS: Array<[fault: string, what: string, change: Break, message: RegExp]> = [
  ['duplicate', 'takes an old entry again', (engine) => ({ ingest: forgetful(engine) }), /taken twice/],
  [
    'duplicate',
    'drops whatever is flagged as replayed',
    (engine) => ({ ingest: async (params) => (params.replay === true ? { ingested: false } : engine.ingest(params)) }),
    /0 entries were taken/,
  ],
  [
    'budget',
    'calculates with a budget that is missing',
    (engine) => ({
      assemble: async (params) => ({ ...(await engine.assemble(params)), estimatedTokens: Math.min(params.tokenBudget, 100) }),
    }),
    /estimatedTokens is NaN/,
  ],
  [
    'budget',
    'drops the newest question',
    () => ({ assemble: async ({ messages, tokenBudget }) => estimated(tokenBudget < 10 ? [] : messages) }),
    /newest user message is lost/,
  ],
  [
    'budget',
    'throws away what it has to meet a small budget',
    (engine, disk) => ({
      async assemble(params) {
        const result = await engine.assemble(params);
        const entries = [...(disk.get(params.sessionId) ?? [])];
        if (params.tokenBudget < 10) disk.set(params.sessionId, new Map(entries.slice(-1)));
        return result;
      },
    }),
    /is lost for good/,
  ],
  ['hang', 'keeps the signal from the compaction', () => ({ compact: dropsSignal }), /compact after its signal was aborted did not end/],
  ['hang', 'keeps its lock when it is aborted', (engine) => ({ assemble: locking(engine) }), /assemble after an aborted one did not end/],
  [
    'hang',
    'notes an entry before it has it',
    (engine) => {
      const noted = new Set<string>();
      return {
        async ingest(params) {
          const key = `${params.sessionId} ${params.entryId}`;
          if (noted.has(key)) return { ingested: false };
          noted.add(key);
          await sleep(1);
          params.signal?.throwIfAborted();
          return engine.ingest(params);
        },
      };
    },
    /lost its result/,
  ],
  ['clock', 'takes what is older for known', (engine) => ({ ingest: byTime(engine) }), /other messages are taken/],
  [
    'clock',
    'sorts by time',
    (engine) => ({
      async assemble(params) {
        const { messages } = await engine.assemble(params);
        return estimated([...messages].sort((one, other) => one.timestamp - other.timestamp));
      },
    }),
    /another one|result without its call|lost its result/,
  ],
  [
    'swap',
    'makes nothing up when it is behind',
    (engine) => {
      const last = new Map<string, number>();
      return {
        async ingest(params) {
          const { sessionId, seq = 0 } = params;
          // whoever flags entries as replayed is thought to repeat the last turn
          if (params.replay === true && seq > (last.get(sessionId) ?? 0) + 1) return { ingested: false };
          if (params.replay !== true) last.set(sessionId, seq);
          return engine.ingest(params);
        },
      };
    },
    /entries of a gap/,
  ],
  [
    'swap',
    'imports into an empty store alone',
    (engine, disk) => ({
      async bootstrap({ sessionId, messages = [] }) {
        if ((disk.get(sessionId)?.size ?? 0) > 0) return { bootstrapped: false, reason: 'known' };
        for (const [index, message] of messages.entries()) await engine.ingest({ sessionId, message, entryId: (index + 1).toString(16).padStart(8, '0') });
        return { bootstrapped: true };
      },
    }),
    /lost its result/,
  ],
  [
    'replay',
    'remembers the last entries alone',
    (engine, disk) => ({
      async ingest(params) {
        const { sessionId, entryId = '', message } = params;
        const recent = [...(disk.get(sessionId)?.keys() ?? [])].slice(-4);
        if (recent.includes(entryId)) return { ingested: false };
        if (disk.get(sessionId)?.has(entryId)) return engine.ingest({ sessionId, message, entryId: `${entryId}-again` }).then(() => ({ ingested: true }));
        return engine.ingest(params);
      },
    }),
    /taken twice/,
  ],
  [
    'replay',
    'imports its history once more after each start',
    (engine) => ({
      async bootstrap({ sessionId, messages = [] }) {
        for (const [index, message] of messages.entries()) await engine.ingest({ sessionId, message, entryId: `history-${index}` });
        return { bootstrapped: true };
      },
    }),
    /another one/,
  ],
];

function forgetful(engine: ContextEngine) {
  return async (params: IngestParams) => ({ ...(await engine.ingest(params)), ingested: true });
}

async function dropsSignal({ sessionId, runtimeContext }: Parameters<ContextEngine['compact']>[0]) {
  return (await runtimeContext?.compactSession?.({ sessionId })) ?? { ok: false, compacted: false };
}

function locking(engine: ContextEngine) {
  let free = Promise.resolve();
  return async (params: AssembleParams) => {
    await free;
    let release: () => void = () => undefined;
    free = new Promise((resolve) => {
      release = resolve;
    });
    await sleep(1);
    params.signal?.throwIfAborted();
    const result = await engine.assemble(params);
    release();
    return result;
  };
}

function byTime(engine: ContextEngine) {
  const newest = new Map<string, number>();
  return async (params: IngestParams) => {
    const { timestamp } = params.message;
    if (timestamp <= (newest.get(params.sessionId) ?? 0)) return { ingested: false };
    newest.set(params.sessionId, timestamp);
    return engine.ingest(params);
  };
}

describe.concurrent('the suite finds an engine that', () => {
  it.each(BREAKS)('%s: %s', async (fault, _what, change, message) => {
    const result = await runFault(fault, (disk) => {
      const engine = storing(disk);
      return { ...engine, ...change(engine, disk) };
    });
    expect(result).toMatchObject({ status: 'failed', reason: expect.stringMatching(message) });
  });

  it('restart: keeps what it took in memory alone, without bootstrap', async () => {
    const result = await runFault('restart', () => storing(new Map()));
    expect(result).toMatchObject({ status: 'failed', reason: expect.stringMatching(/another one/) });
  });
});

it('without a way to restart, the restart is skipped with the reason', async () => {
  const faultCase = contextEngineFaults.cases.find(({ fault }) => fault === 'restart');
  const result = await runContractCase(faultCase ?? expect.fail(), () => ({ engine: storing(new Map()), id: 'storing' }));
  expect(result).toMatchObject({ status: 'skipped', reason: expect.stringContaining('cannot restart') });
});

it('every fault says what to do about it, and has a name of its own', () => {
  const { cases } = contextEngineFaults;
  expect(new Set(cases.map(({ fault }) => fault)).size).toBe(cases.length);
  for (const { hint } of cases) expect(hint).toMatch(/^[A-Z].+\.$/);
});

async function runFault(fault: string, make: (disk: Disk) => ContextEngine) {
  const faultCase = contextEngineFaults.cases.find((other) => other.fault === fault);
  return runContractCase(faultCase ?? expect.fail(`there is no fault '${fault}'`), () => context(make));
}

describe('an engine of the ancestor’s line', () => {
  /** Counts whatever comes, and leaves half of a pair to the host. */
  const ofThatLine: ContextEngine = {
    info: { id: 'old', name: 'Old' },
    ingest: async () => ({ ingested: true }),
    assemble: async ({ messages }) => estimated(messages.filter(({ role }) => role !== 'toolResult')),
    compact: async () => ({ ok: true, compacted: false }),
  };

  it('is held to what its contract knows, and the report says who keeps the rest', async () => {
    const results = await Promise.all(
      contextEngineFaults.cases.map((each) =>
        runContractCase(each, (): EngineFaultContext => ({ engine: ofThatLine, id: 'old', line: 'ancestor', reopen: async () => ofThatLine })),
      ),
    );
    expect(results.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(results.filter(({ status }) => status === 'skipped').map(({ reason }) => reason)).toEqual(
      Array(4).fill(expect.stringContaining("host's own cursor")),
    );
    expect(results.filter(({ status }) => status === 'passed')).toHaveLength(3);
  });

  it('is found when it does not end or loses the question', async () => {
    const broken: ContextEngine = { ...ofThatLine, assemble: async () => ({ messages: [], estimatedTokens: 1 }) };
    const budget = contextEngineFaults.cases.find(({ fault }) => fault === 'budget');
    if (budget === undefined) throw new Error('no such fault');
    expect(await runContractCase(budget, (): EngineFaultContext => ({ engine: broken, id: 'old', line: 'ancestor' }))).toMatchObject({ status: 'failed' });
  });
});
