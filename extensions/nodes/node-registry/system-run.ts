import type { GatewayMethodContext, PluginRuntime, RecordedApproval } from 'Durar/plugin-sdk/core';
import { envHash, planMismatch, readPlan, type SystemRunPlan } from 'Durar/plugin-sdk/exec/plan';
import { invalid } from './refusal.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a caller may say about a run; everything else stays here. */
const FORWARDED = [
  'command',
  'rawCommand',
  'systemRunPlan',
  'cwd',
  'env',
  'timeoutMs',
  'needsScreenRecording',
  'agentId',
  'sessionKey',
  'runId',
  'suppressNotifyOnExit',
] as const;

/** The params of `system.run` as the node gets them. `consume` uses the approval up; false: somebody was faster. */
export interface PreparedRun {
  params: Fields;
  consume(): Promise<boolean>;
}

/**
 * A run that claims to be approved is bound to what was approved: plan, node, caller, environment. What differs is refused, what is absent is
 * taken from the plan. A run that claims nothing is judged by the node's own policy.
 */
export async function prepareRun(
  given: Fields,
  nodeId: string,
  caller: Pick<GatewayMethodContext, 'connId' | 'deviceId'>,
  approvals: PluginRuntime['approvals'],
): Promise<PreparedRun> {
  const forwarded = pick(given);
  if (given.approved !== true && !isAllowing(given.approvalDecision)) return { params: forwarded, consume: async () => true };
  const runId = typeof given.runId === 'string' ? given.runId.trim() : '';
  if (runId === '') throw refuse('MISSING_RUN_ID', 'an approved run needs the id of its approval as params.runId');
  const found = await approvals.find({ id: runId });
  if (found === undefined) throw refuse('UNKNOWN_APPROVAL_ID', 'unknown or expired approval id', { runId });
  const { plan, decision } = assertBound(found, given, nodeId, caller);
  const { systemRunPlan: _plan, cwd: _cwd, agentId: _agent, sessionKey: _session, command: _command, rawCommand: _raw, runId: _run, ...rest } = forwarded;
  return {
    params: {
      command: plan.argv,
      rawCommand: plan.commandText,
      ...(plan.cwd === null ? {} : { cwd: plan.cwd }),
      ...rest,
      ...(plan.agentId === null ? {} : { agentId: plan.agentId }),
      ...(plan.sessionKey === null ? {} : { sessionKey: plan.sessionKey }),
      runId,
      systemRunPlan: plan,
      approved: true,
      approvalDecision: decision,
    },
    consume: () => approvals.consume({ id: runId }),
  };
}

/** An approval that was used up, or never given. */
export function approvalRequired(runId: unknown): Error {
  return refuse('APPROVAL_REQUIRED', 'approval required', { runId });
}

function assertBound(
  { id: runId, request, decision, requestedBy, expiresAtMs }: RecordedApproval,
  given: Fields,
  nodeId: string,
  caller: Pick<GatewayMethodContext, 'connId' | 'deviceId'>,
): { plan: SystemRunPlan; decision: string } {
  if (Date.now() > expiresAtMs) throw refuse('APPROVAL_EXPIRED', 'the approval has expired', { runId });
  const plan = readPlan(request.systemRunPlan);
  if (typeof request.nodeId !== 'string' || plan === undefined) throw refuse('APPROVAL_NODE_BINDING_MISSING', 'the approval is not for a node', { runId });
  if (request.nodeId !== nodeId) throw refuse('APPROVAL_NODE_MISMATCH', 'the approval is for another node', { runId });
  if (requestedBy.deviceId !== undefined) {
    if (requestedBy.deviceId !== caller.deviceId) throw refuse('APPROVAL_DEVICE_MISMATCH', 'the approval was asked for by another device', { runId });
  } else if (requestedBy.connId !== caller.connId) {
    throw refuse('APPROVAL_CLIENT_MISMATCH', 'the approval was asked for by another client', { runId });
  }
  const field = planMismatch(plan, given);
  if (field !== undefined) throw refuse('APPROVAL_REQUEST_MISMATCH', `'${field}' is not what was approved`, { runId, field });
  assertEnvironment(request, given.env, runId);
  if (decision === null || !isAllowing(decision)) throw approvalRequired(runId);
  return { plan, decision };
}

function assertEnvironment(request: Fields, env: unknown, runId: string): void {
  const bound = (request.systemRunBinding as { envHash?: string | null } | null | undefined)?.envHash ?? null;
  const isGiven = typeof env === 'object' && env !== null && Object.keys(env).length > 0;
  if (!isGiven && bound === null) return;
  if (isGiven && bound === null) throw refuse('APPROVAL_ENV_BINDING_MISSING', 'the approval speaks of no environment', { runId });
  if (envHash((env ?? {}) as Record<string, unknown>) !== bound) throw refuse('APPROVAL_ENV_MISMATCH', 'the environment is not what was approved', { runId });
}

function pick(given: Fields): Record<string, unknown> {
  return Object.fromEntries(FORWARDED.flatMap((key) => (given[key] === undefined ? [] : [[key, given[key]]])));
}

function isAllowing(decision: unknown): boolean {
  return decision === 'allow-once' || decision === 'allow-always';
}

function refuse(code: string, message: string, details: object = {}): Error {
  return invalid(message, { code, ...details });
}
