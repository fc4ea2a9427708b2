import type { ModelEntry, ThinkingLevel } from 'Durar/plugin-sdk/core';

type ThinkingFormat = 'openai' | 'openrouter' | 'zai' | 'qwen' | 'qwen-chat-template';

/** What a server understands. Every switch can be set in the `compat` of a model. */
export interface Compat {
  supportsStore: boolean;
  supportsDeveloperRole: boolean;
  supportsReasoningEffort: boolean;
  /** Thinking level -> the server's own word; a level without one is sent as it is. */
  reasoningEffortMap: Readonly<Record<string, string>>;
  supportsUsageInStreaming: boolean;
  maxTokensField: 'max_tokens' | 'max_completion_tokens';
  requiresToolResultName: boolean;
  requiresAssistantAfterToolResult: boolean;
  requiresThinkingAsText: boolean;
  /** How thinking is asked for. */
  thinkingFormat: ThinkingFormat;
  supportsStrictMode: boolean;
}

const FORMATS: readonly ThinkingFormat[] = ['openai', 'openrouter', 'zai', 'qwen', 'qwen-chat-template'];

/** The switches of a model: its own, else those of OpenAI for OpenAI's host and the most cautious ones elsewhere. */
export function compatOf(model: ModelEntry, native: boolean): Compat {
  const own = model.compat ?? {};
  const flag = (name: keyof Compat, fallback: boolean) => (typeof own[name] === 'boolean' ? own[name] : fallback);
  const { maxTokensField: field, reasoningEffortMap: map } = own;
  return {
    supportsStore: flag('supportsStore', native),
    supportsDeveloperRole: flag('supportsDeveloperRole', native),
    supportsReasoningEffort: flag('supportsReasoningEffort', native),
    reasoningEffortMap: typeof map === 'object' && map !== null ? (map as Record<string, string>) : {},
    supportsUsageInStreaming: flag('supportsUsageInStreaming', true),
    maxTokensField: field === 'max_tokens' || field === 'max_completion_tokens' ? field : native ? 'max_completion_tokens' : 'max_tokens',
    requiresToolResultName: flag('requiresToolResultName', false),
    requiresAssistantAfterToolResult: flag('requiresAssistantAfterToolResult', false),
    requiresThinkingAsText: flag('requiresThinkingAsText', false),
    thinkingFormat: FORMATS.find((format) => format === own.thinkingFormat) ?? 'openai',
    supportsStrictMode: flag('supportsStrictMode', native),
  };
}

/** The effort to ask for; undefined leaves it to the model. */
export function effortOf(model: ModelEntry, compat: Compat, level: ThinkingLevel | undefined): string | undefined {
  if (!model.reasoning || level === undefined) return undefined;
  const mapped = Object.hasOwn(compat.reasoningEffortMap, level) ? compat.reasoningEffortMap[level] : undefined;
  if (mapped !== undefined) return mapped;
  return level === 'off' || level === 'adaptive' ? undefined : level;
}
