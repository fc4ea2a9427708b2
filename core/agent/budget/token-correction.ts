import type { Usage } from '../../../sdk/index.ts';
import type { State } from '../../state/state.ts';

/** How far the host's count is off, by model: what a provider reports divided by what was estimated. */
export interface TokenCorrection {
  /** 1 for a model that has not answered yet. */
  factor(modelRef: string): number;
  /** Takes in what a provider said of a request. */
  learn(modelRef: string, estimated: number, usage: Pick<Usage, 'input' | 'cacheRead' | 'cacheWrite'>): void;
}

const NAMESPACE = 'core.token-correction';
const LEAST = 0.5;
/** Scripts without an alphabet come near it: about a token for each character. */
const MOST = 4;
/** What is further off is not about the same request: a provider that reports only a part, or none. */
const PLAUSIBLE = 2;
/** Below this many tokens, roundings and the provider's own wrapping weigh more than the text. */
const MIN_TOKENS = 64;
/** Share of a new figure. More text than expected is believed sooner, as it can overflow. */
const WEIGHT = { up: 0.5, down: 0.2 };
/** A change smaller than this is not worth a write. */
const STEP = 0.01;

/** `kv` is read once per model and written when the factor moves. */
export function createTokenCorrection(kv: State['kv']): TokenCorrection {
  const factors = new Map<string, { now: number; known: boolean; stored: number | undefined }>();

  function of(modelRef: string): { now: number; known: boolean; stored: number | undefined } {
    let entry = factors.get(modelRef);
    if (entry === undefined) {
      const value = kv.get(NAMESPACE, modelRef);
      const known = typeof value === 'number' && Number.isFinite(value);
      entry = known ? { now: clamp(value), known, stored: value } : { now: 1, known, stored: undefined };
      factors.set(modelRef, entry);
    }
    return entry;
  }

  return {
    factor: (modelRef) => of(modelRef).now,
    learn(modelRef, estimated, { input, cacheRead, cacheWrite }) {
      const ratio = (input + cacheRead + cacheWrite) / estimated;
      if (estimated < MIN_TOKENS || !(ratio >= LEAST / PLAUSIBLE && ratio <= MOST * PLAUSIBLE)) return;
      const entry = of(modelRef);
      const seen = clamp(ratio);
      const weight = seen > entry.now ? WEIGHT.up : WEIGHT.down;
      entry.now = entry.known ? entry.now + (seen - entry.now) * weight : seen;
      entry.known = true;
      if (Math.abs(entry.now - (entry.stored ?? 0)) < STEP) return;
      entry.stored = Math.round(entry.now * 1_000) / 1_000;
      kv.set(NAMESPACE, modelRef, entry.stored);
    },
  };
}

function clamp(factor: number): number {
  return Math.min(MOST, Math.max(LEAST, factor));
}
