import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { type AgentMessage, type ContextEngine, emptyUsage, type IngestParams, messageText, type StoredEntry } from '../../../sdk/index.ts';
import { openState } from '../../state/state.ts';
import { createTokenEstimator } from '../budget/tokens.ts';
import { type ReplayedTurn, type ReplayOptions, replaySession } from './replay.ts';

const estimator = createTokenEstimator();

/** A session of turns with a tool call each; every text has about `words` words. */
function record(turns: number, words = 40): StoredEntry[] {
  const entries: StoredEntry[] = [];
  const add = (message: AgentMessage) => {
    const seq = entries.length + 1;
    const id = seq.toString(16).padStart(8, '0');
    entries.push({ type: 'message', id, parentId: entries.at(-1)?.id ?? null, seq, timestamp: new Date(message.timestamp).toISOString(), message });
  };
  const origin = { api: 'offline', provider: 'offline', model: 'script', usage: emptyUsage() };
  for (let turn = 1; turn <= turns; turn += 1) {
    const timestamp = turn * 1_000;
    add({ role: 'user', content: `question ${turn} ${'word '.repeat(words)}`, timestamp });
    add({
      role: 'assistant',
      content: [{ type: 'toolCall', id: `call-${turn}`, name: 'look', arguments: {} }],
      ...origin,
      stopReason: 'toolUse',
      timestamp: timestamp + 1,
    });
    add({
      role: 'toolResult',
      toolCallId: `call-${turn}`,
      toolName: 'look',
      content: [{ type: 'text', text: 'seen '.repeat(words) }],
      isError: false,
      timestamp: timestamp + 2,
    });
    add({ role: 'assistant', content: [{ type: 'text', text: `answer ${turn}` }], ...origin, stopReason: 'stop', timestamp: timestamp + 3 });
  }
  return entries;
}

async function replay(engine: ContextEngine, entries: StoredEntry[], more: Partial<ReplayOptions> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'durar-replay-'));
  const state = openState({ dir });
  onTestFinished(() => {
    state.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const turns: ReplayedTurn[] = [];
  const sessionFile = join(dir, 'replay.jsonl');
  const result = await replaySession({
    ...{ id: engine.info.id, owner: 'extension', engine, entries, sessionKey: 'agent:main:main', tokenBudget: 100_000, estimator, sessionFile },
    cursors: state.cursors,
    signal: new AbortController().signal,
    onTurn: async (turn) => void turns.push(turn),
    ...more,
  });
  return { ...result, turns, sessionFile, text: () => readFileSync(sessionFile, 'utf8') };
}

describe('replaySession', () => {
  it('gives each entry once and in order, assembles at each user message, ends each turn', async () => {
    const calls: string[] = [];
    const engine: ContextEngine = {
      info: { id: 'fixture', name: 'Fixture' },
      async bootstrap({ messages }) {
        calls.push(`bootstrap ${messages?.length}`);
        return { bootstrapped: true };
      },
      async ingest({ seq, replay: again }: IngestParams) {
        calls.push(`ingest ${seq}${again === true ? ' again' : ''}`);
        return { ingested: true };
      },
      async assemble({ messages, prompt }) {
        calls.push(`assemble ${messages.length} ${prompt?.slice(0, 10)}`);
        return { messages, estimatedTokens: 1 };
      },
      compact: async () => ({ ok: true, compacted: false }),
      async afterTurn({ messages, prePromptMessageCount }) {
        calls.push(`afterTurn ${prePromptMessageCount}/${messages.length}`);
      },
    };
    const entries = record(2);
    const { turns } = await replay(engine, entries);
    expect(calls).toEqual([
      ...['bootstrap 0', 'ingest 1', 'assemble 1 question 1', 'ingest 2', 'ingest 3', 'ingest 4', 'afterTurn 0/4'],
      ...['ingest 5', 'assemble 5 question 2', 'ingest 6', 'ingest 7', 'ingest 8', 'afterTurn 4/8'],
    ]);
    expect(turns.map(({ history, kept }) => [history, kept])).toEqual([
      [4, [[0, 0]]],
      [8, [[0, 4]]],
    ]);
    expect(turns[0]?.sample).toMatchObject({ engine: 'fixture', assemblies: 1, failures: [], overBudget: false });
  });

  it('is the same each time but for its latencies', async () => {
    const entries = record(12, 200);
    const plain = (turns: ReplayedTurn[]) => turns.map(({ sample: { assembleMs: _a, ingestMs: _i, ...sample }, ...turn }) => ({ ...turn, sample }));
    const [first, second] = [
      await replay(createLegacyEngine(), entries, { tokenBudget: 3_000 }),
      await replay(createLegacyEngine(), entries, { tokenBudget: 3_000 }),
    ];
    expect(plain(first.turns)).toEqual(plain(second.turns));
    expect(first.summaries).toEqual(second.summaries);
  });

  it('lets the host compact what is too large: with the recorded summary where there is one, else with an extract, and never over the budget', async () => {
    const entries = record(12, 200);
    const seen: string[] = [];
    const legacy = createLegacyEngine();
    const engine: ContextEngine = {
      ...legacy,
      async assemble(params) {
        seen.push(...params.messages.map(messageText).filter((text) => text.startsWith('Summary')));
        return legacy.assemble(params);
      },
    };
    const plain = await replay(legacy, entries, { tokenBudget: 3_000 });
    expect(plain.summaries.recorded).toBe(0);
    expect(plain.summaries.extracted).toBeGreaterThan(1);
    expect(plain.turns.every(({ sample }) => !sample.overBudget && (sample.tokens ?? 0) <= 3_000)).toBe(true);
    const first = plain.turns.findIndex(({ sample }) => sample.compactions.done > 0);
    const after = entries.findLastIndex(({ timestamp }) => Date.parse(timestamp) < (first + 2) * 1_000);
    const summary = {
      type: 'compaction' as const,
      id: 'feedbeef',
      parentId: null,
      seq: 0,
      timestamp: entries[after]?.timestamp ?? '',
      summary: 'THE RECORDED ONE',
      firstKeptEntryId: '00000001',
      tokensBefore: 1,
    };
    const withRecorded = await replay(engine, [...entries.slice(0, after + 1), summary, ...entries.slice(after + 1)], { tokenBudget: 3_000 });
    expect(withRecorded.summaries).toEqual({ recorded: 1, extracted: plain.summaries.extracted - 1 });
    expect(seen.some((text) => text.includes('THE RECORDED ONE'))).toBe(true);
    expect(seen.some((text) => text.includes('user: question'))).toBe(true);
  });

  it('keeps a transcript for engines that read one', async () => {
    const { text } = await replay(createLegacyEngine(), record(1));
    const lines = text()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; parentId?: string });
    expect(lines.map(({ type }) => type)).toEqual(['session', 'message', 'message', 'message', 'message']);
    expect(lines[2]?.parentId).toBe('00000001');
  });

  it('ends after so many turns, and gives an engine up that fails again and again', async () => {
    const engine: ContextEngine = { ...createLegacyEngine(), assemble: () => Promise.reject(new Error('broken')) };
    expect((await replay(createLegacyEngine(), record(9), { turns: 4 })).turns).toHaveLength(4);
    const { turns, stopped } = await replay(engine, record(9));
    expect(turns).toHaveLength(5);
    expect(stopped).toContain('5 turns in a row');
    expect(turns[0]?.sample.failures).toEqual([{ method: 'assemble', code: 'DUR_ENGINE_FAILED' }]);
    expect(turns[0]?.sample.tokens).toBeUndefined();
  });

  it('an engine cannot change what it is given', async () => {
    const engine: ContextEngine = {
      ...createLegacyEngine(),
      async ingest({ message }) {
        message.content = [];
        return { ingested: true };
      },
    };
    const { turns } = await replay(engine, record(2));
    expect(turns[0]?.sample.failures[0]).toEqual({ method: 'ingest', code: 'DUR_ENGINE_FAILED' });
    expect(turns[0]?.sample.tokens).toBeGreaterThan(30);
  });
});
