import { type AgentMessage, type HookName, messageText } from '../../../sdk/index.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import { PROJECT_CONTEXT, type PromptPart } from '../prompt/system-prompt.ts';
import { isTrimmed } from '../pruning/pruning-pass.ts';
import type { ToolSet } from '../tools/tools.ts';
import type { RunPrompt } from '../turn/run-prompt.ts';
import { tokensOf } from './context-report.ts';
import { createEntryFinder } from './entry-finder.ts';
import type { TurnPart, TurnRecord } from './ledger.ts';
import type { MessageTrail, SentContext } from './run-report.ts';

/** The request whose parts are named. */
export interface LedgerRequest {
  sent: SentContext;
  prompt: RunPrompt;
  tools: ToolSet;
  engine: string;
  estimator: TokenEstimator;
  /** Extensions that tap a hook point. */
  owners(hook: HookName): string[];
}

const SKILL = /<skill>[\s\S]*?<\/skill>/g;
const SKILL_NAME = /<name>([\s\S]*?)<\/name>/;
const NAME_CHARS = 64;
const SEPARATOR_CHARS = 2;
/** What is left of a part beside its pieces is not worth a line of its own: separators. */
const LEAST_FRAME_CHARS = 16;
/** `### `, the line's end and the empty line before the next. */
const FILE_FRAME_CHARS = 7;

/** All that a request was made of, in its order. */
export function requestParts(request: LedgerRequest): TurnPart[] {
  return [...systemParts(request), ...toolParts(request), ...messageParts(request)];
}

/** What the request does not show of its messages as they were assembled. */
export function pruningEffect({ sent, estimator }: LedgerRequest, parts: readonly TurnPart[]): TurnRecord['pruning'] {
  const { trail } = sent;
  if (trail === undefined || trail.pruned === trail.assembled.messages) return undefined;
  const marked = (mark: TurnPart['changed']) => parts.filter(({ changed }) => changed === mark).length;
  const savedTokens = estimator.messages(trail.assembled.messages) - estimator.messages(trail.pruned);
  return { savedTokens, trimmed: marked('trimmed'), cleared: marked('cleared'), images: marked('images') };
}

function systemParts({ sent, prompt, ...request }: LedgerRequest): TurnPart[] {
  const part = (name: string, source: string, chars: number): TurnPart => ({ kind: 'system', name: short(name), source, tokens: tokensOf(chars) });
  const parts: TurnPart[] = [];
  let left = sent.request.systemPrompt?.length ?? 0;
  for (const [index, one] of sent.parts.entries()) {
    const chars = one.text.length + (index === 0 ? 0 : SEPARATOR_CHARS);
    left -= chars;
    const pieces = piecesOf(one, prompt);
    const last = pieces.at(-1);
    let frame = chars - pieces.reduce((sum, piece) => sum + piece.chars, 0);
    if (last !== undefined && frame <= LEAST_FRAME_CHARS) {
      last.chars += frame;
      frame = 0;
    }
    for (const { name, source, chars: own } of pieces) parts.push(part(name, source, own));
    if (frame > 0) parts.push(part(one.name, one.source, frame));
  }
  if (left !== 0) parts.push({ ...part('Other', hookSource(request, 'provider.request'), Math.abs(left)), tokens: Math.sign(left) * tokensOf(Math.abs(left)) });
  return parts;
}

/** What can be told apart inside one part of the prompt. */
function piecesOf({ name, source, text, owners }: PromptPart, { files }: RunPrompt): Array<{ name: string; source: string; chars: number }> {
  if (name === PROJECT_CONTEXT && source === 'workspace') {
    return files.flatMap((file) =>
      file.text === undefined ? [] : [{ ...workspaceFile(file), chars: file.text.length + file.name.length + FILE_FRAME_CHARS }],
    );
  }
  if (owners !== undefined) return owners.map(({ owner, chars }) => ({ name, source: `hook:${owner}`, chars: Math.min(chars, text.length) }));
  return (text.match(SKILL) ?? []).map((block) => {
    const skill = short(SKILL_NAME.exec(block)?.[1] ?? '?');
    return { name: skill, source: `skill:${skill}`, chars: block.length };
  });
}

function workspaceFile({ name, path }: { name: string; path: string }): { name: string; source: string } {
  return { name, source: `workspace:${path}` };
}

function toolParts({ sent, tools, estimator, ...request }: LedgerRequest): TurnPart[] {
  return sent.request.tools.map((schema) => {
    const owner = tools.get(schema.name)?.owner;
    return {
      kind: 'tool',
      name: short(schema.name),
      source: owner === undefined ? hookSource(request, 'provider.request') : `extension:${owner}`,
      tokens: estimator.tools([schema]),
    };
  });
}

function messageParts({ sent, engine, estimator, ...hooks }: LedgerRequest): TurnPart[] {
  const { trail, request } = sent;
  if (trail === undefined) return [];
  const { history, assembled } = trail;
  const find = createEntryFinder(history);
  const hasSummary = (history.seqs[0] ?? 0) > (history.seqs[1] ?? Number.POSITIVE_INFINITY);
  const own = assembled.own === undefined ? undefined : new Set(assembled.own.messages);
  const places = new Map(trail.prepended.map((message, index) => [message, index]));
  const parts: TurnPart[] = [];
  for (const [index, message] of [...request.messages.entries()].reverse()) {
    const place = placeOf(message, index, trail, places);
    const shown = place === undefined ? undefined : trail.pruned[place];
    const made = place === undefined ? undefined : assembled.messages[place];
    if (shown === undefined || made === undefined) {
      parts.push({ ...messagePart(message, estimator), source: trail.clean.includes(message) ? 'durar' : hookSource(hooks, 'provider.request') });
      continue;
    }
    const origin = find(made);
    const entryId = origin === undefined ? undefined : history.entryIds[origin.index];
    const seq = origin === undefined ? 0 : (history.seqs[origin.index] ?? 0);
    const changed = shown === made ? undefined : changeOf(made, shown);
    const by = own === undefined || own.has(made) ? `engine:${engine}` : hookSource(hooks, 'context.assemble');
    const stored = seq === 0 ? hookSource(hooks, 'before_message_write') : `${origin?.index === 0 && hasSummary ? 'summary' : 'entry'}:${entryId}`;
    parts.push({
      ...messagePart(shown, estimator),
      source: origin?.isSame === true ? stored : by,
      ...(seq === 0 || entryId === undefined ? {} : { entryId, seq }),
      ...(changed === undefined ? {} : { changed }),
    });
    if (place !== undefined && trail.prepended[place] !== shown) parts.push(...prependedParts(sent));
  }
  return parts.reverse();
}

/** Where a message of the request stood before hooks of the request saw it: by identity, else as a copy at its old place. */
function placeOf(message: AgentMessage, index: number, { clean }: MessageTrail, places: ReadonlyMap<AgentMessage, number>): number | undefined {
  const known = places.get(message);
  const before = clean[index];
  if (known !== undefined || before === undefined || before === message) return known;
  return createEntryFinder({ messages: [before] })(message)?.isSame === true ? places.get(before) : undefined;
}

function messagePart(message: AgentMessage, estimator: TokenEstimator): Omit<TurnPart, 'source'> {
  return { kind: 'message', name: short(message.role === 'toolResult' ? `result of ${message.toolName}` : message.role), tokens: estimator.message(message) };
}

/** The text that hooks put before the newest user message. */
function prependedParts({ prepended = '', prependedBy }: SentContext): TurnPart[] {
  const owners = prependedBy ?? [{ owner: 'before_prompt_build', chars: prepended.length }];
  return owners.map(({ owner, chars }) => ({ kind: 'message', name: 'text before the message', source: `hook:${owner}`, tokens: tokensOf(chars) }));
}

/** By the extensions behind a hook point; which of several it was, nobody keeps. */
function hookSource({ owners }: Pick<LedgerRequest, 'owners'>, hook: HookName): string {
  return `hook:${owners(hook).join(',') || hook}`;
}

function changeOf(made: AgentMessage, shown: AgentMessage): NonNullable<TurnPart['changed']> {
  if (made.role !== 'toolResult' || made.content.some(({ type }) => type === 'image')) return 'images';
  return isTrimmed(messageText(shown)) ? 'trimmed' : 'cleared';
}

function short(name: string): string {
  return name.length <= NAME_CHARS ? name : `${name.slice(0, NAME_CHARS - 1)}…`;
}
