import type { Channel, InboundMessage } from '../../../sdk/index.ts';
import { foldCase } from './fold-case.ts';

/** Compares ids of people as one channel does. */
export interface AllowList {
  /** The one form of an id. */
  normalize(id: string): string;
  /** Whether a list names one of these ids, or everybody. */
  matches(list: readonly unknown[] | undefined, ids: readonly string[]): boolean;
  /** Whether a list names who wrote, under any form, by the channel's own rule too, or names everybody. */
  names(list: readonly unknown[] | undefined, sender: Sender): boolean;
}

type Sender = Pick<InboundMessage, 'senderId' | 'senderAliases'>;

const EVERYBODY = '*';

/** The channel's own rule where it has one; then its name as a prefix and the case do not count. */
export function allowListOf(channel: Pick<Channel, 'id' | 'meta' | 'security' | 'pairing'>): AllowList {
  const own = channel.security?.normalizeAllowEntry?.bind(channel.security) ?? channel.pairing?.normalizeAllowEntry?.bind(channel.pairing);
  const prefixes = namesOf(channel).map((name) => `${name}:`);

  const normalize = (id: string): string => {
    const text = id.trim();
    // a rule that leaves nothing of an id would make one person of many
    const bare = foldCase((own?.(text) ?? text).trim() || text);
    const prefix = prefixes.find((each) => bare.startsWith(each) && bare.length > each.length);
    return prefix === undefined ? bare : bare.slice(prefix.length);
  };

  const matches: AllowList['matches'] = (list, ids) => {
    if (list === undefined) return false;
    const wanted = new Set(ids.map(normalize).filter((id) => id !== '' && id !== EVERYBODY));
    return list.some((entry) => isEverybody(entry) || wanted.has(normalize(String(entry))));
  };

  return {
    normalize,
    matches,
    names(list, sender) {
      if (matches(list, sendersOf(sender))) return true;
      const fits = channel.security?.matchesAllowEntry?.bind(channel.security);
      if (fits === undefined || list === undefined) return false;
      const entries = list.map((entry) => normalize(String(entry))).filter((entry) => entry !== '' && entry !== EVERYBODY);
      return entries.some((entry) => fits(entry, sender) === true);
    },
  };
}

/** The names that a configuration may use for a channel. */
export function namesOf({ id, meta }: Pick<Channel, 'id' | 'meta'>): string[] {
  return [id, ...(meta.aliases ?? [])].map((name) => name.toLowerCase());
}

/** Every form under which a list may name the sender. */
export function sendersOf({ senderId, senderAliases = [] }: Sender): string[] {
  return [senderId, ...senderAliases];
}

export function isEverybody(entry: unknown): boolean {
  return String(entry).trim() === EVERYBODY;
}
