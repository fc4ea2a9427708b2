import type { ModelEntry, Provider } from 'Durar/plugin-sdk/core';
import { catalogue, unknownModel } from './catalog.ts';
import { isNative, OPENAI_BASE_URL, openClient } from './client.ts';

const LIST_TIMEOUT_MS = 5000;

/** The provider `openai`. With a key it lists what the account can use; without one, or when nobody answers, what is known here. */
export function createOpenAiProvider(): Provider {
  return {
    id: 'openai',
    label: 'OpenAI',
    envVars: ['OPENAI_API_KEY'],
    baseUrl: OPENAI_BASE_URL,
    async models({ baseUrl = OPENAI_BASE_URL, apiKey, signal }) {
      const known = catalogue();
      if (apiKey === undefined) return known;
      const ids = await listIds(baseUrl, apiKey, signal);
      if (ids === undefined) return known;
      const native = isNative(baseUrl);
      const listed = known.filter((model) => ids.has(model.id));
      for (const model of listed) ids.delete(model.id);
      const others = [...ids].sort().map((id) => unknownModel(id, native));
      return [...listed, ...others.filter((model): model is ModelEntry => model !== undefined)].map((model) => ({ ...model, baseUrl }));
    },
  };
}

/** undefined when the server cannot be asked, whatever the reason: a model call will tell it. */
async function listIds(baseUrl: string, apiKey: string, signal?: AbortSignal): Promise<Set<string> | undefined> {
  const client = await openClient({ baseUrl, apiKey });
  try {
    const page = await client.models.list({ timeout: LIST_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
    return new Set(page.data.map((model) => model.id));
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}
