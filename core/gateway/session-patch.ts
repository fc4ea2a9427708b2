import type { SessionPatch, ThinkingLevel } from '../../sdk/index.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { SessionsPatchParams } from '../../sdk/protocol/generated/types.ts';

/** The settings of a session that clients may change, and which words each of them takes. */

const THINKING = ['off', 'minimal', 'low', 'medium', 'high', 'xhigh', 'adaptive'] as const satisfies readonly ThinkingLevel[];
const PLAIN_THINKING: readonly string[] = THINKING.filter((level) => level !== 'xhigh');

const CHOICES = {
  verboseLevel: ['off', 'on', 'full'],
  reasoningLevel: ['on', 'off', 'stream'],
  responseUsage: ['off', 'tokens', 'full', 'on'],
  elevatedLevel: ['on', 'off', 'ask', 'full'],
  execHost: ['auto', 'sandbox', 'gateway', 'node'],
  execSecurity: ['deny', 'allowlist', 'full'],
  execAsk: ['off', 'on-miss', 'always'],
  subagentRole: ['orchestrator', 'leaf'],
  subagentControlScope: ['children', 'none'],
  sendPolicy: ['allow', 'deny'],
  groupActivation: ['mention', 'always'],
} as const satisfies Partial<Record<keyof SessionsPatchParams, readonly string[]>>;

const FREE = ['execNode', 'spawnedBy', 'spawnedWorkspaceDir'] as const;
const PLAIN = ['fastMode', 'spawnDepth'] as const;
/** Columns of the row; all others are kept in its `extra`. */
const COLUMNS = new Set<string>(['verboseLevel', 'reasoningLevel', 'spawnedBy', 'thinkingLevel']);
const MAX_LABEL = 512;

/** What the store is asked to change. Label and model are not here: the caller checks them against other sessions and the models. */
export function patchOf(params: SessionsPatchParams, present: Record<string, unknown> | undefined, reasons: boolean): SessionPatch {
  const columns: Record<string, unknown> = {};
  const extra: Record<string, unknown> = { ...present };
  const set = (field: string, value: unknown) => {
    if (COLUMNS.has(field)) columns[field] = value;
    else if (value === null) delete extra[field];
    else extra[field] = value;
  };
  if (params.thinkingLevel === null) set('thinkingLevel', null);
  else if (params.thinkingLevel !== undefined) set('thinkingLevel', choice('thinkingLevel', params.thinkingLevel, reasons ? THINKING : PLAIN_THINKING));
  for (const [field, choices] of Object.entries(CHOICES)) {
    const value = params[field as keyof typeof CHOICES];
    if (value === null) set(field, null);
    else if (value !== undefined) set(field, choice(field, value, choices));
  }
  for (const field of FREE) {
    const value = params[field];
    if (value === undefined) continue;
    if (value !== null && value.trim() === '') throw new ProtocolError('INVALID_REQUEST', `invalid ${field} (use a text that is not empty)`);
    set(field, value === null ? null : value.trim());
  }
  for (const field of PLAIN) if (params[field] !== undefined) set(field, params[field]);
  const changesExtra = JSON.stringify(extra) !== JSON.stringify(present ?? {});
  return { ...(columns as SessionPatch), ...(changesExtra ? { extra: Object.keys(extra).length === 0 ? null : extra } : {}) };
}

/** A label as it is stored. */
export function labelOf(given: string): string {
  const label = given.trim();
  if (label === '' || label.length > MAX_LABEL) throw new ProtocolError('INVALID_REQUEST', `invalid label (use 1 to ${MAX_LABEL} characters)`);
  return label;
}

/** A thinking level that a request names, for its run only. */
export function thinkingLevel(given: string | undefined, field: string): ThinkingLevel | undefined {
  return given === undefined || given.trim() === '' ? undefined : (choice(field, given, THINKING) as ThinkingLevel);
}

function choice(field: string, value: string, choices: readonly string[]): string {
  const word = value.trim().toLowerCase();
  if (!choices.includes(word)) throw new ProtocolError('INVALID_REQUEST', `invalid ${field} (use ${choices.join('|')})`);
  return word;
}
