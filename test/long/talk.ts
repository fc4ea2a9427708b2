import type { AgentMessage, Provider, ProviderRequest, Tool, ToolResult } from '../../sdk/index.ts';
import { ProviderStream } from '../../sdk/provider-stream.ts';
import { createCorpus, generator } from './corpus.ts';
import { requestTokens } from './count.ts';

/** What the user of a long session says next, and what the model and the tool will answer. */
export interface TalkTurn {
  message: string;
  images?: Array<{ data: string; mimeType: string }>;
}

export interface Talk {
  readonly provider: Provider;
  readonly tool: Tool;
  /** The next turn; `say` puts words of the caller in the place of invented ones. */
  next(say?: string): TalkTurn;
}

interface Plan {
  /** One array of result sizes a reply with tool calls. */
  steps: number[][];
  answer: string;
}

export interface TalkOptions {
  seed: number;
  /** tokens */
  window: number;
  /** characters of a tool's result */
  largest: number;
  now(): number;
  onRequest(request: ProviderRequest): void;
  onRefusal(tokens: number): void;
}

const SUMMARY_CHARS = 1_500;

/**
 * A seeded conversation about real text: questions, parallel tool calls, results up to `largest` characters, pictures. The model is in this
 * process, counts tokens in its own way and refuses what is larger than its window. `onRequest` sees every call for a turn.
 */
export function createTalk(options: TalkOptions): Talk {
  const { window, largest, now } = options;
  const random = generator(options.seed);
  const corpus = createCorpus(random);
  const below = (limit: number) => Math.floor(random() * limit);
  let turn = 0;
  let calls = 0;
  let plan: Plan = { steps: [], answer: '' };

  const size = (): number => {
    const kind = random();
    if (kind < 0.02) return Math.floor(largest * (0.2 + 0.8 * random()));
    return kind < 0.2 ? 4_000 + below(12_000) : 100 + below(2_500);
  };

  async function* stream(request: ProviderRequest) {
    const reply = new ProviderStream(request.model);
    reply.message.timestamp = now();
    yield reply.start();
    const input = requestTokens(request);
    reply.report({ input, output: 0 });
    if (input > window) {
      options.onRefusal(input);
      yield reply.failed({ kind: 'context_overflow', text: `${input} tokens, the window is ${window}` });
      return;
    }
    const isSummary = request.tools.length === 0;
    if (!isSummary) options.onRequest(request);
    const step = isSummary ? undefined : plan.steps.shift();
    if (step === undefined) {
      const text = isSummary ? `Summary: ${corpus.prose(SUMMARY_CHARS)}` : plan.answer;
      const [open, opened] = reply.openText();
      yield opened;
      yield reply.text(open, text);
      yield* reply.close(open);
      reply.report({ input, output: Math.ceil(text.length / 4) });
      yield reply.done();
      return;
    }
    for (const chars of step) {
      calls += 1;
      const [open, opened] = reply.openToolCall(`call_${calls}`, 'look');
      yield opened;
      yield reply.toolArguments(open, JSON.stringify({ chars, picture: random() < 0.01 }));
      yield* reply.close(open);
    }
    yield reply.done();
  }

  const tool: Tool = {
    name: 'look',
    description: 'Looks something up',
    parameters: { type: 'object', properties: { chars: { type: 'number' }, picture: { type: 'boolean' } } },
    async execute(_id, { chars, picture }): Promise<ToolResult> {
      const text = { type: 'text' as const, text: corpus.code(Number(chars)) };
      return { content: picture === true ? [text, image()] : [text] };
    },
  };

  const image = () => ({ type: 'image' as const, mimeType: 'image/png', data: Buffer.alloc(15_000 + below(30_000), below(256)).toString('base64') });

  return {
    tool,
    provider: {
      id: 'talk',
      keyless: true,
      models: async () => [
        {
          id: 'long',
          name: 'Long',
          api: 'talk',
          provider: 'talk',
          reasoning: false,
          input: ['text', 'image'],
          cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
          contextWindow: window,
          maxTokens: 4_096,
        },
      ],
      stream: (request) => stream(request),
    },
    next(say) {
      turn += 1;
      const count = say !== undefined || random() < 0.5 ? 0 : 1 + below(2);
      plan = {
        steps: Array.from({ length: count }, () => {
          const sizes = [size()];
          while (random() < 0.3 && sizes.length < 3) sizes.push(100 + below(2_000));
          return sizes;
        }),
        answer: random() < 0.3 ? corpus.code(300 + below(1_200)) : corpus.prose(100 + below(800)),
      };
      if (say !== undefined) return { message: say };
      const message = `Turn ${turn}: ${corpus.prose(random() < 0.02 ? 20_000 : 60 + below(900))}`;
      return random() < 0.03 ? { message, images: [{ data: image().data, mimeType: 'image/png' }] } : { message };
    },
  };
}

/** Of each call the result behind it, before anybody else speaks; what is wrong with that, in words. */
export function pairingFaults(messages: readonly AgentMessage[]): string[] {
  const faults: string[] = [];
  let open: string[] = [];
  for (const message of messages) {
    if (message.role === 'toolResult') {
      if (!open.includes(message.toolCallId)) faults.push(`result ${message.toolCallId} has no call before it`);
      open = open.filter((id) => id !== message.toolCallId);
      continue;
    }
    faults.push(...open.map((id) => `call ${id} has no result`));
    open = message.role === 'assistant' ? message.content.flatMap((block) => (block.type === 'toolCall' ? [block.id] : [])) : [];
    if (message.role === 'assistant' && message.content.length === 0) faults.push('an empty reply');
  }
  return [...faults, ...open.map((id) => `call ${id} has no result`)];
}
