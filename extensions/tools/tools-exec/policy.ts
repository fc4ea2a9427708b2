import type { Ask, HostPolicy, Security } from './approvals-file.ts';

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

export interface Policy {
  security: Security;
  ask: Ask;
  askFallback: Security;
}

type Fields = { readonly [Name in string]?: unknown };

/** From strict to open. */
const SECURITY = ['deny', 'allowlist', 'full'] as const satisfies readonly Security[];
const ASK = ['always', 'on-miss', 'off'] as const satisfies readonly Ask[];

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

/** The stricter of the configuration and the host's file, field by field. */
export function effectivePolicy(settings: Pick<ExecSettings, 'security' | 'ask'>, host: HostPolicy): Policy {
  return {
    security: stricter(SECURITY, settings.security, host.security),
    ask: stricter(ASK, settings.ask, host.ask),
    askFallback: host.askFallback ?? 'deny',
  };
}

/** What is to be done before a command runs. */
export function verdict({ security, ask }: Pick<Policy, 'security' | 'ask'>, isAllowlisted: boolean): 'run' | 'ask' | 'deny' {
  if (security === 'deny') return 'deny';
  if (ask === 'always') return 'ask';
  if (security === 'full' || isAllowlisted) return 'run';
  return ask === 'on-miss' ? 'ask' : 'deny';
}

function stricter<Value>(fromStrict: readonly Value[], one: Value, other: Value | undefined): Value {
  if (other === undefined) return one;
  return fromStrict.indexOf(one) <= fromStrict.indexOf(other) ? one : other;
}

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
