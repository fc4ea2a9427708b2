import type { DirectiveName } from '../../../sdk/chat-commands.ts';

/** What a directive may be set to, and the other words for it. */
interface Levels {
  values: readonly string[];
  synonyms: Readonly<Record<string, string>>;
}

const SWITCH = { enable: 'on', enabled: 'on', true: 'on', yes: 'on', disable: 'off', disabled: 'off', false: 'off', no: 'off' };

export const LEVELS: Readonly<Record<Exclude<DirectiveName, 'model' | 'queue' | 'exec'>, Levels>> = {
  think: {
    values: ['off', 'minimal', 'low', 'medium', 'high', 'xhigh', 'adaptive'],
    synonyms: {
      min: 'minimal',
      med: 'medium',
      mid: 'medium',
      highest: 'high',
      max: 'high',
      'x-high': 'xhigh',
      extrahigh: 'xhigh',
      'extra-high': 'xhigh',
      on: 'low',
    },
  },
  fast: { values: ['on', 'off'], synonyms: SWITCH },
  verbose: { values: ['on', 'full', 'off'], synonyms: SWITCH },
  reasoning: { values: ['on', 'off', 'stream'], synonyms: SWITCH },
  elevated: { values: ['on', 'off', 'ask', 'full'], synonyms: SWITCH },
};

/** The level that the text begins with and how long its words are; undefined: it begins with none. */
export function readLevel(name: keyof typeof LEVELS, text: string): { value: string; length: number } | undefined {
  const { values, synonyms } = LEVELS[name];
  const two = name === 'think' ? /^extra\s+high(?=\s|$)/i.exec(text) : undefined;
  if (two) return { value: 'xhigh', length: two[0].length };
  const word = /^\S+/.exec(text)?.[0] ?? '';
  const plain = word.toLowerCase();
  const value = Object.hasOwn(synonyms, plain) ? synonyms[plain] : values.includes(plain) ? plain : undefined;
  return value === undefined ? undefined : { value, length: word.length };
}
