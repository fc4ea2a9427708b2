import type { ProviderRequest } from 'Durar/plugin-sdk/core';
import type { OpenAI } from 'openai';

export const OPENAI_BASE_URL = 'https://api.openai.com/v1';

/** Where a request goes. */
export function baseUrlOf({ baseUrl, model }: Pick<ProviderRequest, 'baseUrl' | 'model'>): string {
  return baseUrl ?? model.baseUrl ?? OPENAI_BASE_URL;
}

/** Only OpenAI's own host gets what only OpenAI understands; any other address is a compatible server. */
export function isNative(baseUrl: string): boolean {
  return URL.canParse(baseUrl) && new URL(baseUrl).hostname === 'api.openai.com';
}

/** The SDK is loaded at the first call. Retries are the host's; nothing is read from the environment for other servers. */
export async function openClient(options: { baseUrl: string; apiKey?: string; headers?: Record<string, string> }): Promise<OpenAI> {
  const { OpenAI } = await import('openai');
  const { baseUrl, apiKey, headers } = options;
  return new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? 'none',
    maxRetries: 0,
    logLevel: 'off',
    defaultHeaders: { ...(apiKey === undefined ? { Authorization: null } : {}), ...headers },
    ...(isNative(baseUrl) ? {} : { organization: null, project: null }),
  });
}
