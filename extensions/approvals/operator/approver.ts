import type { ApprovalRequest, Approver, PluginRuntime } from 'Durar/plugin-sdk/core';
import { execRequest, pluginRequest } from './payload.ts';
import type { PendingApprovals } from './pending.ts';

/** Asks the connected operators. Denies at once when nobody who may decide is connected. */
export function createOperatorApprover(pending: PendingApprovals, gateway: Pick<PluginRuntime['gateway'], 'listeners'>): Approver {
  return {
    id: 'operator',
    async decide(request, { signal }) {
      if (gateway.listeners('operator.approvals') === 0) return { decision: 'deny', reason: 'nobody who could approve is connected' };
      if (pending.has(request.id)) return { decision: 'deny', reason: 'another request has the same id' };
      if (pending.isFull()) return { decision: 'deny', reason: 'too many approvals are pending' };
      const { decision, resolvedBy } = await pending.ask(approvalOf(request), signal);
      if (decision === null) return { decision: 'deny', reason: signal.aborted ? 'the request was withdrawn' : 'nobody answered in time' };
      return {
        decision,
        ...(resolvedBy === undefined ? {} : { resolvedBy }),
        ...(decision === 'deny' ? { reason: `denied by ${resolvedBy ?? 'the operator'}` } : {}),
      };
    },
    async find({ id }) {
      const found = pending.recorded(id);
      const requestedBy = found?.approval.requestedBy;
      if (found === undefined || requestedBy === undefined) return undefined;
      const { request, createdAtMs, expiresAtMs } = found.approval;
      return { id, request, decision: found.decision, requestedBy, createdAtMs, expiresAtMs };
    },
    consume: async ({ id }) => pending.consume(id),
  };
}

function approvalOf(request: ApprovalRequest) {
  const { id, createdAtMs, expiresAtMs } = request;
  return request.kind === 'exec'
    ? { id, family: 'exec' as const, request: execRequest(request), createdAtMs, expiresAtMs }
    : { id, family: 'plugin' as const, request: pluginRequest(request), createdAtMs, expiresAtMs };
}
