import { expect, it } from 'vitest';
import { type AssistantMessage, emptyUsage } from '../messages.ts';
import type { ApprovalDecision, Approver } from '../ports/approval.ts';
import type { ModelEntry, ProviderEvent, ProviderRequest } from '../ports/provider.ts';
import type { SecretsProvider } from '../ports/secrets-provider.ts';
import type { Tool } from '../ports/tool.ts';
import { type ApprovalContractContext, approvalContract } from './approval.ts';
import { type ContractContext, type ContractSuite, runContract } from './contract.ts';
import { providerContract } from './provider.ts';
import { secretsProviderContract } from './secrets-provider.ts';
import { toolContract } from './tool.ts';

/** Names of the cases that an implementation fails. */
async function failures<Ctx extends ContractContext>(suite: ContractSuite<Ctx>, makeContext: () => Ctx): Promise<string[]> {
  const quick: ContractSuite<Ctx> = { ...suite, cases: suite.cases.map((one) => ({ ...one, timeoutMs: 300 })) };
  return (await runContract(quick, makeContext)).results.filter(({ status }) => status === 'failed').map(({ name }) => name);
}

const model: ModelEntry = {
  id: 'm',
  name: 'M',
  api: 'a',
  provider: 'p',
  reasoning: false,
  input: ['text'],
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  contextWindow: 1000,
  maxTokens: 100,
};

type Broken = 'nothing' | 'two ends' | 'no end' | 'late start' | 'open block' | 'stale partial' | 'no usage' | 'mutates' | 'ignores abort' | 'shares messages';

function subject(broken: Broken) {
  const shared: AssistantMessage = {
    role: 'assistant',
    content: [],
    api: 'a',
    provider: 'p',
    model: 'm',
    usage: emptyUsage(),
    stopReason: 'stop',
    timestamp: 1,
  };
  return {
    async *stream(request: ProviderRequest, { signal }: { signal: AbortSignal }): AsyncGenerator<ProviderEvent> {
      if (broken === 'mutates') request.messages.pop();
      const block = { type: 'text' as const, text: '' };
      const usage = { ...emptyUsage(), input: 1, output: broken === 'no usage' ? 0 : 1, totalTokens: broken === 'no usage' ? 1 : 2 };
      const message: AssistantMessage = { ...shared, content: [block], usage };
      const partial = broken === 'stale partial' ? structuredClone(message) : message;
      const done: ProviderEvent = { type: 'done', reason: 'stop', message: broken === 'shares messages' ? Object.assign(shared, message) : message };
      const abort: ProviderEvent = { type: 'error', reason: 'aborted', error: { ...message, stopReason: 'aborted' } };
      if (signal.aborted && broken !== 'ignores abort') return yield abort;
      if (broken !== 'late start') yield { type: 'start', partial };
      yield { type: 'text_start', contentIndex: 0, partial };
      block.text = 'hi';
      yield { type: 'text_delta', contentIndex: 0, delta: 'hi', partial };
      if (broken !== 'open block') yield { type: 'text_end', contentIndex: 0, content: 'hi', partial };
      if (request.runId === 'endless') {
        await new Promise<void>((resolve) => (broken === 'ignores abort' ? undefined : signal.addEventListener('abort', () => resolve())));
        return yield abort;
      }
      if (broken === 'two ends') yield done;
      if (broken !== 'no end') yield done;
    },
  };
}

it.each<[Broken, string[]]>([
  ['nothing', []],
  ['two ends', ['a stream ends with exactly one done or error']],
  [
    'no end',
    ['a stream ends with exactly one done or error', 'the final message names its model, its stop reason and its usage', 'two streams at once do not mix'],
  ],
  ['late start', ['a stream starts with start, and blocks open, grow and close in order', 'a reader may stop early']],
  ['open block', ['a stream starts with start, and blocks open, grow and close in order']],
  ['stale partial', ['the partial message holds what the deltas told so far']],
  ['no usage', ['the final message names its model, its stop reason and its usage']],
  ['ignores abort', ['a signal that is already aborted ends the stream with aborted', 'an abort in the middle ends the stream at once with aborted']],
  ['shares messages', ['two streams at once do not mix']],
])('a provider with %s fails %j', async (broken, expected) => {
  const request = (): ProviderRequest => ({ model, messages: [{ role: 'user', content: 'x', timestamp: 1 }], tools: [] });
  expect(await failures(providerContract, () => ({ subject: subject(broken), request, endlessRequest: () => ({ ...request(), runId: 'endless' }) }))).toEqual(
    expected,
  );
});

it('a provider that changes its request fails', async () => {
  const request = (): ProviderRequest => ({ model, messages: [{ role: 'user', content: 'x', timestamp: 1 }], tools: [] });
  expect(await failures(providerContract, () => ({ subject: subject('mutates'), request }))).toContain('the request is left as it was');
});

it.each<[string, Partial<Tool>, string]>([
  ['a name with spaces', { name: 'a tool' }, 'it has a name that every model API takes, and a description'],
  ['a required argument that is not described', { parameters: { type: 'object', required: ['x'] } }, 'its parameters are the JSON Schema of an object'],
  ['a result without content', { execute: async () => ({}) as never }, 'a call answers with text and image blocks'],
  ['a function in its result', { execute: async () => ({ content: [], details: () => 1 }) }, 'a result is plain data'],
  [
    'arguments that it changes',
    {
      async execute(_id, params) {
        params.x = 1;
        return { content: [] };
      },
    },
    'the arguments are left as they were',
  ],
  ['failures that look like successes', { execute: async () => ({ content: [] }) }, 'a failure is a throw with a message, or a result marked as an error'],
  ['no ear for an abort', { execute: () => new Promise(() => undefined) }, 'an abort ends a call'],
])('a tool with %s fails', async (_name, broken, expected) => {
  const tool: Tool = { name: 'good', description: 'Good.', parameters: { type: 'object' }, execute: async () => ({ content: [] }), ...broken };
  expect(await failures(toolContract, () => ({ tool, goodCall: () => ({}), badCall: () => ({}), endlessCall: () => ({}) }))).toContain(expected);
});

it.each<[string, Approver['decide'], string]>([
  [
    'allows when its time is over',
    ({ expiresAtMs }) => new Promise((resolve) => setTimeout(resolve, expiresAtMs - Date.now(), { decision: 'allow-once' }).unref()),
    'no answer before the expiry never allows',
  ],
  [
    'allows when the question is withdrawn',
    (_request, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({ decision: 'allow-always' }))),
    'an aborted signal ends the question and never allows',
  ],
  ['never answers', () => new Promise(() => undefined), 'an aborted signal ends the question and never allows'],
  ['answers null', async () => null as never, 'a decision is one of the three, or it abstains'],
  ['answers an unknown word', async () => ({ decision: 'maybe' }) as unknown as ApprovalDecision, 'a decision is one of the three, or it abstains'],
])('an approver that %s fails', async (_name, decide, expected) => {
  expect(await failures(approvalContract, (): ApprovalContractContext => ({ approver: { id: 'broken', decide } }))).toContain(expected);
});

it('an approver that waits for an answer and allows without one fails', async () => {
  const approver: Approver = { id: 'broken', decide: async () => ({ decision: 'allow-once' }) };
  const failed = await failures(approvalContract, (): ApprovalContractContext => ({ approver, answer: () => undefined }));
  expect(failed).toContain('no answer before the expiry never allows');
  expect(failed).toContain('an aborted signal ends the question and never allows');
});

it('an approver that allows by policy is not judged by what it would do while it waits', async () => {
  const approver: Approver = { id: 'policy', decide: async ({ kind }) => (kind === 'exec' ? { decision: 'allow-once' } : undefined) };
  const { ok, results } = await runContract(approvalContract, (): ApprovalContractContext => ({ approver }));
  expect(ok).toBe(true);
  const reason = 'it allows by policy and waits for nobody';
  expect(results.filter((result) => result.reason === reason).map(({ name, status }) => [name, status])).toEqual([
    ['no answer before the expiry never allows', 'skipped'],
    ['an aborted signal ends the question and never allows', 'skipped'],
  ]);
});

it('an approver that abstains passes', async () => {
  expect(await failures(approvalContract, (): ApprovalContractContext => ({ approver: { id: 'silent', decide: async () => undefined } }))).toEqual([]);
});

it.each<[string, SecretsProvider['resolve'], string]>([
  [
    'invents values',
    async ({ ids }) => ({ values: Object.fromEntries(ids.map((id) => [id, 'known-value'])) }),
    'an id that does not resolve is absent and has a reason, the others are there',
  ],
  [
    'tells values in its reasons',
    async ({ ids }) => ({ values: {}, errors: Object.fromEntries(ids.map((id) => [id, 'not known-value'])) }),
    'no value stands in a reason',
  ],
  [
    'looks ids up without care',
    async ({ ids }) => ({ values: Object.fromEntries(ids.map((id) => [id, ({ KNOWN: 'known-value' } as Record<string, unknown>)[id]])) }),
    'names of built-in properties are not ids',
  ],
])('a secrets provider that %s fails', async (_name, resolve, expected) => {
  const make = () => ({ provider: { source: 'test', resolve }, config: {}, known: { KNOWN: 'known-value' }, unknown: 'UNKNOWN' });
  expect(await failures(secretsProviderContract, make)).toContain(expected);
});
