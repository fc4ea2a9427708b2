import { type AgentMessage, type AssistantMessage, messageText } from '../../../sdk/index.ts';
import type { ResolvedModel } from './models.ts';
import { withProfiles } from './profile-use.ts';
import { consumeStream } from './stream.ts';

export interface Completion {
  model: ResolvedModel;
  messages: AgentMessage[];
  systemPrompt?: string | undefined;
  maxTokens?: number | undefined;
  signal: AbortSignal;
  stallMs: number;
  now: () => number;
}

/** One model call outside any session, without tools. Throws `DUR_PROVIDER_*`, or the signal's reason. */
export async function complete(request: Completion): Promise<{ text: string; message: AssistantMessage }> {
  const { model, messages, signal } = request;
  const ask = () =>
    consumeStream({
      open: (inner) =>
        model.stream(
          {
            model: model.entry,
            messages,
            tools: [],
            maxTokens: Math.min(request.maxTokens ?? model.entry.maxTokens, model.entry.maxTokens),
            ...(request.systemPrompt === undefined ? {} : { systemPrompt: request.systemPrompt }),
            ...(model.apiKey === undefined ? {} : { apiKey: model.apiKey }),
            ...(model.baseUrl === undefined ? {} : { baseUrl: model.baseUrl }),
            ...(model.headers === undefined ? {} : { headers: model.headers }),
          },
          { signal: inner },
        ),
      model: model.entry,
      owner: model.owner,
      signal,
      stallMs: request.stallMs,
      now: request.now,
      onText() {},
      onThinking() {},
    });
  const { message, error } = await withProfiles(model, signal, ask);
  if (signal.aborted) throw signal.reason;
  if (error !== undefined) throw error;
  return { text: messageText(message), message };
}
