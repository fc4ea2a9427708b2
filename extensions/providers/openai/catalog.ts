import type { ModelEntry } from 'Durar/plugin-sdk/core';
import { OPENAI_BASE_URL } from './client.ts';

type Row = [
  id: string,
  name: string,
  input: number,
  cacheRead: number,
  output: number,
  contextWindow: number,
  maxTokens: number,
  efforts?: Record<string, string>,
];

/** What the model takes for the levels it does not know. */
const SINCE_5_2 = { off: 'none', minimal: 'low' };
const SINCE_5_1 = { off: 'none', minimal: 'low', xhigh: 'high' };
const FIVE = { off: 'minimal', xhigh: 'high' };

/** The models worth choosing from, newest first; prices in US dollars per million tokens. */
const ROWS: readonly Row[] = [
  ['gpt-5.4', 'GPT-5.4', 2.5, 0.25, 15, 1_050_000, 128_000, SINCE_5_2],
  ['gpt-5.4-mini', 'GPT-5.4 mini', 0.75, 0.075, 4.5, 400_000, 128_000, SINCE_5_2],
  ['gpt-5.4-nano', 'GPT-5.4 nano', 0.2, 0.02, 1.25, 400_000, 128_000, SINCE_5_2],
  ['gpt-5.2', 'GPT-5.2', 1.75, 0.175, 14, 400_000, 128_000, SINCE_5_2],
  ['gpt-5.1', 'GPT-5.1', 1.25, 0.125, 10, 400_000, 128_000, SINCE_5_1],
  ['gpt-5', 'GPT-5', 1.25, 0.125, 10, 400_000, 128_000, FIVE],
  ['gpt-5-mini', 'GPT-5 mini', 0.25, 0.025, 2, 400_000, 128_000, FIVE],
  ['gpt-5-nano', 'GPT-5 nano', 0.05, 0.005, 0.4, 400_000, 128_000, FIVE],
  ['gpt-4.1', 'GPT-4.1', 2, 0.5, 8, 1_047_576, 32_768],
  ['gpt-4.1-mini', 'GPT-4.1 mini', 0.4, 0.1, 1.6, 1_047_576, 32_768],
];

/** The models that are known without asking. */
export function catalogue(): ModelEntry[] {
  return ROWS.map(([id, name, input, cacheRead, output, contextWindow, maxTokens, efforts]) => ({
    id,
    name,
    api: 'openai-responses',
    provider: 'openai',
    baseUrl: OPENAI_BASE_URL,
    reasoning: efforts !== undefined,
    input: ['text', 'image'],
    cost: { input, output, cacheRead, cacheWrite: 0 },
    contextWindow,
    maxTokens,
    ...(efforts === undefined ? {} : { compat: { reasoningEffortMap: { ...efforts } } }),
  }));
}

/** Families that answer chats; what is made for speech, images, search or embeddings is left out. */
const CHAT = /^(?:gpt-|o\d|chatgpt-)/;
const NOT_CHAT = /audio|realtime|transcribe|tts|image|search|instruct|moderation|embedding|deep-research/;
const REASONS = /^(?:gpt-[5-9]|o\d)(?!.*chat)/;

/** An entry for a model of which only the id is known; its prices are unknown and count as nothing. */
export function unknownModel(id: string, native: boolean): ModelEntry | undefined {
  if (native && (!CHAT.test(id) || NOT_CHAT.test(id))) return undefined;
  return {
    id,
    name: id,
    api: native ? 'openai-responses' : 'openai-completions',
    provider: 'openai',
    reasoning: native && REASONS.test(id),
    input: native ? ['text', 'image'] : ['text'],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    contextWindow: 128_000,
    maxTokens: 16_384,
  };
}
