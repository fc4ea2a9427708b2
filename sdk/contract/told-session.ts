import assert from 'node:assert/strict';
import type { AgentMessage } from '../messages.ts';
import type { AssembleResult, ContextEngine } from '../ports/context-engine.ts';
import { entryId, reply, toolCall, toolResult, user } from './conversation.ts';
import { checkMessages, checkPairs } from './engine-session.ts';

/** Tokens; the whole script fits. */
export const BUDGET = 20_000;
const START = Date.UTC(2026, 0, 1);

/** Every message that can be told from the others says so. */
export const SCRIPT: readonly AgentMessage[] = [
  user('note-01: where is the heron?'),
  reply('note-02: at the lake.'),
  user('note-03: look into the file'),
  toolCall('call-1'),
  toolResult('call-1'),
  reply('note-06: the file says so.'),
  user('note-07: and the crane?'),
  reply('note-08: in the marsh.'),
  user('note-09: which of them is at the lake?'),
].map((message, index) => ({ ...message, timestamp: START + index * 1_000 }));

/** One session as the host keeps it: its log on disk, and what of it the engine is given. */
export interface ToldSession {
  readonly ids: { sessionId: string; sessionKey: string };
  readonly log: AgentMessage[];
  /** Whether the engine took each entry; per batch only how many, the first ones. */
  readonly taken: boolean[];
  /** Writes the script on up to so many entries, without a word to the engine. */
  grow(upTo?: number, change?: (message: AgentMessage) => AgentMessage): void;
  /** Gives the engine the entries of an interval; returns how many it took. */
  deliver(engine: ContextEngine, from: number, to: number, replay: boolean, signal?: AbortSignal): Promise<number>;
  /** Goes on with the script, each entry given once; the first time after `bootstrap`. */
  tell(engine: ContextEngine, upTo?: number): Promise<void>;
  /** A process begins: `bootstrap`, or the entries behind the acknowledged ones again. */
  resume(engine: ContextEngine, acknowledged: number): Promise<void>;
}

export function createToldSession(name: string): ToldSession {
  const ids = { sessionId: `fault-${name}`, sessionKey: `agent:main:fault-${name}` };
  const log: AgentMessage[] = [];
  const taken: boolean[] = [];
  const self: ToldSession = {
    ids,
    log,
    taken,
    grow(upTo = SCRIPT.length, change = (message) => message) {
      log.push(...SCRIPT.slice(log.length, upTo).map((message) => change(structuredClone(message))));
    },
    async deliver(engine, from, to, replay, signal) {
      const flags = { ...(replay ? { replay } : {}), ...(signal === undefined ? {} : { signal }) };
      const messages = log.slice(from, to);
      const entries = messages.map((_message, index) => ({ entryId: entryId(from + index), seq: from + index + 1 }));
      if (engine.ingestBatch !== undefined) {
        const { ingestedCount } = await engine.ingestBatch({ ...ids, messages, entries, ...flags });
        if (!replay) for (const index of messages.keys()) taken[from + index] = index < ingestedCount;
        return ingestedCount;
      }
      let count = 0;
      for (const [index, message] of messages.entries()) {
        const { ingested } = await engine.ingest({ ...ids, message, ...entries[index], ...flags });
        if (!replay) taken[from + index] = ingested;
        if (ingested) count += 1;
      }
      return count;
    },
    async tell(engine, upTo = SCRIPT.length) {
      const from = log.length;
      if (from === 0) await engine.bootstrap?.({ ...ids, messages: [] });
      self.grow(upTo);
      // two entries a delivery, so that a batch is a part of the whole
      for (let next = from; next < log.length; next += 2) await self.deliver(engine, next, Math.min(next + 2, log.length), false);
    },
    async resume(engine, acknowledged) {
      if (engine.bootstrap !== undefined) await engine.bootstrap({ ...ids, messages: [...log] });
      else if (acknowledged < log.length) await self.deliver(engine, acknowledged, log.length, true);
    },
  };
  return self;
}

export function assemble(engine: ContextEngine, { ids }: ToldSession, messages: readonly AgentMessage[]): Promise<AssembleResult> {
  return engine.assemble({ ...ids, messages: [...messages], tokenBudget: BUDGET, prompt: 'note-09: which of them is at the lake?' });
}

/**
 * With the whole history, then with what a compaction leaves of it: there an engine answers from its own store. It is the last that both
 * sessions see, for a history does not grow back.
 */
export async function compare(engine: ContextEngine, calm: ToldSession, struck: ToldSession): Promise<void> {
  for (const from of [0, SCRIPT.length - 1]) {
    const fill = (session: ToldSession) => assemble(engine, session, session.log.slice(from));
    const expected = await fill(calm);
    const result = await fill(struck);
    checkContext(result, 'after the fault');
    const [left, right] = [expected, result].map(known);
    assert.deepEqual(right, left, `the context is another one than without the fault: ${right?.join(' ')} instead of ${left?.join(' ')}`);
  }
}

/** All that the model is told. */
export function known({ messages, systemPromptAddition = '' }: AssembleResult): string[] {
  return [...notes(messages), ...notes(systemPromptAddition)];
}

export function notes(value: unknown): string[] {
  return JSON.stringify(value).match(/note-\d\d/g) ?? [];
}

export function checkContext(result: AssembleResult, when: string, line?: 'ancestor'): void {
  checkMessages(result?.messages);
  if (line !== 'ancestor') checkPairs(result.messages);
  assert.ok(Number.isFinite(result.estimatedTokens) && result.estimatedTokens >= 0, `${when} estimatedTokens is ${result.estimatedTokens}`);
}
