import assert from 'node:assert/strict';
import type { AssistantMessage } from '../messages.ts';
import type { ModelApi, Provider, ProviderEvent, ProviderRequest } from '../ports/provider.ts';
import type { ContractContext, ContractSuite } from './contract.ts';
import { deepFreeze } from './freeze.ts';

/** What the suite needs of a provider that streams, or of a model API. Requests that cannot be made are left out; their cases are skipped. */
export interface ProviderContractContext extends ContractContext {
  subject: Pick<ModelApi, 'stream'> & Pick<Provider, 'models'>;
  /** A new request that is answered with text. */
  request(): ProviderRequest;
  /** A request that is answered with at least one tool call. */
  toolRequest?(): ProviderRequest;
  /** A request whose answer does not end by itself. */
  endlessRequest?(): ProviderRequest;
  /** A request that fails. */
  failingRequest?(): ProviderRequest;
}

type Terminal = Extract<ProviderEvent, { type: 'done' | 'error' }>;

export const providerContract: ContractSuite<ProviderContractContext> = {
  port: 'provider',
  cases: [
    {
      name: 'a stream ends with exactly one done or error',
      ids: ['CARD-012'],
      async run({ subject, request }) {
        const events = await collect(subject, request());
        assert.equal(events.filter(isTerminal).length, 1);
        assert.ok(isTerminal(events.at(-1)), 'the last event is neither done nor error');
      },
    },
    {
      name: 'a stream starts with start, and blocks open, grow and close in order',
      async run({ subject, request, toolRequest }) {
        for (const make of [request, toolRequest ?? request]) checkOrder(await collect(subject, make()));
      },
    },
    {
      name: 'the partial message holds what the deltas told so far',
      async run({ subject, request }) {
        const seen = new Map<number, string>();
        for await (const event of subject.stream(request(), { signal: new AbortController().signal })) {
          if (event.type !== 'text_delta') continue;
          seen.set(event.contentIndex, (seen.get(event.contentIndex) ?? '') + event.delta);
          const block = event.partial.content[event.contentIndex];
          assert.equal(block?.type, 'text');
          assert.equal(block.text, seen.get(event.contentIndex));
        }
        assert.ok(seen.size > 0, 'no text was streamed');
      },
    },
    {
      name: 'the final message names its model, its stop reason and its usage',
      async run({ subject, request }) {
        const asked = request();
        const { message } = await finish(subject, asked);
        assert.equal(message.role, 'assistant');
        assert.deepEqual([message.api, message.provider, message.model], [asked.model.api, asked.model.provider, asked.model.id]);
        assert.ok(message.stopReason === 'stop' || message.stopReason === 'length', `stop reason '${message.stopReason}'`);
        assert.ok(Number.isFinite(message.timestamp) && message.timestamp > 0, 'no timestamp');
        const { input, output, cacheRead, cacheWrite, totalTokens, cost } = message.usage;
        for (const count of [input, output, cacheRead, cacheWrite, totalTokens, cost.total])
          assert.ok(Number.isFinite(count) && count >= 0, 'usage is not counted');
        assert.ok(output > 0, 'no output tokens are reported');
        assert.equal(totalTokens, input + output + cacheRead + cacheWrite);
      },
    },
    {
      name: 'events are plain data',
      async run({ subject, request }) {
        for (const event of await collect(subject, request())) assert.deepEqual(JSON.parse(JSON.stringify(event)), structuredClone(event));
      },
    },
    {
      name: 'the request is left as it was',
      async run({ subject, request, toolRequest }) {
        for (const make of [request, toolRequest ?? request]) {
          const asked = make();
          const before = structuredClone(asked);
          await collect(subject, deepFreeze(asked));
          assert.deepEqual(asked, before);
        }
      },
    },
    {
      name: 'two streams at once do not mix',
      async run({ subject, request }) {
        const [alone, ...both] = [await finish(subject, request()), ...(await Promise.all([finish(subject, request()), finish(subject, request())]))];
        for (const one of both) assert.deepEqual(one.message.content, alone?.message.content);
        assert.notEqual(both[0]?.message, both[1]?.message);
      },
    },
    {
      name: 'a tool call has an id, a name and an object of arguments',
      skip: (ctx) => (ctx.toolRequest === undefined ? 'no request that calls a tool' : undefined),
      async run({ subject, toolRequest }) {
        if (toolRequest === undefined) return;
        const { reason, message } = await finish(subject, toolRequest());
        assert.equal(reason, 'toolUse');
        assert.equal(message.stopReason, 'toolUse');
        const calls = message.content.filter((block) => block.type === 'toolCall');
        assert.ok(calls.length > 0, 'no tool call');
        for (const call of calls) {
          assert.ok(call.id !== '' && call.name !== '', 'a tool call without id or name');
          assert.ok(typeof call.arguments === 'object' && call.arguments !== null && !Array.isArray(call.arguments), 'arguments are not an object');
        }
        assert.equal(new Set(calls.map((call) => call.id)).size, calls.length, 'two tool calls share an id');
      },
    },
    {
      name: 'a signal that is already aborted ends the stream with aborted',
      async run({ subject, request }) {
        const event = await lastOf(subject, request(), AbortSignal.abort());
        assert.equal(event.reason, 'aborted');
      },
    },
    {
      name: 'an abort in the middle ends the stream at once with aborted',
      skip: (ctx) => (ctx.endlessRequest === undefined ? 'no request that never ends' : undefined),
      timeoutMs: 3000,
      async run({ subject, endlessRequest }) {
        if (endlessRequest === undefined) return;
        const abort = new AbortController();
        let last: ProviderEvent | undefined;
        for await (const event of subject.stream(endlessRequest(), { signal: abort.signal })) {
          last = event;
          setImmediate(() => abort.abort());
        }
        assert.ok(last?.type === 'error' && last.reason === 'aborted', 'the stream did not end with aborted');
        assert.equal(last.error.stopReason, 'aborted');
      },
    },
    {
      name: 'a reader may stop early',
      async run({ subject, request }) {
        for await (const event of subject.stream(request(), { signal: new AbortController().signal })) {
          assert.equal(event.type, 'start');
          break;
        }
      },
    },
    {
      name: 'a failure is an error event that says why, or a throw',
      skip: (ctx) => (ctx.failingRequest === undefined ? 'no request that fails' : undefined),
      async run({ subject, failingRequest }) {
        if (failingRequest === undefined) return;
        let events: ProviderEvent[];
        try {
          events = await collect(subject, failingRequest());
        } catch (error) {
          assert.ok(error instanceof Error && error.message !== '', 'the thrown value says nothing');
          return;
        }
        const event = events.at(-1);
        assert.ok(event?.type === 'error' && event.reason === 'error', 'the stream did not end with an error');
        assert.equal(event.error.stopReason, 'error');
        assert.ok(event.error.errorMessage, 'the error has no message');
        assert.equal(events.filter(isTerminal).length, 1);
      },
    },
    {
      name: 'each model it lists is complete',
      skip: (ctx) => (ctx.subject.models === undefined ? 'it lists no models' : undefined),
      async run({ subject }) {
        const models = (await subject.models?.({})) ?? [];
        assert.equal(new Set(models.map((model) => model.id)).size, models.length, 'two models share an id');
        for (const model of models) {
          for (const field of [model.id, model.name, model.api, model.provider])
            assert.ok(typeof field === 'string' && field !== '', `a name is missing in ${JSON.stringify(model)}`);
          assert.ok(model.contextWindow > 0 && model.maxTokens > 0, `no limits in ${model.id}`);
          assert.ok(model.input.includes('text'), `${model.id} does not read text`);
        }
      },
    },
  ],
};

async function collect(subject: ProviderContractContext['subject'], request: ProviderRequest, signal = new AbortController().signal): Promise<ProviderEvent[]> {
  const events: ProviderEvent[] = [];
  for await (const event of subject.stream(request, { signal })) events.push(event);
  return events;
}

async function lastOf(subject: ProviderContractContext['subject'], request: ProviderRequest, signal?: AbortSignal): Promise<Terminal> {
  const event = (await collect(subject, request, signal)).at(-1);
  assert.ok(isTerminal(event), 'the last event is neither done nor error');
  return event;
}

async function finish(subject: ProviderContractContext['subject'], request: ProviderRequest): Promise<{ reason: string; message: AssistantMessage }> {
  const event = await lastOf(subject, request);
  if (event.type === 'error') assert.fail(`the stream failed: ${event.error.errorMessage}`);
  return event;
}

function isTerminal(event: ProviderEvent | undefined): event is Terminal {
  return event?.type === 'done' || event?.type === 'error';
}

/** `x_start`, any number of `x_delta`, `x_end`; blocks may be open at the same time, each index has one kind. */
function checkOrder(events: readonly ProviderEvent[]): void {
  assert.equal(events[0]?.type, 'start');
  assert.equal(events.filter((event) => event.type === 'start').length, 1);
  const open = new Map<number, string>();
  const closed = new Set<number>();
  for (const event of events) {
    const [kind, step] = event.type.split('_');
    if (!('contentIndex' in event) || kind === undefined) continue;
    if (step === 'start') {
      assert.ok(!open.has(event.contentIndex) && !closed.has(event.contentIndex), `block ${event.contentIndex} opens twice`);
      open.set(event.contentIndex, kind);
    } else {
      assert.equal(open.get(event.contentIndex), kind, `${event.type} outside its block`);
    }
    if (step === 'end') {
      open.delete(event.contentIndex);
      closed.add(event.contentIndex);
    }
  }
  assert.equal(open.size, 0, 'a block was not closed');
}
