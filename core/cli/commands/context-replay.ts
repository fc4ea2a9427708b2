import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { durarError } from '../../../sdk/errors.ts';
import { divideWindow } from '../../agent/budget/tokens.ts';
import { compareTurns } from '../../agent/shadow/comparison.ts';
import { type EngineSample, markDropped } from '../../agent/shadow/engine-sample.ts';
import { countTurns } from '../../agent/shadow/replay.ts';
import { entrySettings } from '../../manifest/enablement.ts';
import { slotOwner } from '../../manifest/slot-choice.ts';
import type { Action, CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import { type Outlook, readOutlook } from '../planning.ts';
import { type RecordedSession, readRecordedSession } from '../replay/recorded-session.ts';
import { type ReplayResult, replayEngine } from '../replay/replay-process.ts';
import { readHostVersion } from '../version.ts';
import { printComparison } from './context-compare.ts';

/** Where the session says nothing of its model. */
const DEFAULT_WINDOW = 200_000;
const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;

interface ReplayFlags {
  engine?: string[];
  turns?: number;
  modelWindow?: number;
}

/** `durar context replay <session>` */
export const contextReplay: Action = async (context) => {
  const { output, args, env } = context;
  const { engine: ids = [], turns, modelWindow } = context.options as ReplayFlags;
  const engines = [...new Set(ids)];
  if (engines.length === 0)
    throw durarError('DUR_CLI_USAGE', { reason: '--engine is missing' }, { hint: 'Name one or more, such as --engine legacy --engine recall.' });
  for (const [flag, value] of Object.entries({ '--turns': turns, '--model-window': modelWindow })) {
    if (value !== undefined && !(Number.isInteger(value) && value > 0)) throw durarError('DUR_CLI_USAGE', { reason: `${flag} takes a whole number above 0` });
  }
  const outlook = await readOutlook(context);
  const brought = engines.map((id) => bringEngine(outlook, id));
  const session = await readRecordedSession(context, outlook, args[0] ?? 'main');
  const total = Math.min(turns ?? Number.POSITIVE_INFINITY, countTurns(session.entries));
  const budget = budgetOf(outlook, session, modelWindow);

  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  const dir = await mkdtemp(join(tmpdir(), 'durar-replay-'));
  const progress = output.progress('reading the session');
  try {
    const entriesFile = join(dir, 'entries.json');
    await writeFile(entriesFile, JSON.stringify(session.entries), { mode: 0o600 });
    const results: ReplayResult[] = [];
    // one after the other, so that neither slows the other down
    for (const [place, { id, entry, pluginConfig }] of brought.entries()) {
      const { key: sessionKey, model } = session;
      const facts = { sessionKey, tokenBudget: budget.messages, ...(model === undefined ? {} : { model }), ...(turns === undefined ? {} : { turns }) };
      const job = { engine: id, entry, ...pluginConfig, hostVersion: readHostVersion(), entriesFile, ...facts, dir: join(dir, String(place)) };
      const onTurn = (done: number) => progress.update(`${id}: turn ${done} of ${total}`);
      results.push(await replayEngine(job, { env, signal: interruption.signal, onTurn }));
    }
    progress.stop();
    return report(context, session, budget, results);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    return EXIT_INTERRUPTED;
  } finally {
    progress.stop();
    for (const signal of signals) process.removeListener(signal, interrupt);
    await rm(dir, { recursive: true, force: true });
  }
};

function bringEngine({ catalog, loaded }: Outlook, id: string) {
  const entry = slotOwner('contextEngine', id, catalog.entries.values());
  if (entry === undefined)
    throw durarError(
      'DUR_CLI_USAGE',
      { reason: `no installed extension offers the context engine '${id}'` },
      { hint: 'Run `durar plugins list` to see which there are.' },
    );
  const written = entrySettings(entry, loaded.config.plugins)?.config as Record<string, unknown> | undefined;
  return { id, entry, pluginConfig: written === undefined ? {} : { pluginConfig: written } };
}

function budgetOf({ loaded }: Outlook, { window, overhead }: RecordedSession, wanted: number | undefined) {
  const { contextTokens, compaction } = loaded.config.agents.defaults;
  return divideWindow({
    window: wanted ?? Math.min(window ?? DEFAULT_WINDOW, contextTokens ?? Number.POSITIVE_INFINITY),
    reserveTokens: compaction.reserveTokens,
    floor: compaction.reserveTokensFloor,
    overhead,
  });
}

function report({ output }: CommandContext, session: RecordedSession, budget: ReturnType<typeof budgetOf>, results: readonly ReplayResult[]): number {
  const comparison = compareTurns(
    mergeTurns(session, results),
    results.map(() => 'replay' as const),
  );
  const engines = results.map(({ engine, turns, summaries, stopped, failure }) => ({
    engine,
    turns: turns.length,
    summaries,
    ...(stopped === undefined ? {} : { stopped }),
    ...(failure === undefined ? {} : { failure }),
  }));
  output.result({ session: session.key, entries: session.entries.length, budget, engines, ...comparison }, () => {
    printComparison(comparison, output);
    output.line(`Budget: ${budget.messages.toLocaleString('en')} tokens for messages, of a window of ${budget.window.toLocaleString('en')}.`);
    for (const { engine, summaries, stopped } of engines) {
      if (summaries.recorded + summaries.extracted > 0)
        output.line(
          `${engine} let the host compact: ${countOf(summaries.recorded, 'recorded summary').replace('summarys', 'summaries')}, ${countOf(summaries.extracted, 'extract')} in the place of one.`,
        );
      if (stopped !== undefined) output.line(output.paint.warn(`${engine} was not asked to the end: ${stopped}.`));
    }
    if (engines.some(({ failure }) => failure !== undefined)) output.failure(engines.flatMap(({ failure }) => failure ?? []));
  });
  return engines.some(({ failure }) => failure !== undefined) ? EXIT_FAILED : 0;
}

/** The turns that all of them came to. */
function mergeTurns({ key, entries }: RecordedSession, results: readonly ReplayResult[]) {
  const sound = results.filter(({ turns }) => turns.length > 0);
  const common = Math.min(...sound.map(({ turns }) => turns.length));
  const ids = entries.filter(({ type }) => type === 'message' || type === 'custom_message').map(({ id }) => id);
  return (sound[0]?.turns ?? []).slice(0, common).map(({ at, history }, place) => {
    const sides = sound.flatMap(({ turns }) => turns[place] ?? []);
    markDropped(sides, ids);
    const samples: EngineSample[] = sides.map(({ sample }) => sample);
    return { at, sessionKey: key, history, engines: samples, skipped: 0 };
  });
}
