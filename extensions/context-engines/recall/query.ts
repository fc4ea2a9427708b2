const MAX_TERMS = 16;
/** A pasted log must not become the question: the question stands at its beginning or its end. */
const PROMPT_CHARS = 2_000;

/** Words of prose, and names with something between their parts: `user_id`, `v1.2`, `src/main.ts`. */
const TERM = /[\p{L}\p{M}\p{N}]+(?:[-_.:/@'’][\p{L}\p{M}\p{N}]+)*/gu;
const PART = /[\p{L}\p{M}\p{N}]+/gu;
/** Scripts that put no space between words; they are searched by pairs of signs. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u;
const EACH_UNSPACED = new RegExp(UNSPACED.source, 'gu');
const RUN_UNSPACED = new RegExp(`${UNSPACED.source}+`, 'gu');

const STOP_WORDS: ReadonlySet<string> = new Set(
  `a about after again all also am an and any are as at be because been before but by can could did do does doing done for from get give go had has have
  he her here him his how i if in into is it its just know let like make may me might mine more most my need no not now of off ok okay on once one only or
  other our out over own please recall remember remind said same say see she should show so some still such sure tell than thank thanks that the their
  them then there these they thing this those to too up us use very want was we were what when where which while who why will with would yes yet you your
  again earlier previously ago told mentioned talked
  der die das den dem ein eine und oder aber ist sind war ich du er sie es wir ihr was wie wo wann warum nicht mit von zu im in auf
  le la les un une des et ou est sont que qui quoi dans pour pas avec el los las una y o es son como para por no se de du`.split(/\s+/),
);

/** What to search for, in words: at most sixteen, the telling ones first. */
export function searchTerms(prompt: string): string[] {
  const text = prompt.length <= PROMPT_CHARS * 2 ? prompt : `${prompt.slice(0, PROMPT_CHARS)}\n${prompt.slice(-PROMPT_CHARS)}`;
  const weights = new Map<string, number>();
  const add = (term: string, weight: number) => {
    const folded = term.toLowerCase();
    if (!STOP_WORDS.has(folded)) weights.set(folded, Math.max(weights.get(folded) ?? 0, weight));
  };
  for (const [run] of text.matchAll(RUN_UNSPACED)) {
    const signs = [...run];
    if (signs.length === 1) add(run, 1);
    for (let at = 0; at + 1 < signs.length; at += 1) add(`${signs[at]}${signs[at + 1]}`, 4);
  }
  for (const [term] of text.replace(EACH_UNSPACED, ' ').matchAll(TERM)) {
    const parts = term.match(PART) ?? [];
    if (parts.length > 1) add(term, 12);
    for (const part of parts) if (part.length > 1 || /\p{N}/u.test(part)) add(part, weight(part));
  }
  const sorted = [...weights].sort(([, a], [, b]) => b - a);
  return sorted.slice(0, MAX_TERMS).map(([term]) => term);
}

/** The terms as FTS5 takes them: each quoted, so that none is read as syntax, and any of them will do. */
export function matchExpression(terms: readonly string[]): string {
  return terms.map((term) => `"${searchableText(term).trim().replaceAll('"', '""')}"`).join(' OR ');
}

/** A text as it goes into the index: unspaced scripts sign by sign. */
export function searchableText(text: string): string {
  return UNSPACED.test(text) ? text.replace(EACH_UNSPACED, ' $& ') : text;
}

/** Names, numbers and long words tell more than short ones. */
function weight(part: string): number {
  const isNumber = /\p{N}/u.test(part);
  const isName = /\p{Lu}/u.test(part);
  return Math.min(part.length, 10) + (isNumber ? 6 : 0) + (isName ? 3 : 0);
}
