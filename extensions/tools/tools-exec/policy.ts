import type { ToolContext } from 'Durar/plugin-sdk/core';
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

/** Of the run that the commands belong to. */
export type ExecSender = Pick<ToolContext, 'agentId' | 'sessionSettings' | 'messageChannel' | 'requesterSenderId'>;

/** With `/elevated full`, where this sender may have it, nobody is asked. `deny` stays, and so does what the file of approvals says. */
export function elevated(settings: ExecSettings, config: Fields, sender: ExecSender): ExecSettings {
  if (settings.security === 'deny' || !isElevated(config, sender)) return settings;
  return { ...settings, security: 'full', ask: 'off' };
}

function isElevated(config: Fields, { agentId, sessionSettings, messageChannel, requesterSenderId }: ExecSender): boolean {
  const { list, defaults } = record(config.agents);
  const level = sessionSettings?.elevatedLevel ?? record(defaults).elevatedDefault;
  if (level !== 'full') return false;
  const agent = Array.isArray(list) ? list.map(record).find((one) => one.id === agentId) : undefined;
  // those of an agent only restrict
  return [record(config.tools).elevated, record(agent?.tools).elevated].every((gate, index) => {
    const { enabled, allowFrom } = record(gate);
    if (enabled === false) return false;
    // a client of the gateway is known by its scopes, and one of them set the level
    if (messageChannel === undefined || (index === 1 && allowFrom === undefined)) return true;
    const allowed = record(allowFrom)[messageChannel];
    return Array.isArray(allowed) && (allowed.includes('*') || (requesterSenderId !== undefined && allowed.includes(requesterSenderId)));
  });
}

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
