import { durarError, errorText } from '../../../sdk/index.ts';
import type { Logger } from '../../logging/logger.ts';
import { effectiveQueue } from '../directives/session-settings.ts';
import type { Run, Runs } from '../run.ts';
import type { RunResult } from '../run-request.ts';
import { runTurn } from '../turn/turn.ts';
import { unstartedResult } from '../turn/turn-result.ts';
import type { TurnDeps } from '../turn/turn-state.ts';
import { joinedResult, mergeRequests, routeOf } from './batch.ts';
import type { Lanes } from './lanes.ts';
import { type Batch, createQueue, type DropReason, type QueueItem } from './queue.ts';
import type { RunBook } from './run-book.ts';

/** Brings accepted runs to their turn and to their end: through the queue of their session where they are messages of people, then through the lanes. */
export interface Dispatch {
  /** A message that follows the queue's mode is offered to it; every other run waits its turn. */
  start(run: Run): void;
  /** A run whose words are in the transcript already goes on from there. */
  goOn(run: Run): void;
  /** Ends a run without a turn of its own. */
  conclude(run: Run, result: RunResult): void;
  /** Forgets what the session's next turn was to tell of dropped messages. */
  forget(sessionKey: string): void;
  /** Messages that wait for quiet, for the running turn or for a summary, all sessions together. */
  waiting(): number;
}

interface Item extends QueueItem {
  run: Run;
}

export const DEFAULT_LANE = 'main';
/** A run that waited longer than this for its turn says so in the verbose log. */
const LONG_WAIT_MS = 2_000;

export function createDispatch(options: {
  deps: TurnDeps;
  runs: Runs;
  lanes: Lanes;
  book: RunBook;
  log: Logger;
  /** Hears of every result before anybody else. */
  note(result: RunResult): void;
  /** The service waits for it before it closes. */
  track(task: Promise<void>): void;
}): Dispatch {
  const { deps, runs, lanes, book, log, track } = options;
  const { now } = deps;
  /** Runs with a turn or about to have one, by session, until their result is known. */
  const working = new Map<string, { runs: Set<Run>; idle: PromiseWithResolvers<void> }>();
  /** Runs whose turn has begun. */
  const begun = new WeakSet<Run>();
  /** Messages that the queue holds or is about to. */
  const waiting = new Set<Run>();
  /** Offers of a session are made one after the other. */
  const offers = new Map<string, Promise<void>>();

  function enter(run: Run): void {
    const { sessionKey } = run.accepted;
    const present = working.get(sessionKey);
    if (present === undefined) working.set(sessionKey, { runs: new Set([run]), idle: Promise.withResolvers() });
    else present.runs.add(run);
  }

  function leave(run: Run): void {
    const { sessionKey } = run.accepted;
    const present = working.get(sessionKey);
    if (present === undefined || !present.runs.delete(run) || present.runs.size > 0) return;
    working.delete(sessionKey);
    present.idle.resolve();
  }

  function conclude(run: Run, result: RunResult): void {
    options.note(result);
    if (result.meta.stopReason !== 'shutdown') book.end(run, result, (id) => joinedTo(run, id));
    else if (begun.has(run)) book.park(run.answers);
    publishEnd(run, result);
  }

  function publishEnd(run: Run, result: RunResult): void {
    const { startedAt, endedAt, error, meta } = result;
    const { aborted, stopReason, joinedRunId } = meta;
    const how = error !== undefined && !aborted ? { phase: 'error', error: error.message } : { phase: 'end', ...(aborted ? { aborted } : {}) };
    const why = how.phase === 'end' && stopReason !== undefined ? { stopReason } : {};
    run.emit('lifecycle', { ...how, ...why, ...(joinedRunId === undefined ? {} : { joinedRunId }), startedAt, endedAt });
    runs.finish(run, result);
  }

  const joinedTo = ({ accepted }: Run, runId: string): RunResult =>
    joinedResult({ ...accepted, runId }, { stopReason: 'collected', joinedRunId: accepted.runId }, now());

  /** Its message is in another run's turn; the inbox has it until that one ends. */
  function join(run: Run, how: Parameters<typeof joinedResult>[1]): void {
    publishEnd(run, joinedResult(run.accepted, how, now()));
  }

  function noteQueued({ accepted: { runId, sessionKey } }: Run, lane: string): void {
    log.debug(`queued in lane ${lane}`, { runId, sessionKey, lane, ...lanes.depth(lane) });
  }

  function noteWait({ accepted: { runId, sessionKey, acceptedAt } }: Run, lane: string): void {
    const waited = now() - acceptedAt;
    if (waited > LONG_WAIT_MS) log.debug(`queued for ${waited}ms`, { runId, sessionKey, lane, depth: lanes.depth(lane).waiting, waiting: waiting.size });
  }

  /** One turn of its session at a time, and of all sessions as many as the lane allows. The engine's end of turn holds only the session. */
  async function execute(run: Run, goesOn = false): Promise<void> {
    enter(run);
    let isSettled = false;
    const settle = (result: RunResult): void => {
      isSettled = true;
      conclude(run, result);
      leave(run);
    };
    const lane = run.request.lane ?? DEFAULT_LANE;
    const begin = (): void => {
      if (begun.has(run)) return;
      book.begin(run.answers);
      begun.add(run);
      noteWait(run, lane);
      if (goesOn) run.emit('lifecycle', { phase: 'start', startedAt: now() });
    };
    try {
      const own = `session:${run.accepted.sessionKey}`;
      noteQueued(run, own);
      await lanes.run(
        own,
        async () => {
          for (let resume = goesOn; !isSettled; resume = true) {
            const attempt = () => {
              begin();
              return runTurn(deps, run, resume);
            };
            noteQueued(run, lane);
            const turn = await lanes.run(lane, attempt, run.signal);
            if (turn.result !== undefined) settle(turn.result);
            await turn.after();
          }
        },
        run.signal,
      );
    } catch (error) {
      if (isSettled) log.error(`the end of a turn failed: ${errorText(error)}`, { runId: run.accepted.runId });
      else settle(unstartedResult(run, error, now()));
    }
  }

  const queue = createQueue<Item>({
    now,
    isBusy: (key) => working.has(key),
    idle: async (key) => working.get(key)?.idle.promise,
    steer,
    interrupt(key) {
      for (const run of working.get(key)?.runs ?? []) {
        if (begun.has(run) || run.request.autoReply === true) run.abort('rpc', durarError('DUR_RUN_ABORTED'));
      }
    },
    begin,
    dropped,
    summarized(_key, { run }) {
      if (waiting.delete(run)) join(run, { stopReason: 'summarized' });
    },
  });

  /** Into the running turn, when the answer would be the same person's. `keeps`: the message gets a turn of its own as well. */
  async function steer(key: string, { run, route }: Item, keeps: boolean): Promise<boolean> {
    const target = [...(working.get(key)?.runs ?? [])].find(({ steering, signal }) => steering.inject !== undefined && !signal.aborted);
    if (target === undefined || routeOf(target.request) !== route || !waiting.has(run)) return !waiting.has(run);
    const runIds = keeps ? [] : run.answers;
    const taken = await target.steering.inject?.({
      request: run.request,
      signal: run.signal,
      runIds,
      before: () => book.begin(runIds),
      taken() {
        if (keeps || !waiting.delete(run)) return;
        target.takeIn(runIds);
        join(run, { stopReason: 'steered', joinedRunId: target.accepted.runId });
      },
    });
    return taken === true || !waiting.has(run);
  }

  function begin(_key: string, { items, dropped: told, summary }: Batch<Item>): void {
    const wanted = items.map(({ run }) => run).filter((run) => waiting.delete(run));
    const last = wanted.at(-1);
    if (last === undefined) {
      tell(told, summary);
      return;
    }
    const others = wanted.slice(0, -1);
    if (others.length > 0 || summary !== undefined) {
      last.takeIn([...others.flatMap(({ answers }) => answers), ...told], mergeRequests([...others.map(({ request }) => request), last.request], summary));
    }
    for (const other of others) join(other, { stopReason: 'collected', joinedRunId: last.accepted.runId });
    track(execute(last));
  }

  /** A turn for dropped messages alone, when all that came after them were taken back. */
  function tell(dropped: readonly string[], summary: string | undefined): void {
    const newest = dropped.at(-1);
    const fate = newest === undefined ? undefined : book.find(newest);
    if (fate === undefined || !('kept' in fate) || summary === undefined || deps.closing.aborted) return;
    const { images: _images, preface: _preface, ...request } = fate.kept.request;
    const runId = `${newest}:summary`;
    track(execute(runs.begin({ ...request, runId, message: summary }, { ...fate.kept.accepted, runId }, dropped)));
  }

  function dropped(key: string, { run }: Item, reason: DropReason): void {
    if (!waiting.delete(run)) return;
    const { runId } = run.accepted;
    log.warn(reason === 'full' ? 'a message was dropped: the queue of its session is full' : 'a message was dropped: a newer one took its place', {
      runId,
      sessionKey: key,
    });
    if (reason === 'superseded') run.abort('rpc', durarError('DUR_RUN_ABORTED'));
    const failure = reason === 'full' ? durarError('DUR_QUEUE_FULL', { cap: queue.waiting(key).length }) : run.signal.reason;
    const result = unstartedResult(run, failure, now());
    book.dismiss(run.answers, () => result);
    publishEnd(run, result);
  }

  /** The settings count as they are when the message's turn to be offered has come. */
  async function offer(run: Run, before: Promise<void> | undefined): Promise<void> {
    const { runId, sessionKey } = run.accepted;
    const item: Item = { id: runId, text: run.request.message, route: routeOf(run.request), run };
    await before;
    if (!waiting.has(run)) return;
    const { config } = deps.source.current();
    const session = queue.isIdle(sessionKey) ? undefined : await deps.sessions.get(sessionKey);
    const settings = effectiveQueue(config, session ?? {}, run.request.channel);
    if (!waiting.has(run)) return;
    // a message that steers is decided on when the turn takes it; those behind it need not wait for that
    queue.offer(sessionKey, item, settings).catch((error: unknown) => fail(run, error));
  }

  function fail(run: Run, error: unknown): void {
    if (waiting.delete(run)) conclude(run, unstartedResult(run, error, now()));
  }

  function enqueue(run: Run): void {
    const { runId, sessionKey } = run.accepted;
    waiting.add(run);
    if (run.signal.aborted) {
      fail(run, run.signal.reason);
      return;
    }
    const stopped = () => {
      queue.remove(sessionKey, runId);
      fail(run, run.signal.reason);
    };
    run.signal.addEventListener('abort', stopped, { once: true });
    const before = offers.get(sessionKey);
    const offered = offer(run, before)
      .catch((error: unknown) => fail(run, error))
      .then(() => {
        if (offers.get(sessionKey) === offered) offers.delete(sessionKey);
      });
    offers.set(sessionKey, offered);
  }

  return {
    start(run) {
      const { autoReply, provenance } = run.request;
      if (autoReply === true && provenance?.kind !== 'inter_session') enqueue(run);
      else track(execute(run));
    },
    goOn: (run) => track(execute(run, true)),
    conclude,
    forget(sessionKey) {
      const time = now();
      const accepted = { sessionKey, sessionId: '', acceptedAt: time };
      book.dismiss(queue.forget(sessionKey), (runId) => joinedResult({ ...accepted, runId }, { stopReason: 'summarized' }, time));
    },
    waiting: () => waiting.size,
  };
}
