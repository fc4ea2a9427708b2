/** What the command queue and the durable inbox cost: time for each message, memory for a hundred thousand that wait. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createQueue, type QueueItem } from '../../core/agent/queue/queue.ts';
import { createRunBook } from '../../core/agent/queue/run-book.ts';
import type { RunRequest, RunResult } from '../../core/agent/run-request.ts';
import { silentLogger } from '../../core/logging/logger.ts';
import { openState } from '../../core/state/state.ts';
import type { SessionStoreFactory } from '../../sdk/index.ts';
import { createBenchMachine, ended, registered } from './machine.ts';
import { median, type Row, residentMb, row } from './measure.ts';

const WAITING = 100_000;
const SESSIONS = 1_000;
const TEXT = 'The mason asked for drawing 31 of the second plot. '.repeat(20);

export async function queueRows(quick: boolean): Promise<Row[]> {
  return [await messageRow(quick ? 500 : 5_000), await memoryRow()];
}

/** From the accepted request to its turn, and from its result to the next message: all that a run without inbox and queue would not do. */
async function messageRow(messages: number): Promise<Row> {
  const dir = mkdtempSync(join(tmpdir(), 'durar-bench-queue-'));
  const state = openState({ dir });
  const book = createRunBook({ inbox: state.inbox, now: Date.now, log: silentLogger });
  let begun: (() => void) | undefined;
  const queue = createQueue<QueueItem>({
    isBusy: () => false,
    idle: async () => undefined,
    steer: async () => false,
    interrupt() {},
    begin: () => begun?.(),
    dropped() {},
  });
  const settings = { mode: 'collect' as const, debounceMs: 1_000, cap: 20, drop: 'summarize' as const };
  const bare: number[] = [];
  const whole: number[] = [];
  for (let n = 0; n < messages; n += 1) {
    const runId = `run-${n}`;
    const sessionKey = `agent:main:s${n % 200}`;
    const request: RunRequest = { runId, sessionKey, message: TEXT, autoReply: true, channel: 'irc', to: '#x', accountId: 'a' };
    const accepted = { runId, sessionKey, sessionId: 's', agentId: 'main', acceptedAt: n };
    const meta = { durationMs: 1, aborted: false, agentMeta: { sessionId: 's' } };
    const result: RunResult = { runId, sessionKey, sessionId: 's', status: 'ok', startedAt: 0, endedAt: 1, payloads: [{ text: TEXT }], meta };

    let began = performance.now();
    state.db.run('INSERT INTO inbox_seen (key, at, id) VALUES (?, ?, ?)', `bare-${n}`, n, TEXT);
    state.db.run('DELETE FROM inbox_seen WHERE key = ?', `bare-${n}`);
    bare.push(performance.now() - began);

    began = performance.now();
    book.find(runId);
    book.enter({ request, accepted });
    const turn = new Promise<void>((resolve) => {
      begun = resolve;
    });
    await queue.offer(sessionKey, { id: runId, text: request.message, route: 'irc' }, settings);
    await turn;
    book.begin([runId]);
    book.end({ accepted, request, answers: [runId] } as unknown as Parameters<typeof book.end>[0], result, () => result);
    whole.push(performance.now() - began);
  }
  state.close();
  rmSync(dir, { recursive: true, force: true });
  const limit = { name: 'one row in and out of SQLite, ms', value: median(bare) };
  return row('inbox and queue, each message', 'ms', median(whole), limit, { at: 'most', value: 0.5, of: 'measured' });
}

/** A start with a hundred thousand messages of an earlier process, while the model does not answer. */
async function memoryRow(): Promise<Row> {
  const config = { agents: { defaults: { model: 'offline/script' } } };
  const idle = await createBenchMachine(config);
  const bare = await residentAfterStart(idle);
  idle.remove();
  const full = await createBenchMachine(config);
  const state = openState({ dir: join(full.stateDir, 'state') });
  for (let n = 0; n < WAITING; n += 1) {
    const runId = `run-${n}`;
    const sessionKey = `agent:main:s${n % SESSIONS}`;
    const request: RunRequest = { runId, sessionKey, message: `[[offline: stall]] ${TEXT}`, autoReply: true };
    state.inbox.add({ id: runId, sessionKey, request: { request, accepted: { runId, sessionKey, sessionId: '', agentId: 'main', acceptedAt: n } } }, n);
  }
  state.close();
  const store = await ((await registered('session-stores/local', full.stateDir)).registerSessionStore as SessionStoreFactory)();
  for (let n = 0; n < SESSIONS; n += 1) await store.open({ key: `agent:main:s${n}`, agentId: 'main' });
  await store.close();
  const memory = await residentAfterStart(full);
  full.remove();
  const what = `memory with ${WAITING.toLocaleString('en')} messages of 1 KB that wait`;
  return row(what, 'MB', memory, { name: 'with none, MB', value: bare }, { at: 'most', value: 2.5, of: 'ratio' });
}

async function residentAfterStart(bench: Awaited<ReturnType<typeof createBenchMachine>>): Promise<number> {
  const { child, client } = await bench.start();
  // by then all that is taken up at once is
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const memory = await residentMb(child.pid ?? 0);
  client.close();
  child.kill('SIGKILL');
  await ended(child);
  return memory;
}
