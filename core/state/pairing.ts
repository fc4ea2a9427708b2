import type { Db, Row } from './db.ts';

/** Somebody who wrote to an account of a channel and waits to be let in. */
export interface PairingRequest {
  channel: string;
  accountId: string;
  /** In the form in which the channel compares ids. */
  senderId: string;
  senderName?: string;
  /** Where they wrote. */
  conversationId: string;
  code: string;
  /** epoch ms */
  createdAt: number;
  /** The code is on its way to them. */
  told?: boolean;
}

/** Somebody who was let in. */
export interface PairedSender {
  channel: string;
  accountId: string;
  senderId: string;
  senderName?: string;
  /** epoch ms */
  approvedAt: number;
}

/** Who may talk to the agent beside those that the configuration names. */
export interface PairingTable {
  request(channel: string, accountId: string, senderId: string): PairingRequest | undefined;
  /** Oldest first. Absent arguments: of all. */
  requests(channel?: string, accountId?: string): PairingRequest[];
  add(request: PairingRequest): void;
  /** The code is on its way to the person. */
  markTold(request: Pick<PairingRequest, 'channel' | 'accountId' | 'senderId'>): void;
  /** Forgets a request. False when there is none. */
  remove(request: Pick<PairingRequest, 'channel' | 'accountId' | 'senderId'>): boolean;
  /** Forgets those made before `before`, epoch ms. */
  expire(before: number): void;
  /** The request becomes an approval, both or neither. */
  approve(request: PairingRequest, now: number): PairedSender;
  isPaired(channel: string, accountId: string, senderId: string): boolean;
  paired(channel?: string, accountId?: string): PairedSender[];
  /** Takes an approval back. False when there is none. */
  revoke(channel: string, accountId: string, senderId: string): boolean;
}

const STEPS = [
  `CREATE TABLE pairing_requests (
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    sender TEXT NOT NULL,
    name TEXT,
    conversation TEXT NOT NULL,
    code TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (channel, account, sender)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE paired_senders (
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    sender TEXT NOT NULL,
    name TEXT,
    approved INTEGER NOT NULL,
    PRIMARY KEY (channel, account, sender)
  ) STRICT, WITHOUT ROWID`,
  'ALTER TABLE pairing_requests ADD COLUMN told INTEGER NOT NULL DEFAULT 0',
];

const BY_PERSON = 'channel = ? AND account = ? AND sender = ?';
const SELECTED = '(?1 IS NULL OR channel = ?1) AND (?2 IS NULL OR account = ?2)';

export function createPairingTable(db: Db): PairingTable {
  db.migrate('pairing', STEPS);
  const remove = (channel: string, accountId: string, senderId: string): boolean =>
    db.run(`DELETE FROM pairing_requests WHERE ${BY_PERSON}`, channel, accountId, senderId) > 0;

  return {
    request(channel, accountId, senderId) {
      const row = db.get(`SELECT * FROM pairing_requests WHERE ${BY_PERSON}`, channel, accountId, senderId);
      return row === undefined ? undefined : requestOf(row);
    },
    requests: (channel, accountId) =>
      db.all(`SELECT * FROM pairing_requests WHERE ${SELECTED} ORDER BY created, sender`, channel ?? null, accountId ?? null).map(requestOf),
    add: ({ channel, accountId, senderId, senderName, conversationId, code, createdAt }) =>
      void db.run(
        'INSERT OR REPLACE INTO pairing_requests (channel, account, sender, name, conversation, code, created) VALUES (?, ?, ?, ?, ?, ?, ?)',
        ...[channel, accountId, senderId, senderName ?? null, conversationId, code, createdAt],
      ),
    markTold: ({ channel, accountId, senderId }) => void db.run(`UPDATE pairing_requests SET told = 1 WHERE ${BY_PERSON}`, channel, accountId, senderId),
    remove: ({ channel, accountId, senderId }) => remove(channel, accountId, senderId),
    expire: (before) => void db.run('DELETE FROM pairing_requests WHERE created < ?', before),
    approve: ({ channel, accountId, senderId, senderName }, now) =>
      db.transaction(() => {
        remove(channel, accountId, senderId);
        db.run(
          'INSERT OR REPLACE INTO paired_senders (channel, account, sender, name, approved) VALUES (?, ?, ?, ?, ?)',
          ...[channel, accountId, senderId, senderName ?? null, now],
        );
        return { channel, accountId, senderId, ...(senderName === undefined ? {} : { senderName }), approvedAt: now };
      }),
    isPaired: (channel, accountId, senderId) => db.get(`SELECT 1 FROM paired_senders WHERE ${BY_PERSON}`, channel, accountId, senderId) !== undefined,
    paired: (channel, accountId) =>
      db.all(`SELECT * FROM paired_senders WHERE ${SELECTED} ORDER BY channel, account, sender`, channel ?? null, accountId ?? null).map(pairedOf),
    revoke: (channel, accountId, senderId) => db.run(`DELETE FROM paired_senders WHERE ${BY_PERSON}`, channel, accountId, senderId) > 0,
  };
}

function personOf(row: Row): Pick<PairedSender, 'channel' | 'accountId' | 'senderId' | 'senderName'> {
  return {
    channel: String(row.channel),
    accountId: String(row.account),
    senderId: String(row.sender),
    ...(row.name === null ? {} : { senderName: String(row.name) }),
  };
}

function requestOf(row: Row): PairingRequest {
  return { ...personOf(row), conversationId: String(row.conversation), code: String(row.code), createdAt: Number(row.created), told: row.told === 1 };
}

function pairedOf(row: Row): PairedSender {
  return { ...personOf(row), approvedAt: Number(row.approved) };
}
