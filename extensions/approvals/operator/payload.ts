import { envHash, readPlan } from 'Durar/plugin-sdk/exec/plan';
import type { Approval, Decision } from './pending.ts';

/** Fields that callers give, in whichever form; everything is optional and may be null. */
export type Fields = { readonly [Name in string]?: unknown };

const ALL_DECISIONS: readonly Decision[] = ['allow-once', 'allow-always', 'deny'];

/** The `request` of `exec.approval.requested`. */
export function execRequest(given: object): Approval['request'] {
  const fields = given as Fields;
  const plan = planOf(fields);
  const argv = strings(plan?.argv) ?? strings(fields.commandArgv);
  const cwd = plan === undefined ? text(fields.cwd) : text(plan.cwd);
  const agentId = text(plan?.agentId) ?? text(fields.agentId);
  const sessionKey = text(plan?.sessionKey) ?? text(fields.sessionKey);
  const env = record(fields.env);
  const envKeys = strings(fields.envKeys) ?? (env === undefined ? undefined : Object.keys(env).sort());
  const isNode = fields.host === 'node';
  return {
    command: text(plan?.commandText) ?? text(fields.command),
    ...(plan?.commandPreview == null ? {} : { commandPreview: plan.commandPreview }),
    ...(isNode || argv === undefined ? {} : { commandArgv: argv }),
    ...(envKeys === undefined ? {} : { envKeys }),
    systemRunBinding: argv === undefined ? null : { argv, cwd, agentId, sessionKey, envHash: env === undefined ? null : envHash(env) },
    systemRunPlan: plan ?? null,
    cwd,
    nodeId: text(fields.nodeId),
    host: text(fields.host),
    security: text(fields.security),
    ask: text(fields.ask),
    allowedDecisions: allowed(fields),
    agentId,
    resolvedPath: text(fields.resolvedPath),
    sessionKey,
    ...turnSource(fields),
  };
}

/** The `request` of `plugin.approval.requested`. */
export function pluginRequest(given: object): Approval['request'] {
  const fields = given as Fields;
  return {
    title: text(fields.title),
    description: text(fields.description),
    pluginId: text(fields.pluginId),
    severity: text(fields.severity),
    toolName: text(fields.toolName),
    toolCallId: text(fields.toolCallId),
    allowedDecisions: allowed(fields),
    agentId: text(fields.agentId),
    sessionKey: text(fields.sessionKey),
    ...turnSource(fields),
  };
}

/** The plan as it is stored; a shorter line that the caller gave is kept as what people see first. */
function planOf(fields: Fields) {
  const plan = readPlan(fields.systemRunPlan);
  if (plan === undefined || plan.commandPreview != null) return plan;
  const { argv, cwd, commandText, ...rest } = plan;
  const preview = text(fields.command);
  return { argv, cwd, commandText, ...(preview === null || preview === commandText ? {} : { commandPreview: preview }), ...rest };
}

/** What the caller allows; `allow-always` never where each use must be asked for. */
function allowed(fields: Fields): Decision[] {
  const given = strings(fields.allowedDecisions) ?? ALL_DECISIONS;
  return ALL_DECISIONS.filter((decision) => given.includes(decision) && !(decision === 'allow-always' && fields.ask === 'always'));
}

function turnSource(fields: Fields) {
  const thread = fields.turnSourceThreadId;
  return {
    turnSourceChannel: text(fields.turnSourceChannel),
    turnSourceTo: text(fields.turnSourceTo),
    turnSourceAccountId: text(fields.turnSourceAccountId),
    turnSourceThreadId: typeof thread === 'number' ? thread : text(thread),
  };
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function strings(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}
