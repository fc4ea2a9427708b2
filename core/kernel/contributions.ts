import { CONTRIBUTION_ROWS, type ContributionKind, type ContributionRow, durarError } from '../../sdk/index.ts';
import { isObject } from '../manifest/json.ts';
import type { Draft } from './draft.ts';

type RegisterMethod = (...args: unknown[]) => { ok: boolean; existingOwner?: string };

/** Makes the `api.register*` methods of one draft from the table. */
export function createRegisterMethods(draft: Draft): Record<string, RegisterMethod> {
  const methods: Record<string, RegisterMethod> = {};
  for (const kind of Object.keys(CONTRIBUTION_ROWS) as ContributionKind[]) {
    const row = CONTRIBUTION_ROWS[kind];
    methods[row.method] = (...args) => {
      const made = read(draft, row, args);
      let result: ReturnType<RegisterMethod> = { ok: true };
      for (const { key, value } of made) {
        const one = draft.add(kind, key, value);
        if (!one.ok) result = one;
      }
      return result;
    };
  }
  return methods;
}

/** The keyed values of one call, checked against the row. */
function read(draft: Draft, row: ContributionRow, args: unknown[]): Array<{ key: string; value: unknown }> {
  const [first, second, third] = args;
  switch (row.form) {
    case 'factory':
      return [{ key: text(draft, row, first, 'the id'), value: callable(draft, row, String(first), second) }];
    case 'named': {
      const handler = callable(draft, row, String(first), second);
      const keys = Array.isArray(first) ? first : [first];
      return keys.map((key) => ({ key: text(draft, row, key, 'the name'), value: { handler, options: third ?? {} } }));
    }
    case 'object': {
      const value = row.method === 'registerChannel' && isObject(first) && isObject(first.plugin) ? first.plugin : first;
      if (!isObject(value)) throw shape(draft, row, '?', 'expected an object');
      const key = text(draft, row, value[row.keyField ?? 'id'], row.keyField ?? 'id');
      if (row.taken?.includes(key.toLowerCase())) throw shape(draft, row, key, `this ${row.keyField ?? 'id'} is the host's own`);
      if (row.keyPattern !== undefined && !new RegExp(row.keyPattern).test(key))
        throw shape(draft, row, key, `its ${row.keyField ?? 'id'} must match ${row.keyPattern}`);
      for (const [member, type] of Object.entries(row.shape ?? {})) {
        if (typeof value[member] !== type) throw shape(draft, row, key, `'${member}' must be a ${type}`);
      }
      return [{ key, value }];
    }
    case 'tool':
      return readTool(draft, row, first, isObject(second) ? second : {});
    case 'cli': {
      const options = isObject(second) ? second : {};
      const descriptors = Array.isArray(options.descriptors) ? (options.descriptors as Array<{ name: string }>) : [];
      const names = [...descriptors.map((descriptor) => descriptor.name), ...(Array.isArray(options.commands) ? (options.commands as string[]) : [])];
      const registrar = callable(draft, row, names.join(', '), first);
      if (names.length === 0) throw shape(draft, row, '?', 'name its commands in { commands } or { descriptors }');
      return [...new Set(names)].map((key) => ({ key: text(draft, row, key, 'the name'), value: { registrar, descriptors } }));
    }
    case 'single':
      return [{ key: draft.owner, value: first }];
  }
}

/** A tool is an object, or a factory whose names are given beside it. */
function readTool(draft: Draft, row: ContributionRow, tool: unknown, options: Record<string, unknown>): Array<{ key: string; value: unknown }> {
  const optional = options.optional === true;
  if (typeof tool === 'function') {
    const names = Array.isArray(options.names) ? options.names : [options.name ?? (tool.name || draft.owner)];
    return names.map((name) => ({ key: text(draft, row, name, 'the name'), value: { tool, optional } }));
  }
  if (!isObject(tool)) throw shape(draft, row, '?', 'expected a tool or a factory');
  const key = text(draft, row, tool.name, 'name');
  if (typeof tool.execute !== 'function') throw shape(draft, row, key, "'execute' must be a function");
  if (!isObject(tool.parameters)) throw shape(draft, row, key, "'parameters' must be a JSON Schema");
  return [{ key, value: { tool, optional } }];
}

function text(draft: Draft, row: ContributionRow, value: unknown, what: string): string {
  if (typeof value === 'string' && value.length > 0) return value;
  throw shape(draft, row, '?', `${what} must be a text`);
}

function callable(draft: Draft, row: ContributionRow, key: string, value: unknown): unknown {
  if (typeof value === 'function') return value;
  throw shape(draft, row, key, 'expected a function');
}

function shape(draft: Draft, row: ContributionRow, key: string, reason: string): Error {
  return durarError('DUR_EXT_SHAPE', { id: draft.owner, kind: row.noun, key, reason }, { owner: { extension: draft.owner, hook: row.method } });
}
