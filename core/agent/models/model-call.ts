import { type AgentMessage, messageText, type ProviderRequest } from '../../../sdk/index.ts';
import { fastModeOf } from '../directives/session-settings.ts';
import type { MessageTrail, SentContext } from '../ledger/run-report.ts';
import { joinParts, type PromptPart } from '../prompt/system-prompt.ts';
import { sanitizeMessages } from '../pruning/hygiene.ts';
import type { Turn } from '../turn/turn-state.ts';
import { withProfiles } from './profile-use.ts';
import { consumeStream, type StreamOutcome } from './stream.ts';

export interface ModelCallInput {
  /** of the system prompt */
  parts: PromptPart[];
  /** Text that a hook put before the newest user message. */
  prepended?: string | undefined;
  prependedBy?: SentContext['prependedBy'];
  messages: AgentMessage[];
  prompt: string;
  /** tokens that the reply may cost at most */
  room: number;
  trail: Omit<MessageTrail, 'prepended' | 'clean'>;
}

/** What a picture costs is a guess; where they are more than one part in so many, a request says little about how text is counted. */
const PICTURE_SHARE = 8;

/** One call of the run's model: request hooks, streaming events, output hooks. Never throws for what the provider does. */
export async function callModel(turn: Turn, input: ModelCallInput): Promise<StreamOutcome> {
  const { deps, run, session, generation, model, tools, hookContext } = turn;
  const { hooks } = generation;
  const { runId } = run.accepted;
  const { sessionId } = session;
  const { entry } = model;
  const systemPrompt = joinParts(input.parts);
  const clean = sanitizeMessages(input.messages);
  const request: ProviderRequest = {
    model: entry,
    systemPrompt,
    messages: clean,
    tools: tools.schemas,
    maxTokens: Math.min(entry.maxTokens, Math.max(input.room, 1)),
    sessionId,
    runId,
    ...(model.apiKey === undefined ? {} : { apiKey: model.apiKey }),
    ...(model.baseUrl === undefined ? {} : { baseUrl: model.baseUrl }),
    ...(model.headers === undefined ? {} : { headers: model.headers }),
    ...(turn.thinking === undefined ? {} : { thinking: turn.thinking }),
    ...requestParams(turn),
  };
  const shaped = hooks.has('provider.request') ? await shape(turn, request) : request;
  if (hooks.has('llm_input')) {
    const imagesCount = shaped.messages.reduce(
      (sum, { content }) => sum + (Array.isArray(content) ? content.filter(({ type }) => type === 'image').length : 0),
      0,
    );
    hooks.emit(
      'llm_input',
      {
        runId,
        sessionId,
        provider: entry.provider,
        model: entry.id,
        systemPrompt,
        prompt: input.prompt,
        historyMessages: shaped.messages,
        imagesCount,
      },
      hookContext,
    );
  }
  const { totals } = turn;
  const trail = { ...input.trail, prepended: input.messages, clean };
  totals.sent = { request: sentOf(shaped), parts: input.parts, prepended: input.prepended, prependedBy: input.prependedBy, trail };
  const lead = totals.text === '' ? '' : '\n\n';
  const outcome = await withProfiles(model, run.signal, async () => {
    let thought = '';
    let fresh = true;
    const started = performance.now();
    const paid = model.apiKey === undefined ? shaped : { ...shaped, apiKey: model.apiKey };
    const answered = await consumeStream({
      open: (signal) => model.stream(paid, { signal }),
      model: entry,
      owner: model.owner,
      signal: run.signal,
      stallMs: deps.stallMs,
      now: deps.now,
      onText(delta) {
        const part = fresh ? `${lead}${delta}` : delta;
        fresh = false;
        totals.text += part;
        run.emit('assistant', { text: totals.text, delta: part });
      },
      onThinking(delta) {
        thought += delta;
        run.emit('thinking', { text: thought, delta });
      },
    });
    noteCall(turn, shaped, answered, performance.now() - started);
    return answered;
  });
  if (hooks.has('llm_output')) {
    const { message } = outcome;
    const text = messageText(message);
    hooks.emit(
      'llm_output',
      { runId, sessionId, provider: entry.provider, model: entry.id, assistantTexts: text === '' ? [] : [text], lastAssistant: message, usage: message.usage },
      hookContext,
    );
  }
  return outcome;
}

/** Remembers what the call cost, and learns from it how the provider counts. */
function noteCall(
  { deps, model, totals }: Turn,
  { systemPrompt, messages, tools }: ProviderRequest,
  { message, error, kind }: StreamOutcome,
  ms: number,
): void {
  const { estimator, correction } = deps;
  const estimated = estimator.text(systemPrompt ?? '') + estimator.messages(messages) + estimator.tools(tools);
  const { usage, stopReason } = message;
  const failed = error === undefined ? {} : { error: kind ?? error.code };
  totals.calls.push({ ms: Math.round(ms), estimated, factor: correction.factor(model.ref), usage, stopReason, ...failed });
  const pictures = messages.reduce((sum, one) => sum + estimator.size(one).pictures, 0);
  if (error === undefined && pictures * PICTURE_SHARE <= estimated) correction.learn(model.ref, estimated, usage);
}

/** Without its credential. */
function sentOf({ systemPrompt, messages, tools }: ProviderRequest): SentContext['request'] {
  return { messages, tools, ...(systemPrompt === undefined ? {} : { systemPrompt }) };
}

/** Extensions see the request without its credential, and cannot change where it goes. */
async function shape(turn: Turn, request: ProviderRequest): Promise<ProviderRequest> {
  const { apiKey, headers, ...visible } = request;
  const shaped: ProviderRequest = (await turn.generation.hooks.call('provider.request', visible, turn.hookContext)) ?? visible;
  return {
    ...shaped,
    model: request.model,
    ...(request.baseUrl === undefined ? {} : { baseUrl: request.baseUrl }),
    ...(apiKey === undefined ? {} : { apiKey }),
    headers: { ...shaped.headers, ...headers },
  };
}

/** Free parameters of the model, the agent's over the model's over those for all. */
function requestParams({ generation, model, run, session }: Turn): Pick<ProviderRequest, 'params' | 'fast'> {
  const { config } = generation;
  const { defaults, list } = config.agents;
  const ofModel = defaults.models?.[model.ref]?.params;
  const ofAgent = list?.find((agent) => agent.id === run.accepted.agentId)?.params;
  const { fastMode, ...params } = { ...defaults.params, ...ofModel, ...ofAgent };
  const fast = run.request.fast ?? fastModeOf(config, session, { fastMode });
  return { ...(Object.keys(params).length === 0 ? {} : { params }), ...(fast ? { fast } : {}) };
}
