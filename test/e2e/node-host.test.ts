import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, newDevice, type Socket, TOKEN } from '../conformance/harness.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

/** A gateway on one machine, `durar node run` on another, operators beside them. */
let here: Machine;
let there: Machine;
let gateway: GatewayProcess;
let host: NodeProcess;

interface NodeProcess {
  child: ChildProcess;
  nodeId: string;
  output(): string;
}

const lines = async (file: string) => (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean);

async function startNode(machine: Machine, port: number): Promise<NodeProcess> {
  const child = spawn(
    process.execPath,
    [join(root, 'core/cli/durar.js'), 'node', 'run', '--host', '127.0.0.1', '--port', String(port), '--display-name', 'Workshop'],
    {
      cwd: machine.home,
      env: { ...machine.env, Durar_GATEWAY_TOKEN: TOKEN },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += String(chunk)));
  child.stderr.on('data', (chunk) => (printed += String(chunk)));
  await until(() => printed.includes('Connected to'), `the node connects:\n${printed}`);
  const identity = JSON.parse(await readFile(join(machine.stateDir, 'node', 'identity', 'device.json'), 'utf8')) as { deviceId: string };
  return { child, nodeId: identity.deviceId, output: () => printed };
}

beforeAll(async () => {
  here = await createMachine({ gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN } } });
  there = await createMachine();
  gateway = await here.start();
  host = await startNode(there, gateway.port);
});

afterAll(async () => {
  if (host?.child.exitCode === null) host.child.kill('SIGKILL');
  await here?.remove();
  await there?.remove();
});

let keys = 0;
const invoke = (socket: Socket, command: string, params: object, idempotencyKey = `key-${++keys}`) =>
  socket.call('node.invoke', { nodeId: host.nodeId, command, params, timeoutMs: 20_000, idempotencyKey });

const shell = (text: string) => ['/bin/sh', '-c', text];

/** Has a command prepared by the node and approved by another operator; resolves to what the run must say. */
async function approvedRun(op: Socket, command: string[], decision = 'allow-once') {
  const approver = await connect(gateway.url, { params: { scopes: ['operator.approvals'] } });
  const prepared = (await invoke(op, 'system.run.prepare', { command, agentId: 'main', sessionKey: 'agent:main:main' })).payload as {
    payload: { plan: { argv: string[]; commandText: string } };
  };
  const { plan } = prepared.payload;
  const asked = op.call('exec.approval.request', { host: 'node', nodeId: host.nodeId, command: plan.commandText, systemRunPlan: plan, timeoutMs: 20_000 });
  const { id } = (await approver.event('exec.approval.requested')).payload as { id: string };
  await approver.call('exec.approval.resolve', { id, decision });
  expect((await asked).payload).toMatchObject({ id, decision });
  approver.raw.close();
  return { id, plan, params: { command: plan.argv, agentId: 'main', sessionKey: 'agent:main:main', runId: id, approved: true, approvalDecision: decision } };
}

describe('a headless node', () => {
  it('waits for approval, is listed, renamed and described by the command line (PROTO-208, PROTO-209, PROTO-212 to PROTO-214)', async () => {
    const op = await connect(gateway.url);
    expect(await invoke(op, 'system.which', { bins: ['sh'] })).toMatchObject({ ok: false, error: { details: { reason: 'command not approved' } } });
    const { pending } = (await here.cli(['nodes', 'pending', '--json'])).json<{ pending: Array<{ nodeId: string; commands: string[] }> }>();
    expect(pending).toMatchObject([{ nodeId: host.nodeId, displayName: 'Workshop' }]);
    expect(pending[0]?.commands).toContain('system.run');
    const approved = await here.cli(['nodes', 'approve', '--latest', '--json']);
    expect(approved.json()).toMatchObject({ node: { nodeId: host.nodeId } });
    expect(approved.stdout).not.toContain('token');
    expect((await here.cli(['nodes', 'rename', '--node', 'workshop', '--name', 'Bench', '--json'])).json()).toMatchObject({ displayName: 'Bench' });
    expect((await here.cli(['nodes', 'list', '--connected', '--json'])).json()).toMatchObject({
      nodes: [{ nodeId: host.nodeId, displayName: 'Bench', connected: true, paired: true, caps: ['system'] }],
    });
    expect((await here.cli(['nodes', 'status', '--last-connected', '1h', '--json'])).json()).toMatchObject({ nodes: [{ nodeId: host.nodeId }] });
    expect((await here.cli(['nodes', 'status', '--last-connected', 'soon'])).code).toBe(2);
    expect((await here.cli(['nodes', 'describe', '--node', host.nodeId.slice(0, 8)])).stdout).toContain('system.execApprovals.get');
    const which = await here.cli(['nodes', 'invoke', '--node', 'bench', '--command', 'system.which', '--params', '{"bins":["sh","no-such-thing"]}', '--json']);
    expect(which.json()).toMatchObject({ ok: true, payload: { bins: { sh: expect.stringMatching(/\/sh$/) } } });
    expect((which.json() as { payload: { bins: object } }).payload.bins).not.toHaveProperty('no-such-thing');
    expect((await here.cli(['nodes', 'invoke', '--node', 'bench', '--command', 'system.run', '--params', '{"command":["ls"]}'])).code).toBe(2);
  });

  it('runs what was approved, once, and nothing else (PROTO-306, PROTO-310, PROTO-316)', async () => {
    const op = await connect(gateway.url);
    const file = join(there.home, 'once');
    const command = shell(`echo ran >> ${file}; echo out; echo err >&2; exit 3`);
    expect(await invoke(op, 'system.run', { command })).toMatchObject({ ok: false, error: { message: 'SYSTEM_RUN_DENIED: approval required' } });
    const { params } = await approvedRun(op, command);
    const result = { ok: true, payload: { exitCode: 3, stdout: 'out\n', stderr: 'err\n', success: false, timedOut: false } };
    expect((await invoke(op, 'system.run', params, 'the-run')).payload).toMatchObject(result);
    expect((await invoke(op, 'system.run', params, 'the-run')).payload).toMatchObject(result);
    expect((await invoke(op, 'system.run', params, 'again')).error).toMatchObject({ details: { code: 'APPROVAL_REQUIRED' } });
    expect(await lines(file)).toEqual(['ran']);

    const denied = await approvedRun(op, shell(`echo denied >> ${file}`), 'deny');
    expect((await invoke(op, 'system.run', { ...denied.params, approvalDecision: 'allow-once' })).error).toMatchObject({
      details: { code: 'APPROVAL_REQUIRED' },
    });
    expect(await lines(file)).toEqual(['ran']);
  });

  it('refuses a script that changed after it was approved, and ends what takes too long', async () => {
    const op = await connect(gateway.url);
    const [script, file] = [join(there.home, 'deploy.sh'), join(there.home, 'deployed')];
    await writeFile(script, `echo good >> ${file}\n`);
    const { plan, params } = await approvedRun(op, ['/bin/sh', script]);
    expect(plan).toMatchObject({ mutableFileOperand: { argvIndex: 1, path: script, sha256: expect.stringMatching(/^[\da-f]{64}$/) } });
    await writeFile(script, `echo evil >> ${file}\n`);
    expect((await invoke(op, 'system.run', params)).error).toMatchObject({ message: expect.stringContaining('the script has changed') });
    expect(await lines(file)).toEqual([]);

    const slow = await approvedRun(op, shell('sleep 30'));
    expect((await invoke(op, 'system.run', { ...slow.params, timeoutMs: 200 })).payload).toMatchObject({ payload: { timedOut: true, success: false } });
    const loud = await approvedRun(op, shell('head -c 300000 /dev/zero | tr "\\\\0" x'));
    const { payload } = (await invoke(op, 'system.run', loud.params)).payload as { payload: { stdout: string; truncated: boolean } };
    expect([payload.stdout.length, payload.truncated]).toEqual([200_000, true]);
  });

  it('remembers allow-always in its own policy file, which administrators read and write through the gateway (PROTO-229, PROTO-230)', async () => {
    const op = await connect(gateway.url);
    const always = await approvedRun(op, ['/bin/echo', 'one'], 'allow-always');
    expect((await invoke(op, 'system.run', always.params)).payload).toMatchObject({ payload: { stdout: 'one\n' } });
    expect((await invoke(op, 'system.run', { command: ['/bin/echo', 'two'] })).payload).toMatchObject({ payload: { stdout: 'two\n' } });
    const got = (await here.cli(['approvals', 'get', '--node', 'bench', '--json'])).json<{ path: string; file: { agents: object } }>();
    expect(got).toMatchObject({
      exists: true,
      path: join(there.stateDir, 'exec-approvals.json'),
      file: { agents: { main: { allowlist: [{ pattern: '/bin/echo' }] } } },
    });
    expect((await here.cli(['approvals', 'allowlist', 'remove', '/bin/echo', '--agent', 'main', '--node', 'bench', '--json'])).code).toBe(0);
    expect((await invoke(op, 'system.run', { command: ['/bin/echo', 'three'] })).error).toMatchObject({ message: 'SYSTEM_RUN_DENIED: approval required' });
    expect((await here.cli(['approvals', 'allowlist', 'add', '/usr/bin/git', '--gateway', '--json'])).code).toBe(0);
    expect((await here.cli(['approvals', 'get', '--json'])).json()).toMatchObject({
      path: join(here.stateDir, 'exec-approvals.json'),
      file: { agents: { '*': { allowlist: [{ pattern: '/usr/bin/git' }] } } },
      effective: { security: 'allowlist', ask: 'on-miss', askFallback: 'deny' },
    });
    const stale = await op.call('exec.approvals.node.set', { nodeId: host.nodeId, file: { version: 1 }, baseHash: '0'.repeat(64) });
    expect(stale.error).toMatchObject({ message: expect.stringContaining('changed since last load') });
    expect(await readFile(join(there.stateDir, 'exec-approvals.json'), 'utf8')).not.toContain('/bin/echo');
    await here.cli(['approvals', 'set', '--stdin', '--node', 'bench'], { input: '{"version":1,"defaults":{"security":"deny"}}' });
    const blocked = await approvedRun(op, ['/bin/echo', 'four']);
    expect((await invoke(op, 'system.run', blocked.params)).error).toMatchObject({ message: expect.stringContaining('allows no commands') });
  });

  it('keeps work for nodes over kill -9 of the gateway and executes nothing twice (PROTO-221, PROTO-222)', async () => {
    await here.cli(['approvals', 'set', '--stdin', '--node', 'bench'], { input: '{"version":1,"defaults":{"security":"full","ask":"off"}}' });
    const op = await connect(gateway.url);
    const device = newDevice();
    const away = { device, params: { role: 'node', scopes: [], client: { id: 'node-host', version: '1', platform: 'ios', mode: 'node' } } };
    (await connect(gateway.url, away)).raw.close();
    for (const type of ['status.request', 'location.request']) {
      expect(await op.call('node.pending.enqueue', { nodeId: device.id, type, ...(type === 'location.request' ? { priority: 'high' } : {}) })).toMatchObject({
        ok: true,
      });
    }
    const file = join(there.home, 'slow');
    const command = shell(`echo begun >> ${file}; sleep 1; echo done >> ${file}`);
    const lost = invoke(op, 'system.run', { command }, 'slow-run').catch((error: unknown) => error);
    await until(async () => (await lines(file)).length > 0, 'the command begins');
    await gateway.stop('SIGKILL');
    expect(String(await lost)).toContain('closed');

    const { port } = gateway;
    gateway = await here.start({ args: ['--port', String(port)] });
    const again = await connect(gateway.url);
    await until(
      async () =>
        ((await again.call('node.list', {})).payload as { nodes: Array<{ nodeId: string; connected: boolean }> }).nodes.some(
          (node) => node.nodeId === host.nodeId && node.connected,
        ),
      'the node comes back',
    );
    expect((await invoke(again, 'system.run', { command }, 'slow-run')).payload).toMatchObject({ payload: { exitCode: 0 } });
    expect(await lines(file)).toEqual(['begun', 'done']);

    const back = await connect(gateway.url, away);
    const drain = async () => ((await back.call('node.pending.drain', {})).payload as { items: Array<{ id: string; type: string }> }).items;
    expect((await drain()).map(({ type }) => type)).toEqual(['location.request', 'status.request']);
    expect((await drain()).map(({ id }) => id)).toEqual(['baseline-status']);
    expect(((await again.call('node.describe', { nodeId: host.nodeId })).payload as { displayName: string }).displayName).toBe('Bench');
  });

  it('ends cleanly on SIGTERM, with what it runs', async () => {
    const op = await connect(gateway.url);
    const file = join(there.home, 'killed');
    const running = invoke(op, 'system.run', { command: shell(`echo begun >> ${file}; sleep 5; echo done >> ${file}`) });
    await until(async () => (await lines(file)).length > 0, 'the command begins');
    const ended = new Promise((resolve) => host.child.once('exit', (code) => resolve(code)));
    host.child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect((await running).error).toMatchObject({ message: 'node disconnected (system.run)' });
    expect(await lines(file)).toEqual(['begun']);
  });
});
