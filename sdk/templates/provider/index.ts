import { definePluginEntry, messageText, type ModelEntry, type Provider, type ProviderEvent, type ProviderRequest } from 'Durar/plugin-sdk/core';
import { ProviderStream } from 'Durar/plugin-sdk/provider-stream';

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
  const said = `You said: ${last === undefined ? 'nothing' : messageText(last)}`;
  const reply = new ProviderStream(model);
  yield reply.start();
  const [text, opened] = reply.openText();
  yield opened;
  for (const word of said.split(/(?<=\s)/)) {
    if (signal.aborted) {
      yield reply.aborted();
      return;
    }
    yield reply.text(text, word);
  }
  yield* reply.close(text);
  reply.report({ input: tokens(JSON.stringify(messages)), output: tokens(said) });
  yield reply.done();
}

function tokens(text: string): number {
  return Math.ceil(text.length / 4);
}
