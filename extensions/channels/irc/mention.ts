/** Makes small letters as the network does, letter for letter. */
export type Lower = (text: string) => string;

/** Whether the nick stands in the text as a word of its own. */
export function mentions(text: string, nick: string, lower: Lower): boolean {
  const haystack = lower(text);
  const needle = lower(nick);
  if (needle === '') return false;
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    if (!PART_OF_WORD_BEFORE.test(haystack.slice(0, at)) && !PART_OF_WORD_AFTER.test(haystack.slice(at + needle.length))) return true;
  }
  return false;
}

/** The text without the nick that it is addressed to: `nick: hello` says hello. */
export function withoutAddress(text: string, nick: string, lower: Lower): string {
  const start = text.trimStart().replace(/^@/, '');
  if (!lower(start).startsWith(lower(nick))) return text;
  const rest = start.slice(nick.length);
  if (!/^\s*[:,;]/.test(rest)) return text;
  const said = rest.replace(/^\s*[:,;]\s*/, '');
  return said === '' ? text : said;
}

/** What may stand in a nick, and letters of any script. */
const PART_OF_WORD_BEFORE = /[\p{L}\p{N}_\-[\]\\`^{|}]$/u;
const PART_OF_WORD_AFTER = /^[\p{L}\p{N}_\-[\]\\`^{|}]/u;
