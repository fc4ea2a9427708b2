import { durarError } from '../../sdk/errors.ts';
import type { Config } from '../config/schema.ts';

/** The agent that serves when the configuration names none. */
export const DEFAULT_AGENT_ID = 'main';

const MAX_LENGTH = 512;
/** Becomes a folder name, so nothing that could leave its folder. */
const AGENT_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** Keys that belong to no agent. */
const SHARED = new Set(['global', 'unknown']);
/** First words of keys that are complete as they are. */
const OWN_NAMESPACES = ['cron:', 'hook:', 'acp:', 'telegram:slash:'];
/** Words that say what the rest of an agent's key names; behind the first of them everything is an id. */
const KINDS = new Set(['direct', 'dm', 'group', 'channel', 'subagent', 'slash', 'cron', 'hook', 'acp', 'dashboard']);
const CONTROL = /\p{Cc}/u;

/** The agent that serves when nobody names one: the marked entry, else the first, else `main`. Ids are lower case wherever they are used. */
export function defaultAgentId(config: Config): string {
  const list = config.agents.list ?? [];
  return ((list.find((agent) => agent.default === true) ?? list[0])?.id ?? DEFAULT_AGENT_ID).toLowerCase();
}

/**
 * The one spelling of a session key: lower case, `main` and bare names given to `agentId`, `dm` written `direct`.
 * A key that names an agent keeps it. Throws `DUR_SESSION_KEY`.
 */
export function canonicalKey(key: string | undefined, agentId: string = DEFAULT_AGENT_ID): string {
  const text = (key ?? '').trim().toLowerCase();
  if (text.length > MAX_LENGTH || CONTROL.test(text)) throw malformed(key);
  if (SHARED.has(text)) return text;
  if (text === 'agent' || text.startsWith('agent:')) {
    const [, id = '', ...rest] = text.split(':');
    return agentKey(id, rest, key);
  }
  const namespace = OWN_NAMESPACES.find((prefix) => text.startsWith(prefix));
  if (namespace !== undefined) {
    if (text.length === namespace.length) throw malformed(key);
    return text;
  }
  return agentKey(agentId.toLowerCase(), text === '' ? ['main'] : text.split(':'), key ?? agentId);
}

/** The agent of a canonical key; undefined for those that belong to none. */
export function agentOfKey(key: string): string | undefined {
  return key.startsWith('agent:') ? key.split(':', 2)[1] : undefined;
}

function agentKey(agentId: string, rest: string[], original: string | undefined): string {
  if (!AGENT_ID.test(agentId) || rest.length === 0 || rest[0] === '' || rest.at(-1) === '') throw malformed(original);
  return ['agent', agentId, ...withoutDm(rest)].join(':');
}

/** `dm` stands first, behind the channel, or behind channel and account; anywhere later it is somebody's id. */
function withoutDm(rest: string[]): string[] {
  const at = rest.findIndex((word) => KINDS.has(word));
  return rest[at] === 'dm' && at <= 2 && at < rest.length - 1 ? rest.with(at, 'direct') : rest;
}

function malformed(key: string | undefined): Error {
  return durarError('DUR_SESSION_KEY', { key: key ?? '' });
}
