import {
  type AgentMessage,
  type AssistantMessage,
  type DurarError,
  durarError,
  errorCode,
  GIVEN_BY,
  messageText,
  type PromptParts,
  reportError,
  type ToolCallBlock,
  type Usage,
} from '../../../sdk/index.ts';
import type { TokenBudget } from '../budget/tokens.ts';
import { budgetOf, measureContext, prune } from '../budget/turn-budget.ts';
import { recordTurn } from '../ledger/ledger-record.ts';
import { ownersOf, promptParts } from '../ledger/run-report.ts';
import { callModel } from '../models/model-call.ts';
import { shortenLargeResults } from '../pruning/large-results.ts';
import type { Injections } from '../queue/injections.ts';
import { inboxIds, type Successor } from '../run.ts';
import { unansweredResult } from '../tools/tool-call.ts';
import { compactSession, describeCompaction } from './compaction.ts';
import { handedOverResult } from './turn-result.ts';
import type { Turn } from './turn-state.ts';
import { userMessage } from './user-message.ts';

/** Of the window, what the fixed parts may take before an overflow is put down to them. */
const FIXED_SHARE = 7 / 8;

/** Model and tools in turn, until a reply asks for no tool. Throws what ends the run; what was said until then is on disk. */
export async function runLoop(turn: Turn, firstPrompt: string, injections: Injections): Promise<void> {
  const { run, engine, totals, deps } = turn;
  const { estimator } = deps;
  let prompt = firstPrompt;
  let parts: PromptParts | undefined;
  /** Tokens of the last context that did not fit; set until one does. */
  let overflow: number | undefined;
  /** The engine keeps more than it was told to and gives up no more of it; as long as the window holds that, the reply gets what is left. */
  let isTight = false;
  /** Nothing else helps: tool results are too large by themselves. */
  let isShortened = false;
  for (;;) {
    run.signal.throwIfAborted();
    const history = await turn.recorder.history();
    const budget = budgetOf(turn, parts);
    const assembled = await engine.assemble({
      messages: [...history.messages],
      entryIds: history.entryIds,
      tokenBudget: budget.messages,
      model: turn.model.ref,
      prompt,
    });
    const pruned = prune(turn, assembled.messages, budget);
    const messages = isShortened ? shortenLargeResults(pruned, estimator, budget.messages) : pruned;
    const size = measureContext(turn, budget, { messages, assembled, history: history.messages });
    const { tokens } = size;
    const saved = messages === assembled.messages ? 0 : estimator.messages(assembled.messages) - size.messages;
    totals.budget = budget;
    totals.estimatedTokens = Math.max(0, assembled.estimatedTokens - saved);
    deps.log.debug('context assembled', { engine: engine.id, estimatedTokens: assembled.estimatedTokens, tokens, tokenBudget: budget.messages });
    if (!size.fits && !(isTight && size.leavesReply)) {
      if (size.isByEngine) throw overBudget(turn, size.messages + size.addition, budget);
      try {
        overflow = await recover(turn, { tokens, previous: overflow, budget, reason: `about ${tokens} tokens, and there is room for ${budget.room}` });
      } catch (error) {
        if (errorCode(error) !== 'DUR_CONTEXT_OVERFLOW') throw error;
        isTight = size.leavesReply;
        if (!isTight && (isShortened || shortenLargeResults(pruned, estimator, budget.messages) === pruned)) throw error;
        isShortened = !isTight;
      }
      continue;
    }
    if (parts === undefined) {
      parts = await promptHooks(turn, messages, prompt);
      // what hooks add takes its room from the messages
      if (!measureContext(turn, budgetOf(turn, parts), { messages, assembled, history: history.messages }).fits) continue;
    }
    const composed = promptParts(turn.prompt, parts, { id: engine.id, assembled });
    const { message, error, kind } = await callModel(turn, {
      parts: composed,
      prepended: parts.prependContext,
      prependedBy: ownersOf(parts, 'prependContext'),
      messages: prepend(messages, parts.prependContext),
      prompt,
      room: budget.window - budget.overhead - tokens,
      trail: { history, assembled, pruned: messages },
    });
    if (run.signal.aborted) {
      await recordPartial(turn, message);
      throw run.signal.reason;
    }
    if (kind === 'context_overflow') {
      overflow = await recover(turn, { tokens, previous: overflow, budget, reason: message.errorMessage ?? 'the provider refused its size', cause: error });
      continue;
    }
    if (error !== undefined) {
      await recordReply(turn, message, false);
      throw error;
    }
    overflow = undefined;
    isTight = false;
    isShortened = false;
    count(turn, message);
    const calls = message.content.filter((block) => block.type === 'toolCall');
    await recordReply(turn, message, calls.length > 0);
    if (calls.length === 0) return;
    const steered = await runTools(turn, calls, injections);
    if (steered !== undefined) {
      await takeOver(turn, steered);
      prompt = steered.next.request.message;
    }
    prompt = (await injections.write(turn)) ?? prompt;
  }
}

/** Writes a reply and gives it to the engine. When the run goes on the engine must have it; at the end its failure is only reported. */
async function recordReply(turn: Turn, message: AssistantMessage, goesOn: boolean): Promise<void> {
  const entry = await turn.recorder.message(message);
  if (entry === undefined) return;
  try {
    await turn.engine.deliver([entry]);
  } catch (error) {
    if (goesOn || turn.run.signal.aborted) throw error;
    const report = reportError(error);
    turn.totals.problems.push(report);
    turn.deps.log.error(report.message, { ...report.owner, runId: turn.run.accepted.runId });
  }
}

/** Keeps what an aborted run had said. Without an origin it was the generation that ended: the reply will be made anew. */
async function recordPartial(turn: Turn, message: AssistantMessage): Promise<void> {
  const { accepted, abortOrigin } = turn.run;
  if (message.content.length === 0 || abortOrigin === undefined) return;
  // the next process makes the reply anew
  if (abortOrigin === 'shutdown' && turn.run.answers.length > 0) return;
  const text = messageText(message);
  if (text !== '') turn.totals.texts.push(text);
  await recordReply(turn, { ...message, openclawAbort: { aborted: true, origin: abortOrigin, runId: accepted.runId } }, false);
}

/** A message that came while tools ran, and who waits to hear whether the turn took it. */
interface Steered {
  next: Successor;
  answer(taken: boolean): void;
}

/**
 * Each result is on disk before the next tool starts. However it ends, no call stays without a result. Returns the message that ended it
 * early, if one did.
 */
async function runTools(turn: Turn, calls: readonly ToolCallBlock[], injections: Injections): Promise<Steered | undefined> {
  const { deps, run, recorder, engine, generation, tools, hookContext } = turn;
  const open = [...calls];
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const context = { ...hookContext, signal };
  let steered: Steered | undefined;
  run.steering.offer = (next) => {
    delete run.steering.offer;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    steered = { next, answer: resolve };
    stop.abort(durarError('DUR_RUN_STEERED'));
    return promise;
  };
  const skip = async (reason: string): Promise<void> => {
    for (const call of open) {
      const entry = await recorder.message(unansweredResult(call, reason, deps.now()));
      if (entry !== undefined) await engine.deliver([entry]);
    }
  };
  try {
    for (let call = open[0]; call !== undefined && steered === undefined && !injections.isWaiting(); call = open[0]) {
      if (run.signal.aborted) throw run.signal.reason;
      const result = await deps.toolCalls.execute({ call, tools, generation, run, signal, context, log: deps.log });
      const entry = await recorder.message(result);
      open.shift();
      if (entry !== undefined) await engine.deliver([entry]);
    }
    if (steered !== undefined || injections.isWaiting()) {
      if (run.signal.aborted) throw run.signal.reason;
      await skip('skipped: the user sent a new message');
    }
    return steered;
  } catch (error) {
    steered?.answer(false);
    await skip(run.signal.aborted ? 'the run was aborted before this call' : 'the run failed before this call');
    throw error;
  } finally {
    delete run.steering.offer;
  }
}

/** Writes the new message and goes on under its run's id. */
async function takeOver(turn: Turn, { next, answer }: Steered): Promise<void> {
  const { run, recorder, engine, totals, deps } = turn;
  try {
    next.before();
    const entry = await recorder.message(userMessage(next.request, deps.now(), inboxIds(next.request)));
    const ended = handedOverResult(run.accepted, totals, deps.now());
    next.taken(run, ended);
    run.handOver(next, ended);
    answer(true);
    recordTurn(deps, turn, ended);
    const { preface = [] } = next.request;
    totals.text = preface.join('\n\n');
    totals.texts = [...preface];
    if (preface.length > 0) run.emit('assistant', { text: totals.text, delta: totals.text });
    turn.hookContext = { ...turn.hookContext, runId: next.accepted.runId };
    if (entry !== undefined) await engine.deliver([entry]);
  } catch (error) {
    answer(false);
    throw error;
  }
}

/** Compacts after an overflow and returns its size, to be undercut. Throws `DUR_CONTEXT_OVERFLOW` when that cannot help, or did not the last time. */
async function recover(
  turn: Turn,
  params: { tokens: number; previous: number | undefined; budget: TokenBudget; reason: string; cause?: DurarError | undefined },
): Promise<number> {
  const { tokens, previous, budget, reason, cause } = params;
  const { run, engine } = turn;
  const owner = { extension: engine.owner, hook: 'context.compact' };
  if (previous !== undefined && tokens >= previous) {
    throw fixedOverflow(budget, cause) ?? durarError('DUR_CONTEXT_OVERFLOW', { reason: `${reason}; compaction did not make it smaller` }, { owner, cause });
  }
  const outcome = await compactSession(turn, {
    trigger: 'overflow',
    tokenBudget: budget.messages,
    currentTokenCount: tokens + budget.overhead,
    signal: run.signal,
  }).catch((failed: unknown) => ({ failed }));
  if (run.signal.aborted) throw run.signal.reason;
  if ('failed' in outcome || !outcome.compacted) {
    const failed = 'failed' in outcome ? outcome.failed : cause;
    throw (
      fixedOverflow(budget, failed) ?? durarError('DUR_CONTEXT_OVERFLOW', { reason: `${reason}; ${describeCompaction(outcome)}` }, { owner, cause: failed })
    );
  }
  return tokens;
}

/** Prompt and tools leave next to nothing for messages, which no engine and no new session can mend. */
function fixedOverflow({ overhead, window }: TokenBudget, cause: unknown): DurarError | undefined {
  if (overhead < window * FIXED_SHARE) return undefined;
  return durarError(
    'DUR_CONTEXT_OVERFLOW',
    { reason: `system prompt and tools alone take about ${overhead} of the ${window} tokens of its window` },
    { cause, hint: 'Choose a model with a larger window, or switch off tools and skills: `durar context detail` shows the largest.' },
  );
}

async function promptHooks(turn: Turn, messages: AgentMessage[], prompt: string): Promise<PromptParts> {
  const { hooks } = turn.generation;
  if (!hooks.has('before_prompt_build')) return turn.promptParts;
  const built = (await hooks.call('before_prompt_build', { prompt, messages }, turn.hookContext)) ?? {};
  const before = turn.promptParts[GIVEN_BY]?.filter(({ key }) => !(key in built)) ?? [];
  return { ...turn.promptParts, ...built, [GIVEN_BY]: [...before, ...(built[GIVEN_BY] ?? [])] };
}

/** Puts text before the newest user message, for this request only. */
function prepend(messages: AgentMessage[], text: string | undefined): AgentMessage[] {
  if (text === undefined || text === '') return messages;
  const index = messages.findLastIndex((message) => message.role === 'user');
  const message = messages[index];
  if (message?.role !== 'user') return messages;
  const content = typeof message.content === 'string' ? `${text}\n\n${message.content}` : [{ type: 'text' as const, text }, ...message.content];
  return messages.with(index, { ...message, content });
}

function count(turn: Turn, message: AssistantMessage): void {
  const { totals } = turn;
  const text = messageText(message);
  if (text !== '') totals.texts.push(text);
  totals.stopReason = message.stopReason;
  totals.lastUsage = message.usage;
  addUsage(totals.usage, message.usage);
}

function addUsage(sum: Usage, usage: Usage): void {
  for (const key of ['input', 'output', 'cacheRead', 'cacheWrite', 'totalTokens'] as const) sum[key] += usage[key];
  for (const key of ['input', 'output', 'cacheRead', 'cacheWrite', 'total'] as const) sum.cost[key] += usage.cost[key];
}

function overBudget(turn: Turn, tokens: number, budget: TokenBudget): DurarError {
  const { id, owner } = turn.engine;
  return durarError('DUR_ENGINE_BUDGET', { engine: id, tokens, budget: budget.messages }, { owner: { extension: owner, hook: 'context.assemble' } });
}
