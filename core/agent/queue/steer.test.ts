import { describe, expect, it } from 'vitest';
import type { AgentMessage, Tool } from '../../../sdk/index.ts';
import { createAgentHost } from '../../../test/agent-host.ts';

const request = (runId: string, message: string) => ({ runId, message, sessionKey: 'main' });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function slow(ms: number): Tool {
  return {
    name: 'slow',
    description: 'takes its time',
    parameters: { type: 'object' },
    async execute(_id, _params, signal) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      });
      return { content: [{ type: 'text', text: 'done' }] };
    },
  };
}

/** Every call has exactly one result, and it stands behind its call. */
function expectWhole(messages: readonly AgentMessage[]): void {
  const calls = messages.flatMap((message) =>
    message.role === 'assistant' ? message.content.flatMap((block) => (block.type === 'toolCall' ? [block.id] : [])) : [],
  );
  const results = messages.flatMap((message) => (message.role === 'toolResult' ? [message.toolCallId] : []));
  expect(results).toEqual(calls);
}

describe('steering a session', () => {
  it('keeps each run apart: its own result, its own numbers, its own words', async () => {
    const host = await createAgentHost({ tools: [slow(60_000)] });
    await host.agent.accept(request('one', '[[offline: say first]] [[offline: tool slow {}]]'));
    while (!host.events.some(({ stream }) => stream === 'tool')) await pause(2);
    const { run, interrupted } = await host.agent.steer(request('two', '[[offline: say second]]'));
    expect([run.runId, interrupted]).toEqual(['two', true]);
    expect(await host.agent.wait('one', 5_000)).toMatchObject({ status: 'ok', payloads: [{ text: 'first' }], meta: { aborted: true } });
    expect(await host.agent.wait('two', 5_000)).toMatchObject({ runId: 'two', status: 'ok', payloads: [{ text: 'second' }], meta: { aborted: false } });
    const ofTwo = host.events.filter(({ runId }) => runId === 'two');
    expect(ofTwo.map(({ seq }) => seq)).toEqual(ofTwo.map((_, index) => index + 1));
    expect(ofTwo.findLast(({ stream }) => stream === 'assistant')?.data.text).toBe('second');
    expect(await host.agent.steer(request('two', 'again'))).toMatchObject({ run: { runId: 'two' }, interrupted: false });
    await host.idle();
    expectWhole(await host.messages());
  });

  it('gives the engine each entry once, in order', async () => {
    const seen: number[] = [];
    const host = await createAgentHost({
      tools: [slow(60_000)],
      engine: {
        info: { id: 'watching', name: 'Watching', version: '1.0.0' },
        async ingest({ seq }) {
          seen.push(seq ?? 0);
          return { ingested: true };
        },
        assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }),
        compact: async () => ({ ok: true, compacted: false }),
      },
    });
    await host.agent.accept(request('one', '[[offline: tool slow {}]] [[offline: also slow {}]]'));
    while (!host.events.some(({ stream }) => stream === 'tool')) await pause(2);
    await host.agent.steer(request('two', '[[offline: say second]]'));
    await host.agent.wait('two', 5_000);
    await host.idle();
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await host.entries()).toHaveLength(6);
  });

  it('gives the engine what others write during a turn, in its place', async () => {
    const seen: Array<[number | undefined, boolean | undefined]> = [];
    const host = await createAgentHost({
      tools: [
        {
          ...slow(1),
          async execute() {
            const { session } = await host.sessions.open({ key: 'main' });
            await host.sessions.append(session, [{ type: 'message', message: { role: 'user', content: 'a note', timestamp: 1 } }]);
            return { content: [] };
          },
        },
      ],
      engine: {
        info: { id: 'watching', name: 'Watching', version: '1.0.0' },
        async ingest({ seq, replay }) {
          seen.push([seq, replay]);
          return { ingested: true };
        },
        assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }),
        compact: async () => ({ ok: true, compacted: false }),
      },
    });
    await host.run('[[offline: tool slow {}]] [[offline: say end]]');
    expect(seen).toEqual([1, 2, 3, 4, 5].map((seq) => [seq, undefined]));
    await host.run('[[offline: say next]]');
    expect(seen.slice(5)).toEqual([6, 7].map((seq) => [seq, undefined]));
  });

  it('ends whole under any mix of messages, steering and aborts', async () => {
    const host = await createAgentHost({ tools: [slow(15)] });
    let state = 7;
    const next = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const ids: string[] = [];
    const pending: Array<Promise<unknown>> = [];
    for (let index = 0; index < 60; index += 1) {
      const choice = next();
      const message =
        next() < 0.7 ? `[[offline: tool slow {}]] [[offline: also slow {}]] [[offline: say end ${index}]]` : `[[offline: delay 10]] [[offline: say ${index}]]`;
      if (choice < 0.15) host.agent.abort({ sessionKey: 'main', origin: 'rpc' });
      else {
        const id = `run-${index}`;
        ids.push(id);
        pending.push(choice < 0.6 ? host.agent.steer(request(id, message)) : host.agent.accept(request(id, message)));
      }
      if (next() < 0.8) await pause(next() * 20);
    }
    await Promise.all(pending);
    for (const id of ids) expect(await host.agent.wait(id, 20_000), id).toMatchObject({ runId: id, status: 'ok' });
    await host.idle();
    expect(host.agent.active()).toEqual([]);
    for (const id of ids) {
      const phases = host.events.filter(({ runId, stream }) => runId === id && stream === 'lifecycle').map(({ data }) => data.phase);
      expect(phases.at(-1), id).toBe('end');
      expect(phases.filter((phase) => phase === 'end')).toHaveLength(1);
    }
    expectWhole(await host.messages());
  });
});
