import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';
import { type AgentMessage, type ContextEngine, messageText, type ProviderRequest } from '../../sdk/index.ts';
import { createAgentHost } from '../agent-host.ts';
import { generator } from './corpus.ts';
import { requestTokens } from './count.ts';
import { createTalk, pairingFaults } from './talk.ts';

export interface LongRun {
  engine: ContextEngine;
  turns: number;
  seed: number;
  /** tokens */
  window: number;
  /** characters of the largest tool result */
  largest: number;
  /** Words said at a turn in place of invented ones. */
  said?: ReadonlyMap<number, string>;
}

export interface LongResult {
  requests: number;
  /** Requests that the model found too large. */
  refusals: number;
  largest: number;
  compactions: number;
  /** Requests that did not begin with the whole of the request before, by the reason that is known for it. */
  breaks: Record<'compaction' | 'pruning' | 'pictures' | 'window' | 'unexplained', number>;
  /** What was sent for each of the caller's own words. */
  answers: Map<string, string>;
  /** CPU of each turn, ms. */
  cpu: number[];
  /** Live heap after the first fifth, half and end of the session, MB. */
  heap: number[];
}

const MINUTE = 60_000;
const TTL = 5 * MINUTE;
/** Turns between two looks at all bytes of the prefix; in between, messages that are the same object are taken to be the same. */
const FULL_LOOK = 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Takes one session through many turns and looks at every request that its model gets. */
export async function runLong({ engine, turns, seed, window, largest, said = new Map() }: LongRun): Promise<LongResult> {
  const random = generator(seed + 1);
  let clock = Date.UTC(2026, 0, 1);
  let gap = 0;
  let current = '';
  let last: { messages: AgentMessage[]; texts: string[]; fixed: string } | undefined;
  const result: LongResult = {
    requests: 0,
    refusals: 0,
    largest: 0,
    compactions: 0,
    breaks: { compaction: 0, pruning: 0, pictures: 0, window: 0, unexplained: 0 },
    answers: new Map(),
    cpu: [],
    heap: [],
  };
  let compactionsThen = 0;

  function onRequest(request: ProviderRequest): void {
    const { messages } = request;
    result.requests += 1;
    const tokens = requestTokens(request);
    result.largest = Math.max(result.largest, tokens);
    expect(tokens).toBeLessThanOrEqual(window);
    expect(pairingFaults(messages)).toEqual([]);
    const users = messages.filter(({ role }) => role === 'user');
    expect(messageText(users.at(-1) ?? never())).toContain(current.slice(0, 4_000));
    const places = users.flatMap((message) => [...messageText(message).matchAll(/^Turn (\d+):/gm)].slice(-1).map(([, place]) => Number(place)));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    if ([...said.values()].includes(current)) result.answers.set(current, JSON.stringify(messages));
    comparePrefix(request);
    gap = 0;
  }

  function comparePrefix({ messages, systemPrompt, tools }: ProviderRequest): void {
    const full = result.requests % FULL_LOOK === 0;
    const texts = messages.map((message, index) => (!full && message === last?.messages[index] ? (last.texts[index] ?? '') : JSON.stringify(message)));
    const fixed = JSON.stringify([systemPrompt, tools]);
    if (last !== undefined) {
      const at = last.texts.findIndex((text, index) => text !== texts[index]);
      if (at >= 0 || fixed !== last.fixed) {
        result.breaks[reason(last.messages, messages, at)] += 1;
      }
    }
    last = { messages: [...messages], texts, fixed };
    compactionsThen = result.compactions;
  }

  /** Why a message is not what it was at its place. */
  function reason(before: readonly AgentMessage[], now: readonly AgentMessage[], at: number): keyof LongResult['breaks'] {
    if (result.compactions > compactionsThen) return 'compaction';
    const [was, is] = [before[at], now[at]];
    if (was === undefined || is === undefined) return 'unexplained';
    if (identity(was) === identity(is)) return changeOf(was, is) ?? 'unexplained';
    if (engine.info.id === 'legacy' || (now[0]?.timestamp ?? 0) <= (before[0]?.timestamp ?? 0)) return 'unexplained';
    // the window begins later; what is still in it is as it was, only the turn under way may get a note or be shortened
    const newest = now.findLastIndex(({ role }) => role === 'user');
    const startOfTurn = now[newest]?.timestamp ?? 0;
    const shown = new Map(now.map((message) => [identity(message), message]));
    const same = before.every((message) => {
      const later = message.timestamp >= startOfTurn ? undefined : shown.get(identity(message));
      return later === undefined || JSON.stringify(later) === JSON.stringify(message) || changeOf(message, later) !== undefined;
    });
    return same ? 'window' : 'unexplained';
  }

  function changeOf(was: AgentMessage, is: AgentMessage): 'pictures' | 'pruning' | undefined {
    if (hasPicture(was) && !hasPicture(is)) return 'pictures';
    return gap >= TTL && is.role === 'toolResult' ? 'pruning' : undefined;
  }

  const now = () => {
    clock += 1;
    return clock;
  };
  const onRefusal = () => {
    result.refusals += 1;
  };
  const talk = createTalk({ seed, window, largest, now, onRequest, onRefusal });
  const host = await createAgentHost({
    engine,
    providers: [talk.provider],
    tools: [talk.tool],
    now,
    config: { agents: { defaults: { model: 'talk/long', timeoutSeconds: 0, contextPruning: { mode: 'cache-ttl', ttl: '5m' } } } },
  });
  host.agent.onEvent(({ stream, data }) => {
    if (stream === 'compaction' && data.phase === 'end' && data.completed === true) result.compactions += 1;
  });
  for (let turn = 1; turn <= turns; turn += 1) {
    const pause = random() < 0.04 ? 6 * MINUTE : 20_000;
    clock += pause;
    gap += pause;
    const { message, images } = talk.next(said.get(turn));
    current = message;
    const before = process.cpuUsage();
    const { status, error } = await host.run(message, images === undefined ? {} : { images });
    const { user, system } = process.cpuUsage(before);
    expect([turn, status, error]).toEqual([turn, 'ok', undefined]);
    result.cpu.push((user + system) / 1_000);
    host.events.length = 0;
    host.logged.length = 0;
    if (turn === Math.floor(turns / 5) || turn === Math.floor(turns / 2) || turn === turns) {
      collect();
      result.heap.push(process.memoryUsage().heapUsed / 2 ** 20);
    }
  }
  // nothing of the session was lost on the way
  const stored = await host.messages();
  expect(stored.filter(({ role }) => role === 'user')).toHaveLength(turns);
  expect(pairingFaults(stored)).toEqual([]);
  return result;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function hasPicture({ content }: AgentMessage): boolean {
  return Array.isArray(content) && content.some(({ type }) => type === 'image');
}

function identity(message: AgentMessage): string {
  return `${message.timestamp} ${message.role} ${message.role === 'toolResult' ? message.toolCallId : ''}`;
}

function never(): never {
  throw new Error('the request has no user message');
}
