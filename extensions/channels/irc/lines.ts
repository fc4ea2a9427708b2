import { TOGGLES } from './formatting.ts';

/** What one line needs beside its text. */
export interface Envelope {
  nick: string;
  user: string;
  host: string | undefined;
  target: string;
  /** ISUPPORT: LINELEN, USERLEN, HOSTLEN */
  limits: { line: number; user: number; host: number };
}

/** Bytes of text in one line as others get it, with the prefix that the server puts before it. */
export function textBytes({ nick, user, host, target, limits }: Envelope): number {
  // the server may show another user and host than we know
  const longestUser = Math.max(Buffer.byteLength(user) + 1, limits.user + 1);
  const longestHost = Math.max(Buffer.byteLength(host ?? ''), limits.host);
  const prefix = 1 + Buffer.byteLength(nick) + 1 + longestUser + 1 + longestHost;
  const command = ` PRIVMSG ${target} :\r\n`;
  return Math.max(LEAST, limits.line - prefix - Buffer.byteLength(command));
}

/**
 * Cuts text into lines of at most `bytes`: at its line breaks, else between words, else between characters that a reader sees. Empty lines
 * fall out, for IRC has none. A format that is on at a cut is on again behind it.
 */
export function toLines(text: string, bytes: number): string[] {
  const room = Math.max(LEAST, bytes) - TOGGLES.size * 2;
  return text.split(/\r\n|\r|\n/).flatMap((line) => (line.trim() === '' ? [] : withFormats(cutLine(line.replaceAll('\0', ''), room))));
}

/** No server leaves less room than this; a character that a reader sees is seldom longer. */
const LEAST = 64;

function cutLine(line: string, room: number): string[] {
  const cut: string[] = [];
  let current = '';
  let length = 0;
  const flush = () => {
    if (current.trim() !== '') cut.push(current.trimEnd());
    current = '';
    length = 0;
  };
  for (const [word] of line.matchAll(/\s+|\S+/g)) {
    for (const piece of Buffer.byteLength(word) > room ? pieces(word, room) : [word]) {
      const size = Buffer.byteLength(piece);
      if (length + size > room) flush();
      // blank space at a cut goes away
      if (current === '' && cut.length > 0 && piece.trim() === '') continue;
      current += piece;
      length += size;
    }
  }
  flush();
  return cut;
}

/** A long word in pieces that fit. */
function pieces(word: string, room: number): string[] {
  const found: string[] = [];
  let from = 0;
  while (from < word.length) {
    let end = from;
    let size = 0;
    while (end < word.length) {
      const code = word.codePointAt(end) ?? 0;
      size += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (size > room) break;
      end += code > 0xffff ? 2 : 1;
    }
    if (end < word.length) end = characterEnd(word, from, end);
    found.push(word.slice(from, end));
    from = end;
  }
  return found;
}

/** The last place up to `end` that tears no visible character apart; `end` when there is none. */
function characterEnd(word: string, from: number, end: number): number {
  let last = from;
  // two units more: what follows may belong to the character before it
  for (const { index } of new Intl.Segmenter().segment(word.slice(from, end + 2))) if (from + index <= end) last = from + index;
  return last > from ? last : end;
}

/** Ends every format with its line and begins it anew on the next. */
function withFormats(cut: readonly string[]): string[] {
  const on = new Set<string>();
  return cut.map((line) => {
    const opened = [...on].join('');
    for (const character of line) {
      if (!TOGGLES.has(character)) continue;
      if (!on.delete(character)) on.add(character);
    }
    return opened + line + (opened === '' && on.size === 0 ? '' : [...on].join(''));
  });
}
