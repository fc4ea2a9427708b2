import { randomUUID } from 'node:crypto';
import { type ApprovalDecision, type ApprovalRequest, type Approver, durarError, errorText, type HookContext } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import { withDeadline } from '../deadline.ts';

/** What is asked; the host fills id, times and the run's own ids. */
export type ApprovalQuestion = Omit<ApprovalRequest, 'id' | 'createdAtMs' | 'expiresAtMs' | 'agentId' | 'sessionKey' | 'runId'> & { timeoutMs?: number };

/** `outcome` says how the answer came about; whatever it is, only an explicit allow lets the call through. */
export interface ApprovalAnswer extends ApprovalDecision {
  outcome: 'decided' | 'timeout' | 'cancelled' | 'failed' | 'nobody';
}

const DEFAULT_TIMEOUT_MS = 120_000;
const DECISIONS: ReadonlySet<unknown> = new Set(['allow-once', 'allow-always', 'deny']);

/**
 * Asks the hook's taps, then the approvers by priority. Never throws. Fails closed: a throw, a timeout, an abort, `null`, an unknown or
 * not allowed decision and an empty list of approvers are all a deny.
 */
export async function requestApproval(generation: Generation, question: ApprovalQuestion, context: HookContext, now: () => number): Promise<ApprovalAnswer> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, ...asked } = question;
  const createdAtMs = now();
  const request: ApprovalRequest = {
    ...asked,
    id: randomUUID(),
    createdAtMs,
    expiresAtMs: createdAtMs + timeoutMs,
    ...(context.agentId === undefined ? {} : { agentId: context.agentId }),
    ...(context.sessionKey === undefined ? {} : { sessionKey: context.sessionKey }),
    ...(context.runId === undefined ? {} : { runId: context.runId }),
  };
  const expired = durarError('DUR_APPROVAL_DENIED', { reason: `nobody answered within ${timeoutMs} ms` });
  try {
    const decision = await withDeadline({ ms: timeoutMs, signal: context.signal, expired: () => expired }, (signal) =>
      generation.hooks.call('approval.request', request, { ...context, signal }, () => askApprovers(generation, request, signal)),
    );
    if (decision === undefined) return { decision: 'deny', outcome: 'nobody', reason: 'nobody is there to approve it' };
    if (typeof decision !== 'object' || decision === null || !DECISIONS.has(decision.decision)) {
      return { decision: 'deny', outcome: 'failed', reason: 'the answer was not a decision' };
    }
    if (!request.allowedDecisions.includes(decision.decision))
      return { decision: 'deny', outcome: 'failed', reason: `'${decision.decision}' was not on offer` };
    return { ...decision, outcome: 'decided' };
  } catch (error) {
    const outcome = error === expired ? 'timeout' : context.signal?.aborted ? 'cancelled' : 'failed';
    return { decision: 'deny', outcome, reason: errorText(error) };
  }
}

async function askApprovers(generation: Generation, request: ApprovalRequest, signal: AbortSignal): Promise<ApprovalDecision | undefined> {
  const approvers = (await generation.contributions('approver')).map(({ value }) => value).sort((a, b) => priority(b) - priority(a));
  for (const approver of approvers) {
    if (signal.aborted) throw signal.reason;
    const decision = await approver.decide(request, { signal });
    if (decision !== undefined) return decision;
  }
  return undefined;
}

function priority(approver: Approver): number {
  return approver.priority ?? 0;
}
