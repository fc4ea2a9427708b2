import { definePluginEntry } from 'Durar/plugin-sdk/core';
import { streamCompletions } from './completions.ts';
import { createOpenAiProvider } from './provider.ts';
import { streamResponses } from './responses.ts';

export default definePluginEntry({
  id: 'openai',
  name: 'OpenAI',
  register(api) {
    api.registerProvider(createOpenAiProvider());
    api.registerModelApi({ id: 'openai-completions', stream: streamCompletions });
    api.registerModelApi({ id: 'openai-responses', stream: streamResponses });
  },
});
