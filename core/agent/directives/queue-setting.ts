import type { Config } from '../../config/schema.ts';

/** What `/queue` asks for. `clear`: back to what the configuration says. */
export interface QueueSetting {
  clear?: true;
  mode?: Config['messages']['queue']['mode'];
  debounceMs?: number;
  cap?: number;
  drop?: Config['messages']['queue']['drop'];
}

export const QUEUE_MODES = ['steer', 'followup', 'collect', 'steer-backlog', 'interrupt', 'queue'] as const;
const MODE_SYNONYMS: Readonly<Record<string, (typeof QUEUE_MODES)[number]>> = { 'steer+backlog': 'steer-backlog' };
const DROPS = ['old', 'new', 'summarize'] as const;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** The setting that the text begins with and how much of the text it is; undefined: it begins with none. */
export function readQueueSetting(text: string): { value: QueueSetting; length: number } | undefined {
  const value: QueueSetting = {};
  let length = 0;
  for (const { 0: word, index } of text.matchAll(/\S+/g)) {
    if (value.clear === true || text.slice(length, index).trim() !== '' || !readWord(value, word.toLowerCase())) break;
    length = index + word.length;
  }
  return length === 0 ? undefined : { value, length };
}

/** False: the word says nothing about the queue, or something a second time. */
function readWord(value: QueueSetting, word: string): boolean {
  const [option, given] = word.split(':', 2);
  if (given === undefined) {
    const isFirst = Object.keys(value).length === 0;
    const mode = QUEUE_MODES.find((each) => each === word) ?? (Object.hasOwn(MODE_SYNONYMS, word) ? MODE_SYNONYMS[word] : undefined);
    if (isFirst && (word === 'default' || word === 'reset')) value.clear = true;
    else if (mode !== undefined && value.mode === undefined) value.mode = mode;
    else return false;
    return true;
  }
  if (option === 'debounce' && value.debounceMs === undefined) {
    const [, number, unit = 'ms'] = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(given) ?? [];
    if (number === undefined) return false;
    value.debounceMs = Math.round(Number(number) * (UNITS[unit] ?? 1));
    return true;
  }
  if (option === 'cap' && value.cap === undefined && /^[1-9]\d{0,5}$/.test(given)) {
    value.cap = Number(given);
    return true;
  }
  const drop = DROPS.find((each) => each === given);
  if (option !== 'drop' || drop === undefined || value.drop !== undefined) return false;
  value.drop = drop;
  return true;
}
