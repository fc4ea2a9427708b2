import { durarError, errorText } from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { SessionService } from '../sessions/service.ts';
import type { Inbox, InboxMessage } from '../state/state.ts';
import { joinedResult } from './batch.ts';
import type { Dispatch } from './dispatch.ts';
import { createLanes } from './lanes.ts';
import type { Run, Runs } from './run.ts';
import { deadResult, type KeptRun, keptIn, type RunBook } from './run-book.ts';
import { findWritten, tracedResult, traceTurn } from './turn-trace.ts';

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
}

/** A message with which the process ended this often is given up. */
const MAX_ATTEMPTS = 3;
/** Sessions that are taken up at the same time. */
const PARALLEL = 64;
const LANE = 'backlog';
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
  const lanes = createLanes(() => PARALLEL);
  let isResumed = false;
  let isClosed = false;
  let sweeping: NodeJS.Timeout | undefined;

  for (const { sessionKey, count, lastSeq } of inbox.sessions())
    lines.set(sessionKey, { left: count, afterSeq: 0, toSeq: lastSeq, ids: [], behind: [], isFed: false });

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
        last = (await takeUp(id, written)) ?? last;
      } catch (error) {
        if (isClosed) return last;
        log.error(`a message of an earlier process could not be taken up: ${errorText(error)}`, { runId: id, sessionKey });
        book.bury(id, errorText(error));
      }
    }
    return last;
  }

  /** Returns the id of the run that it began, if any. */
  async function takeUp(id: string, written: ReadonlyMap<string, number>): Promise<string | undefined> {
    const message = inbox.get(id);
    // answered with another one, taken up already or given up
    if (message === undefined || message.state === 'dead' || runs.accepted(id) !== undefined) return undefined;
    const kept = keptIn(message);
    const fromSeq = written.get(id);
    if (message.attempts >= MAX_ATTEMPTS) return giveUp(message, kept);
    if (kept.isCommand === true) {
      end(kept, deadResult(kept.accepted, durarError('DUR_RUN_INTERRUPTED'), now()));
      return undefined;
    }
    return fromSeq === undefined ? await startAnew(kept) : await goOn(kept, fromSeq);
  }

  async function startAnew({ request, accepted }: KeptRun): Promise<string> {
    const { runId, sessionKey } = accepted;
    log.info('a message of an earlier process is taken up', { runId, sessionKey });
    dispatch.start(book.adopt(runs.begin(request, accepted)));
    if (request.autoReply !== true) await runs.wait(runId, FOREVER_MS);
    return runId;
  }

  /** The message's words are in the transcript: its turn goes on, or its reply is there and only has to be delivered. */
  async function goOn(own: KeptRun, fromSeq: number): Promise<string | undefined> {
    const session = await sessions.get(own.accepted.sessionKey);
    if (session === undefined) throw durarError('DUR_SESSION_UNKNOWN', { key: own.accepted.sessionKey });
    const isOpen = (id: string) => (inbox.get(id)?.state ?? 'dead') !== 'dead';
    const trace = await traceTurn(sessions, session, fromSeq, isOpen);
    if (trace.isPast === true && trace.last === undefined) return startAnew(own);
    const open = [...new Set(trace.runIds)].filter(isOpen).flatMap((id) => inbox.get(id) ?? []);
    const [first] = open;
    const lead = first === undefined ? own : keptIn(first);
    const { runId, sessionKey } = lead.accepted;
    const ids = open.map(({ id }) => id);
    // those who ask for one of the others are told which run it went into
    for (const { accepted } of open.slice(1).map(keptIn)) {
      const joined = runs.begin(lead.request, accepted, []);
      runs.finish(joined, joinedResult(accepted, { stopReason: 'collected', joinedRunId: runId }, now()));
    }
    const run = book.adopt(runs.begin(lead.request, lead.accepted, ids));
    if (trace.last === undefined) {
      log.info('a turn of an earlier process goes on', { runId, sessionKey, messages: ids.length });
      dispatch.goOn(run);
      await runs.wait(runId, FOREVER_MS);
      return runId;
    }
    log.info('the reply of an earlier process is delivered', { runId, sessionKey, messages: ids.length });
    const result = tracedResult(lead, trace, now());
    run.emit('lifecycle', { phase: 'start', startedAt: result.startedAt });
    const text = trace.texts.join('\n\n');
    if (text !== '') run.emit('assistant', { text, delta: text });
    dispatch.conclude(run, result);
    return undefined;
  }

  function giveUp({ id, attempts, sessionKey }: InboxMessage, kept: KeptRun): undefined {
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
      line?.behind.push(run);
      return line !== undefined;
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
