import type { AgentMessage, AssistantMessage, ToolCallBlock, Usage } from '../messages.ts';

/**
 * Ports: model provider and model API.
 *
 * A *provider* says which models exist and how to pay for them (base URL, credential). A *model API* speaks one wire format
 * (`openai-completions`, `openai-responses`, ...). A provider either streams by itself or leaves it to the API its models name, so a new
 * OpenAI-compatible service needs no code: a manifest or `models.providers.<id>` is enough.
 */
export interface Provider {
  readonly id: string;
  readonly label?: string;
  readonly aliases?: readonly string[];
  /** Environment variables that may hold the credential, best first. */
  readonly envVars?: readonly string[];
  /** The provider needs no credential at all. */
  readonly keyless?: boolean;
  readonly baseUrl?: string;
  /** The models it offers. Called at most once per generation and refresh; may ask the network within `signal`. */
  models?(params: { baseUrl?: string; apiKey?: string; signal?: AbortSignal }): Promise<ModelEntry[]>;
  /** Streams one model call itself. Absent: the model API named by the model's `api` does. */
  stream?(request: ProviderRequest, options: StreamOptions): AsyncIterable<ProviderEvent>;
}

/** Speaks one wire format for any number of providers. `id` is what models carry in `api`. */
export interface ModelApi {
  readonly id: string;
  stream(request: ProviderRequest, options: StreamOptions): AsyncIterable<ProviderEvent>;
}

export interface StreamOptions {
  /** Aborted: stop reading, end the stream with an `error` event of reason `aborted`. */
  signal: AbortSignal;
}

export interface ModelCost {
  /** US dollars per million tokens */
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
}

export interface ModelEntry {
  /** id at the provider, without the provider's own id */
  id: string;
  name: string;
  api: string;
  provider: string;
  baseUrl?: string;
  reasoning: boolean;
  input: Array<'text' | 'image'>;
  cost: ModelCost;
  /** tokens */
  contextWindow: number;
  /** largest reply, tokens */
  maxTokens: number;
  headers?: Record<string, string>;
  compat?: Record<string, unknown>;
}

export interface ToolSchema {
  name: string;
  description: string;
  /** JSON Schema of the arguments */
  parameters: Record<string, unknown>;
}

export type ThinkingLevel = 'off' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'adaptive';

/** One model call. Plain data, so that a provider can live in another process. */
export interface ProviderRequest {
  model: ModelEntry;
  systemPrompt?: string;
  messages: AgentMessage[];
  tools: ToolSchema[];
  /** The resolved credential; absent for keyless providers. Never log it. */
  apiKey?: string;
  baseUrl?: string;
  headers?: Record<string, string>;
  maxTokens?: number;
  temperature?: number;
  thinking?: ThinkingLevel;
  /** A faster tier of service is wanted, where there is one. */
  fast?: boolean;
  sessionId?: string;
  runId?: string;
  params?: Record<string, unknown>;
}

/**
 * What a stream yields. Exactly one `done` or `error` ends it. `partial` is the message so far and is owned by the stream:
 * read it, do not keep it. A stream may throw instead of yielding `error`; the host treats both alike.
 */
export type ProviderEvent =
  | { type: 'start'; partial: AssistantMessage }
  | { type: 'text_start'; contentIndex: number; partial: AssistantMessage }
  | { type: 'text_delta'; contentIndex: number; delta: string; partial: AssistantMessage }
  | { type: 'text_end'; contentIndex: number; content: string; partial: AssistantMessage }
  | { type: 'thinking_start'; contentIndex: number; partial: AssistantMessage }
  | { type: 'thinking_delta'; contentIndex: number; delta: string; partial: AssistantMessage }
  | { type: 'thinking_end'; contentIndex: number; content: string; partial: AssistantMessage }
  | { type: 'toolcall_start'; contentIndex: number; partial: AssistantMessage }
  | { type: 'toolcall_delta'; contentIndex: number; delta: string; partial: AssistantMessage }
  | { type: 'toolcall_end'; contentIndex: number; toolCall: ToolCallBlock; partial: AssistantMessage }
  | { type: 'done'; reason: 'stop' | 'length' | 'toolUse'; message: AssistantMessage }
  | { type: 'error'; reason: 'aborted' | 'error'; error: AssistantMessage; kind?: ProviderErrorKind; retryAfterMs?: number };

/** Why a call failed, where the provider can tell. `context_overflow` starts compaction; the others choose what may be retried. */
export type ProviderErrorKind =
  | 'auth'
  | 'auth_permanent'
  | 'format'
  | 'overloaded'
  | 'rate_limit'
  | 'billing'
  | 'timeout'
  | 'model_not_found'
  | 'context_overflow'
  | 'unknown';

export type { Usage };
