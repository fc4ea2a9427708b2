import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLegacyEngine } from '../../extensions/context-engines/legacy/engine.ts';
import { createRecallEngine } from '../../extensions/context-engines/recall/engine.ts';
import { createLedger } from '../../extensions/context-engines/recall/ledger.ts';
import { openStore } from '../../extensions/context-engines/recall/store.ts';
import type { ContextEngine } from '../../sdk/index.ts';
import { type LongResult, median, runLong } from './run.ts';

/** `DURAR_LONG=1` takes the sessions through thousands of turns. */
const LONG = process.env.DURAR_LONG === '1';
const TURNS = LONG ? 2_200 : 160;
const SIZE = { window: LONG ? 200_000 : 60_000, largest: LONG ? 500_000 : 100_000 };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function recall(): ContextEngine {
  const dir = mkdtempSync(join(tmpdir(), 'durar-long-'));
  const ledger = createLedger();
  const store = openStore({ file: join(dir, 'recall.db'), log: quiet, ledger });
  onTestFinished(() => {
    store.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return createRecallEngine({ store, ledger, settings: { recentTurns: 20, recallShare: 0.25, maxPassages: 6 } });
}

function report(name: string, { cpu, heap, ...result }: LongResult): void {
  if (!LONG) return;
  const at = (turn: number) => median(cpu.slice(turn, turn + 100)).toFixed(1);
  console.log(
    name,
    { ...result, answers: result.answers.size },
    `cpu ms at 100: ${at(100)}, at 1000: ${at(1_000)}, at 2000: ${at(2_000)}; heap ${heap.map((mb) => mb.toFixed(0)).join(', ')} MB`,
  );
}

/** A turn late in the session costs what one in its first part costs, and memory goes with what is shown, not with what was said. */
function expectLevel({ cpu, heap }: LongResult): void {
  const part = Math.floor(cpu.length / 8);
  expect(median(cpu.slice(-part)) / median(cpu.slice(part, 2 * part))).toBeLessThan(4);
  expect((heap.at(-1) ?? 0) / (heap[0] ?? 1)).toBeLessThan(2);
}

describe('a long session on real text', () => {
  it('with legacy: within the window, in pairs, and warm for the cache until a compaction (ENGINE-022, ENGINE-083, PRUNE-005, PRUNE-012)', async () => {
    const result = await runLong({ engine: createLegacyEngine(), turns: TURNS, seed: 7, ...SIZE });
    report('legacy', result);
    expect(result.compactions).toBeGreaterThan(0);
    expect(result.breaks.unexplained).toBe(0);
    expectLevel(result);
  }, 1_200_000);

  it('with results that no window holds: every turn is answered, and none of them stays for ever', async () => {
    const result = await runLong({ engine: createLegacyEngine(), turns: LONG ? 1_000 : 120, seed: 3, window: 40_000, largest: 900_000 });
    report('giants', result);
    expect(result.compactions).toBeGreaterThan(1);
    expect(result.breaks.unexplained).toBe(0);
  }, 1_200_000);

  it('with recall: the same, and what was said at its beginning is there when it is asked for (ENGINE-022, ENGINE-059, ENGINE-083)', async () => {
    const said = new Map([
      [3, 'By the way, my sister Ottilie was born in Tromsø in 1987.'],
      [5, 'The staging database listens on port 54329.'],
      [8, 'We agreed that invoices above 900 euro need two signatures.'],
      [TURNS - 2, 'Where was my sister born?'],
      [TURNS - 1, 'Which port does the staging database use?'],
      [TURNS, 'When does an invoice need two signatures?'],
    ]);
    const result = await runLong({ engine: recall(), turns: TURNS, seed: 8, said, ...SIZE });
    report('recall', result);
    expect(result.breaks.unexplained).toBe(0);
    expect(result.breaks.window).toBeLessThan(TURNS / 4);
    for (const [place, fact] of [
      [2, 'Tromsø'],
      [1, '54329'],
      [0, '900 euro'],
    ] as const)
      expect(result.answers.get(said.get(TURNS - place) ?? '')).toContain(fact);
    expectLevel(result);
  }, 1_200_000);
});
