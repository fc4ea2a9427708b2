import { randomInt, timingSafeEqual } from 'node:crypto';
import { durarError } from '../../../sdk/index.ts';
import type { PairedSender, PairingRequest, State } from '../../state/state.ts';

/** Lets strangers in by codes: whoever writes gets one, the operator approves it. */
export interface Pairing {
  isPaired(channel: string, accountId: string, senderId: string): boolean;
  /** Notes that somebody asks. Unless `told`, they are to be told the code; undefined: too many of the channel wait already. */
  ask(person: Omit<PairingRequest, 'code' | 'createdAt' | 'told'>): PairingRequest | undefined;
  /** The code is on its way to them. */
  markTold(request: PairingRequest): void;
  readonly desk: PairingCodes;
}

export type PairingRequestView = PairingRequest & { expiresAt: number };

/** What the operator does with requests. Ids are compared as they are stored; a code in whatever case. */
export interface PairingCodes {
  list(filter?: PairingFilter): { pending: PairingRequestView[]; paired: PairedSender[] };
  /** Throws `DUR_PAIRING_UNKNOWN` and, after too many wrong codes, `DUR_PAIRING_LOCKED`. The request tells where they wrote. */
  approve(code: PairingCode): { paired: PairedSender; request: PairingRequest };
  /** Forgets the request; they may ask again. Throws as `approve`. */
  reject(code: PairingCode): PairingRequest;
  /** Takes approvals of a sender back, in all accounts where none is named. Throws `DUR_PAIRING_SENDER`. */
  revoke(sender: { channel: string; accountId?: string | undefined; senderId: string }): PairedSender[];
}

export interface PairingFilter {
  channel?: string | undefined;
  accountId?: string | undefined;
}

export interface PairingCode extends PairingFilter {
  code: string;
}

/** Without characters that look like another. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const CODE_LENGTH = 8;
const LIFETIME_MS = 3_600_000;
const MAX_PENDING = 3;
const GUESSES = { most: 10, windowMs: 600_000 };

export function createPairing({ pairing: table }: Pick<State, 'pairing'>, now: () => number = Date.now): Pairing {
  /** Times of wrong codes. */
  let wrong: number[] = [];

  function pending({ channel, accountId }: PairingFilter = {}): PairingRequest[] {
    table.expire(now() - LIFETIME_MS);
    return table.requests(channel, accountId);
  }

  function find({ code, ...filter }: PairingCode): PairingRequest {
    wrong = wrong.filter((at) => at > now() - GUESSES.windowMs);
    if (wrong.length >= GUESSES.most) throw durarError('DUR_PAIRING_LOCKED', { minutes: GUESSES.windowMs / 60_000 });
    const given = codeBytes(code);
    // every request is looked at, so that the time tells nothing
    const found = pending(filter).filter((request) => timingSafeEqual(codeBytes(request.code), given));
    const [request] = found;
    if (request !== undefined) return request;
    wrong.push(now());
    throw durarError('DUR_PAIRING_UNKNOWN', { where: filter.channel === undefined ? 'any channel' : `'${filter.channel}'` });
  }

  return {
    isPaired: (channel, accountId, senderId) => table.isPaired(channel, accountId, senderId),
    ask(person) {
      const waiting = pending({ channel: person.channel });
      const present = waiting.find(({ accountId, senderId }) => accountId === person.accountId && senderId === person.senderId);
      if (present !== undefined) return present;
      if (waiting.length >= MAX_PENDING) return undefined;
      const taken = new Set(pending().map(({ code }) => code));
      let code = newCode();
      while (taken.has(code)) code = newCode();
      const request = { ...person, code, createdAt: now(), told: false };
      table.add(request);
      return request;
    },
    markTold: (request) => table.markTold(request),
    desk: {
      list: (filter = {}) => ({
        pending: pending(filter).map(({ told: _told, ...request }) => ({ ...request, expiresAt: request.createdAt + LIFETIME_MS })),
        paired: table.paired(filter.channel, filter.accountId),
      }),
      approve(code) {
        const request = find(code);
        return { paired: table.approve(request, now()), request };
      },
      reject(code) {
        const request = find(code);
        table.remove(request);
        return request;
      },
      revoke({ channel, accountId, senderId }) {
        const found = table.paired(channel, accountId).filter((one) => one.senderId === senderId || one.senderId === senderId.toLowerCase());
        if (found.length === 0) throw durarError('DUR_PAIRING_SENDER', { channel, senderId });
        for (const one of found) table.revoke(one.channel, one.accountId, one.senderId);
        return found;
      },
    },
  };
}

/** What a stranger is told, once. */
export function pairingText({ code, channel, senderId }: PairingRequest, idLabel: string): string {
  return [
    'This assistant does not know you yet, so your message was not read.',
    `Your ${idLabel}: ${verbatim(senderId)}`,
    `Pairing code: ${code}`,
    `Its owner lets you in with: durar pairing approve ${channel} ${code}`,
    'The code is good for one hour.',
  ].join('\n');
}

/** An id that Markdown would change is shown as code. */
function verbatim(id: string): string {
  if (!/[*_`\\[\]<>]|~.*~/.test(id)) return id;
  const longest = Math.max(0, ...(id.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${id}${fence}` : `${fence} ${id} ${fence}`;
}

function newCode(): string {
  return Array.from({ length: CODE_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

/** Of one length, whatever was typed. */
function codeBytes(code: string): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write(code.trim().toUpperCase());
  return bytes;
}
