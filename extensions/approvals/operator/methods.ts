import { type GatewayMethodContext, type PluginApi, ProtocolError } from 'Durar/plugin-sdk/core';
import { randomUUID } from 'node:crypto';
import { execRequest, type Fields, pluginRequest } from './payload.ts';
import { type Approval, type Decision, type Family, type Outcome, type PendingApprovals, visible } from './pending.ts';
import { execRequestParams, noParams, pluginRequestParams, resolveParams, waitParams } from './schemas.ts';

const SCOPE = 'operator.approvals';

interface FamilyRules {
  family: Family;
  idPrefix: string;
  params: Record<string, unknown>;
  /** milliseconds */
  timeout: { fallback: number; most: number };
  /** Throws what a request lacks. */
  payload(params: Fields): Approval['request'];
}

const FAMILIES: readonly FamilyRules[] = [
  { family: 'exec', idPrefix: '', params: execRequestParams, timeout: { fallback: 1_800_000, most: Number.MAX_SAFE_INTEGER }, payload: execPayload },
  { family: 'plugin', idPrefix: 'plugin:', params: pluginRequestParams, timeout: { fallback: 120_000, most: 600_000 }, payload: pluginPayload },
];

/** The RPC methods by which clients ask for approvals, list them and decide them. */
export function registerMethods(api: PluginApi, pending: PendingApprovals): void {
  for (const rules of FAMILIES) {
    const { family } = rules;
    const events = [`${family}.approval.requested`, `${family}.approval.resolved`].map((name) => ({ name, scope: SCOPE, droppable: true }));
    api.registerGatewayMethod(`${family}.approval.request`, (params, context) => request(api, pending, rules, params, context), {
      scope: SCOPE,
      description: 'Asks the connected operators and answers with their decision.',
      params: rules.params,
      events,
    });
    api.registerGatewayMethod(`${family}.approval.resolve`, (params, context) => resolve(pending, family, params, context), {
      scope: SCOPE,
      description: 'Decides a pending request.',
      params: resolveParams,
      events,
    });
    api.registerGatewayMethod(`${family}.approval.waitDecision`, (params) => waitDecision(pending, family, params), {
      scope: SCOPE,
      description: 'Answers when a request is decided or expires.',
      params: waitParams,
    });
    api.registerGatewayMethod(`${family}.approval.list`, () => ({ approvals: pending.list(family).map(visible) }), {
      scope: SCOPE,
      description: 'Lists the pending requests.',
      params: noParams,
    });
  }
}

async function request(api: PluginApi, pending: PendingApprovals, rules: FamilyRules, params: Fields, context: GatewayMethodContext): Promise<unknown> {
  const payload = rules.payload(params);
  const id = typeof params.id === 'string' && params.id !== '' ? params.id : `${rules.idPrefix}${randomUUID()}`;
  if (pending.has(id)) throw invalid('approval id already pending');
  if (pending.isFull()) throw new ProtocolError('UNAVAILABLE', 'too many approvals are pending', { retryable: true });
  const createdAtMs = Date.now();
  const approval: Approval = {
    id,
    family: rules.family,
    request: payload,
    requestedBy: { connId: context.connId, ...(context.deviceId === undefined ? {} : { deviceId: context.deviceId }) },
    createdAtMs,
    expiresAtMs: createdAtMs + timeoutOf(params.timeoutMs, rules),
  };
  if (othersListening(api, context) === 0) return decisionOf(approval, { decision: null });
  const outcome = pending.ask(approval);
  if (params.twoPhase === true) context.accepted({ status: 'accepted', id, createdAtMs, expiresAtMs: approval.expiresAtMs });
  return decisionOf(approval, await outcome);
}

/** Decides one request; the beginning of its id is enough where it names one. Throws what the client did wrong. */
export function resolve(
  pending: PendingApprovals,
  family: Family,
  params: Fields,
  context: Pick<GatewayMethodContext, 'clientId' | 'displayName'>,
): { ok: true } {
  const id = idOf(params);
  const { decision } = params;
  if (!isDecision(decision)) throw invalid('invalid decision');
  const found = pending.find(family, id);
  const [approval] = found;
  if (approval === undefined || (found.length > 1 && family === 'plugin')) throw unknown();
  if (found.length > 1) throw invalid(`ambiguous approval id prefix; matches: ${found.map((one) => one.id).join(', ')}`);
  if (!(approval.request.allowedDecisions ?? []).includes(decision))
    throw invalid(`${decision} is unavailable because this request must be asked for each time`);
  if (!pending.decide(approval.id, decision, context.displayName ?? context.clientId)) throw unknown();
  return { ok: true };
}

async function waitDecision(pending: PendingApprovals, family: Family, params: Fields): Promise<unknown> {
  const found = pending.outcome(family, idOf(params));
  if (found === undefined) throw invalid('approval expired or not found');
  return decisionOf(found.approval, await found.outcome);
}

function decisionOf({ id, createdAtMs, expiresAtMs }: Approval, { decision }: Outcome) {
  return { id, decision, createdAtMs, expiresAtMs };
}

/** Operators who may decide, without the caller. */
function othersListening(api: PluginApi, context: GatewayMethodContext): number {
  const callerCounts = context.scopes.includes(SCOPE) || context.scopes.includes('operator.admin');
  return Math.max(0, api.runtime.gateway.listeners(SCOPE) - (callerCounts ? 1 : 0));
}

function execPayload(params: Fields): Approval['request'] {
  const payload = execRequest(params);
  if (params.host === 'node') {
    if (payload.nodeId === null) throw invalid('nodeId is required for host=node');
    if (params.systemRunPlan == null) throw invalid('systemRunPlan is required for host=node');
    if (payload.systemRunPlan === null) throw invalid('systemRunPlan is not usable: argv, cwd and commandText are needed');
  } else if (payload.command === null) {
    throw invalid('command is required');
  }
  return payload;
}

function pluginPayload(params: Fields): Approval['request'] {
  for (const [name, most] of [
    ['title', 80],
    ['description', 256],
  ] as const) {
    const value = params[name];
    if (typeof value !== 'string' || value.length < 1 || value.length > most) throw invalid(`${name} must have 1 to ${most} characters`);
  }
  return pluginRequest(params);
}

function timeoutOf(value: unknown, { timeout }: FamilyRules): number {
  if (value === undefined || value === null) return timeout.fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > timeout.most) throw invalid('timeoutMs must be a positive whole number');
  return value;
}

function idOf(params: Fields): string {
  if (typeof params.id !== 'string' || params.id === '') throw invalid("must have required property 'id'");
  return params.id;
}

function isDecision(value: unknown): value is Decision {
  return value === 'allow-once' || value === 'allow-always' || value === 'deny';
}

function invalid(message: string): ProtocolError {
  return new ProtocolError('INVALID_REQUEST', message);
}

function unknown(): ProtocolError {
  return new ProtocolError('INVALID_REQUEST', 'unknown or expired approval id', { details: { reason: 'APPROVAL_NOT_FOUND' } });
}
