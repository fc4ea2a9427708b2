import { chmod, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApprovalsFile } from '../exec/approvals-file.ts';
import type { SystemRunPlan } from '../exec/plan.ts';
import type { SpawnResult } from '../exec/spawn.ts';
import { createNodeCommands } from './node-commands.ts';

let dir: string;
let file: string;
let stop: AbortController;

beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-node-')));
  file = join(dir, 'exec-approvals.json');
  stop = new AbortController();
});

afterEach(() => rm(dir, { recursive: true, force: true }));

const host = (env: NodeJS.ProcessEnv = { PATH: '/usr/bin:/bin', HOST_SECRET: 'kept', Durar_GATEWAY_TOKEN: 'example-token' }) =>
  createNodeCommands({ approvals: new ApprovalsFile(file), env, signal: stop.signal });
const policy = (content: object) => writeFile(file, JSON.stringify(content), { mode: 0o600 });
const prepare = async (params: Record<string, unknown>) => ((await host()('system.run.prepare', params)) as { plan: SystemRunPlan }).plan;
const run = (params: Record<string, unknown>) => host()('system.run', params) as Promise<SpawnResult>;
const approved = (plan: SystemRunPlan, more: object = {}) =>
  run({ command: plan.argv, rawCommand: plan.commandText, systemRunPlan: plan, approved: true, approvalDecision: 'allow-once', ...more });

describe('system.which', () => {
  it('finds programs on the path of the machine, and no other files', async () => {
    await writeFile(join(dir, 'tool'), '#!/bin/sh\n');
    const ask = (bins: unknown) => host({ PATH: `${dir}:relative:/bin` })('system.which', { bins });
    expect(await ask(['sh', 'tool', '../bin/sh', '/bin/sh', 'no-such'])).toEqual({ bins: { sh: '/bin/sh' } });
    await chmod(join(dir, 'tool'), 0o755);
    expect(await ask(['tool', 'test'])).toMatchObject({ bins: { tool: join(dir, 'tool') } });
    await expect(ask('sh')).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

describe('system.run', () => {
  it('runs what was approved, where it was approved, without a shell', async () => {
    const plan = await prepare({ command: ['pwd'], cwd: dir, agentId: 'main', sessionKey: 's', rawCommand: 'pwd' });
    expect(plan).toMatchObject({ argv: [expect.stringMatching(/^\/.*\/pwd$/)], cwd: dir, agentId: 'main', commandPreview: 'pwd' });
    expect(await approved(plan, { cwd: dir })).toMatchObject({ exitCode: 0, stdout: `${dir}\n`, success: true, timedOut: false });
    const echo = await prepare({ command: ['/bin/echo', '$HOME;ls', '*'] });
    expect((await approved(echo)).stdout).toBe('$HOME;ls *\n');
  });

  it('is refused where the policy of the machine says so, approved or not', async () => {
    const plan = await prepare({ command: ['/bin/echo', 'hi'] });
    await expect(run({ command: ['/bin/echo', 'hi'] })).rejects.toMatchObject({ code: 'SYSTEM_RUN_DENIED', message: 'approval required' });
    await policy({ defaults: { security: 'deny' } });
    await expect(approved(plan)).rejects.toMatchObject({ code: 'SYSTEM_RUN_DENIED', message: expect.stringContaining('allows no commands') });
    await policy({ defaults: { ask: 'off' } });
    await expect(run({ command: ['/bin/echo', 'hi'] })).rejects.toMatchObject({ message: 'allowlist miss' });
    await policy({ agents: { '*': { allowlist: [{ pattern: '/bin/echo' }] } } });
    expect((await run({ command: ['/bin/echo', 'hi'] })).stdout).toBe('hi\n');
    await policy({ defaults: { ask: 'always' }, agents: { '*': { allowlist: [{ pattern: '/bin/echo' }] } } });
    await expect(run({ command: ['/bin/echo', 'hi'] })).rejects.toMatchObject({ message: 'approval required' });
    await writeFile(file, 'no json', { mode: 0o600 });
    await expect(approved(plan)).rejects.toMatchObject({ code: 'SYSTEM_RUN_DENIED', message: expect.stringContaining('cannot be used') });
  });

  it.each([
    ['command', ['/bin/rm']],
    ['rawCommand', 'rm'],
    ['cwd', '/'],
    ['agentId', 'x'],
    ['sessionKey', 'x'],
  ])('is refused when %s is not that of the plan (PROTO-311 to PROTO-315)', async (field, value) => {
    const plan = await prepare({ command: ['/bin/echo', 'hi'], cwd: dir, agentId: 'main', sessionKey: 's' });
    await expect(approved(plan, { [field]: value })).rejects.toMatchObject({ code: 'SYSTEM_RUN_DENIED', message: `'${field}' is not what was approved` });
  });

  it('a claim without a plan, a plan without its script and a moved folder count for nothing', async () => {
    await expect(run({ command: ['/bin/echo', 'hi'], approved: true })).rejects.toMatchObject({ message: 'approval required' });
    const script = join(dir, 'job.sh');
    await writeFile(script, 'echo hi\n');
    const plan = await prepare({ command: ['/bin/sh', script] });
    const { mutableFileOperand: _pin, ...unpinned } = plan;
    await expect(approved(unpinned)).rejects.toMatchObject({ message: expect.stringContaining('does not say which script') });
    await expect(prepare({ command: ['/usr/bin/env', '/bin/sh', script] })).rejects.toMatchObject({ code: 'SYSTEM_RUN_DENIED' });
    const link = join(dir, 'link');
    await symlink('/usr', link);
    const moved: SystemRunPlan = { ...(await prepare({ command: ['/bin/pwd'] })), cwd: link };
    await expect(approved(moved)).rejects.toMatchObject({ message: expect.stringContaining('folder is another one') });
  });

  it('leaves out variables that choose what runs, and keeps credentials of the product to itself', async () => {
    const plan = await prepare({ command: ['/usr/bin/env'] }).catch(() => undefined);
    expect(plan).toBeUndefined();
    await policy({ defaults: { security: 'full', ask: 'off' } });
    const env = { LD_PRELOAD: '/x', PATH: '/evil', NODE_OPTIONS: '-r x', PYTHONPATH: '/x', OWN: 'yes', 'BAD-NAME': '1' };
    const { stdout } = await run({ command: ['env'], env });
    expect(stdout).toContain('OWN=yes\n');
    expect(stdout).toContain('HOST_SECRET=kept\n');
    expect(stdout).not.toMatch(/LD_PRELOAD|evil|NODE_OPTIONS|PYTHONPATH|BAD-NAME|example-token/);
    const shell = await run({ command: ['/bin/sh', '-c', 'env'], env: { OWN: 'yes', LANG: 'C' } });
    expect(shell.stdout).toContain('LANG=C\n');
    expect(shell.stdout).not.toContain('OWN=');
  });

  it('allow-always is kept for programs, never for scripts and shells', async () => {
    const always = async (command: string[]) => approved(await prepare({ command, agentId: 'main' }), { approvalDecision: 'allow-always', agentId: 'main' });
    await writeFile(join(dir, 'job.sh'), 'echo hi\n');
    await always(['/bin/sh', join(dir, 'job.sh')]);
    await always(['/bin/sh', '-c', 'echo hi']);
    await expect(readFile(file, 'utf8')).rejects.toThrow('ENOENT');
    await always(['/bin/echo', 'hi']);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ agents: { main: { allowlist: [{ pattern: '/bin/echo' }] } } });
  });

  it('kills the whole group at its timeout and when the node stops', async () => {
    await policy({ defaults: { security: 'full', ask: 'off' } });
    const mark = join(dir, 'mark');
    const command = ['/bin/sh', '-c', `(trap '' TERM; sleep 1.5; echo late > ${mark}) & echo started; wait`];
    expect(await run({ command, timeoutMs: 300 })).toMatchObject({ timedOut: true, success: false, stdout: 'started\n' });
    const running = run({ command: ['/bin/sleep', '30'] });
    setTimeout(() => stop.abort(), 100);
    expect(await running).toMatchObject({ exitCode: null, success: false });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await expect(readFile(mark)).rejects.toThrow('ENOENT');
  });

  it.each([
    [{}],
    [{ command: [] }],
    [{ command: 'ls' }],
    [{ command: ['a\0b'] }],
    [{ command: ['/bin/echo'], cwd: '/no/such' }],
    [{ command: ['/bin/echo'], systemRunPlan: {} }],
  ])('%j is not understood', async (params) => {
    await policy({ defaults: { security: 'full', ask: 'off' } });
    await expect(run(params)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it('says which program it does not have, and which command', async () => {
    await expect(run({ command: ['no-such-program'] })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    await expect(host()('camera.snap', {})).rejects.toMatchObject({ code: 'UNKNOWN_COMMAND' });
  });
});

describe('the policy file', () => {
  it('is answered without its token and written only over what was read (PROTO-229, PROTO-230)', async () => {
    const set = (next: object, baseHash?: string) => host()('system.execApprovals.set', { file: next, ...(baseHash === undefined ? {} : { baseHash }) });
    const first = (await set({ version: 1, socket: { token: 'example-token' } })) as { hash: string };
    expect(JSON.stringify(first)).not.toContain('example-token');
    await expect(set({})).rejects.toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('base hash required') });
    await expect(set({ agents: { main: { allowlist: [{}] } } }, first.hash)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await set({ version: 1, defaults: { ask: 'always' } }, first.hash);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ version: 1, defaults: { ask: 'always' }, socket: { token: 'example-token' } });
  });
});
