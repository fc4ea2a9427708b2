import { describe, expect, it } from 'vitest';
import { GIVEN_BY, HOOK_MODES, type HookName } from '../../sdk/index.ts';
import { type Logger, silentLogger } from '../logging/logger.ts';
import { createHookTable, type Tap } from './hooks.ts';

function table(options: Partial<Parameters<typeof createHookTable>[0]> = {}) {
  const lines: string[] = [];
  const log: Logger = { ...silentLogger, warn: (text) => void lines.push(`warn ${text}`), error: (text) => void lines.push(`error ${text}`), child: () => log };
  const hooks = createHookTable({ log, ...options });
  const tap = (owner: string, hook: HookName, handler: (...args: never[]) => unknown, priority = 0) =>
    hooks.tap({ owner, hook, priority, handler: handler as Tap['handler'] });
  return { hooks, tap, lines };
}

describe('hook table (CARD-007)', () => {
  it('knows every hook of the table', () => {
    const { hooks, tap } = table();
    for (const name of Object.keys(HOOK_MODES) as HookName[]) {
      expect(hooks.has(name)).toBe(false);
      tap('a', name, () => undefined);
      expect(hooks.has(name)).toBe(true);
    }
  });

  it('waterfall: base first, then interceptors by priority; undefined keeps the value (CARD-009)', async () => {
    const { hooks, tap } = table();
    tap('low', 'context.assemble', (value: { estimatedTokens: number }) => ({ estimatedTokens: value.estimatedTokens * 10 }), -1);
    tap('high', 'context.assemble', (value: { estimatedTokens: number }) => ({ estimatedTokens: value.estimatedTokens + 1 }), 5);
    tap('none', 'context.assemble', () => undefined);
    const event = { messages: [], estimatedTokens: 0, params: { sessionId: 's', messages: [], tokenBudget: 1 } };
    const result = await hooks.call('context.assemble', event, {}, async () => ({ messages: [], estimatedTokens: 2 }));
    expect(result?.estimatedTokens).toBe(30);
    expect(hooks.owners('context.assemble')).toEqual(['high', 'none', 'low']);
    expect(hooks.owners('agent_end')).toEqual([]);
  });

  it('assemble: a failing interceptor ends the call with its name (CARD-016)', async () => {
    const { hooks, tap } = table();
    tap('bad', 'context.assemble', () => {
      throw new Error('boom');
    });
    const event = { messages: [], estimatedTokens: 0, params: { sessionId: 's', messages: [], tokenBudget: 1 } };
    await expect(hooks.call('context.assemble', event, {})).rejects.toMatchObject({
      code: 'DUR_HOOK_FAILED',
      owner: { extension: 'bad', hook: 'context.assemble' },
    });
  });

  it('bail: taps before the base, undefined abstains, null is an error and not a decision (CARD-010)', async () => {
    const { hooks, tap } = table();
    const base = async () => ({ ok: true, compacted: true, reason: 'base' });
    tap('abstains', 'context.compact', () => undefined);
    expect(await hooks.call('context.compact', { sessionId: 's' }, {}, base)).toMatchObject({ reason: 'base' });
    tap('decides', 'context.compact', () => ({ ok: true, compacted: false, reason: 'tap' }));
    expect(await hooks.call('context.compact', { sessionId: 's' }, {}, base)).toMatchObject({ reason: 'tap' });
    tap('null', 'context.compact', () => null, 9);
    await expect(hooks.call('context.compact', { sessionId: 's' }, {}, base)).rejects.toMatchObject({ code: 'DUR_HOOK_RESULT' });
  });

  it('merge: earlier values win, params are merged, block ends it and false never clears it', async () => {
    const { hooks, tap } = table();
    const seen: string[] = [];
    tap('first', 'before_tool_call', () => ({ params: { a: 1 }, block: false }), 3);
    tap('second', 'before_tool_call', () => ({ params: { a: 2, b: 2 }, block: true, blockReason: 'no' }), 1);
    tap('third', 'before_tool_call', () => {
      seen.push('third');
      return { block: false };
    });
    expect(await hooks.call('before_tool_call', { toolName: 't', params: {} }, {})).toEqual({ params: { a: 1, b: 2 }, block: true, blockReason: 'no' });
    expect(seen).toEqual([]);
  });

  it('a gate whose keeper throws is not passed', async () => {
    const { hooks, tap } = table();
    tap('broken', 'before_tool_call', () => {
      throw new Error('no idea');
    });
    await expect(hooks.call('before_tool_call', { toolName: 't', params: {} }, {})).rejects.toMatchObject({
      code: 'DUR_HOOK_FAILED',
      owner: { extension: 'broken' },
    });
  });

  it('merge: prompt texts are joined in order, and an extension without leave cannot touch the prompt', async () => {
    const { hooks, tap } = table({ mayPrompt: (owner) => owner !== 'denied' });
    tap('a', 'before_prompt_build', () => ({ prependContext: 'A' }), 2);
    tap('b', 'before_prompt_build', () => ({ prependContext: 'B' }), 1);
    tap('denied', 'before_prompt_build', () => ({ systemPrompt: 'mine' }), 9);
    expect(await hooks.call('before_prompt_build', { prompt: '', messages: [] }, {})).toEqual({
      prependContext: 'A\n\nB',
      [GIVEN_BY]: ['a', 'b'].map((owner) => ({ key: 'prependContext', owner, chars: 1 })),
    });
  });

  it('inbound: a claim ends the waterfall; a failing handler keeps the message', async () => {
    const { hooks, tap } = table();
    tap('bad', 'channel.inbound', () => Promise.reject(new Error('x')), 3);
    tap('claims', 'channel.inbound', () => ({ handled: true, content: 'claimed' }), 2);
    tap('late', 'channel.inbound', () => ({ content: 'late' }), 1);
    expect(await hooks.call('channel.inbound', { content: 'hi', channel: 'c' }, {})).toMatchObject({ content: 'claimed', handled: true });
  });

  it('sync: results fold, a block ends it, a promise is dropped with a warning', () => {
    const { hooks, tap, lines } = table();
    const message = { role: 'user' as const, content: 'one', timestamp: 0 };
    tap('async', 'before_message_write', async () => ({ block: true }), 2);
    tap('edit', 'before_message_write', () => ({ message: { ...message, content: 'two' } }), 1);
    expect(hooks.callSync('before_message_write', { message }, {})).toMatchObject({ message: { content: 'two' } });
    expect(lines.join('\n')).toContain('returned a promise');
  });

  it('observe is not awaited and never throws', async () => {
    const { hooks, tap, lines } = table();
    let called = 0;
    tap('bad', 'agent_end', async () => {
      called += 1;
      throw new Error('x');
    });
    hooks.emit('agent_end', { messages: [], success: true }, {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(called).toBe(1);
    expect(lines[0]).toContain("'bad' failed in agent_end");
  });

  it('a handler that hangs is given up by its own name', async () => {
    const { hooks, tap } = table({ timeoutMs: 10 });
    tap('slow', 'provider.request', () => new Promise(() => {}));
    await expect(hooks.call('provider.request', { messages: [], tools: [] } as never, {})).rejects.toMatchObject({
      code: 'DUR_HOOK_TIMEOUT',
      owner: { extension: 'slow' },
    });
  });

  it('a quarantined extension is passed over', async () => {
    const { hooks, tap } = table({ isQuarantined: (owner) => owner === 'gone' });
    tap('gone', 'message_sending', () => ({ cancel: true }));
    expect(await hooks.call('message_sending', { to: 'x', content: 'y' }, {})).toBeUndefined();
  });
});
