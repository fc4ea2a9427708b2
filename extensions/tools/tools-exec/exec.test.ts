import type { ApprovalDecision, PluginApi, Tool, ToolContext, ToolFactory, ToolResult } from 'Durar/plugin-sdk/core';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolContract } from '../../../sdk/contract/tool.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import entry from './index.ts';

type Question = Parameters<ToolContext['requestApproval']>[0];

let root: string;
let workspaceDir: string;
let stateDir: string;
let file: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'durar-exec-')));
  workspaceDir = join(root, 'workspace');
  stateDir = join(root, 'state');
  file = join(stateDir, 'exec-approvals.json');
  await mkdir(workspaceDir);
  await mkdir(stateDir);
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

interface Setup {
  exec?: Record<string, unknown>;
  answer?: ApprovalDecision | null | (() => Promise<ApprovalDecision>);
  listeners?: number;
  agentId?: string;
  sandboxed?: boolean;
}

async function load({ exec = {}, answer = { decision: 'deny', resolvedBy: 'me' }, listeners = 1, agentId = 'main', sandboxed = false }: Setup = {}) {
  let factory: ToolFactory | undefined;
  const dispose = new AbortController();
  await entry.register({
    pluginConfig: { maxOutputChars: 2000 },
    signal: dispose.signal,
    runtime: { state: { resolveStateDir: () => stateDir }, gateway: { listeners: () => listeners } },
    registerTool: (made: ToolFactory) => {
      factory = made;
      return { ok: true };
    },
  } as unknown as PluginApi);
  const asked: Question[] = [];
  const tool = factory?.({
    config: { tools: { exec } },
    workspaceDir,
    agentId,
    sessionKey: 'agent:main:main',
    sessionId: 's',
    sandboxed,
    async requestApproval(question) {
      asked.push(question);
      return (typeof answer === 'function' ? answer() : answer) as Promise<ApprovalDecision>;
    },
  }) as Tool;
  const run = (command: string, more: Record<string, unknown> = {}, signal?: AbortSignal, onUpdate?: (partial: ToolResult) => void) =>
    tool.execute('call-1', { command, ...more }, signal, onUpdate);
  return { tool, run, asked, dispose };
}

const open = { security: 'full', ask: 'off' };

function text(result: ToolResult): string {
  return result.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

async function writePolicy(policy: unknown): Promise<void> {
  await writeFile(file, JSON.stringify(policy), { mode: 0o600 });
}

async function program(path: string, body = 'echo ran'): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

describeContract(toolContract, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'durar-exec-'));
  workspaceDir = dir;
  stateDir = dir;
  const { tool } = await load({ exec: open });
  return {
    tool,
    goodCall: () => ({ command: 'echo hi', env: { LANG: 'C' } }),
    badCall: () => ({ command: 'exit 3' }),
    endlessCall: () => ({ command: 'sleep 600' }),
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
});

describe('a command that may run', () => {
  it('runs in the workspace, in a shell, with the mark in its environment', async () => {
    const { run } = await load({ exec: open });
    expect(text(await run('pwd; echo "$Durar_SHELL"'))).toBe(`${workspaceDir}\nexec`);
  });

  it('runs in workdir with env, and keeps both streams in order', async () => {
    const { run } = await load({ exec: open });
    await mkdir(join(workspaceDir, 'sub'));
    expect(text(await run('pwd; echo "$WHO" >&2', { workdir: 'sub', env: { WHO: 'me' } }))).toBe(`${workspaceDir}/sub\nme`);
  });

  it('reports exit code and signal as an error result', async () => {
    const { run } = await load({ exec: open });
    const failed = await run('echo oops; exit 3');
    expect(failed).toMatchObject({ isError: true, details: { status: 'failed', exitCode: 3 } });
    expect(text(failed)).toBe('oops\n\n[exit code 3]');
    expect(text(await run('kill -9 $$'))).toContain('ended by SIGKILL');
  });

  it('keeps head and tail of a long output and removes terminal sequences', async () => {
    const { run } = await load({ exec: open });
    const result = await run('echo FIRST; seq 1 20000; printf "\\033[31mLAST\\033[0m"');
    expect(text(result)).toMatch(/^FIRST\n1\n[\s\S]*\[\d+ characters left out\][\s\S]*20000\nLAST$/);
    expect(text(result).length).toBeLessThan(2100);
  });

  it('streams what it says while it runs', async () => {
    const { run } = await load({ exec: open });
    const updates: string[] = [];
    const seen = Promise.withResolvers<void>();
    const call = run(`echo one; while [ ! -e '${root}/go' ]; do sleep 0.02; done; echo two`, {}, undefined, (partial) => {
      updates.push(text(partial));
      seen.resolve();
    });
    await seen.promise;
    await writeFile(join(root, 'go'), '');
    expect(text(await call)).toBe('one\ntwo');
    expect(updates[0]).toBe('one\n');
  });

  it('is killed with its children at the timeout', async () => {
    const { run } = await load({ exec: open });
    const result = await run(`(trap '' TERM; sleep 600) & echo $! > '${root}/pid'; wait`, { timeout: 0.3 });
    expect(result).toMatchObject({ isError: true, details: { timedOut: true } });
    expect(text(result)).toContain('killed after 0.3 s');
    await expect.poll(() => isAlive(join(root, 'pid'))).toBe(false);
  });

  it('is killed with its children when the run is aborted or the extension disposed', async () => {
    for (const how of ['abort', 'dispose'] as const) {
      const { run, dispose } = await load({ exec: open });
      const abort = new AbortController();
      const pid = join(root, how);
      const call = run(`sleep 600 & echo $! > '${pid}'; wait`, {}, abort.signal);
      await expect.poll(() => readFile(pid, 'utf8').catch(() => '')).toMatch(/\d\n/);
      (how === 'abort' ? abort : dispose).abort();
      await expect(call).rejects.toThrow();
      await expect.poll(() => isAlive(pid)).toBe(false);
    }
  });

  it('does not wait for what it leaves in the background', async () => {
    const { run } = await load({ exec: open });
    expect(text(await run('sleep 5 & echo done'))).toBe('done');
  });

  it('does not see the credentials of the gateway', async () => {
    process.env.Durar_GATEWAY_TOKEN = 'gateway-secret-1';
    const { run } = await load({ exec: open });
    try {
      expect(text(await run('env'))).not.toContain('gateway-secret-1');
    } finally {
      delete process.env.Durar_GATEWAY_TOKEN;
    }
  });

  it.each([
    ['', {}, 'empty'],
    ['ls', { workdir: 'nowhere' }, "'nowhere' cannot be used"],
    ['ls', { env: { PATH: '/tmp' } }, "'PATH' may not be set"],
    ['ls', { env: { LD_PRELOAD: 'x' } }, "'LD_PRELOAD' may not be set"],
    ['ls', { env: { DYLD_LIBRARY_PATH: 'x' } }, 'may not be set'],
    ['ls', { env: { BASH_ENV: 'x' } }, 'may not be set'],
    ['ls', { env: { 'BASH_FUNC_ls%%': '() { id; }' } }, 'may not be set'],
    ['ls', { env: { A: 1 } }, 'is not a text'],
  ])('%j %j is refused before anything runs', async (command, more, message) => {
    const { run } = await load({ exec: open });
    await expect(run(command, more)).rejects.toThrow(message);
  });
});

describe('the policy', () => {
  it('asks for what is not on the allowlist, and runs it when allowed (CARD-014)', async () => {
    const { run, asked } = await load({ answer: { decision: 'allow-once' } });
    expect(text(await run('echo hi', { env: { A: 'secret-value' } }))).toBe('hi');
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      kind: 'exec',
      command: 'echo hi',
      cwd: workspaceDir,
      envKeys: ['A'],
      security: 'allowlist',
      ask: 'on-miss',
      toolName: 'exec',
      toolCallId: 'call-1',
      resolvedPath: expect.stringMatching(/\/echo$/),
    });
    expect(JSON.stringify(asked)).not.toContain('secret-value');
  });

  it.each<[string, ApprovalDecision | null]>([
    ['a deny', { decision: 'deny', resolvedBy: 'me' }],
    ['null', null],
    ['an unknown decision', { decision: 'yes' } as unknown as ApprovalDecision],
  ])('%s keeps the command from running, and the model hears it', async (_name, answer) => {
    const { run } = await load({ answer });
    const result = await run(`touch '${root}/ran'`);
    expect(result).toMatchObject({ isError: true, details: { status: 'denied' } });
    expect(text(result)).toContain('did not run');
    await expect(stat(join(root, 'ran'))).rejects.toThrow('ENOENT');
  });

  it('a throw of the approval keeps the command from running', async () => {
    const { run } = await load({ answer: () => Promise.reject(new Error('broken')) });
    await expect(run(`touch '${root}/ran'`)).rejects.toThrow('broken');
    await expect(stat(join(root, 'ran'))).rejects.toThrow('ENOENT');
  });

  it.each([
    [{ security: 'deny' }, undefined, 'denied', 0],
    [{ security: 'allowlist', ask: 'off' }, undefined, 'denied', 0],
    [{ security: 'full', ask: 'off' }, undefined, 'completed', 0],
    [{ security: 'full', ask: 'on-miss' }, undefined, 'completed', 0],
    [{ security: 'full', ask: 'always' }, undefined, 'completed', 1],
    [{ security: 'full', ask: 'off' }, { defaults: { security: 'deny' } }, 'denied', 0],
    [{ security: 'full', ask: 'off' }, { defaults: { ask: 'always' } }, 'completed', 1],
    [{ security: 'full', ask: 'off' }, { agents: { '*': { security: 'deny' } } }, 'denied', 0],
    [{ security: 'full', ask: 'off' }, { defaults: { security: 'deny' }, agents: { main: { security: 'full' } } }, 'completed', 0],
    [{ security: 'full', ask: 'off' }, { agents: { default: { security: 'deny' } } }, 'denied', 0],
    [{ security: 'deny' }, { defaults: { security: 'full' } }, 'denied', 0],
    [{ security: 'everything', ask: 'off' }, undefined, 'denied', 0],
    [{ security: 'full', ask: 'sometimes' }, undefined, 'completed', 1],
    [{ security: 'full', ask: 'off', host: 'sandbox' }, undefined, 'denied', 0],
  ])('config %j with file %j: %s, %i questions', async (exec, policy, status, questions) => {
    if (policy !== undefined) await writePolicy({ version: 1, ...policy });
    const { run, asked } = await load({ exec, answer: { decision: 'allow-once' } });
    expect(await run('echo hi')).toMatchObject({ details: { status } });
    expect(asked).toHaveLength(questions);
  });

  it.each([
    ['{ "version": 1', 'cannot be used'],
    ['[]', 'is not an object'],
    ['{"version":2}', 'version is 2'],
    ['{"defaults":{"security":"open"}}', "'security'"],
    ['{"agents":{"main":{"allowlist":[{"id":"x"}]}}}', 'no pattern'],
  ])('a file with %s stops every command', async (content, message) => {
    await writeFile(file, content, { mode: 0o600 });
    const { run } = await load({ exec: open });
    await expect(run('echo hi')).rejects.toThrow(message);
  });

  it('a file that others may write to stops every command', async () => {
    await writePolicy({ version: 1 });
    await chmod(file, 0o666);
    const { run } = await load({ exec: open });
    await expect(run('echo hi')).rejects.toThrow('others may write');
  });

  it('askFallback holds when nobody is connected and nobody decided, and only then', async () => {
    await writePolicy({ version: 1, defaults: { askFallback: 'full' } });
    const nobody = await load({ answer: { decision: 'deny' }, listeners: 0 });
    expect(await nobody.run('echo hi')).toMatchObject({ details: { status: 'completed' } });
    const someone = await load({ answer: { decision: 'deny', resolvedBy: 'policy' }, listeners: 0 });
    expect(await someone.run('echo hi')).toMatchObject({ details: { status: 'denied' } });
    const unanswered = await load({ answer: { decision: 'deny' }, listeners: 1 });
    expect(await unanswered.run('echo hi')).toMatchObject({ details: { status: 'denied' } });
  });

  it('offers no tool to a sandboxed run', async () => {
    expect((await load({ sandboxed: true })).tool).toBeNull();
  });
});

describe('the allowlist', () => {
  async function judged(command: string, pattern: string, more: Record<string, unknown> = {}, entry: Record<string, unknown> = {}) {
    await writePolicy({ version: 1, agents: { main: { allowlist: [{ pattern, ...entry }] } } });
    const { run, asked } = await load({ answer: { decision: 'deny', resolvedBy: 'me' } });
    await run(command, more);
    return asked.length === 0 ? 'ran' : 'asked';
  }

  it.each([
    'echo hi',
    'echo "a b" \'c\' \\; d',
    'echo one && echo two || echo three; echo four | cat',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own syntax
    'echo $HOME "${HOME}" *.txt',
    "echo '$(id)'",
    'echo a\n\necho b',
  ])('%j runs without a question', async (command) => {
    await writePolicy({ version: 1, agents: { '*': { allowlist: [{ pattern: '/**/ECHO' }] }, main: { allowlist: [{ pattern: '/**/c?t' }] } } });
    const { run, asked } = await load();
    await run(command);
    expect(asked).toEqual([]);
  });

  it.each([
    'echo $(id)',
    'echo "$(id)"',
    'echo `id`',
    'echo "`id`"',
    'echo hi > x',
    'echo hi >> x',
    'cat < x',
    'cat <(id)',
    'cat <<E\nid\nE',
    'echo hi &',
    'echo hi & id',
    'echo hi |& cat',
    '(echo hi)',
    '{ echo hi; }',
    'X=1 echo hi',
    'PATH=/tmp echo hi',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own syntax
    'echo ${X:=1}',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own syntax
    'echo ${X@P}',
    "echo $'a'",
    'echo $((1+1))',
    '$ECHO hi',
    'e?ho hi',
    '~/echo',
    "echo # '\nid #'",
    'echo \\\nhi',
    'echo "a\\\nb"',
    'echo "open',
    "echo 'open",
    'echo hi;; id',
    '! echo hi',
    'if echo hi; then id; fi',
    'time echo hi',
    'eval echo hi',
    'exec echo hi',
    'command echo hi',
    'source x',
    '. ./x',
    'cd / && echo hi',
    'alias echo=id',
    'bash -c "echo hi"',
    'sh x.sh',
    'env echo hi',
    'nice echo hi',
    'timeout 5 echo hi',
    'xargs echo',
    'sudo echo hi',
    'echo hi\rid',
    'nosuchprogram-x',
    './echo',
    'echo hi && id',
    'awk \'BEGIN { system("id") }\'',
    'find . -exec id ;',
    'find . -delete',
    'find . $LANG',
  ])('%j is asked for although its programs match', async (command) => {
    const pattern = command === 'echo hi && id' ? '/**/echo' : '/**';
    expect(await judged(command, pattern)).toBe('asked');
  });

  it('ignores patterns without a folder, and keeps * within one folder', async () => {
    expect(await judged('echo hi', 'echo')).toBe('asked');
    expect(await judged('echo hi', '/*')).toBe('asked');
    expect(await judged('echo hi', '/**/echo')).toBe('ran');
  });

  it('argPattern limits the arguments as a whole, and a broken one matches nothing', async () => {
    expect(await judged('echo status', '/**/echo', {}, { argPattern: 'status|log' })).toBe('ran');
    expect(await judged('echo status now', '/**/echo', {}, { argPattern: 'status|log' })).toBe('asked');
    expect(await judged('echo status', '/**/echo', {}, { argPattern: '(' })).toBe('asked');
  });

  it('argPattern does not judge what the shell has yet to expand', async () => {
    const once = { argPattern: '[^-].*' };
    expect(await judged('echo status', '/**/echo', {}, once)).toBe('ran');
    expect(await judged('echo $LANG', '/**/echo', { env: { LANG: '--output=/etc/passwd' } }, once)).toBe('asked');
    expect(await judged('echo "$LANG"', '/**/echo', { env: { LANG: '--output=/etc/passwd' } }, once)).toBe('asked');
    expect(await judged('echo *', '/**/echo', {}, once)).toBe('asked');
    expect(await judged('echo {a,-b}', '/**/echo', {}, once)).toBe('asked');
    expect(await judged("echo 'a*' \\*", '/**/echo', {}, once)).toBe('ran');
  });

  it('takes white space that no shell knows as a part of the name', async () => {
    const path = await program(join(root, 'tool'));
    expect(await judged(` \n${path}\t`, path)).toBe('ran');
    for (const space of ['\ufeff', '\u00a0', '\u2028', '\u3000']) expect(await judged(`${space}${path}`, path)).toBe('asked');
  });

  it('does not cover calls that change the environment, but for how output looks', async () => {
    expect(await judged('echo hi', '/**', { env: { GIT_PAGER: 'id' } })).toBe('asked');
    expect(await judged('echo hi', '/**', { env: { LC_ALL: 'C', NO_COLOR: '1' } })).toBe('ran');
  });

  it('sees through a link to a shell', async () => {
    await symlink('/bin/sh', join(root, 'innocent'));
    expect(await judged(`${root}/innocent -c id`, '/**')).toBe('asked');
  });

  it('strictInlineEval asks for inline code of interpreters', async () => {
    await writePolicy({ version: 1, agents: { main: { allowlist: [{ pattern: '/**' }] } } });
    const { run, asked } = await load({ exec: { strictInlineEval: true } });
    const inline = ['-e 1', '-e"1-1"', '-pe 1', '--eval=1', '--import data:text/javascript,1', '--import=data:text/javascript,1', '$LANG'];
    for (const args of inline) await run(`'${process.execPath}' ${args}`);
    expect(asked.map((question) => question.allowedDecisions)).toEqual(inline.map(() => ['allow-once', 'deny']));
    await run(`'${process.execPath}' --version`);
    expect(asked).toHaveLength(inline.length);
  });

  it('allow-always keeps the path for this agent, in a private file, beside what stands there', async () => {
    const path = await program(join(root, 'tool'));
    await writePolicy({ version: 1, defaults: { askFallback: 'deny' }, note: 'mine', agents: { other: { security: 'deny' } } });
    const { run, asked } = await load({ answer: { decision: 'allow-always' } });
    expect(text(await run(`${path} one | cat`))).toBe('ran');
    expect(text(await run(`${path} two`))).toBe('ran');
    expect(asked).toHaveLength(1);
    expect(asked[0]?.allowedDecisions).toContain('allow-always');
    const kept = JSON.parse(await readFile(file, 'utf8'));
    expect(kept).toMatchObject({ note: 'mine', agents: { other: { security: 'deny' }, main: { allowlist: [{ pattern: path, source: 'allow-always' }, {}] } } });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const other = await load({ agentId: 'third' });
    await other.run(`${path} three`);
    expect(other.asked).toHaveLength(1);
  });

  it('two allow-always at once are both kept', async () => {
    const { run } = await load({ answer: { decision: 'allow-always' } });
    const paths = await Promise.all(['a', 'b', 'c'].map((name) => program(join(root, name))));
    await Promise.all(paths.map((path) => run(path)));
    const kept = JSON.parse(await readFile(file, 'utf8'));
    expect(kept.agents.main.allowlist.map(({ pattern }: { pattern: string }) => pattern).sort()).toEqual(paths);
  });

  it.each([
    ['a program in the workspace, which the model can rewrite', () => program(join(workspaceDir, 'tool')), {}],
    ['a line that is not plain', async () => 'echo $(id)', {}],
    ['each use when the policy always asks', async () => 'echo hi', { ask: 'always' }],
  ])('allow-always is not on offer for %s', async (_name, command, exec) => {
    const { run, asked } = await load({ exec, answer: { decision: 'allow-once' } });
    await run(await command());
    expect(asked[0]?.allowedDecisions).toEqual(['allow-once', 'deny']);
  });
});

async function isAlive(pidFile: string): Promise<boolean> {
  const pid = Number(await readFile(pidFile, 'utf8'));
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // a killed process that nobody has waited for yet
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return state !== '' && !/^\d+ \(.*\) Z/.test(state);
}
