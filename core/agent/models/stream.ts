import {
  type AssistantMessage,
  type DurarError,
  durarError,
  emptyUsage,
  errorCode,
  errorText,
  type ModelEntry,
  type ProviderErrorKind,
  type ProviderEvent,
  type StopReason,
  type Usage,
} from '../../../sdk/index.ts';

export interface StreamInput {
  /** Opens the stream; `signal` is aborted when the host stops reading. */
  open(signal: AbortSignal): AsyncIterable<ProviderEvent>;
  model: ModelEntry;
  /** extension that owns the stream, for errors */
  owner: string | undefined;
  signal: AbortSignal;
  /** milliseconds of silence that count as a stall */
  stallMs: number;
  now: () => number;
  onText(delta: string): void;
  onThinking(delta: string): void;
}

/** One model reply. A failed call has `error` too, and its message carries what had arrived. */
export interface StreamOutcome {
  message: AssistantMessage;
  error?: DurarError;
  kind?: ProviderErrorKind;
}

/** Reads one provider stream to its end. Never throws: every way to fail becomes a message with stop reason `error` or `aborted`. */
export async function consumeStream(input: StreamInput): Promise<StreamOutcome> {
  const { model, signal } = input;
  const controller = new AbortController();
  const parts = new Map<number, { type: 'text' | 'thinking'; text: string }>();
  let usage: Usage | undefined;
  let interrupt: ((reason: unknown) => void) | undefined;
  const stop = (reason: unknown): void => {
    controller.abort(reason);
    interrupt?.(reason);
  };
  const onAbort = (): void => stop(signal.reason);
  const timer = setTimeout(
    () => stop(durarError('DUR_PROVIDER_STALLED', { provider: model.provider, ms: input.stallMs }, { owner: { ...owner(input), hook: 'stream' } })),
    input.stallMs,
  );
  let iterator: AsyncIterator<ProviderEvent> | undefined;

  const broken = (reason: string): DurarError =>
    durarError('DUR_PROVIDER_STREAM', { provider: model.provider, reason }, { owner: { ...owner(input), hook: 'stream' } });

  const partial = (stopReason: StopReason, errorMessage?: string): AssistantMessage => ({
    role: 'assistant',
    content: [...parts.entries()]
      .sort(([a], [b]) => a - b)
      .filter(([, part]) => part.text !== '')
      .map(([, part]) => (part.type === 'text' ? { type: 'text', text: part.text } : { type: 'thinking', thinking: part.text })),
    api: model.api,
    provider: model.provider,
    model: model.id,
    usage: usage ?? emptyUsage(),
    stopReason,
    ...(errorMessage === undefined ? {} : { errorMessage }),
    timestamp: input.now(),
  });

  /** A next event, or the abort or stall that came first. */
  const next = (source: AsyncIterator<ProviderEvent>): Promise<IteratorResult<ProviderEvent>> =>
    new Promise((resolve, reject) => {
      if (controller.signal.aborted) throw controller.signal.reason;
      interrupt = reject;
      source.next().then(resolve, reject);
    });

  const grow = (event: { contentIndex: number; delta: string }, type: 'text' | 'thinking', tell: (delta: string) => void): void => {
    if (typeof event.delta !== 'string') throw broken(`a ${type}_delta without text`);
    const part = parts.get(event.contentIndex);
    if (part === undefined) parts.set(event.contentIndex, { type, text: event.delta });
    else part.text += event.delta;
    if (event.delta !== '') tell(event.delta);
  };

  try {
    if (signal.aborted) throw signal.reason;
    signal.addEventListener('abort', onAbort, { once: true });
    iterator = input.open(controller.signal)[Symbol.asyncIterator]();
    for (;;) {
      const { value: event, done } = await next(iterator);
      timer.refresh();
      if (done === true) throw broken("it ended without 'done' or 'error'");
      switch (event?.type) {
        case 'text_delta':
          grow(event, 'text', input.onText);
          break;
        case 'thinking_delta':
          grow(event, 'thinking', input.onThinking);
          break;
        case 'done': {
          const problem = wrongMessage(event.message);
          if (problem !== undefined) throw broken(problem);
          return { message: finished(event.message, event.reason, input) };
        }
        case 'error':
          usage = readUsage(event.error?.usage);
          if (event.reason === 'aborted' && signal.aborted) throw signal.reason;
          throw Object.assign(failed(input, event.error?.errorMessage ?? 'no reason given', event.retryAfterMs), { kind: event.kind });
        case 'start':
        case 'text_start':
        case 'text_end':
        case 'thinking_start':
        case 'thinking_end':
        case 'toolcall_start':
        case 'toolcall_delta':
        case 'toolcall_end':
          usage = event.partial?.usage ?? usage;
          break;
        default:
          throw broken(`an unknown event '${String((event as { type?: unknown } | undefined)?.type)}'`);
      }
    }
  } catch (error) {
    usage = usage === undefined ? undefined : { ...usage };
    if (signal.aborted) return { message: partial('aborted') };
    const kind = (error as { kind?: ProviderErrorKind } | null)?.kind;
    const coded = errorCode(error)?.startsWith('DUR_') ? (error as DurarError) : failed(input, errorText(error), undefined, error);
    return { message: partial('error', coded.message), error: coded, ...(kind === undefined ? {} : { kind }) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    controller.abort();
    // a generator that hangs never answers `return`; nobody waits for it, and what it throws then concerns nobody
    iterator?.return?.().then(undefined, () => undefined);
  }
}

function failed(input: StreamInput, reason: string, retryAfterMs?: number, cause?: unknown): DurarError {
  return durarError(
    'DUR_PROVIDER_FAILED',
    { provider: input.model.provider, reason },
    { owner: { ...owner(input), hook: 'stream' }, cause, ...(retryAfterMs === undefined ? {} : { details: { retryAfterMs } }) },
  );
}

function owner(input: StreamInput): { extension?: string } {
  return input.owner === undefined ? {} : { extension: input.owner };
}

function wrongMessage(message: AssistantMessage | undefined): string | undefined {
  if (message?.role !== 'assistant' || !Array.isArray(message.content)) return "'done' carries no assistant message";
  for (const block of message.content) {
    if (block?.type === 'toolCall' && (typeof block.id !== 'string' || block.id === '' || typeof block.name !== 'string'))
      return 'a tool call without id or name';
    if (block?.type === 'text' && typeof block.text !== 'string') return 'a text block without text';
    if (block?.type !== 'text' && block?.type !== 'thinking' && block?.type !== 'toolCall')
      return `an unknown block '${String((block as { type?: unknown } | null)?.type)}'`;
  }
  return undefined;
}

/** The provider's message with the facts filled in that others rely on. A reply cut by its length keeps no tool call: its arguments may be cut too. */
function finished(message: AssistantMessage, reason: 'stop' | 'length' | 'toolUse', input: StreamInput): AssistantMessage {
  const { model } = input;
  const isCut = reason === 'length';
  const content = message.content
    .filter((block) => !(isCut && block.type === 'toolCall'))
    .map((block) => (block.type === 'toolCall' && !isObject(block.arguments) ? { ...block, arguments: {} } : block));
  const calls = content.some((block) => block.type === 'toolCall');
  return {
    ...message,
    content,
    api: message.api ?? model.api,
    provider: message.provider ?? model.provider,
    model: message.model ?? model.id,
    usage: readUsage(message.usage) ?? emptyUsage(),
    stopReason: isCut ? 'length' : calls ? 'toolUse' : 'stop',
    timestamp: typeof message.timestamp === 'number' ? message.timestamp : input.now(),
  };
}

function readUsage(usage: Partial<Usage> | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const empty = emptyUsage();
  const read = { ...empty, ...usage, cost: { ...empty.cost, ...usage.cost } };
  if (read.totalTokens === 0) read.totalTokens = read.input + read.output + read.cacheRead + read.cacheWrite;
  return read;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
