import type { AgentMessage, Usage } from './messages.ts';
import type { ApprovalDecision, ApprovalRequest } from './ports/approval.ts';
import type { AssembleParams, AssembleResult, CompactParams, CompactResult } from './ports/context-engine.ts';
import type { ProviderRequest } from './ports/provider.ts';

/**
 * Every hook point, as a type. `api.on(name, handler, { priority })` taps one; a higher priority runs earlier.
 *
 * Modes:
 * - `series`: all handlers, one after another; results are ignored.
 * - `waterfall`: each handler gets the value and may return a new one; `undefined` keeps it.
 * - `bail`: the first handler that returns something other than `undefined` decides.
 * - `merge`: results are merged in order, earlier ones win; a terminal result (`block`, `cancel`) ends it.
 * - `sync`: a synchronous waterfall; a returned promise is dropped with a warning.
 * - `observe`: called without being awaited; errors are logged with their owner.
 */
export type HookMode = 'series' | 'waterfall' | 'bail' | 'merge' | 'sync' | 'observe';

/** Who and what a handler is called for. Fields are present where they are known. */
export interface HookContext {
  runId?: string;
  agentId?: string;
  sessionKey?: string;
  sessionId?: string;
  workspaceDir?: string;
  messageProvider?: string;
  trigger?: 'user' | 'heartbeat' | 'cron' | 'memory';
  channelId?: string;
  accountId?: string;
  conversationId?: string;
  signal?: AbortSignal;
}

interface Hook<Mode extends HookMode, Event, Result = void> {
  mode: Mode;
  event: Event;
  result: Result;
}

export interface ToolCallEvent {
  toolName: string;
  params: Record<string, unknown>;
  runId?: string;
  toolCallId?: string;
}

export interface ToolCallDecision {
  params?: Record<string, unknown>;
  block?: boolean;
  blockReason?: string;
  requireApproval?: {
    title: string;
    description: string;
    severity?: 'info' | 'warning' | 'critical';
    /** milliseconds, default 120000 */
    timeoutMs?: number;
    /** what a timeout means, default deny */
    timeoutBehavior?: 'deny' | 'allow';
    onResolution?: (decision: string) => void;
    /** stamped by the host */
    pluginId?: string;
  };
}

export interface PromptParts {
  systemPrompt?: string;
  prependContext?: string;
  prependSystemContext?: string;
  appendSystemContext?: string;
  /** Set by the host on what all handlers said together. */
  [GIVEN_BY]?: TextOrigin[];
}

export const GIVEN_BY: unique symbol = Symbol('given by');

/** Which extension gave a text of a merged result; texts of one key in their order. */
export interface TextOrigin {
  key: string;
  owner: string;
  chars: number;
}

/** Notes who gave a text of a result that is being merged. */
export function noteOrigin(merged: PromptParts, origin: TextOrigin): void {
  merged[GIVEN_BY] = [...(merged[GIVEN_BY] ?? []), origin];
}

export interface ModelOverride {
  modelOverride?: string;
  providerOverride?: string;
}

export interface InboundEvent {
  content: string;
  body?: string;
  bodyForAgent?: string;
  channel: string;
  accountId?: string;
  conversationId?: string;
  senderId?: string;
  senderName?: string;
  threadId?: string;
  messageId?: string;
  isGroup?: boolean;
  timestamp?: number;
  wasMentioned?: boolean;
  commandAuthorized?: boolean;
  metadata?: Record<string, unknown>;
}

export interface OutboundEvent {
  to: string;
  content: string;
  channel?: string;
  accountId?: string;
  metadata?: Record<string, unknown>;
}

export interface SubagentEvent {
  childSessionKey: string;
  agentId: string;
  label?: string;
  mode: 'run' | 'session';
  requester?: unknown;
  threadRequested?: boolean;
  runId?: string;
}

/** The message an engine is about to be given, with its place in the session's gap-free log. */
export interface IngestEvent {
  sessionId: string;
  sessionKey?: string;
  entryId: string;
  /** 1 for the first entry of a session; no gaps */
  seq: number;
  message: AgentMessage;
  /** true when the engine may have seen it before a crash or a swap */
  replay: boolean;
  isHeartbeat?: boolean;
}

export interface HookTable {
  'context.bootstrap': Hook<'series', { sessionId: string; sessionKey?: string; sessionFile?: string }>;
  'context.ingest': Hook<'series', IngestEvent>;
  'context.assemble': Hook<'waterfall', AssembleResult & { readonly params: AssembleParams }, AssembleResult>;
  'context.compact': Hook<'bail', CompactParams, CompactResult>;
  'context.afterTurn': Hook<'series', { sessionId: string; sessionKey?: string; messages: AgentMessage[]; prePromptMessageCount: number }>;
  'channel.inbound': Hook<'waterfall', InboundEvent, InboundEvent & { handled?: boolean }>;
  'channel.outbound': Hook<'waterfall', OutboundEvent, OutboundEvent & { cancel?: boolean }>;
  'provider.request': Hook<'waterfall', ProviderRequest, ProviderRequest>;
  /**
   * A message `/name args` that no command answers, of a sender who may use commands. `message` goes to the model in its place; `reply` answers it
   * without a run.
   */
  'command.expand': Hook<'bail', { name: string; args: string; message: string }, { message?: string; reply?: string }>;
  'secrets.resolve': Hook<'bail', { source: string; provider: string; id: string }, { value: unknown }>;
  'approval.request': Hook<'bail', ApprovalRequest, ApprovalDecision>;

  before_model_resolve: Hook<'merge', { prompt: string }, ModelOverride>;
  before_prompt_build: Hook<'merge', { prompt: string; messages: AgentMessage[] }, PromptParts>;
  before_agent_start: Hook<'merge', { prompt: string; messages?: AgentMessage[] }, PromptParts & ModelOverride>;
  before_agent_reply: Hook<'bail', { cleanedBody: string }, { handled: boolean; reply?: unknown; reason?: string }>;
  llm_input: Hook<
    'observe',
    {
      runId: string;
      sessionId: string;
      provider: string;
      model: string;
      systemPrompt?: string;
      prompt: string;
      historyMessages: AgentMessage[];
      imagesCount: number;
    }
  >;
  llm_output: Hook<
    'observe',
    { runId: string; sessionId: string; provider: string; model: string; assistantTexts: string[]; lastAssistant?: AgentMessage; usage?: Partial<Usage> }
  >;
  agent_end: Hook<'observe', { messages: AgentMessage[]; success: boolean; error?: string; durationMs?: number }>;
  before_compaction: Hook<'observe', { messageCount: number; compactingCount?: number; tokenCount?: number; messages?: AgentMessage[]; sessionFile?: string }>;
  after_compaction: Hook<'observe', { messageCount: number; tokenCount?: number; compactedCount: number; sessionFile?: string }>;
  before_reset: Hook<'observe', { sessionFile?: string; messages?: AgentMessage[]; reason?: string }>;
  inbound_claim: Hook<'bail', InboundEvent, { handled: boolean }>;
  message_received: Hook<'observe', { from: string; content: string; timestamp?: number; metadata?: Record<string, unknown> }>;
  before_dispatch: Hook<
    'bail',
    { content: string; body?: string; channel?: string; sessionKey?: string; senderId?: string; isGroup?: boolean; timestamp?: number },
    { handled: boolean; text?: string }
  >;
  message_sending: Hook<'merge', OutboundEvent, { content?: string; cancel?: boolean }>;
  message_sent: Hook<'observe', { to: string; content: string; success: boolean; error?: string }>;
  before_message_write: Hook<'sync', { message: AgentMessage; sessionKey?: string; agentId?: string }, { block?: boolean; message?: AgentMessage }>;
  before_tool_call: Hook<'merge', ToolCallEvent, ToolCallDecision>;
  after_tool_call: Hook<'observe', ToolCallEvent & { result?: unknown; error?: string; durationMs?: number }>;
  tool_result_persist: Hook<'sync', { toolName?: string; toolCallId?: string; message: AgentMessage; isSynthetic?: boolean }, { message?: AgentMessage }>;
  session_start: Hook<'observe', { sessionId: string; sessionKey?: string; resumedFrom?: string }>;
  session_end: Hook<'observe', { sessionId: string; sessionKey?: string; messageCount: number; durationMs?: number }>;
  subagent_spawning: Hook<'bail', SubagentEvent, { status: 'ok' | 'error'; threadBindingReady?: boolean; error?: string }>;
  subagent_delivery_target: Hook<
    'bail',
    {
      childSessionKey: string;
      requesterSessionKey: string;
      requesterOrigin?: unknown;
      childRunId?: string;
      spawnMode?: string;
      expectsCompletionMessage: boolean;
    },
    { origin?: unknown }
  >;
  subagent_spawned: Hook<'observe', SubagentEvent>;
  subagent_ended: Hook<
    'observe',
    {
      targetSessionKey: string;
      targetKind: 'subagent' | 'acp';
      reason: string;
      outcome?: string;
      runId?: string;
      endedAt?: number;
      error?: string;
      sendFarewell?: boolean;
    }
  >;
  gateway_start: Hook<'observe', { port: number }>;
  gateway_stop: Hook<'observe', { reason?: string }>;
  before_install: Hook<
    'merge',
    { targetType: 'skill' | 'plugin'; targetName: string; sourcePath: string; sourcePathKind: string; origin?: string; request: unknown; builtinScan: unknown },
    { findings?: unknown[]; block?: boolean; blockReason?: string }
  >;
}

export type HookName = keyof HookTable;
export type HookEvent<Name extends HookName> = HookTable[Name]['event'];
export type HookResult<Name extends HookName> = HookTable[Name]['result'];

/** What an extension taps a hook with. `undefined` means: no opinion. */
export type HookHandler<Name extends HookName> = (
  event: HookEvent<Name>,
  context: HookContext,
) => Promise<HookResult<Name> | undefined | void> | HookResult<Name> | undefined | void;

/** The mode of every hook point. A name of the table without a row here does not compile. */
export const HOOK_MODES = {
  'context.bootstrap': 'series',
  'context.ingest': 'series',
  'context.assemble': 'waterfall',
  'context.compact': 'bail',
  'context.afterTurn': 'series',
  'channel.inbound': 'waterfall',
  'channel.outbound': 'waterfall',
  'provider.request': 'waterfall',
  'command.expand': 'bail',
  'secrets.resolve': 'bail',
  'approval.request': 'bail',
  before_model_resolve: 'merge',
  before_prompt_build: 'merge',
  before_agent_start: 'merge',
  before_agent_reply: 'bail',
  llm_input: 'observe',
  llm_output: 'observe',
  agent_end: 'observe',
  before_compaction: 'observe',
  after_compaction: 'observe',
  before_reset: 'observe',
  inbound_claim: 'bail',
  message_received: 'observe',
  before_dispatch: 'bail',
  message_sending: 'merge',
  message_sent: 'observe',
  before_message_write: 'sync',
  before_tool_call: 'merge',
  after_tool_call: 'observe',
  tool_result_persist: 'sync',
  session_start: 'observe',
  session_end: 'observe',
  subagent_spawning: 'bail',
  subagent_delivery_target: 'bail',
  subagent_spawned: 'observe',
  subagent_ended: 'observe',
  gateway_start: 'observe',
  gateway_stop: 'observe',
  before_install: 'merge',
} as const satisfies { [Name in HookName]: HookTable[Name]['mode'] };

/** Keys of a merged result that end the hook at once, by hook. */
export const TERMINAL_KEYS: Partial<Record<HookName, readonly string[]>> = {
  before_tool_call: ['block'],
  message_sending: ['cancel'],
  before_install: ['block'],
};

/** Keys of a merged result whose texts are joined in order instead of replaced, by hook. */
export const JOINED_KEYS: Partial<Record<HookName, readonly string[]>> = {
  before_prompt_build: ['prependContext', 'prependSystemContext', 'appendSystemContext'],
  before_agent_start: ['prependContext', 'prependSystemContext', 'appendSystemContext'],
};
