import type { ApprovalRequest, Approver, Command, CommandContext, GatewayMethodContext, GatewayMethodHandler, PluginApi } from 'Durar/plugin-sdk/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { approvalContract } from '../../../sdk/contract/approval.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import manifest from './Durar.plugin.json' with { type: 'json' };
import entry from './index.ts';

interface Sent {
  event: string;
  payload: { id: string; [field: string]: unknown };
  scope: string | undefined;
}

async function load() {
  const methods = new Map<string, { handler: GatewayMethodHandler; scope: string | undefined }>();
  const sent: Sent[] = [];
  const disposers: Array<() => Promise<void> | void> = [];
  let approver: Approver | undefined;
  let command: Command | undefined;
  let listeners = 2;
  const api = {
    defer: (dispose: () => void) => disposers.push(dispose),
    registerApprover: (value: Approver) => {
      approver = value;
      return { ok: true };
    },
    registerCommand: (value: Command) => {
      command = value;
      return { ok: true };
    },
    registerGatewayMethod: (method: string, handler: GatewayMethodHandler, options: { scope?: string }) => {
      methods.set(method, { handler, scope: options.scope });
      return { ok: true };
    },
    runtime: {
      gateway: {
        broadcast: (event: string, payload: Sent['payload'], options?: { scope?: string }) => sent.push({ event, payload, scope: options?.scope }),
        listeners: () => listeners,
      },
    },
  } as unknown as PluginApi;
  await entry.register(api);
  if (approver === undefined) throw new Error('no approver was registered');
  const call = async (method: string, params: Record<string, unknown>, context: Partial<GatewayMethodContext> = {}) =>
    methods.get(method)?.handler(params, {
      callerId: 'device',
      connId: 'conn',
      role: 'operator',
      clientId: 'cli',
      scopes: ['operator.approvals'],
      signal: new AbortController().signal,
      accepted() {},
      ...context,
    });
  const say = async (args: string, more: Partial<CommandContext> = {}) =>
    command?.handler({ channel: 'webchat', isAuthorizedSender: true, commandBody: `/approve ${args}`, config: {}, args, ...more });
  return {
    approver,
    say,
    methods,
    sent,
    call,
    setListeners: (count: number) => {
      listeners = count;
    },
    dispose: async () => {
      for (const dispose of disposers) await dispose();
    },
  };
}

const now = 1_795_161_762_733;

function request(more: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return {
    id: 'approval-1',
    kind: 'exec',
    title: 'Run a command',
    description: 'echo hi',
    command: 'echo hi',
    commandArgv: ['/bin/echo', 'hi'],
    cwd: '/work',
    host: 'gateway',
    security: 'allowlist',
    ask: 'on-miss',
    resolvedPath: '/bin/echo',
    agentId: 'main',
    sessionKey: 'agent:main:main',
    envKeys: ['LANG'],
    allowedDecisions: ['allow-once', 'allow-always', 'deny'],
    createdAtMs: Date.now(),
    expiresAtMs: Date.now() + 60_000,
    ...more,
  };
}

const open = { signal: new AbortController().signal };

afterEach(() => {
  vi.useRealTimers();
});

describeContract(approvalContract, async () => {
  const { approver, call, setListeners, dispose } = await load();
  return {
    approver,
    answer: async (asked, decision) => {
      await call('exec.approval.resolve', { id: asked.id, decision });
    },
    desert: () => setListeners(0),
    dispose,
  };
});

describe('a request of a tool', () => {
  it('is broadcast to approvers only, in the shape of the wire, and its decision too', async () => {
    const { approver, sent, call } = await load();
    const asked = request();
    const deciding = approver.decide(asked, open);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toEqual({
      event: 'exec.approval.requested',
      scope: 'operator.approvals',
      payload: {
        id: 'approval-1',
        request: {
          command: 'echo hi',
          commandArgv: ['/bin/echo', 'hi'],
          envKeys: ['LANG'],
          systemRunBinding: { argv: ['/bin/echo', 'hi'], cwd: '/work', agentId: 'main', sessionKey: 'agent:main:main', envHash: null },
          systemRunPlan: null,
          cwd: '/work',
          nodeId: null,
          host: 'gateway',
          security: 'allowlist',
          ask: 'on-miss',
          allowedDecisions: ['allow-once', 'allow-always', 'deny'],
          agentId: 'main',
          resolvedPath: '/bin/echo',
          sessionKey: 'agent:main:main',
          turnSourceChannel: null,
          turnSourceTo: null,
          turnSourceAccountId: null,
          turnSourceThreadId: null,
        },
        createdAtMs: asked.createdAtMs,
        expiresAtMs: asked.expiresAtMs,
      },
    });
    await call('exec.approval.resolve', { id: 'approval-1', decision: 'allow-once' }, { displayName: 'Approver' });
    expect(await deciding).toEqual({ decision: 'allow-once', resolvedBy: 'Approver' });
    expect(sent[1]).toMatchObject({
      event: 'exec.approval.resolved',
      payload: { id: 'approval-1', decision: 'allow-once', resolvedBy: 'Approver', request: sent[0]?.payload.request },
    });
  });

  it('of another kind than exec goes the way of plugin approvals', async () => {
    const { approver, sent, call } = await load();
    const deciding = approver.decide(request({ kind: 'plugin', pluginId: 'shop', severity: 'critical' }), open);
    expect(sent[0]).toMatchObject({ event: 'plugin.approval.requested', payload: { request: { title: 'Run a command', pluginId: 'shop', toolName: null } } });
    await expect(call('exec.approval.resolve', { id: 'approval-1', decision: 'deny' })).rejects.toThrow('unknown or expired');
    await call('plugin.approval.resolve', { id: 'approval-1', decision: 'deny' });
    expect(await deciding).toMatchObject({ decision: 'deny', resolvedBy: 'cli' });
  });

  it('ends as a deny at its expiry, without an event', async () => {
    vi.useFakeTimers({ now });
    const { approver, sent } = await load();
    const deciding = approver.decide(request({ createdAtMs: now, expiresAtMs: now + 1000 }), open);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await deciding).toMatchObject({ decision: 'deny', reason: 'nobody answered in time' });
    expect(sent.map(({ event }) => event)).toEqual(['exec.approval.requested']);
  });

  it('that is withdrawn closes the prompts of clients', async () => {
    const { approver, sent, call } = await load();
    const abort = new AbortController();
    const deciding = approver.decide(request(), { signal: abort.signal });
    abort.abort();
    expect(await deciding).toMatchObject({ decision: 'deny', reason: 'the request was withdrawn' });
    expect(sent[1]).toMatchObject({ event: 'exec.approval.resolved', payload: { decision: 'deny' } });
    await expect(call('exec.approval.resolve', { id: 'approval-1', decision: 'allow-once' })).rejects.toThrow('unknown or expired');
  });

  it('is denied when the extension is disposed', async () => {
    const { approver, dispose } = await load();
    const deciding = approver.decide(request(), open);
    await dispose();
    expect((await deciding)?.decision).toBe('deny');
  });

  it('with an id that is pending is denied and leaves the first alone', async () => {
    const { approver, call } = await load();
    const first = approver.decide(request(), open);
    expect((await approver.decide(request(), open))?.decision).toBe('deny');
    await call('exec.approval.resolve', { id: 'approval-1', decision: 'allow-once' });
    expect((await first)?.decision).toBe('allow-once');
  });
});

describe('methods', () => {
  it('are those of the manifest: the policy file for operator.admin, all others for operator.approvals', async () => {
    const { methods } = await load();
    expect([...methods.keys()].sort()).toEqual([...manifest.contracts.gatewayMethods].sort());
    for (const [name, { scope }] of methods) expect(scope).toBe(name.startsWith('exec.approvals.') ? 'operator.admin' : 'operator.approvals');
  });

  it('request answers in two phases when asked to, and waitDecision hears the same decision, also a moment later', async () => {
    vi.useFakeTimers({ now });
    const { call } = await load();
    const accepted = vi.fn();
    const params = {
      id: 'approval-1',
      host: 'node',
      nodeId: 'n1',
      command: 'echo hi',
      systemRunPlan: { argv: ['/bin/echo', 'hi'], cwd: null, commandText: '/bin/echo hi', agentId: 'main', sessionKey: 'agent:main:main' },
      timeoutMs: 20_000,
      twoPhase: true,
    };
    const final = call('exec.approval.request', params, { accepted });
    const times = { id: 'approval-1', createdAtMs: now, expiresAtMs: now + 20_000 };
    expect(accepted).toHaveBeenCalledExactlyOnceWith({ status: 'accepted', ...times });
    const waiting = call('exec.approval.waitDecision', { id: 'approval-1' });
    expect(await call('exec.approval.list', {})).toMatchObject({ approvals: [{ id: 'approval-1', request: { command: '/bin/echo hi', host: 'node' } }] });
    expect(await call('exec.approval.resolve', { id: 'appr', decision: 'allow-always' })).toEqual({ ok: true });
    expect(await final).toEqual({ ...times, decision: 'allow-always' });
    expect(await waiting).toEqual({ ...times, decision: 'allow-always' });
    await vi.advanceTimersByTimeAsync(14_000);
    expect(await call('exec.approval.waitDecision', { id: 'approval-1' })).toMatchObject({ decision: 'allow-always' });
    await vi.advanceTimersByTimeAsync(2000);
    await expect(call('exec.approval.waitDecision', { id: 'approval-1' })).rejects.toThrow('approval expired or not found');
  });

  it('request answers null at once when nobody but the caller is connected', async () => {
    const { call, setListeners, sent } = await load();
    setListeners(1);
    expect(await call('exec.approval.request', { command: 'ls' })).toMatchObject({ decision: null });
    expect(sent).toEqual([]);
  });

  it.each([
    ['exec.approval.request', {}, 'command is required'],
    ['exec.approval.request', { host: 'node', command: 'ls' }, 'nodeId is required'],
    ['exec.approval.request', { host: 'node', nodeId: 'n', command: 'ls' }, 'systemRunPlan is required for host=node'],
    ['exec.approval.request', { command: 'ls', timeoutMs: 0 }, 'timeoutMs'],
    ['exec.approval.request', { command: 'ls', id: 'pending-a' }, 'approval id already pending'],
    ['plugin.approval.request', { title: '', description: 'x' }, 'title must have 1 to 80 characters'],
    ['plugin.approval.request', { title: 'x', description: 'x'.repeat(257) }, 'description must have 1 to 256 characters'],
    ['exec.approval.resolve', { decision: 'deny' }, "'id'"],
    ['exec.approval.resolve', { id: 'pending-a', decision: 'yes' }, 'invalid decision'],
    ['exec.approval.resolve', { id: 'pending', decision: 'deny' }, 'ambiguous approval id prefix; matches: pending-a, pending-b'],
    ['exec.approval.resolve', { id: 'pending-b', decision: 'allow-always' }, 'allow-always is unavailable because'],
    ['exec.approval.waitDecision', { id: 'zz' }, 'approval expired or not found'],
  ])('%s %j is refused', async (method, params, text) => {
    const { call, approver } = await load();
    void approver.decide(request({ id: 'pending-a' }), open);
    void approver.decide(request({ id: 'pending-b', ask: 'always' }), open);
    await expect(call(method, params)).rejects.toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining(text) });
  });

  it('resolve of an unknown id says so in its details', async () => {
    const { call } = await load();
    await expect(call('exec.approval.resolve', { id: 'zz', decision: 'deny' })).rejects.toMatchObject({
      message: 'unknown or expired approval id',
      details: { reason: 'APPROVAL_NOT_FOUND' },
    });
  });
});

it('requests beyond what anybody could decide are refused, and come through again when some are decided', async () => {
  const { approver, call } = await load();
  const waiting = Array.from({ length: 1000 }, (_, i) => approver.decide(request({ id: `full-${i}` }), open));
  expect(await approver.decide(request({ id: 'one-more' }), open)).toEqual({ decision: 'deny', reason: 'too many approvals are pending' });
  await expect(call('exec.approval.request', { command: 'echo hi' })).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  await call('exec.approval.resolve', { id: 'full-7', decision: 'deny' });
  const asked = call('exec.approval.request', { id: 'now', command: 'echo hi' });
  await call('exec.approval.resolve', { id: 'now', decision: 'allow-once' });
  expect(await asked).toMatchObject({ id: 'now', decision: 'allow-once' });
  for (let i = 0; i < 1000; i += 1) if (i !== 7) await call('exec.approval.resolve', { id: `full-${i}`, decision: 'deny' });
  expect(new Set((await Promise.all(waiting)).map((one) => one?.decision))).toEqual(new Set(['deny']));
});

it('a request has one decision, however many decide at once', async () => {
  const { approver, call, sent } = await load();
  const asked = approver.decide(request({ id: 'once' }), open);
  const decided = await Promise.allSettled(
    (['deny', 'allow-once', 'allow-always'] as const).map((decision) => call('exec.approval.resolve', { id: 'once', decision })),
  );
  expect(decided.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  expect(await asked).toMatchObject({ decision: 'deny' });
  expect(sent.filter(({ event }) => event === 'exec.approval.resolved')).toHaveLength(1);
});

describe('/approve', () => {
  const scopes = { gatewayClientScopes: ['operator.write', 'operator.approvals'] };

  it.each([
    ['allow-once', 'allow-once', 'Approved (allow-once).'],
    ['always', 'allow-always', 'Approved (allow-always).'],
    ['deny', 'deny', 'Denied.'],
  ])('%s decides what waits', async (word, decision, text) => {
    const { approver, say } = await load();
    const deciding = approver.decide(request(), open);
    expect(await say(`approval-1 ${word}`, scopes)).toEqual({ text });
    expect(await deciding).toMatchObject({ decision });
  });

  it('finds requests of extensions, and says what it does not understand', async () => {
    const { approver, say } = await load();
    const deciding = approver.decide(request({ id: 'other-1', kind: 'plugin' }), open);
    expect(await say('nothing deny', scopes)).toEqual({ text: 'Nothing with the id "nothing" waits for an approval.', isError: true });
    for (const args of ['', 'other-1', 'other-1 maybe', 'other-1 deny please'])
      expect(await say(args, scopes)).toMatchObject({ text: expect.stringContaining('Usage'), isError: true });
    await say('other-1 allow', scopes);
    expect(await deciding).toMatchObject({ decision: 'allow-once' });
    expect(await say('other-1 deny', scopes)).toMatchObject({ isError: true });
  });

  it('does not allow what the request does not', async () => {
    const { approver, say } = await load();
    const deciding = approver.decide(request({ allowedDecisions: ['allow-once', 'deny'] }), open);
    expect(await say('approval-1 always', scopes)).toMatchObject({ isError: true, text: expect.stringContaining('unavailable') });
    await say('approval-1 deny', scopes);
    await deciding;
  });

  it.each([
    ['a client without the scope', { gatewayClientScopes: ['operator.write'] }, false],
    ['an administrator', { gatewayClientScopes: ['operator.admin'] }, true],
    ['a sender who may use commands', { channel: 'irc', senderId: 'ann' }, false],
    ['an owner', { channel: 'irc', senderId: 'ann', config: { commands: { ownerAllowFrom: ['irc:ann'] } } }, true],
    ['an owner elsewhere', { channel: 'irc', senderId: 'ann', config: { commands: { ownerAllowFrom: ['telegram:ann', 'bob'] } } }, false],
  ])('is for those who may: %s', async (_who, more, allowed) => {
    const { approver, say, call } = await load();
    const deciding = approver.decide(request(), open);
    expect((await say('approval-1 deny', more))?.isError).toBe(allowed ? undefined : true);
    if (!allowed) await call('exec.approval.resolve', { id: 'approval-1', decision: 'deny' });
    await deciding;
  });
});
