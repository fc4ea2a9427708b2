import { type AgentMessage, type AssembleResult, errorCode, errorText, messageText } from '../../../sdk/index.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import type { EngineObservation } from '../engine/engine.ts';
import { countPlaces, type EntryRanges, firstPlaces, subtract, toRanges, unite } from '../ledger/entry-ranges.ts';

/** What one engine did in one turn, in numbers and ids; no text. */
export interface EngineSample {
  engine: string;
  /** How often it was asked to assemble; what follows is of the last time that it answered. */
  assemblies: number;
  /** By the host's count, of the messages. */
  tokens?: number;
  /** What the engine said they cost. */
  estimate?: number;
  messages?: number;
  /** Messages that are none of those it was given: summaries, recalled ones. */
  added?: number;
  /** By the host's count, of what it put before the system prompt. */
  additionTokens?: number;
  overBudget: boolean;
  /** Of the slowest assembly. */
  assembleMs?: number;
  /** Of the turn's deliveries together. */
  ingestMs: number;
  /** Entries that it left out and another engine kept; the first of them by id. */
  dropped: string[];
  droppedCount: number;
  compactions: { asked: number; done: number };
  failures: Array<{ method: string; code: string }>;
}

/** What an engine was given to assemble. */
export interface AssemblyInput {
  messages: readonly AgentMessage[];
  entryIds: readonly string[];
  tokenBudget: number;
}

/** Adds up one engine's turn. */
export interface EngineSampler {
  readonly onCall: (call: EngineObservation) => void;
  /** A failure that was not seen as a call. One error counts once. */
  failed(method: string, error: unknown): void;
  /** Counts an attempt to compact; what it came to is told by `done`. */
  compacting(): { done(compacted: boolean): void };
  /** The first failure's words; they are for the log, and no part of a sample. */
  readonly problem: string | undefined;
  /** The last assembly. */
  readonly assembled: AssembleResult | undefined;
  /** Measures the last assembly. Without what it dropped, which only a comparison can tell. */
  sample(engine: string, entries: EntryIndex, tokenBudget: number | undefined): { sample: EngineSample; kept: EntryRanges };
}

const DROPPED_IDS = 50;
const MOST_FAILURES = 20;
const MARK_CHARS = 80;

export function createEngineSampler(estimator: TokenEstimator): EngineSampler {
  const seen = new WeakSet<object>();
  const failures: EngineSample['failures'] = [];
  const compactions = { asked: 0, done: 0 };
  let assemblies = 0;
  let problem: string | undefined;
  let assembled: AssembleResult | undefined;
  let assembleMs: number | undefined;
  let ingestMs = 0;

  function failed(method: string, error: unknown): void {
    if (typeof error === 'object' && error !== null) {
      if (seen.has(error)) return;
      seen.add(error);
    }
    problem ??= errorText(error);
    if (failures.length < MOST_FAILURES) failures.push({ method, code: errorCode(error) ?? 'DUR_ENGINE_FAILED' });
  }

  return {
    failed,
    compacting() {
      compactions.asked += 1;
      return {
        done(compacted) {
          if (compacted) compactions.done += 1;
        },
      };
    },
    onCall({ method, ms, result, error }) {
      if (method === 'ingest' || method === 'ingestBatch') ingestMs += ms;
      if (method === 'assemble') {
        assemblies += 1;
        if (error === undefined) {
          assembleMs = Math.max(assembleMs ?? 0, ms);
          const { messages, ...rest } = result as AssembleResult;
          assembled = { ...rest, messages: [...messages] };
        }
      }
      if (error !== undefined) failed(method, error);
    },
    get problem() {
      return problem;
    },
    get assembled() {
      return assembled;
    },
    sample(engine, entries, tokenBudget) {
      const { kept, added } = entries.find(assembled?.messages ?? []);
      const tokens = assembled === undefined ? undefined : estimator.messages(assembled.messages);
      const sample: EngineSample = {
        engine,
        assemblies,
        ...(assembled === undefined || tokens === undefined
          ? {}
          : {
              tokens,
              estimate: assembled.estimatedTokens,
              messages: assembled.messages.length,
              added,
              additionTokens: estimator.text(assembled.systemPromptAddition ?? ''),
            }),
        overBudget: tokens !== undefined && tokenBudget !== undefined && tokens > tokenBudget,
        ...(assembleMs === undefined ? {} : { assembleMs: rounded(assembleMs) }),
        ingestMs: rounded(ingestMs),
        dropped: [],
        droppedCount: 0,
        compactions,
        failures,
      };
      return { sample, kept };
    },
  };
}

/** Writes into each sample what it left out and another kept. An engine that assembled nothing dropped nothing. */
export function markDropped(sides: ReadonlyArray<{ sample: EngineSample; kept: EntryRanges }>, entryIds: readonly string[]): void {
  const anywhere = unite(sides.map(({ kept }) => kept));
  for (const side of sides) {
    if (side.sample.tokens === undefined) continue;
    const missing = subtract(anywhere, side.kept);
    side.sample.dropped = firstPlaces(missing, DROPPED_IDS).flatMap((place) => entryIds[place] ?? []);
    side.sample.droppedCount = countPlaces(missing);
  }
}

/** Tells which of a session's messages an engine's are: as the same object, else by what a copy still has in common with it. Places count from 0. */
export interface EntryIndex {
  /** Adds the next message. */
  add(message: AgentMessage): void;
  find(messages: readonly AgentMessage[]): { kept: EntryRanges; added: number };
}

export function createEntryIndex(messages: readonly AgentMessage[] = []): EntryIndex {
  const places = new Map<AgentMessage, number>();
  const byMark = new Map<string, number[]>();
  let next = 0;

  function add(message: AgentMessage): void {
    places.set(message, next);
    const mark = markOf(message);
    const same = byMark.get(mark);
    if (same === undefined) byMark.set(mark, [next]);
    else same.push(next);
    next += 1;
  }

  for (const message of messages) add(message);
  return {
    add,
    find(found) {
      const kept = new Set<number>();
      const strange = found.filter((message) => {
        const place = places.get(message);
        if (place !== undefined) kept.add(place);
        return place === undefined;
      });
      let added = 0;
      for (const message of strange) {
        const place = byMark.get(markOf(message))?.find((each) => !kept.has(each));
        if (place === undefined) added += 1;
        else kept.add(place);
      }
      return { kept: toRanges(kept), added };
    },
  };
}

function markOf(message: AgentMessage): string {
  if (message.role === 'toolResult') return `result ${message.toolCallId}`;
  return `${message.role} ${message.timestamp} ${messageText(message).slice(0, MARK_CHARS)}`;
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
