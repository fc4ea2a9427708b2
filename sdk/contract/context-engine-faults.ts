import assert from 'node:assert/strict';
import { setImmediate as afterIo } from 'node:timers/promises';
import type { CompactParams, CompactResult, ContextEngine } from '../ports/context-engine.ts';
import { type ContextEngineContext, HOST_KEEPS } from './context-engine.ts';
import type { ContractCase, ContractSuite } from './contract.ts';
import { assemble, BUDGET, checkContext, compare, createToldSession, known, notes, SCRIPT, type ToldSession } from './told-session.ts';

export interface EngineFaultContext extends ContextEngineContext {
  /** Ends the engine and makes one anew on the same state, as a restart of the gateway does. */
  reopen?(): Promise<ContextEngine>;
  /** Makes the process's clock wrong by so many milliseconds; 0 sets it right. */
  skewClock?(ms: number): void;
}

export interface EngineFaultCase extends ContractCase<EngineFaultContext> {
  /** What goes wrong, in a word or two. */
  fault: string;
  /** What an author does about it. */
  hint: string;
}

export interface EngineFaultSuite extends ContractSuite<EngineFaultContext> {
  cases: readonly EngineFaultCase[];
}

/** How long a call may go on after its signal was aborted, milliseconds. */
const SETTLE_MS = 5_000;
const YEARS = 365 * 86_400_000;
/** Of a whole case, on a machine that is busy; what must be quick has its own limit. */
const CASE_MS = 60_000;
/** For cases that are about entry ids and replays. */
const ofEntries = ({ line }: EngineFaultContext) => (line === 'ancestor' ? HOST_KEEPS : undefined);
const NO_RESTART = 'whoever runs the suite cannot restart the engine';
const KEEP = 'Keep what ingest took on disk before it resolves, under the session and the entryId, or offer bootstrap and import the history there.';

/**
 * What an engine gives for a session must not depend on what went wrong on the way. Each case takes one session through a fault and another
 * one, with the same messages, past it; both contexts must hold the same. An engine that keeps nothing passes.
 */
export const contextEngineFaults: EngineFaultSuite = {
  port: 'context engine under faults',
  cases: [
    {
      fault: 'duplicate',
      name: 'an entry that comes again is not taken again, and a new one beside it is',
      hint: 'Tell entries apart by entryId alone: `replay` says that you may have seen the entry, not that you have.',
      ids: ['ENGINE-019', 'ENGINE-049'],
      timeoutMs: CASE_MS,
      skip: ofEntries,
      async run({ engine }) {
        const { calm, struck } = sessions('duplicate');
        await calm.tell(engine);
        await struck.tell(engine, 4);
        const taken = await struck.deliver(engine, 0, 4, true);
        assert.equal(taken, 0, `${taken} of 4 entries were taken twice`);
        // old ones and new ones in one delivery, as after a call that failed halfway
        const expected = calm.taken.slice(4, 8).filter(Boolean).length;
        struck.grow(8);
        const mixed = await struck.deliver(engine, 2, 8, true);
        assert.equal(mixed, expected, `${mixed} entries were taken from a delivery of 2 known and 4 new ones; without the fault ${expected} of the 4 are`);
        await struck.tell(engine);
        await compare(engine, calm, struck);
      },
    },
    {
      fault: 'budget',
      name: 'a budget that is lost or tiny is survived',
      hint: 'Keep the newest turn whatever tokenBudget says, never calculate with a missing one, and leave what you stored as it is.',
      timeoutMs: CASE_MS,
      async run({ engine, line }) {
        const { calm, struck } = sessions('budget');
        await calm.tell(engine);
        await struck.tell(engine);
        for (const tokenBudget of [1, undefined as unknown as number]) {
          const messages = [...struck.log];
          const given = { ...struck.ids, messages, tokenBudget, prompt: 'note-09' };
          const what = tokenBudget === undefined ? 'without a tokenBudget' : `with a tokenBudget of ${tokenBudget}`;
          // A missing budget is the host's mistake: to refuse it is as good as to do without.
          const result = await settle(engine.assemble(given), `assemble ${what}`);
          if (result instanceof Error && tokenBudget === undefined) continue;
          if (result instanceof Error) throw result;
          checkContext(result, what, line);
          assert.ok(notes(result.messages).includes('note-09'), `${what} the newest user message is lost`);
        }
        // How much of the rest it shows from now on is its own affair; what the question is about must be there.
        const [expected, result] = [await assemble(engine, calm, calm.log), await assemble(engine, struck, struck.log)].map(known);
        if (expected?.includes('note-02'))
          assert.ok(result?.includes('note-02'), 'once the budget is large again, what the question is about is lost for good');
      },
    },
    {
      fault: 'hang',
      name: 'a call whose signal is aborted while it works ends soon, and the next one finds all in order',
      hint: 'Pass `signal` on to everything that waits (also to runtimeContext.compactSession), and release locks in a `finally`.',
      timeoutMs: CASE_MS,
      async run({ engine, line }) {
        const { calm, struck, other } = sessions('hang');
        await calm.tell(engine);
        await struck.tell(engine, 4);
        struck.grow(5);
        await interrupt('ingest', (signal) => struck.deliver(engine, 4, 5, false, signal));
        struck.grow();
        await settleOrThrow(struck.deliver(engine, 4, struck.log.length, true), 'the ingest after an aborted one');
        const messages = [...struck.log];
        await interrupt('assemble', (signal) => engine.assemble({ ...struck.ids, messages, tokenBudget: BUDGET, prompt: 'note-09', signal }));
        const next =
          line === 'ancestor'
            ? assemble(engine, struck, struck.log).then((result) => checkContext(result, 'after the abort', line))
            : compare(engine, calm, struck);
        await settleOrThrow(next, 'the assemble after an aborted one');
        await other.tell(engine);
        await interrupt('compact', (signal) =>
          engine.compact({ ...other.ids, tokenBudget: 100, force: true, currentTokenCount: 400, signal, runtimeContext: { compactSession: endless } }),
        );
        const after = await settleOrThrow(assemble(engine, other, other.log), 'the assemble after an aborted compact');
        checkContext(after, 'after an aborted compact', line);
      },
    },
    {
      fault: 'clock',
      name: 'a clock that jumps changes neither order nor content',
      hint: 'Order by `seq` and recognise entries by entryId; a timestamp is for display only.',
      timeoutMs: CASE_MS,
      async run({ engine, skewClock, line }) {
        const { calm, struck } = sessions('clock');
        await calm.tell(engine);
        const jumps = [0, 100 * YEARS, -20 * YEARS, 0, -1_000 * YEARS];
        await struck.tell(engine, 0);
        try {
          for (let from = 0; from < SCRIPT.length; from += 2) {
            const jump = jumps[from / 2] ?? 0;
            skewClock?.(jump);
            struck.grow(from + 2, (message) => ({ ...message, timestamp: Math.max(0, message.timestamp + jump) }));
            await struck.deliver(engine, from, struck.log.length, false);
          }
          assert.deepEqual(struck.taken, calm.taken, 'with a clock that jumps other messages are taken');
          skewClock?.(-20 * YEARS);
          const result = await assemble(engine, struck, struck.log);
          checkContext(result, 'with a clock that jumps', line);
          assert.deepEqual(
            notes(result.messages),
            notes((await assemble(engine, calm, calm.log)).messages),
            'with a clock that jumps the context is another one',
          );
        } finally {
          skewClock?.(0);
        }
      },
    },
    {
      fault: 'swap',
      name: 'turns that another engine served are made up for',
      hint: 'Take a replayed entry that you have not seen, whatever came before it; in bootstrap import what is missing, not only into an empty store.',
      timeoutMs: CASE_MS,
      skip: ofEntries,
      async run({ engine, reopen }) {
        const { calm, struck, other } = sessions('swap');
        await calm.tell(engine);
        for (const session of [struck, other]) await session.tell(engine, 4);
        struck.grow(8);
        const taken = await struck.deliver(engine, 4, 8, true);
        const expected = calm.taken.slice(4, 8).filter(Boolean).length;
        assert.equal(taken, expected, `${taken} entries of a gap were taken; without the fault ${expected} are`);
        await struck.tell(engine);
        await compare(engine, calm, struck);
        if (reopen === undefined) return;
        const next = await reopen();
        const fresh = await another('swap', next);
        other.grow(8);
        await other.resume(next, 4);
        await other.tell(next);
        await compare(next, fresh, other);
      },
    },
    {
      fault: 'replay',
      name: 'a replay from zero changes nothing',
      hint: 'Recognise every entry that you have, however old, by entryId, and let bootstrap run again without doubling what is there.',
      timeoutMs: CASE_MS,
      skip: ofEntries,
      async run({ engine, reopen }) {
        const { calm, struck, other } = sessions('replay');
        for (const session of [calm, struck, other]) await session.tell(engine);
        const taken = await struck.deliver(engine, 0, struck.log.length, true);
        assert.equal(taken, 0, `${taken} of ${struck.log.length} entries were taken twice`);
        await compare(engine, calm, struck);
        if (reopen === undefined) return;
        const next = await reopen();
        const fresh = await another('replay', next);
        await other.resume(next, 0);
        await compare(next, fresh, other);
      },
    },
    {
      fault: 'restart',
      name: 'what was taken is there after a restart',
      hint: KEEP,
      timeoutMs: CASE_MS,
      skip: (context) => ofEntries(context) ?? (context.reopen === undefined ? NO_RESTART : undefined),
      async run({ engine, reopen }) {
        const { struck } = sessions('restart');
        await struck.tell(engine, 6);
        const next = await reopen?.();
        assert.ok(next !== undefined, NO_RESTART);
        const fresh = await another('restart', next);
        await struck.resume(next, 6);
        await struck.tell(next);
        await compare(next, fresh, struck);
      },
    },
  ],
};

/** Where a process is killed: in the middle of taking a message, or of making a context. */
export const KILL_POINTS = ['ingest', 'assemble'] as const;
export type KillPoint = (typeof KILL_POINTS)[number];
export const KILL_HINT = `${KEEP} Write so that half of a write is never read: a transaction, or a temporary file and rename.`;

/** Entries that are acknowledged when the process is killed; the one after them is on the host's disk. */
const ACKNOWLEDGED = 8;

/** Takes a session to a point and ends the process there by `die`, which does not return. */
export async function runUntilKill(engine: ContextEngine, point: KillPoint, die: () => void): Promise<void> {
  const { struck } = sessions(`kill-${point}`);
  await struck.tell(engine, ACKNOWLEDGED);
  struck.grow(ACKNOWLEDGED + 1);
  if (point === 'assemble') await struck.deliver(engine, ACKNOWLEDGED, struck.log.length, false);
  const call = point === 'ingest' ? struck.deliver(engine, ACKNOWLEDGED, struck.log.length, false) : assemble(engine, struck, struck.log);
  call.catch(() => undefined);
  await afterIo();
  die();
}

/** The check behind it: an engine of a new process, on the state that the killed one left. */
export async function checkAfterKill(engine: ContextEngine, point: KillPoint, line?: 'ancestor'): Promise<void> {
  const { struck } = sessions(`kill-${point}`);
  struck.grow(ACKNOWLEDGED + 1);
  if (line === 'ancestor') {
    checkContext(await assemble(engine, struck, struck.log), 'after the kill', line);
    return;
  }
  const fresh = await another(`kill-${point}`, engine);
  await struck.resume(engine, point === 'ingest' ? ACKNOWLEDGED : ACKNOWLEDGED + 1);
  await struck.tell(engine);
  await compare(engine, fresh, struck);
}

/** Of each case its own: an engine may keep the state of all in one place. */
function sessions(fault: string): { calm: ToldSession; struck: ToldSession; other: ToldSession } {
  const make = (part: string) => createToldSession(`${fault}-${part}`);
  return { calm: make('calm'), struck: make('struck'), other: make('other') };
}

/** The same session without a fault, told to an engine from the start. */
async function another(fault: string, engine: ContextEngine): Promise<ToldSession> {
  const fresh = createToldSession(`${fault}-fresh`);
  await fresh.tell(engine);
  return fresh;
}

/** Aborts a call as soon as it waits for something; it may fail, but it must end. */
async function interrupt(method: string, call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  const ended = settle((async () => call(controller.signal))(), `${method} after its signal was aborted`);
  await afterIo();
  controller.abort(new Error('the run was aborted'));
  await ended;
}

/** What a call gives or fails with. Throws when it does neither in time. */
async function settle<Result>(work: Promise<Result>, what: string): Promise<Result | Error> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), SETTLE_MS);
  });
  const ended = work.catch((error: unknown) => (error instanceof Error ? error : new Error(`it rejects with ${String(error)}`)));
  const result = await Promise.race([ended, late]);
  clearTimeout(timer);
  assert.ok(result !== 'late', `${what} did not end within ${SETTLE_MS} ms`);
  return result as Result | Error;
}

async function settleOrThrow<Result>(work: Promise<Result>, what: string): Promise<Result> {
  const result = await settle(work, what);
  if (result instanceof Error) throw result;
  return result;
}

/** A compaction of the host that waits for the model until it is told to stop. */
function endless({ signal }: CompactParams): Promise<CompactResult> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('the compaction was aborted')), { once: true });
    if (signal?.aborted) reject(new Error('the compaction was aborted'));
  });
}
