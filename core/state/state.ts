import { join } from 'node:path';
import { type Cursors, createCursors } from './cursors.ts';
import { type Db, openDb } from './db.ts';
import { createHeldMessages, type HeldMessages } from './held.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { createKv, type Kv } from './kv.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createPairingTable, type PairingTable } from './pairing.ts';
import { createShadowTurns, type ShadowTurns } from './shadow.ts';
import { createSubagentTable, type SubagentTable } from './subagents.ts';
import { createTurns, type Turns } from './turns.ts';

export type { Cursors, EndedSession } from './cursors.ts';
export type { Db, Row } from './db.ts';
export type { HeldMessage, HeldMessages } from './held.ts';
export type { Inbox, InboxLine, InboxMessage, InboxState } from './inbox.ts';
export type { Kv } from './kv.ts';
export { acquireGatewayLock, type GatewayLock } from './lock.ts';
export type { Conversation, Outbox, OutboxMessage, Outgoing } from './outbox.ts';
export type { PairedSender, PairingRequest, PairingTable } from './pairing.ts';
export type { ShadowTurns, StoredComparison } from './shadow.ts';
export type { SubagentTable } from './subagents.ts';
export type { StoredTurn, Turns } from './turns.ts';

/** The host's own database: one SQLite file, one writer. */
export interface State {
  readonly kv: Kv;
  readonly cursors: Cursors;
  readonly held: HeldMessages;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly pairing: PairingTable;
  readonly shadow: ShadowTurns;
  readonly subagents: SubagentTable;
  readonly turns: Turns;
  /** For rooms that own tables: `db.migrate('<room>', steps)`, then `get`, `all`, `run`, `transaction`. */
  readonly db: Db;
  /** A second call does nothing. */
  close(): void;
}

/** Opens `<dir>/durar.db`, creating folder and file. Throws `DUR_STATE_CORRUPT`, `DUR_STATE_NEWER`, `DUR_STATE_UNWRITABLE`. */
export function openState(options: { dir: string }): State {
  const db = openDb(join(options.dir, 'durar.db'));
  const outbox = createOutbox(db);
  return {
    held: createHeldMessages(db),
    inbox: createInbox(db, outbox),
    outbox,
    pairing: createPairingTable(db),
    shadow: createShadowTurns(db),
    subagents: createSubagentTable(db),
    kv: createKv(db),
    cursors: createCursors(db),
    turns: createTurns(db),
    db,
    close: () => db.close(),
  };
}
