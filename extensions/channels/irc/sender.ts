/** Who wrote, as the server tells. */
export interface Sender {
  nick: string;
  user: string;
  host: string;
  /** The services account that the server vouches for. */
  account?: string;
}

/** `nick!user@host` in small letters. A nick alone is no identity: whoever comes first has it. */
export function senderId({ nick, user, host }: Sender): string {
  return asciiLower(`${nick}!${user}@${host}`);
}

/** The services account, as lists name it. */
export function senderAliases({ account }: Sender): string[] {
  return account === undefined ? [] : [`account:${asciiLower(account)}`];
}

/** Whether an entry is a mask that fits; `id` as `senderId` makes it. */
export function matchesEntry(entry: string, id: string): boolean {
  return isMask(entry) && fits(id, normalizeEntry(entry));
}

/**
 * An entry as it is compared. Letters outside ASCII and the brackets that some networks take for letters stay as they are: two people must
 * never become one.
 */
export function normalizeEntry(entry: string): string {
  return asciiLower(entry.trim().replace(/^irc:/i, ''));
}

/** The people whom the settings name, in every list of the block. */
export function listedPeople(settings: Record<string, unknown>): string[] {
  const groups = isBlock(settings.groups) ? Object.values(settings.groups).filter(isBlock) : [];
  const lists = [settings.allowFrom, settings.groupAllowFrom, ...groups.map(({ allowFrom }) => allowFrom)];
  return lists.flatMap((list) => (Array.isArray(list) ? list.map(String) : []));
}

/** Why an entry names nobody, or too many; undefined: it is good. */
export function entryProblem(entry: string): string | undefined {
  const normal = normalizeEntry(entry);
  if (normal === '*' || /^account:./.test(normal)) return undefined;
  const [, nick, user, host] = PARTS.exec(normal) ?? [];
  if (nick === undefined || user === undefined || host === undefined) {
    return `'${entry}' is a nick, which anybody may take, and counts for nobody; write nick!user@host, a mask such as *!*@host.example, or account:name`;
  }
  if (/^[*?.]*$/.test(host))
    return `'${entry}' names no host, so anybody fits it, and it counts for nobody; write a mask such as *!*@host.example, or account:name`;
  return undefined;
}

/** Has wildcards, and a host that says something. */
function isMask(entry: string): boolean {
  const normal = normalizeEntry(entry);
  return normal !== '*' && /[*?]/.test(normal) && PARTS.test(normal) && entryProblem(normal) === undefined;
}

/** Wildcards: `*` any text, `?` one character. Linear but for the last star, so a hostile name costs nothing. */
function fits(text: string, mask: string): boolean {
  let at = 0;
  let place = 0;
  let star = -1;
  let retry = 0;
  while (at < text.length) {
    if (place < mask.length && mask[place] === '*') {
      star = place;
      place += 1;
      retry = at;
    } else if (place < mask.length && (mask[place] === '?' || mask[place] === text[at])) {
      at += 1;
      place += 1;
    } else if (star >= 0) {
      retry += 1;
      at = retry;
      place = star + 1;
    } else return false;
  }
  while (mask[place] === '*') place += 1;
  return place === mask.length;
}

const PARTS = /^([^!@\s]+)!([^!@\s]+)@([^!@\s]+)$/;

function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isBlock(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
