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
  /** Begins to take it up. A second call does nothing. */
  resume(): void;
  /** The run waits until what came before it is taken up. False: there is nothing before it. */
  holds(run: Run): boolean;
  /** Takes one more message up, which is in the inbox and in no run. */
  add(message: Pick<InboxMessage, 'id' | 'sessionKey' | 'acceptedAt'>): void;
  /** Gives up what still waits here of a session. Returns the ids. */
  drop(sessionKey: string): string[];
  counts(): { sessions: number; waiting: number };
  /** Takes nothing more up. */
  close(): void;
}

interface Line {
  /** Ids of what is only on disk, runs of what was accepted since. */
  items: Array<string | Run>;
  next: number;
  /** epoch ms of the first one */
  since: number;
  isFed: boolean;
  /** Where the entries of its messages are; absent: not looked for yet. */
  written?: Map<string, number>;
}

/** A message with which the process ended this often is given up. */
const MAX_ATTEMPTS = 3;
/** Sessions that are taken up at the same time. */
const PARALLEL = 64;
const LANE = 'backlog';
const PAGE = 5_000;
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

  for (let page = inbox.lines(0, PAGE); page.length > 0; page = inbox.lines(page.at(-1)?.seq, PAGE)) {
    for (const { id, sessionKey, acceptedAt } of page) lineOf(sessionKey, acceptedAt).items.push(id);
  }

  function lineOf(sessionKey: string, since: number): Line {
    let line = lines.get(sessionKey);
    if (line === undefined) {
      line = { items: [], next: 0, since, isFed: false };
      lines.set(sessionKey, line);
    }
    return line;
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
      while (line.next < line.items.length && !isClosed) {
        const item = line.items[line.next];
        line.next += 1;
        if (item === undefined) continue;
        if (typeof item !== 'string') {
          dispatch.start(item);
          continue;
        }
        try {
          line.written ??= await writtenIn(sessionKey, line);
          last = (await takeUp(item, line.written)) ?? last;
        } catch (error) {
          if (isClosed) return;
          log.error(`a message of an earlier process could not be taken up: ${errorText(error)}`, { runId: item, sessionKey });
          book.bury(item, errorText(error));
        }
      }
    } finally {
      lines.delete(sessionKey);
      for (const item of line.items.slice(line.next)) if (typeof item !== 'string') dispatch.start(item);
    }
    // the place is given to another session when this one has nothing left to do
    if (last !== undefined) await runs.wait(last, FOREVER_MS);
  }

  async function writtenIn(sessionKey: string, { items, since }: Line): Promise<Map<string, number>> {
    const session = await sessions.get(sessionKey);
    if (session === undefined) return new Map();
    const ids = new Set(items.filter((item) => typeof item === 'string'));
    return findWritten(sessions, session, { ids, since });
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
      for (const [sessionKey, line] of lines) feed(sessionKey, line);
    },
    holds(run) {
      const line = lines.get(run.accepted.sessionKey);
      line?.items.push(run);
      return line !== undefined;
    },
    add({ id, sessionKey, acceptedAt }) {
      const line = lineOf(sessionKey, acceptedAt);
      line.items.push(id);
      line.since = Math.min(line.since, acceptedAt);
      delete line.written;
      feed(sessionKey, line);
    },
    drop(sessionKey) {
      const line = lines.get(sessionKey);
      if (line === undefined) return [];
      const ids = line.items.splice(line.next).filter((item) => typeof item === 'string');
      const time = now();
      book.dismiss(ids, (runId) => ({
        ...joinedResult({ runId, sessionKey, sessionId: '', acceptedAt: time }, { stopReason: 'collected' }, time),
        meta: { durationMs: 0, aborted: true, stopReason: 'rpc', agentMeta: { sessionId: '' } },
      }));
      return ids;
    },
    counts() {
      let waiting = 0;
      for (const { items, next } of lines.values()) waiting += items.length - next;
      return { sessions: lines.size, waiting };
    },
    close() {
      isClosed = true;
    },
  };
}
