import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Contribution } from '../../core/kernel/generation.ts';
import { durarError, type GatewayMethodContext, type StoredEntry } from '../../sdk/index.ts';
import { connect, newDevice, startGateway } from './harness.ts';

const scopes = (...list: string[]) => ({ params: { scopes: list } });

describe('requests', () => {
  it('checks role, scope and params, in that order (PROTO-046, PROTO-053 to PROTO-057, PROTO-061)', async () => {
    const { url } = await startGateway();
    const reader = await connect(url, scopes('operator.read'));
    const writer = await connect(url, scopes('operator.write'));
    const admin = await connect(url);
    const nobody = await connect(url, scopes());
    const error = async (socket: typeof reader, method: string, params: object = {}) =>
      ((await socket.call(method, params)).error as { message: string }).message;
    expect((await nobody.call('health')).ok).toBe(true);
    expect(await error(nobody, 'status')).toBe('missing scope: operator.read');
    expect(await error(reader, 'chat.send')).toBe('missing scope: operator.write');
    expect((await writer.call('sessions.list', {})).ok).toBe(true);
    expect(await error(reader, 'config.get')).toBe('missing scope: operator.admin');
    expect(await error(reader, 'no.such')).toBe('missing scope: operator.admin');
    expect(await error(admin, 'no.such')).toBe('unknown method: no.such');
    expect(await error(admin, 'constructor')).toBe('unknown method: constructor');
    expect(await error(admin, 'chat.send', { sessionKey: 'main', message: 'x' })).toBe(
      "invalid chat.send params: must have required property 'idempotencyKey'",
    );
    expect(await error(admin, 'agent.wait', { runId: '', extra: 1 })).toBe(
      "invalid agent.wait params: at root: unexpected property 'extra'; at /runId: must NOT have fewer than 1 characters",
    );
    expect(await error(admin, 'connect')).toBe('connect is only valid as the first request');
  });

  it('keeps nodes out of operator methods, and closes a node that insists (PROTO-054)', async () => {
    const { url } = await startGateway();
    const node = await connect(url, { params: { role: 'node', scopes: [] } });
    expect((await node.call('health')).ok).toBe(true);
    for (let i = 0; i < 11; i += 1) expect((await node.call('config.get')).error).toMatchObject({ message: 'unauthorized role: node' });
    expect(await node.closed).toEqual({ code: 1008, reason: 'repeated unauthorized calls' });
  });

  it('answers malformed frames and ignores what is not JSON (PROTO-044)', async () => {
    const { url } = await startGateway();
    const socket = await connect(url);
    socket.send('{nope');
    socket.send({ type: 'req', id: 'x', method: 'health', more: 1 });
    expect(await socket.next(({ id }) => id === 'x')).toMatchObject({
      ok: false,
      error: { code: 'INVALID_REQUEST', message: "invalid request frame: at root: unexpected property 'more'" },
    });
    socket.send({ type: 'req', method: 'health' });
    expect(await socket.next(({ id }) => id === 'invalid')).toMatchObject({ ok: false });
  });

  it('answers pipelined requests by id, whatever their order (PROTO-052)', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    socket.send({ type: 'req', id: 'slow', method: 'agent.wait', params: { runId: 'r1', timeoutMs: 60_000 } });
    expect((await socket.call('health')).ok).toBe(true);
    await socket.call('chat.send', { sessionKey: 'main', message: 'hi', idempotencyKey: 'r2' });
    agent.finish('r2');
    expect(socket.frames.some(({ id }) => id === 'slow')).toBe(false);
  });

  it('turns what a method throws into coded errors', async () => {
    const { url, options } = await startGateway();
    const socket = await connect(url);
    options.control.models = () => Promise.reject(durarError('DUR_PROVIDER_STALLED', { provider: 'p', ms: 5 }, { owner: { extension: 'p' } }));
    expect((await socket.call('models.list', {})).error).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      details: { code: 'DUR_PROVIDER_STALLED', owner: { extension: 'p' }, hint: expect.stringContaining('Try again') },
    });
    options.control.models = () => Promise.reject(new TypeError('boom'));
    expect((await socket.call('models.list', {})).error).toEqual({ code: 'UNAVAILABLE', message: 'TypeError: boom' });
    expect((await socket.call('chat.history', { sessionKey: 'agent:main' })).error).toMatchObject({
      code: 'INVALID_REQUEST',
      details: { code: 'DUR_SESSION_KEY' },
    });
  });

  it('serves methods of extensions under their own scope, reserved prefixes as admin (PROTO-063 to PROTO-067)', async () => {
    const calls: GatewayMethodContext[] = [];
    const method = (key: string, scope?: string): Contribution =>
      ({
        kind: 'gatewayMethod',
        key,
        owner: 'fixture',
        value: {
          handler: (params: object, context: GatewayMethodContext) => {
            calls.push(context);
            context.accepted({ early: true });
            return { echo: params };
          },
          options: scope === undefined ? {} : { scope },
        },
      }) as Contribution;
    const { url } = await startGateway({
      contributions: [
        method('fixture.echo', 'operator.write'),
        method('fixture.plain'),
        method('health', 'operator.admin'),
        ...['config.peek', 'exec.approvals.peek', 'wizard.peek', 'update.peek'].map((key) => method(key, 'operator.read')),
      ],
    });
    const reader = await connect(url, scopes('operator.read'));
    const writer = await connect(url, scopes('operator.write'));
    const refusal = async (socket: typeof reader, name: string) => ((await socket.call(name, {})).error as { message: string }).message;
    expect(await refusal(reader, 'fixture.echo')).toBe('missing scope: operator.write');
    for (const name of ['fixture.plain', 'config.peek', 'exec.approvals.peek', 'wizard.peek', 'update.peek']) {
      expect(await refusal(writer, name)).toBe('missing scope: operator.admin');
    }
    expect(await writer.call('fixture.echo', { a: 1 }, 'e')).toMatchObject({ payload: { early: true } });
    expect(await writer.next(({ id }) => id === 'e')).toMatchObject({ ok: true, payload: { echo: { a: 1 } } });
    expect(calls[0]).toMatchObject({ clientId: 'cli', scopes: ['operator.write'] });
    expect((await reader.call('health')).payload).toMatchObject({ ok: true });
    expect((writer.hello.features as { methods: string[] }).methods).toContain('fixture.echo');
  });
});

describe('agent and chat', () => {
  it('answers an agent run twice, events between (GW-149 to GW-152, PROTO-050, PROTO-051)', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    agent.onAccept = ({ runId }) => {
      agent.emit(runId, 'lifecycle', { phase: 'start', startedAt: 1 });
      agent.emit(runId, 'assistant', { text: 'word0', delta: 'word0' });
    };
    const params = { message: 'hello there', sessionKey: 'agent:main:main', idempotencyKey: 'run-1' };
    const ack = await socket.call('agent', params, 'a');
    expect(ack).toEqual({ type: 'res', id: 'a', ok: true, payload: { runId: 'run-1', status: 'accepted', acceptedAt: expect.any(Number) } });
    await socket.event('chat');
    expect((await socket.call('agent', params, 'b')).payload).toEqual(ack.payload);
    agent.emit('run-1', 'lifecycle', { phase: 'end', endedAt: 2 });
    agent.finish('run-1');
    const final = await socket.next(({ id }) => id === 'a');
    expect(final.payload).toMatchObject({
      runId: 'run-1',
      status: 'ok',
      summary: 'completed',
      result: { payloads: [{ text: 'word0 word1', mediaUrl: null }] },
    });
    const order = socket.frames.filter(({ id, event }) => id === 'a' || event === 'agent' || event === 'chat').map(({ id, event }) => id ?? event);
    expect([order[0], order.at(-1)]).toEqual(['a', 'a']);
    expect(order.slice(1, -1)).toEqual(['agent', 'agent', 'chat', 'agent', 'chat']);
    expect((await socket.call('agent', params)).payload).toEqual(final.payload);
    expect(agent.requests).toHaveLength(1);
  });

  it('reports a failed run as an error with its payload, and again for the same key', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const params = { message: 'x', idempotencyKey: 'run-e' };
    await socket.call('agent', params, 'a');
    const error = { code: 'DUR_PROVIDER_FAILED', message: 'it broke', hint: 'Try again.', owner: { extension: 'p' }, retry: true };
    agent.finish('run-e', { status: 'error', error });
    const final = await socket.next(({ id }) => id === 'a');
    expect(final).toMatchObject({
      ok: false,
      payload: { runId: 'run-e', status: 'error', summary: 'it broke' },
      error: { code: 'UNAVAILABLE', message: 'it broke', details: { code: 'DUR_PROVIDER_FAILED' } },
    });
    expect(await socket.call('agent', params)).toMatchObject({ ok: false, error: final.error });
  });

  it('forgets a refused key, so that it can be used again', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const refused = await socket.call('agent', { message: 'x', agentId: 'zzz', idempotencyKey: 'k' });
    expect(refused.error).toEqual({ code: 'INVALID_REQUEST', message: 'invalid agent params: unknown agent id "zzz"' });
    expect((await socket.call('agent', { message: 'x', idempotencyKey: 'k' })).payload).toMatchObject({ status: 'accepted' });
    agent.finish('k');
  });

  it('allows model overrides and strict delivery only as documented (PROTO-320)', async () => {
    const { url, agent } = await startGateway();
    const writer = await connect(url, scopes('operator.write'));
    const send = (extra: object) => writer.call('agent', { message: 'x', sessionKey: 'other', idempotencyKey: JSON.stringify(extra), ...extra });
    expect((await send({ model: 'offline/echo' })).error).toMatchObject({ message: 'provider/model overrides are not authorized for this caller.' });
    expect((await send({ deliver: true })).error).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('Channel is required') });
    expect((await send({ deliver: true, bestEffortDeliver: true })).payload).toMatchObject({ status: 'accepted' });
    expect((await send({ deliver: true, sessionKey: 'main' })).payload).toMatchObject({ status: 'accepted' });
    for (const { runId } of agent.requests) agent.finish(runId);
  });

  it('waits for runs, unknown ones too (agent.wait)', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    expect((await socket.call('agent.wait', { runId: 'nope', timeoutMs: 20 })).payload).toEqual({ runId: 'nope', status: 'timeout' });
    socket.send({ type: 'req', id: 'send', method: 'chat.send', params: { sessionKey: 'main', message: 'x', idempotencyKey: 'w' } });
    socket.send({ type: 'req', id: 'wait', method: 'agent.wait', params: { runId: 'w', timeoutMs: 60_000 } });
    await socket.next(({ id }) => id === 'send');
    agent.finish('w');
    expect((await socket.next(({ id }) => id === 'wait')).payload).toMatchObject({ runId: 'w', status: 'ok' });
  });

  it('starts chat runs at once and tells repeats how they go', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const params = { sessionKey: 'main', message: 'hi', idempotencyKey: 'c1' };
    expect((await socket.call('chat.send', params)).payload).toEqual({ runId: 'c1', status: 'started' });
    expect((await socket.call('chat.send', params)).payload).toEqual({ runId: 'c1', status: 'in_flight' });
    agent.finish('c1');
    await socket.call('agent.wait', { runId: 'c1' });
    expect((await socket.call('chat.send', params)).payload).toEqual({ runId: 'c1', status: 'ok' });
    expect(agent.requests).toHaveLength(1);
    expect(agent.requests[0]).toMatchObject({ channel: 'webchat', senderIsOwner: true, trigger: 'user' });
  });

  it('takes pictures, and refuses other attachments', async () => {
    const { url, agent } = await startGateway();
    const socket = await connect(url);
    const send = (attachment: object, key: string) =>
      socket.call('chat.send', { sessionKey: 'main', message: '', idempotencyKey: key, attachments: [attachment] });
    expect((await send({ content: 'data:image/png;base64,AAAA' }, 'p')).payload).toMatchObject({ status: 'started' });
    expect(agent.requests[0]?.images).toEqual([{ data: 'AAAA', mimeType: 'image/png' }]);
    expect((await send({ content: 'AAAA', mimeType: 'text/plain' }, 'q')).error).toMatchObject({ message: expect.stringContaining('is not an image') });
    expect((await send({ content: '%%%', mimeType: 'image/png' }, 'r')).error).toMatchObject({ message: expect.stringContaining('is not base64') });
    const large = 'A'.repeat(6_700_000);
    expect((await send({ content: large, mimeType: 'image/png' }, 's')).error).toMatchObject({ message: expect.stringContaining('larger') });
    agent.finish('p');
  });

  it('aborts runs of the caller, by method and by stop word', async () => {
    const { url, agent } = await startGateway();
    const device = newDevice();
    const owner = await connect(url, { device, ...scopes('operator.write', 'operator.read') });
    const other = await connect(url, scopes('operator.write', 'operator.read'));
    const begin = (key: string) => owner.call('chat.send', { sessionKey: 'main', message: 'SLOW', idempotencyKey: key });
    await begin('s1');
    agent.emit('s1', 'lifecycle', { phase: 'start' });
    agent.emit('s1', 'assistant', { text: 'word0', delta: 'word0' });
    expect((await other.call('chat.abort', { sessionKey: 'main', runId: 's1' })).error).toMatchObject({ message: 'unauthorized' });
    expect((await owner.call('chat.abort', { sessionKey: 'x', runId: 's1' })).error).toMatchObject({ message: 'runId does not match sessionKey' });
    expect((await owner.call('chat.abort', { sessionKey: 'main', runId: 's1' })).payload).toEqual({ ok: true, aborted: true, runIds: ['s1'] });
    const aborted = await owner.next(({ event, payload }) => event === 'chat' && (payload as { state: string }).state === 'aborted');
    expect(aborted.payload).toMatchObject({ runId: 's1', sessionKey: 'main', stopReason: 'rpc', message: { content: [{ type: 'text', text: 'word0' }] } });
    expect((await owner.call('chat.abort', { sessionKey: 'main' })).payload).toEqual({ ok: true, aborted: false, runIds: [] });
    await begin('s2');
    expect((await owner.call('chat.send', { sessionKey: 'main', message: ' Stop! ', idempotencyKey: 'x' })).payload).toEqual({
      ok: true,
      aborted: true,
      runIds: ['s2'],
    });
  });
});

describe('sessions, plugins, models, config, system', () => {
  const entry = (seq: number, message: object): StoredEntry =>
    ({ type: 'message', id: `e${seq}`, seq, parentId: null, timestamp: '2026-01-01T00:00:00Z', message: { timestamp: seq, ...message } }) as StoredEntry;
  const text = (value: string) => [{ type: 'text', text: value }];

  it('shows history as a person should see it, stored messages as they are', async () => {
    const { url, sessions } = await startGateway();
    const label: StoredEntry = { type: 'label', id: 'l', seq: 2, parentId: null, timestamp: '', targetId: 'e1' };
    sessions.add({ key: 'agent:main:main', label: 'Main' }, [
      entry(1, { role: 'user', content: 'hello' }),
      label,
      entry(3, { role: 'assistant', content: text('NO_REPLY') }),
      entry(4, { role: 'assistant', content: text('[[reply_to_current]]a<tool_call>{"x":1}</tool_call>b<|end|>') }),
      entry(5, { role: 'user', content: [...text('look'), { type: 'image', data: 'AAAA', mimeType: 'image/png' }] }),
      entry(6, { role: 'toolResult', toolCallId: 't', toolName: 'read', isError: false, details: { secret: 1 }, content: text('z'.repeat(50)) }),
    ]);
    const socket = await connect(url);
    const { messages } = (await socket.call('chat.history', { sessionKey: 'main', maxChars: 20 })).payload as { messages: Array<Record<string, unknown>> };
    expect(messages.map(({ content }) => content)).toEqual([
      'hello',
      text('ab'),
      [...text('look'), { type: 'image', mimeType: 'image/png', omitted: true, bytes: 3 }],
      text(`${'z'.repeat(20)}\n...(truncated)...`),
    ]);
    expect(messages[0]).toMatchObject({ __openclaw: { id: 'e1', seq: 1 } });
    expect(messages[3]).not.toHaveProperty('details');
    const two = (await socket.call('chat.history', { sessionKey: 'main', limit: 2 })).payload as { messages: unknown[] };
    expect(two.messages).toHaveLength(2);
    const raw = (await socket.call('sessions.get', { key: 'main' })).payload as { messages: unknown[]; session: object };
    expect(raw.messages).toHaveLength(5);
    expect(raw.session).toMatchObject({ key: 'agent:main:main', kind: 'direct', label: 'Main' });
    expect((await socket.call('sessions.get', { key: 'nope' })).payload).toEqual({ messages: [] });
  });

  it('replaces rows that are too large', async () => {
    const { url, sessions } = await startGateway();
    sessions.add({ key: 'agent:main:main' }, [entry(1, { role: 'assistant', content: text('x'.repeat(200_000)) })]);
    const socket = await connect(url);
    const { messages } = (await socket.call('chat.history', { sessionKey: 'main', maxChars: 500_000 })).payload as { messages: unknown[] };
    expect(messages[0]).toMatchObject({ content: text('[chat.history omitted: message too large]'), __openclaw: { truncated: true, reason: 'oversized' } });
  });

  it('lists and resolves sessions', async () => {
    const { url, sessions } = await startGateway();
    sessions.add({ key: 'agent:main:a', label: 'Example', sessionId: 's-a' }, [entry(1, { role: 'user', content: 'first words' })]);
    sessions.add({ key: 'agent:main:b' });
    const socket = await connect(url);
    const list = (await socket.call('sessions.list', { includeDerivedTitles: true, includeLastMessage: true })).payload as {
      count: number;
      sessions: object[];
    };
    expect(list).toMatchObject({
      count: 2,
      sessions: [{ key: 'agent:main:b' }, { key: 'agent:main:a', derivedTitle: 'first words', lastMessagePreview: 'first words' }],
    });
    const resolve = async (params: object) => {
      const answer = await socket.call('sessions.resolve', params);
      return answer.ok === true ? (answer.payload as { key: string }).key : (answer.error as { message: string }).message;
    };
    expect(await resolve({ label: 'Example' })).toBe('agent:main:a');
    expect(await resolve({ sessionId: 's-a' })).toBe('agent:main:a');
    expect(await resolve({ key: 'b' })).toBe('agent:main:b');
    expect(await resolve({ key: 'nope' })).toBe('No session found: nope');
    expect(await resolve({})).toBe('Either key, sessionId, or label is required');
    expect(await resolve({ key: 'a', label: 'b' })).toBe('Provide either key, sessionId, or label (not multiple)');
  });

  it('serves health, status, models, plugins, config and the admin methods (PROTO-128)', async () => {
    const { url, stopped, options } = await startGateway();
    const admin = await connect(url);
    const reader = await connect(url, scopes('operator.read'));
    const payload = async (socket: typeof admin, method: string) => (await socket.call(method, {})).payload as Record<string, never>;
    expect(await payload(admin, 'health')).toMatchObject({ ok: true, defaultAgentId: 'main', agents: [{ agentId: 'main', isDefault: true }] });
    expect(await payload(admin, 'status')).toMatchObject({ runtimeVersion: '0.1.0', sessions: { paths: ['store:local'] }, host: { pid: process.pid } });
    const redacted = await payload(reader, 'status');
    expect(redacted).toMatchObject({ sessions: { paths: [], recent: [] } });
    expect(redacted).not.toHaveProperty('host');
    expect(await payload(reader, 'models.list')).toEqual({
      models: [{ id: 'echo', name: 'Echo', provider: 'offline', contextWindow: 1000, reasoning: false, input: ['text'] }],
    });
    expect(await payload(reader, 'plugins.list')).toMatchObject({ generation: 1, plugins: [] });
    expect(await payload(admin, 'plugins.reload')).toEqual({ ok: true, report: { generation: 2 } });
    const text = "{ gateway: { mode: 'local', auth: { token: 'never-shown' } } }";
    writeFileSync(options.paths.configFile, text);
    const got = await payload(admin, 'config.get');
    const auth = { token: '__Durar_REDACTED__' };
    expect(got).toMatchObject({
      exists: true,
      raw: null,
      valid: true,
      parsed: { gateway: { auth } },
      resolved: { gateway: { auth } },
      config: { gateway: { auth } },
    });
    expect(got.hash).toBe(createHash('sha256').update(text).digest('hex'));
    expect(JSON.stringify(got)).not.toContain('never-shown');
    expect((await reader.call('gateway.stop', {})).error).toMatchObject({ message: 'missing scope: operator.admin' });
    expect((await admin.call('gateway.stop', { reason: 'test' })).payload).toEqual({ ok: true });
    await new Promise((resolve) => setImmediate(resolve));
    expect(stopped).toEqual(['test']);
  });
});
