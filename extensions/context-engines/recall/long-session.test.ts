import type { AgentMessage } from 'Durar/plugin-sdk/core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTokenEstimator } from '../../../core/agent/budget/tokens.ts';
import { createRecallEngine } from './engine.ts';
import { createLedger } from './ledger.ts';
import { createSessionMaker } from './session-maker.ts';
import { openStore } from './store.ts';

const TURNS = 2_200;
const FACTS: ReadonlyArray<{ turn: number; said: string; asked: string; answer: string }> = [
  { turn: 3, said: 'By the way, my sister Ottilie was born in Tromsø in 1987.', asked: 'Where was my sister born?', answer: 'Tromsø' },
  { turn: 40, said: 'The staging database listens on port 54329.', asked: 'Which port does the staging database use?', answer: '54329' },
  { turn: 90, said: 'We agreed that invoices above 900 euro need two signatures.', asked: 'When does an invoice need two signatures?', answer: '900 euro' },
  { turn: 150, said: 'The customer number of Halvorsen is KX-20077-B.', asked: "What is Halvorsen's customer number?", answer: 'KX-20077-B' },
];

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'durar-recall-long-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const log = { debug() {}, info() {}, warn() {}, error() {} };
const settings = { recentTurns: 20, recallShare: 0.25, maxPassages: 6 };
const estimator = createTokenEstimator();
const entryOf = (seq: number) => ({ entryId: seq.toString(16).padStart(8, '0'), seq });

function engineAt(name: string) {
  const ledger = createLedger();
  const store = openStore({ file: join(dir, name, 'recall.db'), log, ledger });
  return { store, engine: createRecallEngine({ store, ledger, settings }) };
}

function orphans(messages: readonly AgentMessage[]): string[] {
  const open = new Set<string>();
  const wrong: string[] = [];
  for (const message of messages) {
    if (message.role === 'toolResult') {
      if (!open.delete(message.toolCallId)) wrong.push(message.toolCallId);
      continue;
    }
    wrong.push(...open);
    open.clear();
    if (message.role === 'assistant') for (const block of message.content) if (block.type === 'toolCall') open.add(block.id);
  }
  return wrong;
}

describe('a session of thousands of turns', () => {
  it('no budget is exceeded, no result stands alone, and what was said 2,000 turns ago is there when it is asked for (ENGINE-022, ENGINE-059, ENGINE-083)', async () => {
    const { store, engine } = engineAt('long');
    const maker = createSessionMaker(42);
    const session = { sessionId: 'long' };
    const messages: AgentMessage[] = [];
    const budgets = [1_200, 6_000, 24_000, 90_000];
    let largest = 0;
    for (let turn = 0; turn < TURNS; turn += 1) {
      const fact = FACTS.find((each) => each.turn === turn);
      const added = fact === undefined ? maker.turn() : [maker.user(fact.said), maker.reply('Good to know.')];
      for (const message of added) {
        messages.push(message);
        await engine.ingest({ ...session, message, ...entryOf(messages.length) });
        if (turn % 10 !== 0 || message.role === 'assistant') continue;
        const tokenBudget = budgets[Math.floor(turn / 10) % budgets.length] ?? 0;
        const { messages: sent, estimatedTokens, systemPromptAddition } = await engine.assemble({ ...session, messages: [...messages], tokenBudget });
        const tokens = estimator.messages(sent) + estimator.text(systemPromptAddition ?? '');
        expect(tokens).toBeLessThanOrEqual(tokenBudget);
        expect(estimatedTokens).toBeLessThanOrEqual(tokenBudget);
        // before the results of all calls are there, the last of them are open
        if (message.role === 'user') expect(orphans(sent)).toEqual([]);
        largest = Math.max(largest, tokens);
      }
    }
    expect(largest).toBeGreaterThan(4_000);
    for (const { asked, answer } of FACTS) {
      const question = maker.user(asked);
      messages.push(question);
      await engine.ingest({ ...session, message: question, ...entryOf(messages.length) });
      const { messages: sent } = await engine.assemble({ ...session, messages, tokenBudget: 24_000, prompt: asked });
      expect(JSON.stringify(sent), asked).toContain(answer);
      expect(sent.length).toBeLessThan(400);
    }
    await engine.dispose?.();
    expect(() => store.session('long')).toThrow('disposed');
  }, 120_000);

  it('many sessions at once keep apart, each with all of its own', async () => {
    const { store, engine } = engineAt('many');
    const names = Array.from({ length: 12 }, (_, index) => `session-${index}`);
    await Promise.all(
      names.map(async (sessionId, index) => {
        const maker = createSessionMaker(index);
        const messages: AgentMessage[] = [maker.user(`the secret word here is walrus${index}x`), maker.reply('ok')];
        for (let turn = 0; turn < 60; turn += 1) messages.push(...maker.turn());
        messages.push(maker.user('what is the secret word?'));
        for (const [at, message] of messages.entries()) await engine.ingest({ sessionId, message, ...entryOf(at + 1) });
        const { messages: sent } = await engine.assemble({ sessionId, messages, tokenBudget: 20_000, prompt: 'what is the secret word?' });
        expect([...new Set(JSON.stringify(sent).match(/walrus\d+x/g))]).toEqual([`walrus${index}x`]);
        expect(store.neighbours(store.session(sessionId), 0, false, 10_000)).toHaveLength(messages.length);
      }),
    );
    await engine.dispose?.();
  }, 60_000);

  it('a turn takes milliseconds, and not ten times as long after ten times as many messages', async () => {
    const times: Record<number, number> = {};
    for (const entries of [2_000, 20_000]) {
      const { engine } = engineAt(`speed-${entries}`);
      const maker = createSessionMaker(entries);
      const messages: AgentMessage[] = [];
      while (messages.length < entries) messages.push(...maker.turn());
      const startedAt = performance.now();
      for (const [at, message] of messages.entries()) await engine.ingest({ sessionId: 's', message, ...entryOf(at + 1) });
      const ingest = (performance.now() - startedAt) / messages.length;
      const taken: number[] = [];
      for (let turn = 0; turn < 41; turn += 1) {
        const asked = maker.user(`why does the billing job of spring depend on the second supplier, question ${turn}?`);
        messages.push(asked);
        await engine.ingest({ sessionId: 's', message: asked, ...entryOf(messages.length) });
        const history = [...messages];
        const before = performance.now();
        await engine.assemble({ sessionId: 's', messages: history, tokenBudget: 60_000, prompt: String(asked.content) });
        taken.push(performance.now() - before);
      }
      const [first = 0, ...rest] = taken;
      const median = rest.sort((a, b) => a - b)[rest.length >> 1] ?? 0;
      times[entries] = median;
      console.log(`${entries} entries: ingest ${ingest.toFixed(3)} ms each, first assemble ${first.toFixed(1)} ms, then ${median.toFixed(2)} ms`);
      await engine.dispose?.();
    }
    expect((times[20_000] ?? 0) / (times[2_000] ?? 1)).toBeLessThan(6);
  }, 120_000);
});
