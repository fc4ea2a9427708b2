import type { ErrorReport, HookContext, PromptParts, SessionRecord, ThinkingLevel, Usage } from '../../../sdk/index.ts';
import type { Generation, GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { TokenCorrection } from '../budget/token-correction.ts';
import type { TokenBudget, TokenEstimator } from '../budget/tokens.ts';
import type { Engines, EngineTurn } from '../engine/engine.ts';
import type { Compaction, Ledger, ModelCall } from '../ledger/ledger.ts';
import type { SentContext } from '../ledger/run-report.ts';
import type { Models, ResolvedModel } from '../models/models.ts';
import type { BootstrapFiles } from '../prompt/bootstrap-files.ts';
import type { Pruning } from '../pruning/pruning.ts';
import type { Run } from '../run.ts';
import type { AgentPaths } from '../settings.ts';
import type { ToolCalls } from '../tools/tool-call.ts';
import type { ToolSet } from '../tools/tools.ts';
import type { Workspaces } from '../workspace.ts';
import type { Recorder } from './recorder.ts';
import type { RunPrompt } from './run-prompt.ts';

/** What turns are made of; one per service. */
export interface TurnDeps {
  source: GenerationSource;
  sessions: SessionService;
  engines: Engines;
  models: Models;
  estimator: TokenEstimator;
  correction: TokenCorrection;
  ledger: Ledger;
  pruning: Pruning;
  toolCalls: ToolCalls;
  workspaces: Workspaces;
  bootstrapFiles: BootstrapFiles;
  paths: AgentPaths;
  log: Logger;
  version: string;
  now: () => number;
  /** milliseconds of a provider's silence that end a call */
  stallMs: number;
  /** Aborted when the service closes for good. */
  closing: AbortSignal;
}

/** What a turn adds up while it runs. */
export interface TurnTotals {
  /** All that was said, as a listener has seen it so far. */
  text: string;
  /** One text for each reply that said something. */
  texts: string[];
  usage: Usage;
  /** Of the last good call. */
  lastUsage?: Usage;
  stopReason?: string;
  calls: ModelCall[];
  compactions: number;
  /** Failed ones included. */
  attempts: Compaction[];
  /** Of the last compaction. */
  summary?: string;
  /** Of the last model call: how the window was divided and what the engine said its messages cost. */
  budget?: TokenBudget;
  estimatedTokens: number;
  /** Of the last model call: what was sent. */
  sent?: SentContext;
  /** Failures that did not end the run. */
  problems: ErrorReport[];
}

/** One turn of one session, ready for its model. */
export interface Turn {
  deps: TurnDeps;
  run: Run;
  session: SessionRecord;
  generation: Generation;
  hookContext: HookContext;
  recorder: Recorder;
  engine: EngineTurn;
  model: ResolvedModel;
  thinking: ThinkingLevel | undefined;
  tools: ToolSet;
  /** without what hooks and the engine add */
  prompt: RunPrompt;
  /** What `before_agent_start` said about the prompt. */
  promptParts: PromptParts;
  totals: TurnTotals;
}

/** A turn as far as it has come; a run may end before it is ready. */
export type TurnState = Partial<Turn> & { totals: TurnTotals };
