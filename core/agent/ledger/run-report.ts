import { type AgentMessage, type AssembleResult, GIVEN_BY, type PromptParts, type ProviderRequest, type SessionRecord } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import type { Assembled } from '../engine/engine.ts';
import { PROJECT_CONTEXT, type PromptPart } from '../prompt/system-prompt.ts';
import type { History } from '../turn/recorder.ts';
import type { RunPrompt } from '../turn/run-prompt.ts';
import { type RunContextReport, type Size, tokensOf } from './context-report.ts';

/** The request that a report is about. */
export interface SentContext {
  request: Pick<ProviderRequest, 'systemPrompt' | 'messages' | 'tools'>;
  /** What was put together for it, in order. */
  parts: readonly PromptPart[];
  /** Text that a hook put before the newest user message. */
  prepended?: string | undefined;
  prependedBy?: PromptPart['owners'];
  /** How its messages came about; an estimate has none. */
  trail?: MessageTrail;
}

/** The messages of a request on their way: as the session has them, as the engine gave them, without what was pruned, with what hooks put before. */
export interface MessageTrail {
  history: History;
  assembled: Assembled;
  /** Same length and order as what was assembled. */
  pruned: readonly AgentMessage[];
  /** The same. */
  prepended: readonly AgentMessage[];
  /** In the form that every provider takes. */
  clean: readonly AgentMessage[];
}

export interface ReportParams {
  source: RunContextReport['source'];
  session: SessionRecord;
  generation: Generation;
  prompt: RunPrompt;
  sent: SentContext;
  estimator: TokenEstimator;
  provider: string;
  model: string;
  contextWindow: number;
  /** The provider's tokens in one of the host's count. */
  factor: number;
  contextEngine?: string | undefined;
  runId?: string | undefined;
  now: number;
}

/** Most tools, skills and parts that a report names; it stays under some ten kilobytes. */
const LISTED = 64;
const NAME_CHARS = 64;
const SEPARATOR_CHARS = 2;
const SKILLS = /<available_skills>[\s\S]*?<\/available_skills>/;
const SKILL = /<skill>[\s\S]*?<\/skill>/g;

/** Measures what was sent. */
export function createReport(params: ReportParams): RunContextReport {
  const { session, generation, prompt, sent, estimator } = params;
  const { request } = sent;
  const { defaults } = generation.config.agents;
  const text = request.systemPrompt ?? '';
  const tools = request.tools.map((tool) => ({ name: short(tool.name), schemaChars: JSON.stringify(tool).length }));
  const { parts } = sent;
  const tokens = estimator.text(text) + estimator.tools(request.tools) + estimator.messages(request.messages);
  const projectContextChars = parts.find(({ name, source }) => name === PROJECT_CONTEXT && source === 'workspace')?.text.length ?? 0;
  return {
    source: params.source,
    generatedAt: params.now,
    sessionId: session.sessionId,
    sessionKey: session.key,
    ...(params.runId === undefined ? {} : { runId: params.runId }),
    provider: params.provider,
    model: params.model,
    contextWindow: params.contextWindow,
    ...(params.contextEngine === undefined ? {} : { contextEngine: params.contextEngine }),
    request: { tokens, corrected: Math.ceil(tokens * params.factor), factor: params.factor },
    workspaceDir: prompt.workspaceDir,
    bootstrapMaxChars: defaults.bootstrapMaxChars,
    bootstrapTotalMaxChars: defaults.bootstrapTotalMaxChars,
    bootstrapTruncation: { mode: prompt.warning.mode, shown: prompt.warning.text !== undefined, shownFor: prompt.warning.shownFor },
    sandbox: { mode: defaults.sandbox?.mode ?? 'off', sandboxed: false },
    systemPrompt: {
      ...sizeOf(text.length),
      projectContextChars,
      nonProjectContextChars: text.length - projectContextChars,
      parts: partSizes(parts, text.length),
    },
    injectedWorkspaceFiles: prompt.files.map(({ name, path, text: shown, missing, rawChars, truncated }) => ({
      name,
      path,
      missing,
      rawChars,
      injectedChars: shown?.length ?? 0,
      truncated,
    })),
    skills: skillSizes(text),
    tools: {
      listChars: prompt.toolListChars,
      // brackets and commas included
      schemaChars: tools.reduce((sum, { schemaChars }) => sum + schemaChars + 1, tools.length === 0 ? 0 : 1),
      count: tools.length,
      entries: tools.slice(0, LISTED),
    },
    messages: messageSizes(request.messages, sent.prepended ?? '', estimator),
  };
}

/** The parts of a whole system prompt: the engine's addition stands before everything else. */
export function promptParts(prompt: RunPrompt, hooks: PromptParts, engine?: { id: string; assembled: AssembleResult }): PromptPart[] {
  const hook = (name: string, key: Exclude<keyof PromptParts, symbol>): PromptPart => {
    const owners = ownersOf(hooks, key);
    return { name, source: 'hook', text: hooks[key] ?? '', ...(owners === undefined ? {} : { owners }) };
  };
  const parts: PromptPart[] = [
    { name: 'Engine addition', source: `engine:${engine?.id}`, text: engine?.assembled.systemPromptAddition ?? '' },
    hook('Prepended', 'prependSystemContext'),
    ...(hooks.systemPrompt === undefined ? prompt.parts : [hook('System prompt', 'systemPrompt')]),
    hook('Appended', 'appendSystemContext'),
  ];
  return parts.filter(({ text }) => text !== '');
}

/** The extensions behind one text of the hooks. */
export function ownersOf(hooks: PromptParts, key: string): PromptPart['owners'] {
  const owners = hooks[GIVEN_BY]?.filter((origin) => origin.key === key).map(({ owner, chars }) => ({ owner, chars }));
  if (owners === undefined || owners.length === 0) return undefined;
  // all others are joined
  return key === 'systemPrompt' ? owners.slice(0, 1) : owners;
}

/** Each with the empty line before it. What a hook of the request added or took away is named too. */
function partSizes(parts: readonly PromptPart[], total: number): RunContextReport['systemPrompt']['parts'] {
  const sizes = parts.map(({ name, source, text }, index) => ({ name: short(name), source, ...sizeOf(text.length + (index === 0 ? 0 : SEPARATOR_CHARS)) }));
  const listed = sizes.slice(0, LISTED);
  const rest = total - listed.reduce((sum, { chars }) => sum + chars, 0);
  if (rest !== 0)
    listed.push({ name: 'Other', source: sizes.length > LISTED ? 'durar' : 'hook', chars: rest, tokens: Math.sign(rest) * tokensOf(Math.abs(rest)) });
  return listed;
}

/** The list as it stands in the prompt, whoever wrote it. */
function skillSizes(prompt: string): RunContextReport['skills'] {
  const list = SKILLS.exec(prompt)?.[0];
  if (list === undefined) return { promptChars: 0, count: 0, entries: [] };
  const blocks = list.match(SKILL) ?? [];
  const entries = blocks.map((block) => ({ name: short(/<name>([\s\S]*?)<\/name>/.exec(block)?.[1] ?? '?'), blockChars: block.length }));
  return { promptChars: list.length, count: blocks.length, entries: entries.sort((a, b) => b.blockChars - a.blockChars).slice(0, LISTED) };
}

function messageSizes(messages: readonly AgentMessage[], prepended: string, estimator: TokenEstimator): RunContextReport['messages'] {
  const sums = new Map<string, { count: number } & Size>();
  const add = (source: string, chars: number, tokens: number, count = 1) => {
    const sum = sums.get(source) ?? { count: 0, chars: 0, tokens: 0 };
    sums.set(source, { count: sum.count + count, chars: sum.chars + chars, tokens: sum.tokens + tokens });
  };
  for (const message of messages) {
    const { chars, tokens } = estimator.size(message);
    add(sourceOf(message), chars, tokens);
  }
  if (prepended !== '') {
    add('hook', prepended.length, tokensOf(prepended.length));
    add('user', -prepended.length, -tokensOf(prepended.length), 0);
  }
  const bySource = [...sums].map(([source, sum]) => ({ source, ...sum }));
  return {
    count: messages.length,
    chars: bySource.reduce((sum, { chars }) => sum + chars, 0),
    tokens: bySource.reduce((sum, { tokens }) => sum + tokens, 0),
    bySource,
  };
}

function sourceOf({ role }: AgentMessage): string {
  return role === 'toolResult' ? 'tool results' : role;
}

function sizeOf(chars: number): Size {
  return { chars, tokens: tokensOf(chars) };
}

function short(name: string): string {
  return name.length <= NAME_CHARS ? name : `${name.slice(0, NAME_CHARS - 1)}…`;
}
