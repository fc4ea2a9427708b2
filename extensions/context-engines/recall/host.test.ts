import type { AssembleResult, ContextEngine } from 'Durar/plugin-sdk/core';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createAgentHost } from '../../../test/agent-host.ts';
import { createRecallEngine } from './engine.ts';
import { createLedger } from './ledger.ts';
import { openStore } from './store.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };

/** The engine, and what it answered to each `assemble`. */
function watched(recentTurns: number): { engine: ContextEngine; sent: AssembleResult[] } {
  const ledger = createLedger();
  const store = openStore({ file: join(mkdtempSync(join(tmpdir(), 'durar-recall-host-')), 'recall.db'), log, ledger });
  onTestFinished(() => store.close());
  const engine = createRecallEngine({ store, ledger, settings: { recentTurns, recallShare: 0.25, maxPassages: 6 } });
  const sent: AssembleResult[] = [];
  return {
    sent,
    engine: {
      ...engine,
      async assemble(params) {
        const result = await engine.assemble(params);
        sent.push(result);
        return result;
      },
    },
  };
}

describe('the recall engine under the host', () => {
  it('an overflow makes the window start later and the turn goes on, without a summary (ENGINE-075, ENGINE-077)', async () => {
    const { engine, sent } = watched(50);
    const host = await createAgentHost({ engine });
    for (let turn = 0; turn < 8; turn += 1) await host.run(`turn ${turn} ${'some words '.repeat(100)} [[offline: say fine]]`);
    const result = await host.run('and now? [[offline: fail context_overflow 2]] [[offline: say after]]');
    expect(result).toMatchObject({ status: 'ok', payloads: [{ text: expect.stringMatching(/after$/) }] });
    const sizes = sent.slice(-3).map(({ estimatedTokens }) => estimatedTokens);
    expect(sizes[1]).toBeLessThan(sizes[0] ?? 0);
    expect(sizes[2]).toBeLessThan(sizes[1] ?? 0);
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(false);
  });

  it('answers a compaction that somebody asked for, without a summary (ENGINE-076)', async () => {
    const { engine, sent } = watched(50);
    const host = await createAgentHost({ engine });
    for (let turn = 0; turn < 8; turn += 1) await host.run(`turn ${turn} ${'some words '.repeat(100)} [[offline: say fine]]`);
    const result = await host.agent.compact({ sessionKey: 'agent:main:main' });
    expect(result).toMatchObject({ ok: true, compacted: true });
    await host.run('go on [[offline: say on]]');
    expect(sent.at(-1)?.messages.length).toBeLessThan(sent.at(-2)?.messages.length ?? 0);
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(false);
    const again = await host.agent.compact({ sessionKey: 'agent:main:main' });
    expect(again.result?.tokensBefore).toBeLessThan(result.result?.tokensBefore ?? 0);
  });

  it('a long session in a small window ends no turn with an overflow (ENGINE-022, ENGINE-083)', async () => {
    const { engine, sent } = watched(20);
    const host = await createAgentHost({ engine, config: { agents: { defaults: { model: 'offline/small' } } } });
    await host.run('The gate code of the marina is 90210-Q. [[offline: say noted]]');
    for (let turn = 0; turn < 40; turn += 1) expect(await host.run(`turn ${turn} [[offline: tokens 500]]`)).toMatchObject({ status: 'ok' });
    await host.run('What is the gate code of the marina? [[offline: say it is known]]');
    expect(sent.at(-1)?.messages.length).toBeLessThan(40);
    expect(JSON.stringify(sent.at(-1)?.messages)).toContain('90210-Q');
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(false);
  });

  it('selected after another engine compacted the session, it knows what the summary replaced (ENGINE-099)', async () => {
    const host = await createAgentHost();
    await host.run('The gate code of the marina is 90210-Q. [[offline: say noted]]');
    for (let turn = 0; turn < 6; turn += 1) await host.run(`turn ${turn} [[offline: say fine]]`);
    await host.run('[[offline: fail context_overflow 1]] [[offline: say compacted]]');
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(true);
    const { engine, sent } = watched(20);
    host.swap({ engine });
    await host.run('What is the gate code of the marina? [[offline: say it is known]]');
    const [first] = sent;
    expect(JSON.stringify(first?.messages.slice(0, -1))).not.toMatch(/The gate code.*noted/);
    expect(JSON.stringify(first?.messages.at(-1))).toMatch(/Recalled history.*90210-Q.*noted/);
  });
});
