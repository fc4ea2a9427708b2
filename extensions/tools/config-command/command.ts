import { type CommandContext, type CommandReply, type PluginRuntime, reportError } from 'Durar/plugin-sdk/core';

type Fields = Record<string, unknown>;

const USAGE = 'Usage: /config show [path] | get <path> | set <path>=<value> | unset <path>';
/** A longer value does not fit a chat. */
const SHOWN_CHARS = 3_500;
/** Words that lead out of the plain values of an object. */
const NO_KEYS: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

/** What `/config` is answered. Secrets are never in it: the configuration of extensions holds references and marks in their place. */
export async function answer(context: CommandContext, config: PluginRuntime['config']): Promise<CommandReply> {
  const present = config.loadConfig();
  if (record(present.commands).config !== true) return refused('Not available: `commands.config` is off.');
  const [, verb = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec((context.args ?? '').trim()) ?? [];
  const isWrite = verb === 'set' || verb === 'unset';
  const refusal = refuse(context, present, isWrite);
  if (refusal !== undefined) return refused(refusal);
  if (verb === 'show' || verb === 'get') return show(present, rest.trim(), verb);
  if (!isWrite) return refused(USAGE);
  const [, path = '', text = ''] = (verb === 'set' ? /^([^\s=]+)\s*(?:=|\s)\s*([\s\S]+)$/ : /^(\S+)()$/).exec(rest.trim()) ?? [];
  const keys = path.split('.');
  if (path === '' || keys.some((key) => key === '' || NO_KEYS.has(key))) return refused(USAGE);
  const next = structuredClone(present);
  if (!change(next, keys, verb === 'set' ? { value: parsed(text) } : undefined)) return refused(`Nothing is set at "${path}".`);
  try {
    await config.writeConfigFile(next);
  } catch (error) {
    const { message, hint } = reportError(error);
    return refused([`Not changed: ${message}`, hint].filter(Boolean).join('\n'));
  }
  return { text: verb === 'set' ? `Set ${path}.` : `Removed ${path}.` };
}

/** Clients are known by their scopes; a sender of a channel must be an owner, and the channel may forbid changes. */
function refuse({ gatewayClientScopes, senderId, channel }: CommandContext, { commands, channels }: Fields, isWrite: boolean): string | undefined {
  if (gatewayClientScopes !== undefined)
    return isWrite && !gatewayClientScopes.includes('operator.admin') ? 'Not allowed: missing scope: operator.admin.' : undefined;
  const { ownerAllowFrom } = record(commands);
  const owners: unknown[] = Array.isArray(ownerAllowFrom) ? ownerAllowFrom : [];
  if (senderId === undefined || !(owners.includes(senderId) || owners.includes(`${channel}:${senderId}`)))
    return 'Not allowed: this is for those whom `commands.ownerAllowFrom` names.';
  if (isWrite && record(record(channels)[channel]).configWrites === false) return `Not allowed: \`channels.${channel}.configWrites\` is off.`;
  return undefined;
}

function show(config: Fields, path: string, verb: string): CommandReply {
  if (path === '' && verb === 'get') return refused(USAGE);
  if (path === '') return { text: `Parts: ${Object.keys(config).sort().join(', ')}.\n/config show <path> shows one.` };
  const value = path.split('.').reduce<unknown>((at, key) => (isOwn(at, key) ? (at as Fields)[key] : undefined), config);
  if (value === undefined) return refused(`Nothing is set at "${path}".`);
  const text = JSON.stringify(value, null, 2);
  return { text: `${path}: ${text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}\n… (${text.length} characters; name a part of it)`}` };
}

/** False: there is nothing to take away. */
function change(config: Fields, keys: readonly string[], to: { value: unknown } | undefined): boolean {
  let at: Fields = config;
  for (const key of keys.slice(0, -1)) {
    if (!isOwn(at, key) || typeof at[key] !== 'object' || at[key] === null) {
      if (to === undefined) return false;
      at[key] = {};
    }
    at = at[key] as Fields;
  }
  const last = keys.at(-1) as string;
  if (to !== undefined) at[last] = to.value;
  else if (!isOwn(at, last)) return false;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return true;
}

/** JSON where it is JSON, else a text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // any other word means itself
    return text.trim();
  }
}

function isOwn(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function refused(text: string): CommandReply {
  return { text, isError: true };
}
