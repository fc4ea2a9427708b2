import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { reply, toolCall, toolResult, user } from '../../../sdk/contract/conversation.ts';
import { type AgentMessage, type ContextEngine, messageText, type Provider, type ProviderRequest, type Tool } from '../../../sdk/index.ts';
import { ProviderStream } from '../../../sdk/provider-stream.ts';
import { createAgentHost } from '../../../test/agent-host.ts';
import { createTokenEstimator } from '../budget/tokens.ts';
import { shortenLargeResults } from './large-results.ts';

const estimator = createTokenEstimator();
const result = (id: string, chars: number): AgentMessage =>
  ({ ...toolResult(id), content: [{ type: 'text', text: `${id} begins ${'x'.repeat(chars)} ${id} ends` }] }) as AgentMessage;

describe('large results, when nothing else helps', () => {
  it('fit with what stands before them: the largest are cut, the small ones are as they were', () => {
    const messages = [user('a'), toolCall('1'), result('1', 8_000), toolCall('2'), result('2', 400_000), result('3', 300), result('4', 90_000)];
    const shown = shortenLargeResults(messages, estimator, 10_000);
    expect(estimator.messages(shown)).toBeLessThanOrEqual(10_000);
    expect(estimator.messages(shown)).toBeGreaterThan(5_000);
    expect(shown.map((message, index) => message === messages[index])).toEqual([true, true, true, true, false, true, false]);
    for (const [index, id] of [
      [4, '2'],
      [6, '4'],
    ] as const) {
      expect(messageText(shown[index] ?? user(''))).toMatch(
        new RegExp(`^${id} begins x+\n[^x]*trimmed: the first \\d+ and the last \\d+ of[^x]*x+ ${id} ends$`),
      );
    }
  });

  it('are cut the same way in the next turns, answered or not', () => {
    const messages = [user('a'), toolCall('1'), result('1', 400_000), reply('b'), user('c')];
    const shown = shortenLargeResults(messages, estimator, 10_000);
    expect(shown[2]).not.toBe(messages[2]);
    const next = shortenLargeResults([...messages, reply('d '.repeat(200)), user('e '.repeat(300))], estimator, 10_000);
    expect(JSON.stringify(next.slice(0, 5))).toBe(JSON.stringify(shown));
  });

  it('are the same array where they are not what is too large, or where no room is left', () => {
    const full = [user('x'.repeat(80_000)), toolCall('1'), result('1', 400_000)];
    expect(shortenLargeResults(full, estimator, 10_000)).toBe(full);
    const small = [user('a'), toolCall('1'), result('1', 40)];
    expect(shortenLargeResults(small, estimator, 10_000)).toBe(small);
  });

  it('that an engine keeps whatever it is told do not fail the turns that follow', async () => {
    const legacy = createLegacyEngine();
    const engine: ContextEngine = {
      ...legacy,
      info: { id: 'keeping', name: 'Keeping', ownsCompaction: true },
      compact: async () => ({ ok: true, compacted: false, reason: 'its tail is protected' }),
    };
    const host = await createAgentHost({ engine, providers: [createOfflineProvider({ contextWindow: 20_000 })] });
    const { session } = await host.sessions.open({ key: 'main' });
    const given = [user('dump it'), toolCall('1'), result('1', 300_000), reply('there it is')];
    await host.sessions.append(
      session,
      given.map((message) => ({ type: 'message' as const, message })),
    );
    for (let turn = 1; turn <= 3; turn += 1)
      expect(await host.run(`[[offline: say turn ${turn}]]`)).toMatchObject({ status: 'ok', payloads: [{ text: `turn ${turn}` }] });
    expect(host.agent.turn({ sessionKey: 'main' })).toMatchObject({ pruning: { trimmed: 1 } });
  });

  it('a turn whose tool says more than the window holds is answered, and the session goes on; the transcript has all of it', async () => {
    const requests: ProviderRequest[] = [];
    const provider: Provider = {
      ...createOfflineProvider({ contextWindow: 30_000 }),
      async *stream(request) {
        requests.push(structuredClone(request));
        const stream = new ProviderStream(request.model);
        yield stream.start();
        const asks = messageText(request.messages.at(-1) ?? user('')) === 'dump it' && request.tools.length > 0;
        if (asks) {
          const [open, opened] = stream.openToolCall('call_1', 'dump');
          yield opened;
          yield stream.toolArguments(open, '{}');
          yield* stream.close(open);
        } else {
          const [open, opened] = stream.openText();
          yield opened;
          yield stream.text(open, `reply ${requests.length}`);
          yield* stream.close(open);
        }
        yield stream.done();
      },
    };
    const tool: Tool = {
      name: 'dump',
      description: 'says a lot',
      parameters: { type: 'object' },
      execute: async () => ({ content: [{ type: 'text', text: `the beginning ${'y'.repeat(900_000)} the end` }] }),
    };
    const config = { agents: { defaults: { compaction: { reserveTokens: 2_000, reserveTokensFloor: 0 } } } };
    const host = await createAgentHost({ providers: [provider], tools: [tool], config });
    await host.run('before');
    expect(await host.run('dump it')).toMatchObject({ status: 'ok', payloads: [{ text: expect.stringContaining('reply') }] });
    const sent = messageText(requests.at(-1)?.messages.at(-1) ?? user(''));
    expect(sent.length).toBeLessThan(120_000);
    expect(sent).toMatch(/^the beginning y+\n[^y]*y+ the end$/);
    expect(host.agent.turn({ sessionKey: 'main' })).toMatchObject({ pruning: { trimmed: 1 } });
    expect((await host.messages()).map((message) => messageText(message).length)).toContain(900_000 + 'the beginning '.length + ' the end'.length);
    expect(await host.run('go on')).toMatchObject({ status: 'ok' });
    expect(messageText(requests.at(-1)?.messages.at(-1) ?? user(''))).toBe('go on');
  });
});
