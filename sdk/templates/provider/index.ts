import {
  type AssistantMessage,
  definePluginEntry,
  emptyUsage,
  messageText,
  type ModelEntry,
  type Provider,
  type ProviderEvent,
  type ProviderRequest,
} from 'Durar/plugin-sdk/core';

const MODEL: ModelEntry = {
  id: 'parrot',
  name: 'Parrot',
  api: '__ID__',
  provider: '__ID__',
  reasoning: false,
  input: ['text'],
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  contextWindow: 32_000,
  maxTokens: 4_000,
};

export default definePluginEntry({
  id: '__ID__',
  register(api) {
    const provider: Provider = {
      id: '__ID__',
      label: '__NAME__',
      // A provider with a credential names `envVars` here and finds the resolved key in `request.apiKey`.
      keyless: true,
      models: async () => [MODEL],
      stream: (request, { signal }) => repeat(request, signal),
    };
    api.registerProvider(provider);
  },
});

/** One `start`, the events of each block, then exactly one `done` or `error`. */
async function* repeat({ model, messages }: ProviderRequest, signal: AbortSignal): AsyncGenerator<ProviderEvent> {
  const last = messages.findLast((message) => message.role === 'user');
  const words = `You said: ${last === undefined ? 'nothing' : messageText(last)}`.split(/(?<=\s)/);
  let text = '';
  const message = (stopReason: AssistantMessage['stopReason']): AssistantMessage => ({
    role: 'assistant',
    content: [{ type: 'text', text }],
    api: model.api,
    provider: model.provider,
    model: model.id,
    usage: { ...emptyUsage(), input: tokens(JSON.stringify(messages)), output: tokens(text), totalTokens: tokens(JSON.stringify(messages)) + tokens(text) },
    stopReason,
    timestamp: Date.now(),
  });

  yield { type: 'start', partial: { ...message('stop'), content: [] } };
  yield { type: 'text_start', contentIndex: 0, partial: message('stop') };
  for (const delta of words) {
    if (signal.aborted) {
      yield { type: 'error', reason: 'aborted', error: message('aborted') };
      return;
    }
    text += delta;
    yield { type: 'text_delta', contentIndex: 0, delta, partial: message('stop') };
  }
  yield { type: 'text_end', contentIndex: 0, content: text, partial: message('stop') };
  yield { type: 'done', reason: 'stop', message: message('stop') };
}

function tokens(text: string): number {
  return Math.ceil(text.length / 4);
}
