import {
  type AgentMessage,
  type CompactParams,
  type CompactResult,
  type ContextEngine,
  messageText,
  type RuntimeContext,
  type SessionRecord,
  type StoredEntry,
} from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { State } from '../../state/state.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import { createEngines, ENGINE_TIMEOUTS, type EngineTurn } from '../engine/engine.ts';
import { noHooks } from '../engine/no-hooks.ts';
import type { EntryRanges } from '../ledger/entry-ranges.ts';
import { cutIndex } from '../turn/summarize.ts';
import { createEngineSampler, createEntryIndex, type EngineSample } from './engine-sample.ts';
import { createReplayLog } from './replay-log.ts';
import { withoutEffect } from './shadow-turn.ts';

/** One turn of a recorded session as an engine did it again. */
export interface ReplayedTurn {
  at: number;
  /** Messages of the session so far. */
  history: number;
  sample: EngineSample;
  /** Entries in the last context, by their place among the session's messages, from 0. */
  kept: EntryRanges;
}

/** Where the summaries came from that the host would have made: recorded in the session, or an extract of what they stand for. */
export interface ReplaySummaries {
  recorded: number;
  extracted: number;
}

export interface ReplayOptions {
  id: string;
  owner: string;
  engine: ContextEngine;
  /** The recorded session, oldest first. */
  entries: readonly StoredEntry[];
  sessionKey: string;
  /** tokens that the messages may cost */
  tokenBudget: number;
  model?: string | undefined;
  /** Only the first of them. */
  turns?: number | undefined;
  /** A transcript is written there, for engines that read one. */
  sessionFile: string;
  cursors: State['cursors'];
  estimator: TokenEstimator;
  signal: AbortSignal;
  onTurn(turn: ReplayedTurn): Promise<void>;
}

/** Failed turns in a row after which it is not asked again. */
const MOST_FAILURES = 5;
const EXTRACT = { line: 160, all: 4_000 };

/**
 * Runs a recorded session through an engine again, turn by turn, through the same calls as a live one. No model is asked and nothing outside is
 * written. Resolves with the summaries that were lent, and why it ended early, if it did.
 */
export async function replaySession(options: ReplayOptions): Promise<{ summaries: ReplaySummaries; stopped?: string }> {
  const { id, owner, engine, sessionKey, tokenBudget, estimator, signal } = options;
  const log = createReplayLog(options.sessionFile);
  const index = createEntryIndex();
  const engines = createEngines({ cursors: options.cursors, sessions: log.sessions, timeouts: ENGINE_TIMEOUTS, hooks: noHooks });
  // as much of a generation as the calls of an engine look at
  const generation = {
    hooks: noHooks,
    plan: { extensions: new Map() },
    slot: async () => ({ slot: 'contextEngine', key: id, owner, instance: engine }),
  } as unknown as Generation;
  const session = { sessionId: 'replay', key: sessionKey, agentId: 'main', createdAt: 0, updatedAt: 0 } satisfies SessionRecord;
  const summaries: ReplaySummaries = { recorded: 0, extracted: 0 };
  const recorded = recordedSummaries(options.entries);
  let turn: OpenTurn | undefined;
  let done = 0;
  let failedTurns = 0;
  let history = 0;

  interface OpenTurn {
    number: number;
    at: number;
    before: number;
    engine: EngineTurn | undefined;
    sampler: ReturnType<typeof createEngineSampler>;
  }

  async function attempt<Result>(open: OpenTurn, method: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      open.sampler.failed(method, error);
      return undefined;
    }
  }

  async function begin(at: number): Promise<OpenTurn> {
    const open: OpenTurn = { number: done + 1, at, before: history, engine: undefined, sampler: createEngineSampler(estimator) };
    const context = { sessionId: session.sessionId, sessionKey };
    open.engine = await attempt(open, 'open', () => engines.open({ generation, session, context, signal, isHeartbeat: false, onCall: open.sampler.onCall }));
    return open;
  }

  /** The host's own compaction, without a model. */
  const compactSession = async (number: number, params: CompactParams): Promise<CompactResult> => {
    const tokensBefore = estimator.messages(log.messages);
    const cut = cutIndex(log.messages, estimator, Math.floor(Math.min(params.tokenBudget ?? tokenBudget, tokensBefore) / 2));
    if (cut === 0) return { ok: true, compacted: false, reason: 'there is nothing older to summarise', result: { tokensBefore } };
    const found = recorded.get(number);
    recorded.delete(number);
    summaries[found === undefined ? 'extracted' : 'recorded'] += 1;
    const summary = found ?? extract(log.messages.slice(0, cut));
    const firstKeptEntryId = log.entryIds[cut] ?? '';
    log.summarize(summary, cut);
    return { ok: true, compacted: true, result: { summary, firstKeptEntryId, tokensBefore, tokensAfter: estimator.messages(log.messages) } };
  };

  const lent = (open: OpenTurn): RuntimeContext => ({
    ...withoutEffect({ agentId: session.agentId, ...modelFacts(options.model) }),
    compactSession: (params) => compactSession(open.number, params),
  });

  async function assemble(open: OpenTurn, prompt: string): Promise<number> {
    const { engine: calls, sampler } = open;
    if (calls === undefined) return 0;
    const given = {
      messages: [...log.messages],
      entryIds: [...log.entryIds],
      tokenBudget,
      prompt,
      ...(options.model === undefined ? {} : { model: options.model }),
    };
    const result = await attempt(open, 'assemble', () => calls.assemble(given));
    return result === undefined || sampler.assembled === undefined ? 0 : estimator.messages(result.messages);
  }

  /** As a run does: a context that is too large is compacted once and made again. */
  async function run(open: OpenTurn, prompt: string): Promise<void> {
    const tokens = await assemble(open, prompt);
    const { engine: calls, sampler } = open;
    if (tokens <= tokenBudget || calls === undefined) return;
    const compacting = sampler.compacting();
    const params = {
      sessionFile: options.sessionFile,
      tokenBudget,
      currentTokenCount: tokens,
      compactionTarget: 'budget' as const,
      signal,
      runtimeContext: lent(open),
    };
    const result = await attempt(open, 'compact', () => calls.compact(params));
    compacting.done(result?.compacted === true);
    if (result?.compacted === true) await assemble(open, prompt);
  }

  async function end(open: OpenTurn): Promise<void> {
    const { engine: calls, sampler } = open;
    const facts = {
      sessionFile: options.sessionFile,
      messages: [...log.messages],
      prePromptMessageCount: Math.min(open.before, log.messages.length),
      tokenBudget,
      runtimeContext: lent(open),
    };
    if (calls !== undefined) await attempt(open, 'finish', () => calls.finish(facts, signal));
    const { sample, kept } = sampler.sample(id, index, tokenBudget);
    done += 1;
    failedTurns = sampler.problem !== undefined ? failedTurns + 1 : 0;
    await options.onTurn({ at: open.at, history, sample, kept });
  }

  for (const entry of options.entries) {
    signal.throwIfAborted();
    const message = messageOf(entry);
    if (message === undefined) continue;
    const isPrompt = message.role === 'user';
    if (isPrompt && turn !== undefined) {
      await end(turn);
      turn = undefined;
      if (done === options.turns) break;
      if (failedTurns >= MOST_FAILURES) return { summaries, stopped: `it failed in ${MOST_FAILURES} turns in a row` };
    }
    if (isPrompt) turn = await begin(message.timestamp);
    const stored = log.append(entry.id, entry.timestamp, message);
    index.add(message);
    history += 1;
    const open = turn;
    // what comes before the first prompt is history to its turn
    if (open?.engine === undefined) continue;
    const { engine: calls } = open;
    await attempt(open, 'deliver', () => calls.deliver([stored]));
    if (isPrompt) await run(open, messageText(message));
  }
  if (turn !== undefined) await end(turn);
  return { summaries };
}

/** How many turns a recorded session has. */
export function countTurns(entries: readonly StoredEntry[]): number {
  return entries.filter((entry) => messageOf(entry)?.role === 'user').length;
}

/** The first summary that was made in each turn, or right after it. */
function recordedSummaries(entries: readonly StoredEntry[]): Map<number, string> {
  const summaries = new Map<number, string>();
  let number = 0;
  for (const entry of entries) {
    if (messageOf(entry)?.role === 'user') number += 1;
    if (entry.type === 'compaction' && !summaries.has(number)) summaries.set(number, entry.summary);
  }
  return summaries;
}

/** What a model would see of an entry, sealed as a host's contexts are. Summaries are made anew. */
function messageOf(entry: StoredEntry): AgentMessage | undefined {
  if (entry.type === 'message') return sealed(entry.message);
  return entry.type === 'custom_message' ? sealed({ role: 'user', content: entry.content, timestamp: Date.parse(entry.timestamp) }) : undefined;
}

function sealed<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) sealed(part);
  return Object.freeze(value);
}

/** The beginning of each message, the newest ones as far as there is room. */
function extract(messages: readonly AgentMessage[]): string {
  const lines: string[] = [];
  let room = EXTRACT.all;
  for (const message of messages.toReversed()) {
    const text = messageText(message).replaceAll(/\s+/g, ' ').trim().slice(0, EXTRACT.line);
    if (text === '' || message.role === 'toolResult') continue;
    room -= text.length;
    if (room < 0) break;
    lines.unshift(`${message.role}: ${text}`);
  }
  return lines.join('\n');
}

function modelFacts(ref: string | undefined): Record<string, string> {
  const [provider, ...rest] = ref?.split('/') ?? [];
  return provider === undefined || rest.length === 0 ? {} : { provider, model: rest.join('/') };
}
