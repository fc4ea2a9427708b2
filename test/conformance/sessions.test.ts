import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../core/agent/service.ts';
import type { CompactParams, ContextEngine, Tool } from '../../sdk/index.ts';
import { type Socket, shake } from './harness.ts';
import { ask, finished, refusal, startSessionHost } from './session-host.ts';

const scopes = (...list: string[]) => ({ params: { scopes: list } });
const keyed = (key: string) => ({ idempotencyKey: key });
const payloads = (socket: Socket, event: string) =>
  socket.frames.filter((frame) => frame.event === event).map(({ payload }) => payload as Record<string, unknown>);

function tool(name: string, execute: Tool['execute']): Tool {
  return { name, description: `${name} does it`, parameters: { type: 'object' }, execute };
}

describe('sessions', () => {
  it('are created with and without a message, listed and resolved (PROTO-168, PROTO-174, PROTO-175, PROTO-183)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    const made = await ask(socket, 'sessions.create', { agentId: 'main', label: 'Example', key: 'Example' });
    expect(made).toMatchObject({ ok: true, key: 'agent:main:example', runStarted: false, entry: { label: 'Example', sessionFile: expect.any(String) } });
    expect(made).not.toHaveProperty('runId');
    const begun = await ask<{ key: string; runId: string; sessionId: string }>(socket, 'sessions.create', { message: '[[offline: say hello]]' });
    expect(begun).toMatchObject({ runStarted: true, status: 'started', messageSeq: 1, key: expect.stringMatching(/^agent:main:dashboard:[0-9a-f-]{36}$/) });
    await finished(socket, begun.runId);
    const { sessions, count, defaults } = await ask<{ sessions: Array<Record<string, unknown>>; count: number; defaults: object }>(socket, 'sessions.list', {
      includeDerivedTitles: true,
      includeLastMessage: true,
    });
    expect([count, sessions.map(({ key }) => key)]).toEqual([2, [begun.key, 'agent:main:example']]);
    expect(defaults).toEqual({ modelProvider: 'offline', model: 'script', contextTokens: null });
    expect(sessions[0]).toMatchObject({
      lastMessagePreview: 'hello',
      derivedTitle: '[[offline: say hello]]',
      status: 'done',
      kind: 'direct',
      lastChannel: 'webchat',
    });
    expect(await ask(socket, 'sessions.resolve', { label: 'Example' })).toEqual({ ok: true, key: 'agent:main:example' });
    expect(await ask(socket, 'sessions.resolve', { sessionId: begun.sessionId })).toEqual({ ok: true, key: begun.key });
    const got = await ask<{ entry: object }>(socket, 'sessions.get', { key: begun.key });
    const { key: _key, extra: _extra, ...stored } = (await host.sessions.get(begun.key)) ?? { key: '' };
    expect(got).toMatchObject({ session: { key: begun.key, sessionId: begun.sessionId }, entry: stored });
    for (const row of [got.entry, ...sessions]) expect(row).not.toHaveProperty('contextReport');
    expect(await refusal(socket, 'sessions.create', { label: 'Example' })).toBe('label already in use: Example');
    expect(await refusal(socket, 'sessions.create', { agentId: 'zzz' })).toBe('invalid sessions.create params: unknown agent id "zzz"');
    expect(await refusal(socket, 'sessions.create', { parentSessionKey: 'nowhere' })).toBe('unknown parent session: nowhere');
    expect(await refusal(socket, 'sessions.create', { agentId: 'main', key: 'agent:other:x' })).toContain('belongs to agent "other"');
    expect(host.agent.active()).toEqual([]);
  });

  it('previews are bounded, one status for each key (PROTO-173)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    await host.run(`[[offline: say ${'long '.repeat(200)}]]`);
    await ask(socket, 'sessions.create', { key: 'empty' });
    const { previews } = await ask<{ previews: Array<{ status: string; items: Array<{ role: string; text: string }> }> }>(socket, 'sessions.preview', {
      keys: ['main', 'nope', 'empty', 'agent:main'],
      maxChars: 40,
    });
    expect(previews.map(({ status }) => status)).toEqual(['ok', 'missing', 'empty', 'error']);
    expect(previews[0]?.items.map(({ role }) => role)).toEqual(['user', 'assistant']);
    for (const { text } of previews[0]?.items ?? []) expect(text.length).toBeLessThanOrEqual(40);
    const many = await ask<{ previews: unknown[] }>(socket, 'sessions.preview', { keys: Array.from({ length: 70 }, (_, index) => `k${index}`) });
    expect(many.previews).toHaveLength(64);
  });

  it('lists only what is asked for', async () => {
    const { host, dial } = await startSessionHost({ config: { agents: { list: [{ id: 'main' }, { id: 'second' }] } } });
    const socket = await dial();
    for (const key of ['agent:main:a', 'agent:main:b', 'agent:second:c', 'global', 'unknown']) await host.sessions.open({ key });
    await host.sessions.patch('agent:main:a', { spawnedBy: 'agent:main:b', label: 'Mine' });
    const keys = async (params: object) =>
      (await ask<{ sessions: Array<{ key: string }> }>(socket, 'sessions.list', params)).sessions.map(({ key }) => key).sort();
    expect(await keys({})).toEqual(['agent:main:a', 'agent:main:b', 'agent:second:c']);
    expect(await keys({ includeGlobal: true, includeUnknown: true })).toEqual(['agent:main:a', 'agent:main:b', 'agent:second:c', 'global', 'unknown']);
    expect(await keys({ agentId: 'second' })).toEqual(['agent:second:c']);
    expect(await keys({ spawnedBy: 'agent:main:b' })).toEqual(['agent:main:a']);
    expect(await keys({ label: 'Mine' })).toEqual(['agent:main:a']);
    expect(await keys({ search: 'second' })).toEqual(['agent:second:c']);
    expect(await keys({ activeMinutes: 1 })).toHaveLength(3);
    expect(await keys({ limit: 1 })).toHaveLength(1);
  });

  it('take messages, keys are needed and repeated ones change nothing (PROTO-050, PROTO-051, PROTO-176)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    expect(await refusal(socket, 'sessions.send', { key: 'main', message: 'x' })).toContain("'idempotencyKey'");
    expect(await refusal(socket, 'sessions.send', { key: 'nope-zz', message: 'x', ...keyed('a') })).toBe('session not found: nope-zz');
    await ask(socket, 'sessions.create', { key: 'main' });
    expect(await refusal(socket, 'sessions.send', { key: 'main', message: ' ', ...keyed('a') })).toBe('message or attachment required');
    const message = { key: 'main', message: '[[offline: say one]]', ...keyed('a') };
    expect(await ask(socket, 'sessions.send', message)).toEqual({ runId: 'a', status: 'started', messageSeq: 1 });
    await finished(socket, 'a');
    expect(await ask(socket, 'sessions.send', message)).toEqual({ runId: 'a', status: 'ok' });
    expect(await ask(socket, 'sessions.send', { ...message, ...keyed('b') })).toMatchObject({ runId: 'b', messageSeq: 3 });
    await finished(socket, 'b');
    expect(await host.messages()).toHaveLength(4);
  });

  it('stop on request, and say so when there is nothing to stop (PROTO-178)', async () => {
    const { dial } = await startSessionHost();
    const socket = await dial();
    const other = await dial(scopes('operator.write'));
    await ask(socket, 'sessions.create', { key: 'main' });
    await ask(socket, 'sessions.send', { key: 'main', message: '[[offline: say part]][[offline: stall]]', ...keyed('s') });
    await socket.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'delta');
    expect(await refusal(other, 'sessions.abort', { key: 'main' })).toBe('unauthorized');
    expect(await ask(socket, 'sessions.abort', { key: 'main' })).toEqual({ ok: true, abortedRunId: 's', status: 'aborted' });
    expect(await ask(socket, 'agent.wait', { runId: 's' })).toMatchObject({ status: 'ok' });
    expect(await ask(socket, 'sessions.abort', { key: 'main' })).toEqual({ ok: true, abortedRunId: null, status: 'no-active-run' });
    expect(await refusal(socket, 'sessions.abort', { key: 'nowhere' })).toBe('session not found: nowhere');
    const aborted = payloads(socket, 'chat').find(({ state }) => state === 'aborted');
    expect(aborted).toMatchObject({ runId: 's', stopReason: 'rpc', message: { content: [{ text: 'part' }] } });
  });
});

describe('steering', () => {
  it('puts the message into the running turn: the tool is stopped, calls behind it are skipped (PROTO-177)', async () => {
    const started = Promise.withResolvers<AbortSignal | undefined>();
    const ran: string[] = [];
    const { host, dial } = await startSessionHost({
      tools: [
        tool('slow', (_id, _params, signal) => {
          started.resolve(signal);
          return new Promise(() => undefined);
        }),
        tool('never', async () => {
          ran.push('never');
          return { content: [] };
        }),
      ],
    });
    const socket = await dial();
    await ask(socket, 'sessions.create', { key: 'main' });
    await ask(socket, 'sessions.send', {
      key: 'main',
      message: '[[offline: say let me]] [[offline: tool slow {}]] [[offline: also never {}]]',
      ...keyed('r1'),
    });
    const signal = await started.promise;
    const answer = await ask(socket, 'sessions.steer', { key: 'main', message: '[[offline: say now this]]', ...keyed('r2') });
    expect(answer).toMatchObject({ runId: 'r2', status: 'started', interruptedActiveRun: true });
    expect(signal?.aborted).toBe(true);
    expect(await ask(socket, 'agent.wait', { runId: 'r1' })).toMatchObject({ status: 'ok' });
    expect(await ask(socket, 'agent.wait', { runId: 'r2' })).toMatchObject({ status: 'ok' });
    await ask(socket, 'health');
    expect(ran).toEqual([]);
    const messages = await host.messages();
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'toolResult', 'user', 'assistant']);
    expect(JSON.stringify(messages[2])).toContain('the user sent a new message');
    expect(JSON.stringify(messages[3])).toContain('skipped: the user sent a new message');
    const ends = payloads(socket, 'chat').filter(({ state }) => state !== 'delta');
    expect(ends.map(({ runId, state }) => [runId, state])).toEqual([
      ['r1', 'aborted'],
      ['r2', 'final'],
    ]);
    expect(ends[1]).toMatchObject({ message: { content: [{ text: 'now this' }] } });
    const phases = payloads(socket, 'agent').filter(({ stream }) => stream === 'lifecycle');
    expect(phases.map(({ runId, data }) => [runId, (data as { phase: string }).phase])).toEqual([
      ['r1', 'start'],
      ['r1', 'end'],
      ['r2', 'start'],
      ['r2', 'end'],
    ]);
    for (const id of ['r1', 'r2']) {
      const numbers = payloads(socket, 'agent').flatMap(({ runId, seq }) => (runId === id ? [seq as number] : []));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(numbers[0]).toBe(1);
    }
    expect(host.leases()).toBe(0);
  });

  it('replaces a turn that cannot take it, and just sends where nothing runs (PROTO-177)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    await ask(socket, 'sessions.create', { key: 'main' });
    await ask(socket, 'sessions.send', { key: 'main', message: '[[offline: say part]][[offline: stall]]', ...keyed('r1') });
    await socket.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'delta');
    expect(await ask(socket, 'sessions.steer', { key: 'main', message: '[[offline: say other]]', ...keyed('r2') })).toMatchObject({
      interruptedActiveRun: true,
    });
    await finished(socket, 'r2');
    expect((await host.messages()).map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    const quiet = await ask(socket, 'sessions.steer', { key: 'main', message: '[[offline: say third]]', ...keyed('r3') });
    expect(quiet).toEqual({ runId: 'r3', status: 'started', messageSeq: 5 });
    await finished(socket, 'r3');
    expect(await ask(socket, 'sessions.steer', { key: 'main', message: 'x', ...keyed('r3') })).toEqual({ runId: 'r3', status: 'ok' });
  });

  it('lets the steered run be aborted, and its tools go on after a second message', async () => {
    let calls = 0;
    const begun: Array<() => void> = [];
    const waits = [1, 2].map(() => new Promise<void>((resolve) => begun.push(resolve)));
    const { host, dial } = await startSessionHost({
      tools: [
        tool('slow', () => {
          begun[calls++]?.();
          return new Promise(() => undefined);
        }),
      ],
    });
    const socket = await dial();
    await ask(socket, 'sessions.create', { key: 'main' });
    const message = '[[offline: tool slow {}]]';
    await ask(socket, 'sessions.send', { key: 'main', message, ...keyed('r1') });
    await waits[0];
    await ask(socket, 'sessions.steer', { key: 'main', message, ...keyed('r2') });
    await waits[1];
    expect(await ask(socket, 'sessions.abort', { key: 'main', runId: 'r2' })).toEqual({ ok: true, abortedRunId: 'r2', status: 'aborted' });
    expect(await ask(socket, 'agent.wait', { runId: 'r2' })).toMatchObject({ status: 'ok' });
    await host.idle();
    expect((await host.messages()).map(({ role }) => role)).toEqual(['user', 'assistant', 'toolResult', 'user', 'assistant', 'toolResult']);
    expect(host.agent.active()).toEqual([]);
  });
});

describe('changes', () => {
  it('patches every field, clears with null, refuses bad words (PROTO-179)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    const values = {
      label: 'Renamed',
      thinkingLevel: 'low',
      fastMode: true,
      verboseLevel: 'full',
      reasoningLevel: 'stream',
      responseUsage: 'tokens',
      elevatedLevel: 'ask',
      execHost: 'gateway',
      execSecurity: 'deny',
      execAsk: 'always',
      execNode: 'node-1',
      spawnedBy: 'agent:main:main',
      spawnedWorkspaceDir: '/tmp/x',
      spawnDepth: 2,
      subagentRole: 'leaf',
      subagentControlScope: 'none',
      sendPolicy: 'allow',
      groupActivation: 'mention',
    };
    const patched = await ask<{ entry: Record<string, unknown> }>(socket, 'sessions.patch', { key: 'example', ...values });
    expect(patched).toMatchObject({ ok: true, path: 'store:local', key: 'agent:main:example', resolved: { modelProvider: 'offline', model: 'script' } });
    expect(patched.entry).toMatchObject(values);
    const [row] = (await ask<{ sessions: object[] }>(socket, 'sessions.list')).sessions;
    expect(row).toMatchObject({ label: 'Renamed', thinkingLevel: 'low', fastMode: true, sendPolicy: 'allow', spawnDepth: 2 });
    const cleared = await ask<{ entry: object }>(socket, 'sessions.patch', {
      key: 'example',
      model: null,
      ...Object.fromEntries(Object.keys(values).map((field) => [field, null])),
    });
    for (const field of Object.keys(values)) expect(cleared.entry).not.toHaveProperty(field);
    expect(await host.sessions.get('agent:main:example')).not.toHaveProperty('extra');
    const bad = async (fields: object) => refusal(socket, 'sessions.patch', { key: 'example', ...fields });
    expect(await bad({ thinkingLevel: 'zzz' })).toBe('invalid thinkingLevel (use off|minimal|low|medium|high|adaptive)');
    expect(await bad({ verboseLevel: 'zzz' })).toBe('invalid verboseLevel (use off|on|full)');
    expect(await bad({ sendPolicy: 'maybe' })).toBe('invalid sendPolicy (use allow|deny)');
    expect(await bad({ execAsk: '' })).toBe('invalid execAsk (use off|on-miss|always)');
    expect(await bad({ label: ' ' })).toContain('invalid label');
    expect(await bad({ model: 'offline/none' })).toContain('offline/none');
    expect(await bad({ other: 1 })).toContain("unexpected property 'other'");
    expect(await bad({ key: 'agent:zzz:x', label: 'x' })).toBe('invalid sessions.patch params: unknown agent id "zzz"');
  });

  it('keeps labels unique, also under simultaneous patches', async () => {
    const { dial } = await startSessionHost();
    const socket = await dial();
    const answers = await Promise.all(['a', 'b', 'c'].map((key) => socket.call('sessions.patch', { key, label: 'Same' })));
    expect(answers.filter(({ ok }) => ok === true)).toHaveLength(1);
    expect(answers.find(({ ok }) => ok !== true)?.error).toMatchObject({ code: 'INVALID_REQUEST', message: 'label already in use: Same' });
    await Promise.all([socket.call('sessions.patch', { key: 'a', execHost: 'node' }), socket.call('sessions.patch', { key: 'a', execAsk: 'always' })]);
    expect(await ask(socket, 'sessions.patch', { key: 'a' })).toMatchObject({ entry: { execHost: 'node', execAsk: 'always' } });
  });

  it('are honoured by the next run: model, and what it may be sent', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    expect(await ask(socket, 'sessions.patch', { key: 'main', model: 'offline/reasoner' })).toMatchObject({
      resolved: { modelProvider: 'offline', model: 'reasoner' },
    });
    await host.run('hello');
    expect(await host.sessions.get('main')).toMatchObject({ model: 'reasoner' });
    expect(await ask(socket, 'sessions.patch', { key: 'main', thinkingLevel: 'xhigh' })).toMatchObject({ entry: { thinkingLevel: 'xhigh' } });
    expect(await ask(socket, 'sessions.patch', { key: 'main', model: 'default' })).toMatchObject({ resolved: { model: 'script' } });
    await ask(socket, 'sessions.patch', { key: 'main', sendPolicy: 'deny' });
    for (const [method, target] of [
      ['agent', 'sessionKey'],
      ['chat.send', 'sessionKey'],
      ['sessions.send', 'key'],
      ['sessions.steer', 'key'],
    ] as const) {
      expect(await refusal(socket, method, { [target]: 'main', message: 'x', ...keyed(method) })).toBe('send blocked by session policy');
    }
    expect(host.agent.active()).toEqual([]);
  });

  it('follow the rules of session.sendPolicy', async () => {
    const { dial } = await startSessionHost({
      config: { session: { sendPolicy: { rules: [{ action: 'deny', match: { keyPrefix: 'closed' } }], default: 'allow' } } },
    });
    const socket = await dial();
    expect(await refusal(socket, 'chat.send', { sessionKey: 'closed-1', message: 'x', ...keyed('a') })).toBe('send blocked by session policy');
    await ask(socket, 'sessions.patch', { key: 'closed-1', sendPolicy: 'allow' });
    await ask(socket, 'chat.send', { sessionKey: 'closed-1', message: 'x', ...keyed('a') });
    await finished(socket, 'a');
  });

  it('reset: the history is empty, the key and its settings stay, the old transcript is kept (PROTO-180)', async () => {
    const { host, dial } = await startSessionHost();
    const told: string[] = [];
    for (const hook of ['before_reset', 'session_end', 'session_start'] as const) host.on(hook, () => void told.push(hook));
    const socket = await dial();
    await host.run('[[offline: say hello]]');
    await ask(socket, 'sessions.patch', { key: 'main', thinkingLevel: 'low', execHost: 'node' });
    const before = await host.sessions.get('main');
    await ask(socket, 'chat.send', { sessionKey: 'main', message: '[[offline: stall]]', ...keyed('stalled') });
    const reset = await ask<{ entry: { sessionId: string } }>(socket, 'sessions.reset', { key: 'main', reason: 'new' });
    expect(reset).toMatchObject({ ok: true, key: 'agent:main:main', entry: { thinkingLevel: 'low', execHost: 'node' } });
    expect(reset.entry.sessionId).not.toBe(before?.sessionId);
    expect(await ask(socket, 'agent.wait', { runId: 'stalled' })).toMatchObject({ status: 'ok' });
    expect(await ask(socket, 'chat.history', { sessionKey: 'main' })).toMatchObject({ sessionId: reset.entry.sessionId, messages: [] });
    expect(told).toEqual(['session_start', 'before_reset', 'session_end', 'session_start']);
    expect(await ask(socket, 'sessions.reset', { key: 'fresh' })).toMatchObject({ ok: true, key: 'agent:main:fresh' });
  });

  it('delete: gone from the list, never the main session (PROTO-181)', async () => {
    const { dial, url } = await startSessionHost();
    const socket = await dial();
    const page = { params: { client: { id: 'webchat-ui', version: '1', platform: 'web', mode: 'webchat' } } };
    const { socket: widget } = await shake(url, page, { headers: { origin: 'http://localhost' } });
    await ask(socket, 'sessions.create', { key: 'gone', message: '[[offline: stall]]' });
    expect(await refusal(widget, 'sessions.delete', { key: 'gone' })).toBe('webchat clients cannot delete sessions');
    expect(await refusal(widget, 'sessions.patch', { key: 'gone', label: 'x' })).toBe('webchat clients cannot patch sessions');
    const deleted = await ask(socket, 'sessions.delete', { key: 'gone' });
    expect(deleted).toEqual({ ok: true, key: 'agent:main:gone', deleted: true, archived: [expect.stringContaining('.deleted.')] });
    expect(await ask(socket, 'sessions.delete', { key: 'gone' })).toMatchObject({ deleted: false, archived: [] });
    expect(await ask(socket, 'sessions.list')).toMatchObject({ count: 0 });
    expect(await refusal(socket, 'sessions.delete', { key: 'main' })).toBe('Cannot delete the main session (agent:main:main).');
  });

  it('compact through the selected engine, by force (PROTO-182)', async () => {
    const asked: CompactParams[] = [];
    const engine: ContextEngine = {
      info: { id: 'fixture', name: 'Fixture', version: '1.0.0' },
      ingest: async () => ({ ingested: true }),
      assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }),
      async compact(params) {
        asked.push(params);
        return (await params.runtimeContext?.compactSession?.(params)) ?? { ok: true, compacted: false };
      },
    };
    const { host, dial } = await startSessionHost({ engine });
    const socket = await dial();
    for (const word of ['one', 'two', 'three']) await host.run(`[[offline: say ${word}]]`);
    expect(await ask(socket, 'sessions.compact', { key: 'main', maxLines: 6 })).toEqual({ ok: true, key: 'agent:main:main', compacted: false, kept: 6 });
    expect(asked).toEqual([]);
    const result = await ask<{ kept: number }>(socket, 'sessions.compact', { key: 'main', maxLines: 3 });
    expect(result).toMatchObject({ ok: true, key: 'agent:main:main', compacted: true });
    expect(result.kept).toBeLessThan(6);
    expect(asked[0]).toMatchObject({ force: true, sessionKey: 'agent:main:main', compactionTarget: 'budget', tokenBudget: expect.any(Number) });
    expect((await host.entries()).some(({ type }) => type === 'compaction')).toBe(true);
    expect(await host.sessions.get('main')).toMatchObject({ compactionCount: 1 });
    expect(await ask(socket, 'sessions.compact', { key: 'nope' })).toEqual({ ok: true, key: 'agent:main:nope', compacted: false, reason: 'no sessionId' });
    expect(host.leases()).toBe(0);
  });

  it('need their scopes (PROTO-056, PROTO-061)', async () => {
    const { dial } = await startSessionHost();
    const reader = await dial(scopes('operator.read'));
    const writer = await dial(scopes('operator.write'));
    for (const method of ['sessions.create', 'sessions.send', 'sessions.steer', 'sessions.abort']) {
      expect(await refusal(reader, method)).toBe('missing scope: operator.write');
    }
    for (const method of ['sessions.patch', 'sessions.reset', 'sessions.delete', 'sessions.compact', 'chat.inject']) {
      expect(await refusal(writer, method)).toBe('missing scope: operator.admin');
    }
    expect(await ask(reader, 'sessions.subscribe')).toEqual({ subscribed: true });
  });
});

describe('agent and chat.send', () => {
  it('start runs, stream them, wait for them and abort them (PROTO-166, PROTO-167, PROTO-198, PROTO-199)', async () => {
    const { host, dial } = await startSessionHost();
    const [socket, reader] = await Promise.all([dial(), dial(scopes('operator.read'))]);
    expect(await ask(socket, 'chat.send', { sessionKey: 'main', message: '[[offline: say one two]]', ...keyed('c') })).toEqual({
      runId: 'c',
      status: 'started',
    });
    const waited = await ask<{ startedAt: number; endedAt: number }>(socket, 'agent.wait', { runId: 'c' });
    expect(waited).toMatchObject({ runId: 'c', status: 'ok' });
    expect(waited.endedAt).toBeGreaterThanOrEqual(waited.startedAt);
    const final = await reader.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'final');
    expect(final.payload).toMatchObject({ runId: 'c', sessionKey: 'agent:main:main', message: { role: 'assistant', content: [{ text: 'one two' }] } });
    await ask(socket, 'chat.send', { sessionKey: 'main', message: '[[offline: say part]][[offline: stall]]', ...keyed('s') });
    expect(await ask(socket, 'agent.wait', { runId: 's', timeoutMs: 50 })).toEqual({ runId: 's', status: 'timeout' });
    expect(await ask(socket, 'chat.send', { sessionKey: 'main', message: 'Please stop', ...keyed('x') })).toEqual({ ok: true, aborted: true, runIds: ['s'] });
    const aborted = await reader.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'aborted');
    expect(aborted.payload).toMatchObject({ runId: 's', stopReason: 'stop', message: { content: [{ text: 'part' }] } });
    await host.idle();
    expect((await host.messages()).at(-1)).toMatchObject({ openclawAbort: { aborted: true, origin: 'stop', runId: 's' } });
    await ask(socket, 'agent', { sessionKey: 'main', message: '[[offline: stall]]', timeout: 1, ...keyed('t') });
    expect(await ask(socket, 'agent.wait', { runId: 't' })).toMatchObject({ status: 'error', error: expect.stringContaining('1 s') });
  });

  it('start the session over with /new and /reset, for administrators', async () => {
    const { host, dial } = await startSessionHost();
    const admin = await dial();
    const writer = await dial(scopes('operator.write'));
    await host.run('[[offline: say before]]');
    const old = await host.sessions.get('main');
    for (const [method, text] of [
      ['agent', '/new'],
      ['chat.send', '/RESET x'],
    ] as const) {
      expect(await refusal(writer, method, { sessionKey: 'main', message: text, ...keyed(method) })).toBe('missing scope: operator.admin');
    }
    await ask(admin, 'agent', { sessionKey: 'main', message: '/newer', ...keyed('no') });
    await finished(admin, 'no');
    expect((await host.sessions.get('main'))?.sessionId).toBe(old?.sessionId);
    await ask(admin, 'agent', { sessionKey: 'main', message: '/new [[offline: say after]]', ...keyed('n') });
    await finished(admin, 'n');
    expect((await host.sessions.get('main'))?.sessionId).not.toBe(old?.sessionId);
    expect((await host.messages()).map(({ content }) => content)).toEqual(['[[offline: say after]]', [expect.objectContaining({ text: 'after' })]]);
    await ask(admin, 'chat.send', { sessionKey: 'main', message: '/reset offline/echo', ...keyed('m') });
    await finished(admin, 'm');
    expect(await host.sessions.get('main')).toMatchObject({ modelOverride: 'offline/echo', model: 'echo' });
    expect(await host.messages()).toMatchObject([{ role: 'user', provenance: { kind: 'internal_system' } }, { role: 'assistant' }]);
    expect(await ask(admin, 'agent', { sessionKey: 'main', message: '/new [[offline: say after]]', ...keyed('n') })).toMatchObject({
      runId: 'n',
      status: 'ok',
    });
    expect(await host.messages()).toHaveLength(2);
  });

  it('check who may say what (PROTO-068 to PROTO-070)', async () => {
    const { host, dial } = await startSessionHost();
    const writer = await dial(scopes('operator.write'));
    const admin = await dial();
    const send = (extra: object) => refusal(writer, 'chat.send', { sessionKey: 'main', message: 'x', ...keyed('k'), ...extra });
    for (const message of ['/config set a.b 1', ' /Config  unset a.b']) expect(await send({ message })).toBe('missing scope: operator.admin');
    for (const field of ['originatingChannel', 'originatingTo', 'originatingAccountId', 'originatingThreadId', 'systemProvenanceReceipt']) {
      expect(await send({ [field]: 'x' })).toBe('missing scope: operator.admin');
    }
    expect(await refusal(writer, 'agent', { message: 'x', thinking: 'zzz', ...keyed('k') })).toContain('invalid thinking (use ');
    expect(await refusal(writer, 'agent', { message: 'x', agentId: 'main', sessionKey: 'agent:other:x', ...keyed('k') })).toContain('belongs to agent "other"');
    expect(host.agent.active()).toEqual([]);
    expect(await host.sessions.get('main')).toBeUndefined();
    await ask(admin, 'chat.send', {
      sessionKey: 'main',
      message: '[[offline: say hi]]',
      originatingChannel: 'fixture',
      originatingTo: 'room',
      systemProvenanceReceipt: 'Receipt 1',
      ...keyed('o'),
    });
    await finished(admin, 'o');
    expect(await host.sessions.get('main')).toMatchObject({ lastChannel: 'fixture', lastTo: 'room' });
    expect((await host.messages())[0]).toMatchObject({ content: 'Receipt 1\n\n[[offline: say hi]]' });
  });

  it('tell the agent of background tasks, and keep what is said about the conversation', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    const event = {
      type: 'task_completion',
      source: 'subagent',
      childSessionKey: 'agent:main:subagent:1',
      announceType: 'subagent',
      taskLabel: 'count files',
      status: 'ok',
      statusLabel: 'completed',
      result: 'There are 7.',
      replyInstruction: 'Tell the user.',
    };
    await ask(socket, 'agent', { message: '[[offline: say ok]]', internalEvents: [event], label: 'Talk', groupId: 'g1', groupSpace: 'team', ...keyed('e') });
    await finished(socket, 'e');
    const [first] = await host.messages();
    expect(first?.content).toMatch(/count files[\s\S]*There are 7\.[\s\S]*Tell the user\.[\s\S]*\[\[offline: say ok]]/);
    expect(await host.sessions.get('main')).toMatchObject({ label: 'Talk', extra: { groupId: 'g1', space: 'team' } });
    expect(await refusal(socket, 'agent', { message: 'x', sessionKey: 'other', label: 'Talk', ...keyed('f') })).toBe('label already in use: Talk');
    expect(await refusal(socket, 'agent', { message: 'x', internalEvents: [{ type: 'other' }], ...keyed('f') })).toContain('invalid agent params');
  });

  it('deliver replies, strictly or as well as they can (PROTO-317 to PROTO-321)', async () => {
    const sent: object[] = [];
    let broken = false;
    const channels = {
      configured: () => ['fixture', 'other'],
      send: async () => ({}),
      poll: async () => ({}),
      reply: async ({ runId: _run, ...place }: { runId: string }, { payloads }: RunResult, { insist }: { insist: boolean }) => {
        if (broken) throw new Error('the line is dead');
        sent.push({ ...place, text: payloads.map(({ text }) => text).join(), insist });
      },
      logout: ({ channel }: { channel: string }) => Promise.reject(new Error(`${channel} has no login`)),
    };
    const { host, dial } = await startSessionHost({}, { channels });
    const socket = await dial();
    const agent = (extra: object) => ({ message: '[[offline: say reply]]', sessionKey: 'talk', deliver: true, ...extra });
    expect(await refusal(socket, 'agent', agent(keyed('1')))).toBe('Error: Channel is required (configured: fixture, other).');
    expect(await refusal(socket, 'agent', agent({ channel: 'webchat', ...keyed('2') }))).toContain('is internal');
    expect(await refusal(socket, 'agent', agent({ channel: 'unknown', to: 'x', ...keyed('3') }))).toContain('is not available');
    expect(await refusal(socket, 'agent', agent({ channel: 'fixture', ...keyed('4') }))).toContain('needs a target');
    expect(await socket.call('agent', agent({ channel: 'fixture', to: 'room', accountId: 'a', ...keyed('5') }), 'five')).toMatchObject({ ok: true });
    expect(await socket.next(({ id }) => id === 'five')).toMatchObject({ ok: true, payload: { status: 'ok' } });
    expect(sent).toEqual([{ channel: 'fixture', to: 'room', accountId: 'a', text: 'reply', insist: true }]);
    await socket.call('agent', agent({ sessionKey: 'anywhere', bestEffortDeliver: true, ...keyed('either') }), 'either');
    expect(await socket.next(({ id }) => id === 'either')).toMatchObject({ ok: true, payload: { status: 'ok' } });
    expect(sent).toHaveLength(1);
    await socket.call('agent', agent(keyed('6')), 'six');
    await socket.next(({ id }) => id === 'six');
    expect(sent).toHaveLength(2);
    await host.run('[[offline: say x]]', { sessionKey: 'inner', channel: 'webchat' });
    await socket.call('agent', agent({ sessionKey: 'inner', bestEffortDeliver: true, ...keyed('7') }), 'seven');
    expect(await socket.next(({ id }) => id === 'seven')).toMatchObject({ ok: true });
    expect(await refusal(socket, 'agent', agent({ sessionKey: 'inner', bestEffortDeliver: false, ...keyed('8') }))).toContain('is internal');
    expect(sent).toHaveLength(2);
    await ask(socket, 'chat.send', { sessionKey: 'talk', message: '[[offline: say chatted]]', deliver: true, ...keyed('c') });
    await finished(socket, 'c');
    expect(sent.at(-1)).toMatchObject({ channel: 'fixture', to: 'room', text: 'chatted' });
    broken = true;
    await socket.call('agent', agent(keyed('9')), 'nine');
    expect(await socket.next(({ id }) => id === 'nine')).toMatchObject({ ok: false, error: { message: 'the line is dead' } });
  });
});

describe('chat.inject', () => {
  it('adds a note without a model run, for all to see (PROTO-200, PROTO-248)', async () => {
    const { host, dial } = await startSessionHost();
    const socket = await dial();
    const other = await dial(scopes('operator.read'));
    await host.run('[[offline: say hello]]');
    const runs = host.events.length;
    const { messageId } = await ask<{ messageId: string }>(socket, 'chat.inject', { sessionKey: 'main', message: 'injected note', label: 'note' });
    const { payload } = await other.next(({ event, payload: heard }) => event === 'chat' && (heard as { seq: number }).seq === 0);
    expect(payload).toMatchObject({ runId: `inject-${messageId}`, sessionKey: 'agent:main:main', state: 'final' });
    expect(host.events).toHaveLength(runs);
    expect((await host.messages()).at(-1)).toMatchObject({ role: 'assistant', model: 'gateway-injected', content: [{ text: '[note]\n\ninjected note' }] });
    expect(await refusal(socket, 'chat.inject', { sessionKey: 'agent:main:zzz', message: 'x' })).toBe('session not found');
    const file = (await host.sessions.sessionFile((await host.sessions.get('main')) as never)) ?? '';
    const digest = () => createHash('sha256').update(readFileSync(file)).digest('hex');
    const before = digest();
    await ask(socket, 'chat.history', { sessionKey: 'main' });
    expect(digest()).toBe(before);
  });

  it('does not part a tool call from its result', async () => {
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const { host, dial } = await startSessionHost({
      tools: [
        tool('slow', async () => {
          begun.resolve();
          await end.promise;
          return { content: [{ type: 'text', text: 'tool result' }] };
        }),
      ],
    });
    const socket = await dial();
    await ask(socket, 'chat.send', { sessionKey: 'main', message: '[[offline: tool slow {}]] [[offline: say done]]', ...keyed('r') });
    await begun.promise;
    await ask(socket, 'chat.inject', { sessionKey: 'main', message: 'note' });
    end.resolve();
    await finished(socket, 'r');
    expect((await host.messages()).map(({ role }) => role)).toEqual(['user', 'assistant', 'assistant', 'toolResult', 'assistant']);
    expect(JSON.stringify((await host.messages()).at(-1))).toContain('done');
  });
});
