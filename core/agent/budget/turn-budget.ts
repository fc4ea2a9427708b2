import type { AgentMessage, AssembleResult, PromptParts } from '../../../sdk/index.ts';
import type { Turn } from '../turn/turn-state.ts';
import { divideWindow, type TokenBudget } from './tokens.ts';

/** What an engine's context costs with all that goes along with it. */
export interface ContextSize {
  /** by the host's own count */
  messages: number;
  addition: number;
  /** both, as the provider counts */
  tokens: number;
  fits: boolean;
  /** The window holds it, with a part of the reserve left for the reply. */
  leavesReply: boolean;
  /** The engine made it too large; compacting the conversation would not mend it. */
  isByEngine: boolean;
}

/** Estimates differ between engine and host; up to this share over the budget is let through. */
const TOLERANCE = 8;
/** Of the reserve, what a reply needs at least. */
const LEAST_REPLY = 1 / 4;

/** How the window is divided, corrected by what the model's provider has reported. `parts`: what hooks added to the prompt, once that is known. */
export function budgetOf({ deps, model, generation, prompt, tools }: Turn, parts: PromptParts | undefined): TokenBudget {
  const { estimator, correction } = deps;
  const { contextTokens, compaction } = generation.config.agents.defaults;
  const added = parts === undefined ? '' : `${parts.prependSystemContext ?? ''}${parts.appendSystemContext ?? ''}${parts.prependContext ?? ''}`;
  return divideWindow({
    window: Math.min(model.entry.contextWindow, contextTokens ?? Number.POSITIVE_INFINITY),
    reserveTokens: compaction.reserveTokens,
    floor: compaction.reserveTokensFloor,
    overhead: estimator.text(parts?.systemPrompt ?? prompt.text) + estimator.text(added) + estimator.tools(tools.schemas),
    factor: correction.factor(model.ref),
  });
}

/** Measures what would be sent. `history`: what the engine was given. */
export function measureContext(
  { deps }: Turn,
  budget: TokenBudget,
  { messages, assembled, history }: { messages: AgentMessage[]; assembled: AssembleResult; history: AgentMessage[] },
): ContextSize {
  const { estimator } = deps;
  const own = estimator.messages(messages);
  const addition = estimator.text(assembled.systemPromptAddition ?? '');
  const tokens = Math.ceil((own + addition) * budget.factor);
  const fits = tokens <= budget.room + Math.min(budget.reserve, Math.floor(budget.room / TOLERANCE));
  const given = estimator.messages(history);
  const isAdded = own > given && (given * budget.factor <= budget.room || (own - given) * budget.factor > budget.room);
  const isByEngine = !fits && (isAdded || addition * budget.factor > budget.room);
  const leavesReply = tokens <= budget.window - budget.overhead - Math.ceil(budget.reserve * LEAST_REPLY);
  return { messages: own, addition, tokens, fits, leavesReply, isByEngine };
}

/** Whatever engine is active. By the host's own count, so that what was once decided does not move with the correction. */
export function prune({ deps, generation, session, model }: Turn, messages: AgentMessage[], { window, estimatedOverhead }: TokenBudget): AgentMessage[] {
  const { config } = generation;
  return deps.pruning.apply({ config, sessionId: session.sessionId, messages, provider: model.entry.provider, window, overhead: estimatedOverhead });
}
