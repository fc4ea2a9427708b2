import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type AgentMessage, emptyUsage, INJECTED_MODEL, messageText } from '../../../sdk/index.ts';
import { generator } from '../../../test/long/corpus.ts';
import { pairingFaults } from '../../../test/long/talk.ts';
import { applyDefaults } from '../../config/defaults.ts';
import { createTokenEstimator } from '../budget/tokens.ts';
import { cutIndex } from '../turn/summarize.ts';
import { sanitizeMessages } from './hygiene.ts';
import { IMAGE_REMOVED, removeOldImages } from './old-images.ts';
import { createPruning } from './pruning.ts';

const MINUTE = 60_000;
const SEEDS = Array.from({ length: 60 }, (_none, seed) => seed);
const image = { type: 'image' as const, mimeType: 'image/png', data: 'A'.repeat(400) };

/** Failures shall not print novels. */
const digest = (messages: readonly AgentMessage[]) => hash('sha1', JSON.stringify(messages));

type Random = ReturnType<typeof generator>;

/** Anything that a transcript may hold. `torn`: also results that are missing, doubled, late or nobody's, and empty replies. */
function history(random: Random, torn: boolean): AgentMessage[] {
  const below = (limit: number) => Math.floor(random() * limit);
  const maybe = (share: number) => random() < share;
  let clock = 1_000;
  const at = () => {
    clock += maybe(0.1) ? 0 : 1 + below(1_000);
    return clock;
  };
  const words = (count: number) => `wörd${below(1e4)} 🙂 `.repeat(count);
  const base = () => ({ role: 'assistant' as const, api: 'a', provider: 'p', model: 'm', usage: emptyUsage(), stopReason: 'stop' as const, timestamp: at() });
  const text = (): AgentMessage => ({ ...base(), content: [{ type: 'text', text: words(1 + below(20)) }] });
  const note = (): AgentMessage => ({ ...text(), model: INJECTED_MODEL }) as AgentMessage;
  const result = (toolCallId: string): AgentMessage => ({
    role: 'toolResult',
    toolCallId,
    toolName: ['exec', 'read', 'browser'][below(3)] ?? 'exec',
    content: [{ type: 'text', text: words(maybe(0.1) ? 8_000 : below(700)) }, ...(maybe(0.1) ? [image] : [])],
    isError: maybe(0.1),
    timestamp: at(),
  });
  const messages: AgentMessage[] = [];
  for (let turn = 1 + below(14); turn > 0; turn -= 1) {
    const said = words(1 + below(40));
    messages.push({ role: 'user', content: maybe(0.2) ? [{ type: 'text', text: said }, image] : said, timestamp: at() });
    for (let step = below(4); step > 0; step -= 1) {
      // some models use their ids again
      const ids = Array.from({ length: 1 + below(3) }, (_none, index) => (maybe(0.3) ? `call_${index}` : `call_${below(1e9)}`)).filter(
        (id, index, all) => all.indexOf(id) === index,
      );
      messages.push({
        ...base(),
        stopReason: 'toolUse',
        content: [
          ...(maybe(0.3) ? [{ type: 'text' as const, text: words(3) }] : []),
          ...ids.map((id) => ({ type: 'toolCall' as const, id, name: 'exec', arguments: { n: below(9) } })),
        ],
      });
      for (const id of ids) {
        if (maybe(0.1)) messages.push(note());
        if (torn && maybe(0.15)) continue;
        messages.push(result(id));
        if (torn && maybe(0.1)) messages.push(result(maybe(0.5) ? id : 'nobody'));
      }
      if (torn && maybe(0.1)) messages.push({ role: 'user', content: 'in between', timestamp: at() });
    }
    if (torn && maybe(0.2)) messages.push({ ...base(), content: [] });
    if (!torn || maybe(0.9)) messages.push(text());
  }
  return messages;
}

/** What user and model said, without pictures. */
function spoken(messages: readonly AgentMessage[]): unknown[] {
  return messages.flatMap((message) => {
    if (message.role === 'toolResult' || message.content.length === 0) return [];
    if (message.role === 'assistant') return [JSON.stringify(message.content)];
    return [messageText(message).replaceAll(IMAGE_REMOVED, '').trimEnd()];
  });
}

function pruningOf(random: Random) {
  let now = 10 * MINUTE;
  const pruning = createPruning({ now: () => now, measure: createTokenEstimator().message });
  const contextPruning = {
    mode: 'cache-ttl',
    ttl: '5m',
    keepLastAssistants: Math.floor(random() * 4),
    softTrimRatio: random() * 0.3,
    hardClearRatio: random() * 0.6,
    minPrunableToolChars: Math.floor(random() * 20_000),
  };
  const config = applyDefaults({ agents: { defaults: { contextPruning } } });
  const window = 3_000 + Math.floor(random() * 40_000);
  return {
    apply: (messages: AgentMessage[]) => pruning.apply({ config, sessionId: 's', messages, provider: 'p', window, overhead: 0 }),
    pass(ms: number) {
      now += ms;
    },
  };
}

describe.each([
  ['whole', false],
  ['torn', true],
])('random histories, %s', (_name, torn) => {
  it('pruning keeps every word of user and model, changes nothing twice, and shows it again as it was (PRUNE-006, PRUNE-007, PRUNE-012, PRUNE-020)', () => {
    let changed = 0;
    for (const seed of SEEDS) {
      const random = generator(seed);
      const messages = history(random, torn);
      const before = digest(messages);
      const { apply, pass } = pruningOf(random);
      const first = apply(messages);
      const bytes = digest(first);
      if (bytes !== before) changed += 1;
      expect(digest(messages), `seed ${seed}`).toBe(before);
      expect(first.map(({ role }) => role)).toEqual(messages.map(({ role }) => role));
      expect(spoken(first), `seed ${seed}`).toEqual(spoken(messages));
      // copies of an engine, and what was pruned itself, inside the time of the cache
      pass(MINUTE);
      expect(digest(apply(structuredClone(messages))), `seed ${seed}`).toBe(bytes);
      expect(digest(apply(first)), `seed ${seed}`).toBe(bytes);
      // a later pass may take more away, never bring back
      pass(6 * MINUTE);
      const later = apply(structuredClone(messages));
      for (const [index, message] of later.entries()) {
        const shown = first[index];
        if (message.role === 'toolResult' && shown?.role === 'toolResult') expect(messageText(message).length).toBeLessThanOrEqual(messageText(shown).length);
      }
    }
    expect(changed).toBeGreaterThan(SEEDS.length / 4);
  });

  it('old pictures go once, and what they stood in keeps its words (PRUNE-014 to PRUNE-020)', () => {
    for (const seed of SEEDS) {
      const messages = history(generator(seed), torn);
      const clean = removeOldImages(messages);
      expect(removeOldImages(clean), `seed ${seed}`).toBe(clean);
      expect(spoken(clean), `seed ${seed}`).toEqual(spoken(messages));
    }
  });

  it('what a provider gets is in pairs, keeps its order and every word, and is clean the second time, pruned or not', () => {
    for (const seed of SEEDS) {
      const random = generator(seed);
      const messages = history(random, torn);
      for (const given of [messages, pruningOf(random).apply(messages)]) {
        const before = digest(given);
        const clean = sanitizeMessages(given);
        expect(pairingFaults(clean), `seed ${seed}`).toEqual([]);
        expect(digest(given)).toBe(before);
        expect(sanitizeMessages(clean)).toBe(clean);
        // notes go behind the results they came in among; nothing else moves
        const isSpoken = (message: AgentMessage) => message.role !== 'toolResult' && message.content.length > 0;
        const isNote = (message: AgentMessage) => message.role === 'assistant' && message.model === INJECTED_MODEL;
        expect(clean.filter((message) => isSpoken(message) && !isNote(message))).toEqual(given.filter((message) => isSpoken(message) && !isNote(message)));
        expect(clean.filter(isNote)).toEqual(given.filter(isNote));
      }
    }
  });
});

it('a cut for a compaction parts no call from its results, wherever it falls (ENGINE-083)', () => {
  const estimator = createTokenEstimator();
  const cuts = new Set<number>();
  for (const seed of SEEDS) {
    const messages = history(generator(seed), false);
    const whole = estimator.messages(messages);
    for (let share = 0; share <= 1; share += 0.04) {
      const cut = cutIndex(messages, estimator, Math.floor(whole * share));
      cuts.add(cut);
      expect(pairingFaults(sanitizeNotes(messages.slice(0, cut))), `seed ${seed}, cut at ${cut}`).toEqual([]);
      expect(pairingFaults(sanitizeNotes(messages.slice(cut))), `seed ${seed}, cut at ${cut}`).toEqual([]);
      expect(cut).toBeLessThan(messages.length);
    }
  }
  expect(cuts.size).toBeGreaterThan(20);
});

/** Without the notes, which may stand anywhere. */
function sanitizeNotes(messages: readonly AgentMessage[]): AgentMessage[] {
  return messages.filter((message) => message.role !== 'assistant' || message.model !== INJECTED_MODEL);
}
