import type { Db, Row } from './db.ts';

/** A message for somebody outside, before it has a place in the outbox. */
export interface Outgoing {
  /** The same message has the same id, so that it is put here once: a run's id and the message's place among its replies. */
  id: string;
  channel: string;
  /** Empty: the channel's default when it goes out. */
  accountId: string;
  to: string;
  threadId?: string | undefined;
  /** The run it answers, when there is one. */
  runId?: string | undefined;
  sessionKey?: string | undefined;
  /** What is to be sent; the room that sends it knows its shape. JSON. */
  payload: unknown;
}

/**
 * `pending`: to be sent, at `dueAt` or later. `sending`: handed to the channel; found like this after a crash nobody knows whether it went
 * out. `dead`: given up, waits for a person.
 */
export type OutboxState = 'pending' | 'sending' | 'dead';

export interface OutboxMessage extends Outgoing {
  /** Order of acceptance; messages of one conversation go out in it. */
  seq: number;
  state: OutboxState;
  attempts: number;
  /** epoch ms */
  createdAt: number;
  /** epoch ms */
  dueAt: number;
  /** A crash came while it was being sent, or its connection broke: it may show twice. */
  uncertain: boolean;
  /** How far its delivery has come; the room that sends it knows its shape. */
  progress?: unknown;
  lastError?: string;
}

/** Whom a message goes to, and by what. */
export type Conversation = Pick<Outgoing, 'channel' | 'accountId' | 'to' | 'threadId'>;

/** What is still to be sent, on disk. A message leaves it when the channel has taken it. */
export interface Outbox {
  /** Those that are new; a known id changes nothing, also when that message is long gone. */
  add(messages: readonly Outgoing[], now: number): void;
  get(id: string): OutboxMessage | undefined;
  /** Whether a message of this id is here or has left. */
  knows(id: string): boolean;
  /** Those with a message that waits, the longest waiting first. */
  conversations(): Conversation[];
  /** The message of a conversation that is to go out before all its others. */
  next(conversation: Conversation): OutboxMessage | undefined;
  /** Told of each message that is new here, while the transaction that brought it may still be open. Returns its own remover. */
  onAdd(listener: (message: Outgoing) => void): () => void;
  /** Those that wait, in order, a page behind `afterSeq`; a later `dueAt` does not keep one out. */
  pending(afterSeq?: number, limit?: number): OutboxMessage[];
  /** `progress`: absent, it stays as it was. */
  sending(id: string, progress?: unknown): void;
  progress(id: string, progress: unknown): void;
  /** Its request failed and may have been carried out all the same. */
  doubt(id: string): void;
  sent(id: string): void;
  /** As if it had never been here. */
  forget(id: string): void;
  /** Back to wait until `dueAt`. */
  delay(id: string, dueAt: number, error: string): void;
  bury(id: string, error: string): void;
  /** At the start of a process: what was being sent waits again, flagged. Returns how many. */
  recover(): number;
  dead(limit?: number): OutboxMessage[];
  /** Sends a dead message anew, what of it went out excepted; its age counts from `now`. False when there is no such. */
  retry(id: string, now: number): boolean;
  /** Forgets a message that is not being sent. False when there is no such. */
  drop(id: string): boolean;
  counts(): Record<OutboxState, number>;
  /** Forgets the ids of messages that left before `before`, epoch ms. */
  sweep(before: number): void;
}

const STEPS = [
  `CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    target TEXT NOT NULL,
    thread TEXT,
    run TEXT,
    session TEXT,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    due INTEGER NOT NULL,
    uncertain INTEGER NOT NULL DEFAULT 0,
    error TEXT
  ) STRICT;
  CREATE INDEX outbox_state ON outbox (state, seq);
  CREATE TABLE outbox_gone (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  `ALTER TABLE outbox ADD COLUMN progress TEXT;
  CREATE INDEX outbox_conversation ON outbox (state, channel, account, target, thread, seq)`,
];

const PAGE = 500;

export function createOutbox(db: Db, now: () => number = Date.now): Outbox {
  db.migrate('outbox', STEPS);
  const listeners = new Set<(message: Outgoing) => void>();

  /** Its id stays known for a while, so that the same message is not put here again. */
  function leave(id: string): boolean {
    return db.transaction(() => {
      if (db.run(`DELETE FROM outbox WHERE id = ?`, id) === 0) return false;
      db.run('INSERT OR REPLACE INTO outbox_gone (id, at) VALUES (?, ?)', id, now());
      return true;
    });
  }

  return {
    add(messages, at) {
      for (const message of messages) {
        const { id, channel, accountId, to, threadId, runId, sessionKey, payload } = message;
        const added = db.run(
          `INSERT INTO outbox (id, channel, account, target, thread, run, session, payload, state, created, due)
           SELECT ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ? WHERE NOT EXISTS (SELECT 1 FROM outbox_gone WHERE id = ?)
           ON CONFLICT DO NOTHING`,
          id,
          channel,
          accountId,
          to,
          threadId ?? null,
          runId ?? null,
          sessionKey ?? null,
          JSON.stringify(payload),
          at,
          at,
          id,
        );
        if (added > 0) for (const listener of listeners) listener(message);
      }
    },
    get(id) {
      const row = db.get('SELECT * FROM outbox WHERE id = ?', id);
      return row === undefined ? undefined : messageOf(row);
    },
    knows: (id) => db.get('SELECT 1 FROM outbox WHERE id = ?', id) !== undefined || db.get('SELECT 1 FROM outbox_gone WHERE id = ?', id) !== undefined,
    conversations: () =>
      db
        .all(
          `SELECT channel, account, target, thread, min(seq) AS first FROM outbox WHERE state = 'pending'
           GROUP BY channel, account, target, thread ORDER BY first`,
        )
        .map(conversationOf),
    next({ channel, accountId, to, threadId }) {
      const row = db.get(
        `SELECT * FROM outbox WHERE state = 'pending' AND channel = ? AND account = ? AND target = ? AND thread IS ? ORDER BY seq LIMIT 1`,
        channel,
        accountId,
        to,
        threadId ?? null,
      );
      return row === undefined ? undefined : messageOf(row);
    },
    onAdd(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    pending: (afterSeq = 0, limit = PAGE) =>
      db.all(`SELECT * FROM outbox WHERE state = 'pending' AND seq > ? ORDER BY seq LIMIT ?`, afterSeq, limit).map(messageOf),
    sending: (id, progress) =>
      void db.run(
        `UPDATE outbox SET state = 'sending', attempts = attempts + 1, progress = coalesce(?, progress) WHERE id = ?`,
        progress === undefined ? null : JSON.stringify(progress),
        id,
      ),
    progress: (id, progress) => void db.run(`UPDATE outbox SET progress = ? WHERE id = ?`, JSON.stringify(progress), id),
    doubt: (id) => void db.run('UPDATE outbox SET uncertain = 1 WHERE id = ?', id),
    sent: (id) => void leave(id),
    forget: (id) => void db.run('DELETE FROM outbox WHERE id = ?', id),
    delay: (id, dueAt, error) => void db.run(`UPDATE outbox SET state = 'pending', due = ?, error = ? WHERE id = ?`, dueAt, error, id),
    bury: (id, error) => void db.run(`UPDATE outbox SET state = 'dead', error = ? WHERE id = ?`, error, id),
    recover: () => db.run(`UPDATE outbox SET state = 'pending', uncertain = 1, due = 0 WHERE state = 'sending'`),
    dead: (limit = PAGE) => db.all(`SELECT * FROM outbox WHERE state = 'dead' ORDER BY seq LIMIT ?`, limit).map(messageOf),
    retry(id, at) {
      if (db.run(`UPDATE outbox SET state = 'pending', attempts = 0, created = ?, due = ? WHERE id = ? AND state = 'dead'`, at, at, id) === 0) return false;
      const row = db.get('SELECT * FROM outbox WHERE id = ?', id);
      if (row !== undefined) for (const listener of listeners) listener(messageOf(row));
      return true;
    },
    drop(id) {
      const state = db.get('SELECT state FROM outbox WHERE id = ?', id)?.state;
      return state !== undefined && state !== 'sending' && leave(id);
    },
    counts() {
      const counts: Record<OutboxState, number> = { pending: 0, sending: 0, dead: 0 };
      for (const row of db.all('SELECT state, count(*) AS n FROM outbox GROUP BY state')) counts[row.state as OutboxState] = Number(row.n);
      return counts;
    },
    sweep: (before) => void db.run('DELETE FROM outbox_gone WHERE at < ?', before),
  };
}

function conversationOf(row: Row): Conversation {
  return {
    channel: String(row.channel),
    accountId: String(row.account),
    to: String(row.target),
    ...(row.thread === null ? {} : { threadId: String(row.thread) }),
  };
}

function messageOf(row: Row): OutboxMessage {
  return {
    seq: Number(row.seq),
    id: String(row.id),
    ...conversationOf(row),
    ...(row.run === null ? {} : { runId: String(row.run) }),
    ...(row.session === null ? {} : { sessionKey: String(row.session) }),
    payload: JSON.parse(String(row.payload)) as unknown,
    state: row.state as OutboxState,
    attempts: Number(row.attempts),
    createdAt: Number(row.created),
    dueAt: Number(row.due),
    uncertain: row.uncertain === 1,
    ...(row.progress === null ? {} : { progress: JSON.parse(String(row.progress)) as unknown }),
    ...(row.error === null ? {} : { lastError: String(row.error) }),
  };
}
