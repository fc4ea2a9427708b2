import { durarError, errorText } from '../../../sdk/index.ts';
import type { Logger } from '../../logging/logger.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { Inbox, InboxMessage } from '../../state/state.ts';
import type { Run, Runs } from '../run.ts';
import { findWritten, tracedResult, traceTurn } from '../turn/turn-trace.ts';
import { joinedResult } from './batch.ts';
import type { Dispatch } from './dispatch.ts';
import { createLanes } from './lanes.ts';
import { deadResult, type KeptRun, keptIn, type RunBook } from './run-book.ts';

/**
 * What earlier processes left in the inbox, taken up in each session's order. Until a session has none left, what is accepted for it waits behind.
 * Only ids are held here; what was asked is read when its turn has come.
 */
export interface Backlog {
  /** Begins to take it up, and forgets ids that are too old to come again. A second call does nothing. */
  resume(): void;
  /** The run waits until what came before it is taken up. False: there is nothing before it. */
  holds(run: Run): boolean;
  /** Takes one more message up, which is in the inbox and in no run. */
  add(message: Pick<InboxMessage, 'id' | 'sessionKey'>): void;
  /** Gives up what still waits here of a session. Returns the ids. */
  drop(sessionKey: string): string[];
  counts(): { sessions: number; waiting: number };
  /** Takes nothing more up. */
  close(): void;
}

interface Line {
  /** What the inbox had of the session when this process began: how many are left, behind which place, up to which. */
  left: number;
  afterSeq: number;
  toSeq: number;
  /** Read, and next to be taken up. */
  ids: string[];
  /** Behind those: ids of what is tried again, runs of what was accepted since. */
  behind: Array<string | Run>;
  isFed: boolean;
  /** The run that went on from the transcript; until it ends nothing else that is in there is looked at. */
  goesOn?: string;
}

/** A message with which the process ended this often, and its turn came no further, is given up where no other turn was under way at the end. */
const MAX_ATTEMPTS = { alone: 3, amongOthers: 5 };
/** Sessions that are taken up at the same time. */
const PARALLEL = 64;
const LANE = 'backlog';
const SUSPECTS = 'suspects';
/** Ids of a session that are read at a time. */
const PAGE = 200;
/** How long the id and the key of an answered message stay known, and how often older ones are forgotten. */
const KNOWN_MS = 7 * 86_400_000;
const SWEEP_MS = 6 * 3_600_000;
/** The longest delay a timer can have. */
const FOREVER_MS = 2 ** 31 - 1;

export function createBacklog(options: {
  inbox: Inbox;
  book: RunBook;
  runs: Runs;
  dispatch: Dispatch;
  sessions: SessionService;
  log: Logger;
  now: () => number;
}): Backlog {
  const { inbox, book, runs, dispatch, sessions, log, now } = options;
  const lines = new Map<string, Line>();
  const lanes = createLanes((lane) => (lane === LANE ? PARALLEL : 1));
  /** Turns that were under way when the last process ended; one that ends it hits the others as well. */
  let underWay = 0;
  let isResumed = false;
  let isClosed = false;
  let sweeping: NodeJS.Timeout | undefined;

  for (const { sessionKey, count, started, lastSeq } of inbox.sessions()) {
    lines.set(sessionKey, { left: count, afterSeq: 0, toSeq: lastSeq, ids: [], behind: [], isFed: false });
    if (started > 0) underWay += 1;
  }

  function feed(sessionKey: string, line: Line): void {
    if (line.isFed || !isResumed) return;
    line.isFed = true;
    lanes
      .run(LANE, () => empty(sessionKey, line))
      .catch((error: unknown) => log.error(`messages of an earlier process were not taken up: ${errorText(error)}`, { sessionKey }));
  }

  async function empty(sessionKey: string, line: Line): Promise<void> {
    let last: string | undefined;
    try {
      while (!isClosed) {
        const ids = nextIds(sessionKey, line);
        if (ids.length > 0) last = (await takeAll(sessionKey, line, ids)) ?? last;
        else if (line.behind.length === 0) break;
        else for (let run = line.behind[0]; run !== undefined && typeof run !== 'string'; run = line.behind[0]) dispatch.start(line.behind.shift() as Run);
      }
    } finally {
      lines.delete(sessionKey);
      for (const item of line.behind) if (typeof item !== 'string') dispatch.start(item);
    }
    // the place is given to another session when this one has nothing left to do
    if (last !== undefined) await runs.wait(last, FOREVER_MS);
  }

  /** Some of those that come next, as far as they are only on disk. */
  function nextIds(sessionKey: string, line: Line): Array<Pick<InboxMessage, 'id' | 'acceptedAt'>> {
    if (line.left > 0) {
      const page = inbox.lines({ sessionKey, afterSeq: line.afterSeq, toSeq: line.toSeq, limit: PAGE });
      line.afterSeq = page.at(-1)?.seq ?? line.toSeq;
      line.left = page.length < PAGE ? 0 : line.left - page.length;
      if (page.length > 0) return page;
    }
    const at = line.behind.findIndex((item) => typeof item !== 'string');
    const ids = line.behind.splice(0, at < 0 ? line.behind.length : at);
    return ids.flatMap((id) => (typeof id === 'string' ? (inbox.get(id) ?? []) : []));
  }

  async function takeAll(sessionKey: string, line: Line, messages: ReadonlyArray<Pick<InboxMessage, 'id' | 'acceptedAt'>>): Promise<string | undefined> {
    line.ids = messages.map(({ id }) => id);
    let last: string | undefined;
    const session = await sessions.get(sessionKey);
    const ids = new Set(line.ids);
    const since = messages.reduce((first, { acceptedAt }) => Math.min(first, acceptedAt), now());
    const written = session === undefined ? new Map<string, number>() : await findWritten(sessions, session, { ids, since });
    for (let id = line.ids.shift(); id !== undefined && !isClosed; id = line.ids.shift()) {
      try {
        last = (await takeUp(id, line, written)) ?? last;
      } catch (error) {
        if (isClosed) return last;
        log.error(`a message of an earlier process could not be taken up: ${errorText(error)}`, { runId: id, sessionKey });
        book.bury(id, errorText(error));
      }
    }
    return last;
  }

  /** Returns the id of the run that it began, if any. */
  async function takeUp(id: string, line: Line, written: ReadonlyMap<string, number>): Promise<string | undefined> {
    const fromSeq = written.get(id);
    if (fromSeq !== undefined && line.goesOn !== undefined) await runs.wait(line.goesOn, FOREVER_MS);
    const message = inbox.get(id);
    // answered with another one, taken up already or given up
    if (message === undefined || message.state === 'dead' || runs.accepted(id) !== undefined) return undefined;
    const kept = keptIn(message);
    if (kept.isCommand === true) {
      end(kept, deadResult(kept.accepted, durarError('DUR_RUN_INTERRUPTED'), now()));
      return undefined;
    }
    if (fromSeq !== undefined) return await goOn(kept, line, fromSeq);
    return await carefully([message], () => startAnew(kept));
  }

  /** What may have ended the process is given up, or runs one at a time, so that it is known which one it was. */
  async function carefully(messages: readonly InboxMessage[], start: () => Promise<string>): Promise<string | undefined> {
    const attempts = messages.reduce((most, message) => Math.max(most, message.attempts), 0);
    if (attempts >= (underWay > 1 ? MAX_ATTEMPTS.amongOthers : MAX_ATTEMPTS.alone)) {
      for (const message of messages) giveUp(message);
      return undefined;
    }
    if (attempts < MAX_ATTEMPTS.alone) return await start();
    return await lanes.run(SUSPECTS, async () => {
      if (isClosed) return undefined;
      const runId = await start();
      await runs.wait(runId, FOREVER_MS);
      return runId;
    });
  }

  async function startAnew({ request, accepted }: KeptRun): Promise<string> {
    const { runId, sessionKey } = accepted;
    log.info('a message of an earlier process is taken up', { runId, sessionKey });
    dispatch.start(book.adopt(runs.begin(request, accepted)));
    if (request.autoReply !== true) await runs.wait(runId, FOREVER_MS);
    return runId;
  }

  /** The message's words are in the transcript: its turn goes on, or its reply is there and only has to be delivered. */
  async function goOn(own: KeptRun, line: Line, fromSeq: number): Promise<string | undefined> {
    const session = await sessions.get(own.accepted.sessionKey);
    if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key: own.accepted.sessionKey });
    const isOpen = (id: string) => (inbox.get(id)?.state ?? 'dead') !== 'dead';
    const trace = await traceTurn(sessions, session, fromSeq, isOpen);
    const open = [...new Set(trace.runIds)].filter(isOpen).flatMap((id) => inbox.get(id) ?? []);
    if (trace.last === undefined && open.every(({ progress }) => trace.done > progress)) {
      const ids = open.map(({ id }) => id);
      inbox.advance(ids, trace.done);
      for (const message of open) message.attempts = 0;
    }
    if (trace.last === undefined) {
      if (trace.isPast !== true) return await carefully(open, async () => resumeTurn(own, line, open));
      const alone = open.filter(({ id }) => id === own.accepted.runId);
      return await carefully(alone, () => startAnew(own));
    }
    const run = lead(own, open);
    log.info('the reply of an earlier process is delivered', { runId: run.accepted.runId, messages: run.answers.length });
    const result = tracedResult({ request: run.request, accepted: run.accepted }, trace, now());
    run.emit('lifecycle', { phase: 'start', startedAt: result.startedAt });
    const text = trace.texts.join('\n\n');
    if (text !== '') run.emit('assistant', { text, delta: text });
    dispatch.conclude(run, result);
    return undefined;
  }

  function resumeTurn(own: KeptRun, line: Line, open: readonly InboxMessage[]): string {
    const run = lead(own, open);
    const { runId, sessionKey } = run.accepted;
    log.info('a turn of an earlier process goes on', { runId, sessionKey, messages: open.length });
    line.goesOn = runId;
    dispatch.goOn(run);
    return runId;
  }

  /** The run of the first of them, which answers them all. Those who ask for one of the others are told which run it went into. */
  function lead(own: KeptRun, open: readonly InboxMessage[]): Run {
    const [first, ...others] = open.map(keptIn);
    const { request, accepted } = first ?? own;
    for (const other of others) {
      const joined = runs.begin(request, other.accepted, []);
      runs.finish(joined, joinedResult(other.accepted, { stopReason: 'collected', joinedRunId: accepted.runId }, now()));
    }
    return book.adopt(
      runs.begin(
        request,
        accepted,
        open.map(({ id }) => id),
      ),
    );
  }

  function giveUp(message: InboxMessage): void {
    const { id, attempts, sessionKey } = message;
    const kept = keptIn(message);
    const error = durarError('DUR_RUN_GIVEN_UP', { attempts });
    log.error(error.message, { runId: id, sessionKey });
    book.bury(id, error.message);
    const run = runs.begin(kept.request, kept.accepted, []);
    dispatch.conclude(run, deadResult(kept.accepted, error, now()));
  }

  function end(kept: KeptRun, result: Parameters<Dispatch['conclude']>[1]): void {
    dispatch.conclude(book.adopt(runs.begin(kept.request, kept.accepted)), result);
  }

  return {
    resume() {
      if (isResumed) return;
      isResumed = true;
      const sweep = () => inbox.sweep(now() - KNOWN_MS);
      sweep();
      sweeping = setInterval(sweep, SWEEP_MS).unref();
      for (const [sessionKey, line] of lines) feed(sessionKey, line);
    },
    holds(run) {
      const line = lines.get(run.accepted.sessionKey);
      if (line === undefined) return false;
      line.behind.push(run);
      // nobody waits for the end of what is taken back
      const leave = () => {
        const at = line.behind.indexOf(run);
        if (at < 0) return;
        line.behind.splice(at, 1);
        dispatch.start(run);
      };
      run.signal.addEventListener('abort', leave, { once: true });
      return true;
    },
    add({ id, sessionKey }) {
      const line = lines.get(sessionKey) ?? { left: 0, afterSeq: 0, toSeq: 0, ids: [], behind: [], isFed: false };
      line.behind.push(id);
      lines.set(sessionKey, line);
      feed(sessionKey, line);
    },
    drop(sessionKey) {
      const line = lines.get(sessionKey);
      if (line === undefined) return [];
      const left = line.left === 0 ? [] : inbox.lines({ sessionKey, afterSeq: line.afterSeq, toSeq: line.toSeq, limit: line.left });
      const ids = [...line.ids.splice(0), ...left.map(({ id }) => id), ...line.behind.filter((item) => typeof item === 'string')];
      line.left = 0;
      line.behind = line.behind.filter((item) => typeof item !== 'string');
      const time = now();
      book.dismiss(ids, (runId) => ({
        ...joinedResult({ runId, sessionKey, sessionId: '', acceptedAt: time }, { stopReason: 'collected' }, time),
        meta: { durationMs: 0, aborted: true, stopReason: 'rpc', agentMeta: { sessionId: '' } },
      }));
      return ids;
    },
    counts() {
      let waiting = 0;
      for (const { left, ids, behind } of lines.values()) waiting += left + ids.length + behind.length;
      return { sessions: lines.size, waiting };
    },
    close() {
      isClosed = true;
      clearInterval(sweeping);
    },
  };
}
