import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApprovalDecision, ApprovalRequest, Approver } from '../ports/approval.ts';
import type { ContractContext, ContractSuite } from './contract.ts';

/** What the suite needs of an approver. Ways that it cannot be driven in are left out; their cases are skipped. */
export interface ApprovalContractContext extends ContractContext {
  approver: Approver;
  /** Makes the approver's person or policy answer the request that is pending. */
  answer?(request: ApprovalRequest, decision: ApprovalDecision['decision']): Promise<void> | void;
  /** Nobody is there who could decide; the approver was told so before. */
  desert?(): void;
}

/** Long for a policy, short beside the patience of a person. */
const POLICY_MS = 100;

const DECISIONS: readonly unknown[] = ['allow-once', 'allow-always', 'deny'];

export const approvalContract: ContractSuite<ApprovalContractContext> = {
  port: 'approval',
  cases: [
    {
      name: 'it has an id, and a priority that is a number when it has one',
      async run({ approver }) {
        assert.ok(typeof approver.id === 'string' && approver.id !== '');
        assert.ok(approver.priority === undefined || Number.isFinite(approver.priority));
      },
    },
    {
      name: 'a decision is one of the three, or it abstains',
      ids: ['CARD-014'],
      async run({ approver, answer }) {
        const asked = makeRequest();
        const deciding = approver.decide(asked, { signal: AbortSignal.timeout(2000) });
        await answer?.(asked, 'allow-once');
        const decided = await deciding;
        if (decided === undefined) return;
        assert.ok(DECISIONS.includes(decided?.decision), `'${String(decided?.decision)}' is not a decision`);
        if (answer !== undefined) assert.equal(decided.decision, 'allow-once');
      },
    },
    {
      name: 'a deny is passed on as a deny',
      skip: ({ answer }) => (answer === undefined ? 'it cannot be answered from here' : undefined),
      async run({ approver, answer }) {
        const asked = makeRequest();
        const deciding = approver.decide(asked, { signal: AbortSignal.timeout(2000) });
        await answer?.(asked, 'deny');
        assert.equal((await deciding)?.decision, 'deny');
      },
    },
    {
      name: 'no answer before the expiry never allows',
      skip: allowsByPolicy,
      async run({ approver }) {
        const now = Date.now();
        await neverAllows(() => approver.decide(makeRequest({ createdAtMs: now, expiresAtMs: now + 50 }), { signal: AbortSignal.timeout(500) }));
      },
    },
    {
      name: 'an aborted signal ends the question and never allows',
      timeoutMs: 3000,
      skip: allowsByPolicy,
      async run({ approver }) {
        const abort = new AbortController();
        const deciding = neverAllows(() => approver.decide(makeRequest(), { signal: abort.signal }));
        setImmediate(() => abort.abort());
        await deciding;
        await neverAllows(() => approver.decide(makeRequest(), { signal: AbortSignal.abort() }));
      },
    },
    {
      name: 'it denies at once when nobody can decide',
      timeoutMs: 3000,
      skip: ({ desert }) => (desert === undefined ? 'it does not depend on anybody' : undefined),
      async run({ approver, desert }) {
        desert?.();
        assert.equal((await approver.decide(makeRequest(), { signal: new AbortController().signal }))?.decision, 'deny');
      },
    },
    {
      name: 'the request is left as it was',
      async run({ approver, answer }) {
        const asked = Object.freeze(makeRequest());
        const before = structuredClone(asked);
        const deciding = approver.decide(asked, { signal: AbortSignal.timeout(500) });
        await answer?.(asked, 'deny');
        await deciding;
        assert.deepEqual(asked, before);
      },
    },
    {
      name: 'two requests at once get their own decisions',
      skip: ({ answer }) => (answer === undefined ? 'it cannot be answered from here' : undefined),
      async run({ approver, answer }) {
        const [first, second] = [makeRequest(), makeRequest()];
        const both = [first, second].map((asked) => approver.decide(asked, { signal: AbortSignal.timeout(2000) }));
        await answer?.(second, 'allow-once');
        await answer?.(first, 'deny');
        assert.deepEqual(
          (await Promise.all(both)).map((decided) => decided?.decision),
          ['deny', 'allow-once'],
        );
      },
    },
  ],
};

function makeRequest(more: Partial<ApprovalRequest> = {}): ApprovalRequest {
  const now = Date.now();
  return {
    id: crypto.randomUUID(),
    kind: 'exec',
    title: 'Run a command',
    description: 'ls in /tmp',
    command: 'ls',
    commandArgv: ['/bin/ls'],
    cwd: '/tmp',
    agentId: 'main',
    sessionKey: 'agent:main:main',
    allowedDecisions: ['allow-once', 'allow-always', 'deny'],
    createdAtMs: now,
    expiresAtMs: now + 60_000,
    ...more,
  };
}

/** Who allows at once, and not because somebody answers here, follows a policy: nobody's answer can be missing. */
async function allowsByPolicy({ approver, answer }: ApprovalContractContext): Promise<string | undefined> {
  if (answer !== undefined) return undefined;
  const abort = new AbortController();
  const deciding = (async () => approver.decide(makeRequest(), { signal: abort.signal }))().catch(() => undefined);
  const decided = await Promise.race([deciding, sleep(POLICY_MS)]);
  abort.abort();
  return String(decided?.decision).startsWith('allow-') ? 'it allows by policy and waits for nobody' : undefined;
}

/** A throw and a deny are both safe; the host reads a throw as a deny. */
async function neverAllows(decide: () => Promise<ApprovalDecision | undefined>): Promise<void> {
  let decided: ApprovalDecision | undefined;
  try {
    decided = await decide();
  } catch {
    return;
  }
  assert.ok(decided === undefined || decided.decision === 'deny', `'${decided?.decision}' without an answer`);
}
