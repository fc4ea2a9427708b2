import { ASK, type Ask, SECURITY, type Security } from 'Durar/plugin-sdk/exec/policy';

/** The part of the configuration that rules this tool. */
export interface ExecSettings {
  host: string;
  security: Security;
  ask: Ask;
  pathPrepend: string[];
  strictInlineEval: boolean;
  /** seconds */
  timeoutSec: number;
}

type Fields = { readonly [Name in string]?: unknown };

/**
 * `tools.exec`, with what `agents.list[].tools.exec` says for this agent on top, and on top of that what an administrator has set for the
 * session. A value that is not known counts as the strictest.
 */
export function execSettings(config: Fields, agentId: string, session: Fields = {}): ExecSettings {
  const agents = record(config.agents).list;
  const agent = Array.isArray(agents) ? agents.map(record).find((one) => one.id === agentId) : undefined;
  const { execHost: host, execSecurity: security, execAsk: ask } = session;
  const own = { ...(host === undefined ? {} : { host }), ...(security === undefined ? {} : { security }), ...(ask === undefined ? {} : { ask }) };
  const exec: Fields = { ...record(record(config.tools).exec), ...record(record(agent?.tools).exec), ...own };
  return {
    host: typeof exec.host === 'string' ? exec.host : 'auto',
    security: exec.security === undefined ? 'allowlist' : (SECURITY.find((one) => one === exec.security) ?? 'deny'),
    ask: exec.ask === undefined ? 'on-miss' : (ASK.find((one) => one === exec.ask) ?? 'always'),
    pathPrepend: Array.isArray(exec.pathPrepend) ? exec.pathPrepend.filter((dir) => typeof dir === 'string') : [],
    strictInlineEval: exec.strictInlineEval === true,
    timeoutSec: typeof exec.timeoutSec === 'number' && exec.timeoutSec > 0 ? exec.timeoutSec : 1800,
  };
}

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
