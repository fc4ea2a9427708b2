import { ProtocolError } from '../../sdk/protocol/errors.ts';
import { getAt } from '../config/config-path.ts';
import { setIn, unsetIn } from '../config/edit.ts';
import type { LoadedConfig } from '../config/load.ts';
import { parseText } from '../config/parse.ts';
import type { Config } from '../config/schema.ts';

/** Edits of `agents.list` in the configuration's text. */

export type AgentEntry = NonNullable<Config['agents']['list']>[number];

/** Serves when the list is empty, and always exists. */
export const MAIN_AGENT = 'main';
/** An alias, so no id. */
const ALIAS = 'default';
const MAX_ID = 64;

/** `Example Two` -> `example-two`. Throws for a name that makes no id, or a reserved one. */
export function agentIdOf(name: string): string {
  const id = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .slice(0, MAX_ID)
    .replace(/^[-_]+|[-_]+$/g, '');
  if (id === '') throw new ProtocolError('INVALID_REQUEST', 'agent name needs a letter from a to z or a digit');
  if (id === MAIN_AGENT || id === ALIAS) throw new ProtocolError('INVALID_REQUEST', `"${id}" is reserved`);
  return id;
}

/** Appends an entry. The first one brings `main` with it, which would no longer be the default agent otherwise. */
export async function addAgent(text: string, present: LoadedConfig, entry: AgentEntry): Promise<string> {
  const list = await ownList(text, present);
  if (list.some(({ id }) => isSame(id, entry.id))) throw new ProtocolError('INVALID_REQUEST', `agent "${entry.id}" already exists`);
  if (list.length > 0) return setIn(text, ['agents', 'list', list.length], entry);
  return setIn(text, ['agents', 'list'], entry.id === MAIN_AGENT ? [entry] : [{ id: MAIN_AGENT }, entry]);
}

/** Sets fields of an entry; nested ones by path. */
export async function changeAgent(text: string, present: LoadedConfig, agentId: string, fields: ReadonlyArray<readonly [string[], unknown]>): Promise<string> {
  let result = text;
  if (indexOf(await ownList(text, present), agentId) < 0) {
    if (!isSame(agentId, MAIN_AGENT)) throw unknownAgent(agentId);
    result = await addAgent(text, present, { id: MAIN_AGENT });
  }
  const index = indexOf(await ownList(result, present), agentId);
  for (const [path, value] of fields) result = setIn(result, ['agents', 'list', index, ...path], value);
  return result;
}

/** Removes an entry and the bindings that lead to it. */
export async function removeAgent(text: string, present: LoadedConfig, agentId: string): Promise<{ text: string; removedBindings: number }> {
  if (isSame(agentId, MAIN_AGENT)) throw new ProtocolError('INVALID_REQUEST', `"${MAIN_AGENT}" cannot be deleted`);
  const index = indexOf(await ownList(text, present), agentId);
  if (index < 0) throw unknownAgent(agentId);
  let result = unsetIn(text, ['agents', 'list', index]);
  const bindings = getAt(await parseText(text, present.file), ['bindings']);
  const bound = (Array.isArray(bindings) ? bindings : []).flatMap((binding: { agentId?: unknown }, at) =>
    isSame(String(binding.agentId), agentId) ? [at] : [],
  );
  for (const at of bound.reverse()) result = unsetIn(result, ['bindings', at]);
  return { text: result, removedBindings: bound.length };
}

export function unknownAgent(agentId: string): ProtocolError {
  return new ProtocolError('INVALID_REQUEST', `agent "${agentId}" not found`);
}

/** As the file itself has it. */
async function ownList(text: string, present: LoadedConfig): Promise<Array<{ id: string }>> {
  const own = getAt(await parseText(text, present.file), ['agents', 'list']);
  if (own === undefined && getAt(present.source, ['agents', 'list']) !== undefined) {
    throw new ProtocolError('INVALID_REQUEST', 'agents.list stands in an included file; edit it there');
  }
  return Array.isArray(own) ? own : [];
}

function indexOf(list: ReadonlyArray<{ id: string }>, agentId: string): number {
  return list.findIndex(({ id }) => isSame(id, agentId));
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
