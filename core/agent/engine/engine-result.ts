import type { AssembleResult } from '../../../sdk/index.ts';

/** What is wrong with an engine's result, in a few words; undefined: nothing. */
export type ResultCheck = (result: unknown) => string | undefined;

const ROLES: ReadonlySet<unknown> = new Set(['user', 'assistant', 'toolResult']);

/** One check per method that returns something. */
export const RESULT_CHECKS = {
  bootstrap: (result) => lacks(result, 'bootstrapped', 'boolean'),
  ingest: (result) => lacks(result, 'ingested', 'boolean'),
  ingestBatch: (result) => lacks(result, 'ingestedCount', 'number'),
  assemble: wrongAssembly,
  compact: (result) => lacks(result, 'ok', 'boolean') ?? lacks(result, 'compacted', 'boolean'),
  afterTurn: () => undefined,
  maintain: (result) => lacks(result, 'changed', 'boolean') ?? lacks(result, 'bytesFreed', 'number') ?? lacks(result, 'rewrittenEntries', 'number'),
  onSessionEnded: () => undefined,
  onSubagentEnded: () => undefined,
} satisfies Record<string, ResultCheck>;

export type EngineMethod = keyof typeof RESULT_CHECKS;

function wrongAssembly(result: unknown): string | undefined {
  const reason = lacks(result, 'estimatedTokens', 'number');
  if (reason !== undefined) return reason;
  const { messages, estimatedTokens, systemPromptAddition } = result as AssembleResult;
  if (!Number.isFinite(estimatedTokens) || estimatedTokens < 0) return `'estimatedTokens' is ${estimatedTokens}`;
  if (!Array.isArray(messages)) return "'messages' is not an array";
  for (const [index, message] of messages.entries()) {
    if (!ROLES.has(message?.role)) return `'messages[${index}]' has no known role`;
    const { content } = message;
    if (!Array.isArray(content) && !(message.role === 'user' && typeof content === 'string')) return `'messages[${index}]' has no content`;
  }
  if (systemPromptAddition !== undefined && typeof systemPromptAddition !== 'string') return "'systemPromptAddition' is not a string";
  return undefined;
}

function lacks(result: unknown, member: string, type: 'boolean' | 'number'): string | undefined {
  if (typeof result !== 'object' || result === null) return `expected an object, got ${result === null ? 'null' : typeof result}`;
  const value = (result as Record<string, unknown>)[member];
  const found: string = typeof value;
  return found === type ? undefined : `'${member}' is not a ${type}`;
}
