import { type AgentMessage, type CompactParams, type CompactResult, messageText, type SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import type { SessionService } from '../../sessions/service.ts';
import { divideWindow, type TokenEstimator } from '../budget/tokens.ts';
import { complete } from '../models/complete.ts';
import type { ResolvedModel } from '../models/models.ts';
import { isNote } from '../pruning/hygiene.ts';

export interface SummarizeDeps {
  sessions: SessionService;
  session: SessionRecord;
  model: ResolvedModel;
  settings: Config['agents']['defaults']['compaction'];
  estimator: TokenEstimator;
  /** The provider's tokens in one of the host's count. */
  factor: number;
  signal: AbortSignal;
  stallMs: number;
  now: () => number;
}

/** Characters of one tool result that a summary needs at most. */
const TOOL_RESULT_CHARS = 2_000;
const SUMMARY_TOKENS = 4_096;
/** Of the message that is being answered, when the cut falls behind it. */
const REQUEST_CHARS = 8_000;

const INSTRUCTIONS = [
  'You condense the older part of a conversation between a user and an agent, so that the agent can go on without it.',
  'Write down: what the user wants and has decided, what was done and what came of it, open tasks, constraints, and facts that will be needed again.',
  'Be complete in substance and short in words. Answer with the summary alone.',
].join('\n');
const STRICT_IDENTIFIERS = 'Copy identifiers exactly: file paths, names, numbers, URLs, commands, ids.';

/**
 * The host's own compaction: one model call writes one summary of the older messages, the recent ones stay as they are. A tool call and its
 * results are never parted. Writes one `compaction` entry, or nothing. Throws `DUR_PROVIDER_*`.
 */
export async function summarize(deps: SummarizeDeps, params: CompactParams): Promise<CompactResult> {
  const { sessions, session, model, estimator, factor, settings } = deps;
  const { messages, entryIds } = await sessions.context(session);
  const tokensBefore = estimator.messages(messages);
  const budget = divideWindow({
    window: model.entry.contextWindow,
    reserveTokens: settings.reserveTokens,
    floor: settings.reserveTokensFloor,
    overhead: 0,
    factor,
  });
  // never more than half: a provider may count far more than this estimate, and then keeping all would never end an overflow
  const keep = Math.min(settings.keepRecentTokens, Math.floor((params.tokenBudget ?? budget.messages) / 2), Math.floor(tokensBefore / 2));
  const cut = cutIndex(messages, estimator, keep);
  const firstKeptEntryId = entryIds[cut];
  if (cut === 0 || firstKeptEntryId === undefined)
    return { ok: true, compacted: false, reason: 'there is nothing older to summarise', result: { tokensBefore } };

  const room = Math.max(1, budget.messages - estimator.text(INSTRUCTIONS)) * 4;
  const instructions = [INSTRUCTIONS, identifierRule(settings), params.customInstructions].filter((line) => line !== undefined && line !== '').join('\n');
  const { text: written } = await complete({
    model,
    systemPrompt: instructions,
    messages: [{ role: 'user', content: tail(transcript(messages.slice(0, cut)), room), timestamp: deps.now() }],
    maxTokens: Math.min(SUMMARY_TOKENS, budget.reserve),
    signal: params.signal ?? deps.signal,
    stallMs: deps.stallMs,
    now: deps.now,
  });
  if (written.trim() === '') return { ok: false, compacted: false, reason: 'the model wrote no summary', result: { tokensBefore } };
  const summary = [written, openRequest(messages, cut)].filter((part) => part !== undefined).join('\n\n');
  await sessions.append(session, [{ type: 'compaction', summary, firstKeptEntryId, tokensBefore }]);
  const after = await sessions.context(session);
  return { ok: true, compacted: true, result: { summary, firstKeptEntryId, tokensBefore, tokensAfter: estimator.messages(after.messages) } };
}

/**
 * Index of the first message to keep; the last message is always kept, and no result without its call. Where the room ends among results, all
 * of them go: the call before them may have one that is larger than everything else.
 */
export function cutIndex(messages: readonly AgentMessage[], estimator: TokenEstimator, keepTokens: number): number {
  let first = messages.length - 1;
  let kept = 0;
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index];
    if (message === undefined) break;
    kept += estimator.message(message);
    if (kept > keepTokens) break;
    first = index;
  }
  let cut = first;
  while (cut < messages.length && isAmongResults(messages, cut)) cut += 1;
  if (cut < messages.length) return Math.max(cut, 0);
  // the newest results are not answered yet
  for (cut = first; cut > 0 && isAmongResults(messages, cut); ) cut -= 1;
  return Math.max(cut, 0);
}

/** A result, or a note that came in before one. */
function isAmongResults(messages: readonly AgentMessage[], index: number): boolean {
  let at = index;
  while (isNote(messages[at])) at += 1;
  return messages[at]?.role === 'toolResult';
}

/** A cut inside the newest turn: what the user asked for is still to be done, and no summary may stand in its place. */
function openRequest(messages: readonly AgentMessage[], cut: number): string | undefined {
  const asked = messages.findLastIndex(({ role }) => role === 'user');
  const message = messages[asked];
  if (message === undefined || asked >= cut) return undefined;
  const text = messageText(message);
  return `The user's newest message, which is being answered, word for word:\n${text.length <= REQUEST_CHARS ? text : `${text.slice(0, REQUEST_CHARS)}\n[the rest is left out]`}`;
}

function identifierRule(settings: SummarizeDeps['settings']): string | undefined {
  if (settings.identifierPolicy === 'off') return undefined;
  return settings.identifierPolicy === 'custom' ? settings.identifierInstructions : STRICT_IDENTIFIERS;
}

function transcript(messages: readonly AgentMessage[]): string {
  return messages.map(line).join('\n\n');
}

function line(message: AgentMessage): string {
  const text = messageText(message);
  if (message.role === 'toolResult') return `[result of ${message.toolName}${message.isError ? ', failed' : ''}]\n${text.slice(0, TOOL_RESULT_CHARS)}`;
  if (message.role === 'user') return `[user]\n${text}`;
  const calls = message.content.flatMap((block) =>
    block.type === 'toolCall' ? [`[calls ${block.name} ${JSON.stringify(block.arguments).slice(0, TOOL_RESULT_CHARS)}]`] : [],
  );
  return ['[assistant]', ...(text === '' ? [] : [text]), ...calls].join('\n');
}

/** The newest part, when a history is larger than the window of the model that condenses it. */
function tail(text: string, chars: number): string {
  return text.length <= chars ? text : `[the beginning is left out]\n${text.slice(-chars)}`;
}
