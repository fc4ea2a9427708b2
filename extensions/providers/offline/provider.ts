import { errorText, type ModelEntry, type Provider, type ProviderEvent, type ProviderRequest, type StreamOptions } from 'Durar/plugin-sdk/core';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { echo, report, summarise, wantedTool, wantsSummary } from './answer.ts';
import { type Conversation, readConversation, tokensOfRequest } from './conversation.ts';
import { type Instruction, parseInstructions } from './instruction.ts';
import { Reply } from './reply.ts';

export interface OfflineConfig {
  latencyMs?: number;
  wordDelayMs?: number;
  contextWindow?: number;
}

const DEFAULT_WINDOW = 200_000;
const SMALL_WINDOW = 4000;
/** The longest wait of a timer; a stall ends by abort only. */
const FOREVER_MS = 2 ** 31 - 1;
/** Words between two turns of the event loop when there is no delay between words. */
const WORDS_AT_ONCE = 64;
const REMEMBERED_FAILURES = 1000;

/** A provider without network or account whose replies depend on the request alone. */
export function createOfflineProvider(config: OfflineConfig = {}): Provider {
  const failures = new Map<string, number>();

  return {
    id: 'offline',
    label: 'Offline',
    keyless: true,
    models: async () => [
      model('echo', 'Offline echo', config),
      model('script', 'Offline script', config),
      model('reasoner', 'Offline reasoner', config),
      model('small', 'Offline small window', { contextWindow: SMALL_WINDOW }),
    ],
    stream: (request, options) => guarded(request, options),
  };

  async function* guarded(request: ProviderRequest, options: StreamOptions): AsyncGenerator<ProviderEvent> {
    const reply = new Reply(request.model, tokensOfRequest(request));
    try {
      for await (const event of run(request, reply, options)) {
        yield event;
        if (event.type === 'done' || event.type === 'error') return;
        options.signal.throwIfAborted();
      }
    } catch (error) {
      if (!options.signal.aborted) throw error;
      yield reply.stream.aborted();
    }
  }

  async function* run(request: ProviderRequest, reply: Reply, { signal }: StreamOptions): AsyncGenerator<ProviderEvent> {
    signal.throwIfAborted();
    yield reply.stream.start();
    if (config.latencyMs) await setTimeout(config.latencyMs, undefined, { signal });
    const input = reply.stream.message.usage.input;
    if (input > request.model.contextWindow) {
      yield reply.stream.failed({ kind: 'context_overflow', text: `the prompt has ${input} tokens and the window ${request.model.contextWindow}` });
      return;
    }
    const conversation = readConversation(request.messages);
    let steps: Instruction[];
    try {
      steps = plan(request, conversation);
    } catch (error) {
      yield reply.stream.failed({ kind: 'format', text: errorText(error) });
      return;
    }
    let calls = 0;
    for (const step of steps) {
      switch (step.do) {
        case 'say':
          yield* paced(reply.text(words(step.text)), signal);
          break;
        case 'think':
          yield* paced(reply.thinking(words(step.text)), signal);
          break;
        case 'tokens':
          yield* paced(reply.text(filler(step.count)), signal);
          break;
        case 'tool':
        case 'also':
          calls += 1;
          yield* reply.toolCall(`call_${conversation.saidAt.toString(36)}_${conversation.turn + 1}_${calls}`, step.name, step.args);
          break;
        case 'delay':
          await setTimeout(step.ms, undefined, { signal });
          break;
        case 'stall':
          await setTimeout(FOREVER_MS, undefined, { signal });
          break;
        case 'usage':
          reply.report(step.input, step.output);
          break;
        case 'fail':
          if (!failsAgain(`${request.sessionId ?? ''} ${conversation.saidAt} ${conversation.said}`, step.times)) break;
          yield reply.stream.failed({
            kind: step.kind,
            text: `failed as told (${step.kind})`,
            ...(step.retryAfterMs === undefined ? {} : { retryAfterMs: step.retryAfterMs }),
          });
          return;
        case 'throw':
          throw new Error(step.text);
        case 'cut':
          yield reply.stream.done('length');
          return;
        case 'drop':
          return;
      }
    }
    yield reply.stream.done('stop');
  }

  async function* paced(events: Iterable<ProviderEvent>, signal: AbortSignal): AsyncGenerator<ProviderEvent> {
    let count = 0;
    for (const event of events) {
      yield event;
      count += 1;
      if (config.wordDelayMs) await setTimeout(config.wordDelayMs, undefined, { signal });
      else if (count % WORDS_AT_ONCE === 0) await setImmediate();
    }
  }

  /** Counts the failures of one message, so that `fail <kind> 2` lets the third attempt pass. */
  function failsAgain(message: string, times: number): boolean {
    if (times === Number.POSITIVE_INFINITY) return true;
    const failed = failures.get(message) ?? 0;
    if (failed >= times) return false;
    if (failures.size >= REMEMBERED_FAILURES) failures.clear();
    failures.set(message, failed + 1);
    return true;
  }
}

function model(id: string, name: string, config: OfflineConfig): ModelEntry {
  return {
    id,
    name,
    api: 'offline',
    provider: 'offline',
    reasoning: id === 'reasoner',
    input: ['text', 'image'],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    contextWindow: config.contextWindow ?? DEFAULT_WINDOW,
    maxTokens: 8192,
  };
}

/** The steps of this one call. Throws when an instruction cannot be read. */
function plan(request: ProviderRequest, conversation: Conversation): Instruction[] {
  const { said, turn, results } = conversation;
  const onlyScript = request.model.id === 'script';
  if (!onlyScript && wantsSummary(request, said)) return [{ do: 'say', text: summarise(request.messages) }];

  const script = parseInstructions(said);
  if (script.length > 0) return scripted(script, turn, results.length === 0 ? 'done' : report(results));

  if (onlyScript) return [{ do: 'say', text: results.length === 0 ? 'done' : report(results) }];
  const thought: Instruction[] =
    request.model.reasoning && request.thinking !== 'off' ? [{ do: 'think', text: `The user wrote ${said.length} characters.` }] : [];
  if (results.length > 0) return [...thought, { do: 'say', text: report(results) }];
  const wanted = wantedTool(said);
  if (wanted === undefined) return [...thought, { do: 'say', text: echo(conversation) }];
  if (request.tools.some((tool) => tool.name === wanted.name)) return [...thought, wanted];
  return [...thought, { do: 'say', text: `${echo(conversation)}\n\nI would call the tool \`${wanted.name}\`, but it is not offered to me.` }];
}

/** A reply ends with its tool calls; `turn` says how many such replies were given. A reply that would be empty says `fallback`. */
function scripted(script: readonly Instruction[], turn: number, fallback: string): Instruction[] {
  const replies: Instruction[][] = [[]];
  for (const [index, step] of script.entries()) {
    const before = script[index - 1]?.do;
    if (step.do !== 'also' && (before === 'tool' || before === 'also')) replies.push([]);
    replies.at(-1)?.push(step);
  }
  const steps = replies[turn] ?? [];
  return steps.some((step) => SPEAKS.has(step.do)) ? steps : [...steps, { do: 'say', text: fallback }];
}

const SPEAKS: ReadonlySet<Instruction['do']> = new Set(['say', 'tokens', 'tool', 'also', 'throw', 'stall', 'cut', 'drop']);

function words(text: string): Iterable<string> {
  return text.match(/\S+\s*|\s+/g) ?? [];
}

function* filler(count: number): Generator<string> {
  // one word of four characters is one token
  for (let index = 0; index < count; index += 1) yield 'wor ';
}
