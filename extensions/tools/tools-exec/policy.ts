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

/** `tools.exec`, with what `agents.list[].tools.exec` says for this agent on top. A value that is not known counts as the strictest. */
export function execSettings(config: Fields, agentId: string): ExecSettings {
  const agents = record(config.agents).list;
  const agent = Array.isArray(agents) ? agents.map(record).find((one) => one.id === agentId) : undefined;
  const exec: Fields = { ...record(record(config.tools).exec), ...record(record(agent?.tools).exec) };
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
