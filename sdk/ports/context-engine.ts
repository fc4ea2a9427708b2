import type { AgentMessage } from '../messages.ts';

/**
 * Port: context engine. One engine, chosen by `plugins.slots.contextEngine`, decides what the model sees.
 *
 * Lifecycle, per session unless it says otherwise:
 *
 * 1. The factory runs once when the engine is activated, never per session.
 * 2. `bootstrap` (optional): once per engine, session and gateway process, before anything else of that session. Must be
 *    idempotent. An engine that has it imports history there; an engine without it gets the history replayed into `ingest`.
 * 3. `ingest`: each new message, once, after it is on disk. An engine with `ingestBatch` gets the messages of a turn there instead,
 *    when the turn is over.
 * 4. `assemble`: before each model run. Its failure fails the run; there is no silent fallback to another engine.
 * 5. `compact`: on context overflow, when somebody asks for it (`sessions.compact`), and when the estimate passes the threshold.
 * 6. `afterTurn` (optional): after the reply is delivered; its failure is logged and changes nothing.
 * 7. `maintain` (optional): when nobody waits any more, after a `bootstrap`, a compaction and a turn that ended well; its failure changes nothing.
 * 8. `onSessionEnded` (optional): once, when a session was deleted or reset; nothing of that session comes after it.
 * 9. `dispose` (optional): once, at gateway stop or reload. Never per session.
 *
 * Methods may be called for several sessions at once, never twice at once for one session.
 * Params are plain data (beside `signal` and `runtimeContext`) and are additive: ignore what you do not know.
 * Source: the context-engine page.
 */
export interface ContextEngine {
  readonly info: ContextEngineInfo;
  ingest(params: IngestParams): Promise<IngestResult>;
  assemble(params: AssembleParams): Promise<AssembleResult>;
  compact(params: CompactParams): Promise<CompactResult>;
  bootstrap?(params: BootstrapParams): Promise<BootstrapResult>;
  ingestBatch?(params: IngestBatchParams): Promise<IngestBatchResult>;
  afterTurn?(params: AfterTurnParams): Promise<void>;
  maintain?(params: MaintainParams): Promise<MaintainResult>;
  /** Part of the interface for later; the host does not call it yet. */
  prepareSubagentSpawn?(params: { parentSessionKey: string; childSessionKey: string; ttlMs?: number }): Promise<{ rollback(): Promise<void> } | undefined>;
  onSubagentEnded?(params: SubagentEndedParams): Promise<void>;
  /**
   * The conversation is over: delete what you keep of it. An engine that was not selected then is told when it next is. Comes again if it failed.
   */
  onSessionEnded?(params: SessionEndedParams): Promise<void>;
  dispose?(): Promise<void>;
}

export interface ContextEngineInfo {
  /** The id it is registered and selected under. */
  id: string;
  name: string;
  version?: string;
  /**
   * true: the host's own in-run compaction is off and `compact` answers for everything.
   * false or unset: the host may compact during a run, and `compact` still serves `sessions.compact` and overflow.
   */
  ownsCompaction?: boolean;
}

/** What every call for a session carries. */
export interface SessionParams {
  sessionId: string;
  sessionKey?: string;
  /** Aborted when the run is aborted or the call's time is up. */
  signal?: AbortSignal;
}

export interface IngestParams extends SessionParams {
  message: AgentMessage;
  isHeartbeat?: boolean;
  /** Unique in the session; the same entry always has the same id. */
  entryId?: string;
  /** Place in the session's log: 1 for the first entry, without gaps. */
  seq?: number;
  /** The host cannot know whether you have seen this entry; drop it if you have. */
  replay?: boolean;
}

export interface IngestResult {
  /** false: a duplicate, or not of interest. */
  ingested: boolean;
}

export interface IngestBatchParams extends SessionParams {
  messages: AgentMessage[];
  isHeartbeat?: boolean;
  /** Same length and order as `messages`. */
  entries?: Array<{ entryId: string; seq: number }>;
  replay?: boolean;
}

export interface IngestBatchResult {
  ingestedCount: number;
}

export interface AssembleParams extends SessionParams {
  /** The session's history after the last compaction, oldest first, the new user message last. */
  messages: AgentMessage[];
  /** The entry of each message, same length and order: what `ingest` got as `entryId`; a summary goes by the id of its compaction. */
  entryIds?: string[];
  /**
   * Tokens the result may cost, an addition to the prompt included: the model's window less the system prompt, the tools and the reply's reserve.
   * Always positive; four characters to a token is the right count for it, as it is smaller for models whose provider counts more.
   */
  tokenBudget: number;
  /** Model ref, `provider/model`. */
  model?: string;
  /** The user text that started this run. */
  prompt?: string;
}

export interface AssembleResult {
  /** What the model gets, in this order. */
  messages: AgentMessage[];
  /** Your estimate for `messages`; feeds the compaction threshold and the diagnostics. */
  estimatedTokens: number;
  /** Prepended to the system prompt of this run only. Measured together with `messages`. */
  systemPromptAddition?: string;
}

export interface CompactParams extends SessionParams {
  /** Transcript on disk, when the session store keeps one. */
  sessionFile?: string;
  tokenBudget?: number;
  /** true for `sessions.compact`: compact even when it does not seem needed. */
  force?: boolean;
  currentTokenCount?: number;
  compactionTarget?: 'budget' | 'threshold';
  /** What the user wants the summary to be about. */
  customInstructions?: string;
  runtimeContext?: RuntimeContext;
}

export interface CompactResult {
  ok: boolean;
  compacted: boolean;
  reason?: string;
  result?: {
    summary?: string;
    firstKeptEntryId?: string;
    tokensBefore: number;
    tokensAfter?: number;
    details?: unknown;
  };
}

export interface BootstrapParams extends SessionParams {
  sessionFile?: string;
  /** The history so far, for stores that keep no file. */
  messages?: AgentMessage[];
}

export interface BootstrapResult {
  bootstrapped: boolean;
  importedMessages?: number;
  reason?: string;
}

export interface AfterTurnParams extends SessionParams {
  sessionFile?: string;
  /** The whole history after the turn. */
  messages: AgentMessage[];
  /** How many of `messages` were there before this turn. */
  prePromptMessageCount: number;
  autoCompactionSummary?: string;
  isHeartbeat?: boolean;
  tokenBudget?: number;
  runtimeContext?: RuntimeContext;
}

export interface MaintainParams extends SessionParams {
  /** What it comes after. */
  reason?: 'bootstrap' | 'turn' | 'compaction';
  sessionFile?: string;
  runtimeContext?: RuntimeContext;
}

export interface MaintainResult {
  changed: boolean;
  bytesFreed: number;
  rewrittenEntries: number;
  reason?: string;
}

export interface SubagentEndedParams {
  childSessionKey: string;
  reason: 'deleted' | 'completed' | 'swept' | 'released';
}

/** `deleted`: with all its settings. `reset`: its key goes on with a new session id. */
export interface SessionEndedParams extends SessionParams {
  reason: 'deleted' | 'reset';
}

/** What the host lends an engine during `compact`, `afterTurn` and `maintain`. Valid until the call returns. */
export interface RuntimeContext {
  /** The host's own single-summary compaction; what `delegateCompactionToRuntime` calls. Not in `maintain`. */
  compactSession?(params: CompactParams): Promise<CompactResult>;
  /**
   * Puts other messages in the place of some of this session's, all or none. Entries keep id and sequence number: nothing is ingested anew, an engine that
   * has not seen them yet gets the new message, and old transcript lines stay on disk. A role, a tool call and the call of a result cannot be
   * changed; what is refused gives `changed: false` and the reason.
   */
  rewriteTranscriptEntries?(params: { replacements: Array<{ entryId: string; message: AgentMessage }> }): Promise<MaintainResult>;
  [key: string]: unknown;
}

/** Makes the engine. Called once per activation; a throw or a wrong shape fails the slot. */
export type ContextEngineFactory = () => ContextEngine | Promise<ContextEngine>;
