import type { PluginApi, Tool, ToolContext, ToolFactory, ToolResult } from 'Durar/plugin-sdk/core';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolContract } from '../../../sdk/contract/tool.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import manifest from './Durar.plugin.json' with { type: 'json' };
import entry from './index.ts';

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

let root: string;
let workspaceDir: string;
let stateDir: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'durar-files-')));
  workspaceDir = join(root, 'workspace');
  stateDir = join(root, 'state');
  await mkdir(workspaceDir);
  await mkdir(stateDir);
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

function load({ config = {}, pluginConfig = {}, sandboxed = false }: { config?: object; pluginConfig?: object; sandboxed?: boolean } = {}) {
  let factory: ToolFactory | undefined;
  let names: string[] | undefined;
  void entry.register({
    pluginConfig,
    runtime: { state: { resolveStateDir: () => stateDir } },
    registerTool: (made: ToolFactory, options: { names: string[] }) => {
      factory = made;
      names = options.names;
      return { ok: true };
    },
  } as unknown as PluginApi);
  const made = factory?.({ config, workspaceDir, agentId: 'main', sessionKey: 'k', sessionId: 's', sandboxed } as ToolContext & { config: object });
  const tools = (made ?? []) as Tool[];
  const call = async (name: string, params: Record<string, unknown>): Promise<ToolResult> => {
    const tool = tools.find((one) => one.name === name);
    if (tool === undefined) throw new Error(`no tool ${name}`);
    return tool.execute('call-1', params);
  };
  return { made, names, tools, call };
}

function text(result: ToolResult): string {
  return result.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

const inWorkspace = (name: string) => join(workspaceDir, name);

for (const [name, good, bad] of [
  ['read', { path: 'a.txt' }, { path: 'missing' }],
  ['write', { path: 'new.txt', content: 'x' }, { path: '.', content: 'x' }],
  ['edit', { path: 'a.txt', edits: [{ oldText: 'one', newText: 'two' }] }, { path: 'a.txt', edits: [{ oldText: 'absent', newText: 'x' }] }],
] as const) {
  describe(name, () => {
    describeContract(toolContract, async () => {
      const dir = await mkdtemp(join(tmpdir(), 'durar-files-'));
      [workspaceDir, stateDir] = [dir, join(dir, 'none')];
      await writeFile(join(dir, 'a.txt'), 'one\n');
      const tool = load().tools.find((one) => one.name === name);
      if (tool === undefined) throw new Error(`no tool ${name}`);
      return { tool, goodCall: () => structuredClone(good), badCall: () => structuredClone(bad), dispose: () => rm(dir, { recursive: true, force: true }) };
    });
  });
}

it('makes the tools that its manifest declares, and none for a sandboxed run', () => {
  const { tools, names } = load();
  expect(tools.map(({ name }) => name)).toEqual(manifest.contracts.tools);
  expect(names).toEqual(manifest.contracts.tools);
  expect(load({ sandboxed: true }).made).toBeNull();
});

describe('read', () => {
  it('returns a short file as it is', async () => {
    await writeFile(inWorkspace('a.txt'), '\uFEFFone\ntwo\n');
    expect(text(await load().call('read', { path: 'a.txt' }))).toBe('one\ntwo\n');
  });

  it('returns lines from offset, as many as limit says, and tells how to go on', async () => {
    await writeFile(inWorkspace('a.txt'), Array.from({ length: 10 }, (_, index) => `line ${index + 1}`).join('\n'));
    const { call } = load();
    const middle = await call('read', { path: 'a.txt', offset: 3, limit: 2 });
    expect(text(middle)).toBe('line 3\nline 4\n\n[lines 3 to 4; more follow, go on with offset 5]');
    expect(middle.details).toMatchObject({ from: 3, lines: 2, next: 5 });
    expect(text(await call('read', { path: 'a.txt', offset: 9, limit: 2 }))).toBe('line 9\nline 10');
    await expect(call('read', { path: 'a.txt', offset: 11 })).rejects.toThrow('fewer than 11 lines');
  });

  it.each([
    ['lines', { maxLines: 3 }, '1\n2\n3\n4\n5\n', '1\n2\n3\n\n[lines 1 to 3; more follow, go on with offset 4]'],
    ['characters at a line', { maxChars: 1000 }, `${'x'.repeat(998)}\nyy\nz\n`, `${'x'.repeat(998)}\n\n[lines 1 to 1; more follow, go on with offset 2]`],
    [
      'characters of one line',
      { maxChars: 1000 },
      `${'x'.repeat(2000)}\n`,
      `${'x'.repeat(1000)}\n\n[line 1 is cut after 1000 characters; lines 1 to 1; more follow, go on with offset 2]`,
    ],
  ])('stops at the limit of %s', async (_name, pluginConfig, content, expected) => {
    await writeFile(inWorkspace('a.txt'), content);
    expect(text(await load({ pluginConfig }).call('read', { path: 'a.txt' }))).toBe(expected);
  });

  it('gives every line of a large file exactly once, whatever the chunks', async () => {
    const lines = Array.from({ length: 30_000 }, (_, index) => `${index} ü€😀`);
    await writeFile(inWorkspace('big.txt'), lines.join('\n'));
    const { call } = load({ pluginConfig: { maxLines: 7000, maxChars: 60_000 } });
    const found: string[] = [];
    for (let offset: number | undefined = 1; offset !== undefined; ) {
      const result: ToolResult = await call('read', { path: 'big.txt', offset });
      found.push(
        ...text(result)
          .replace(/\n\n\[lines .*\]$/, '')
          .split('\n'),
      );
      offset = (result.details as { next?: number }).next;
    }
    expect(found).toEqual(lines);
  });

  it('returns an image as an image block', async () => {
    await writeFile(inWorkspace('a.bin'), PNG);
    const result = await load().call('read', { path: 'a.bin' });
    expect(result.content[1]).toEqual({ type: 'image', data: PNG.toString('base64'), mimeType: 'image/png' });
    await writeFile(inWorkspace('b.png'), Buffer.concat([PNG, Buffer.alloc(2000)]));
    await expect(load({ pluginConfig: { maxImageBytes: 1000 } }).call('read', { path: 'b.png' })).rejects.toThrow('the limit is 1000');
  });

  it.each([
    ['a zero byte', Buffer.from('ab\0c')],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0xc3, 0x28])],
    ['a cut character at the end', Buffer.from([0x61, 0xe2, 0x82])],
  ])('refuses a file with %s', async (_name, content) => {
    await writeFile(inWorkspace('a.bin'), content);
    await expect(load().call('read', { path: 'a.bin' })).rejects.toThrow("'a.bin' is a binary file");
  });

  it('says what a folder, a pipe or a missing file is', async () => {
    await mkdir(inWorkspace('sub'));
    execFileSync('mkfifo', [inWorkspace('pipe')]);
    const { call } = load();
    await expect(call('read', { path: 'sub' })).rejects.toThrow("'sub' is a folder");
    await expect(call('read', { path: 'pipe' })).rejects.toThrow("'pipe' is not a regular file");
    await expect(call('read', { path: 'none' })).rejects.toThrow("there is no file 'none'");
  });
});

describe('write', () => {
  it('makes a file and its folders, and leaves nothing else behind', async () => {
    const result = await load().call('write', { path: 'a/b/c.txt', content: 'héllo' });
    expect(text(result)).toBe('Made a/b/c.txt (6 bytes).');
    expect(await readFile(inWorkspace('a/b/c.txt'), 'utf8')).toBe('héllo');
    expect(await readdir(inWorkspace('a/b'))).toEqual(['c.txt']);
  });

  it('replaces a file in one step and keeps its permissions', async () => {
    await writeFile(inWorkspace('run.sh'), 'old');
    await chmod(inWorkspace('run.sh'), 0o750);
    const before = await stat(inWorkspace('run.sh'));
    expect(text(await load().call('write', { path: 'run.sh', content: 'new' }))).toContain('Replaced');
    const after = await stat(inWorkspace('run.sh'));
    expect(after.mode & 0o777).toBe(0o750);
    expect(after.ino).not.toBe(before.ino);
  });

  it('writes through a link that stays in the workspace, and keeps the link', async () => {
    await writeFile(inWorkspace('real.txt'), 'old');
    await symlink('real.txt', inWorkspace('link.txt'));
    await load().call('write', { path: 'link.txt', content: 'new' });
    expect(await readFile(inWorkspace('real.txt'), 'utf8')).toBe('new');
    expect(await realpath(inWorkspace('link.txt'))).toBe(inWorkspace('real.txt'));
  });
});

describe('edit', () => {
  async function edited(content: string, edits: unknown): Promise<string> {
    await writeFile(inWorkspace('a.txt'), content);
    await load().call('edit', { path: 'a.txt', edits });
    return readFile(inWorkspace('a.txt'), 'utf8');
  }

  it('makes several edits, each in the text as it was', async () => {
    const edits = [
      { oldText: 'three', newText: 'one' },
      { oldText: 'one', newText: '$& three' },
    ];
    expect(await edited('one two three', edits)).toBe('$& three two one');
  });

  it('keeps the line endings and the mark at the beginning of a file', async () => {
    expect(await edited('\uFEFFa\r\nb\r\nc\r\n', [{ oldText: 'a\nb', newText: 'x\ny' }])).toBe('\uFEFFx\r\ny\r\nc\r\n');
  });

  it.each([
    ['a text that is not there', [{ oldText: 'zz', newText: '' }], 'oldText does not occur'],
    ['a text that is there twice', [{ oldText: 'a', newText: '' }], 'oldText occurs more than once'],
    ['a text that overlaps itself', [{ oldText: 'bcb', newText: '' }], 'more than once'],
    [
      'one good and one bad edit',
      [
        { oldText: 'end', newText: 'x' },
        { oldText: 'zz', newText: '' },
      ],
      'oldText of edit 2 does not occur',
    ],
    [
      'edits that overlap',
      [
        { oldText: 'the e', newText: 'x' },
        { oldText: 'end', newText: 'y' },
      ],
      'overlap',
    ],
    ['an empty oldText', [{ oldText: '', newText: 'x' }], 'is empty'],
    ['no change', [{ oldText: 'end', newText: 'end' }], 'as it was'],
    ['no edits', [], 'no edits'],
    ['an edit without newText', [{ oldText: 'end' }], 'needs oldText and newText'],
  ])('changes nothing for %s', async (_name, edits, message) => {
    const content = 'a bcbcb a the end';
    await expect(edited(content, edits)).rejects.toThrow(message);
    expect(await readFile(inWorkspace('a.txt'), 'utf8')).toBe(content);
  });

  it('two edits of one file at once are both made', async () => {
    await writeFile(inWorkspace('a.txt'), 'one two three');
    const { call } = load();
    const replace = (oldText: string, newText: string) => call('edit', { path: 'a.txt', edits: [{ oldText, newText }] });
    await Promise.all([replace('one', '1'), replace('two', '2'), replace('three', '3')]);
    expect(await readFile(inWorkspace('a.txt'), 'utf8')).toBe('1 2 3');
  });

  it('refuses a binary file', async () => {
    await writeFile(inWorkspace('a.bin'), Buffer.from([0x61, 0xff, 0x62]));
    await expect(load().call('edit', { path: 'a.bin', edits: [{ oldText: 'a', newText: 'b' }] })).rejects.toThrow('binary');
  });
});

describe('reach', () => {
  const free = { config: { tools: { fs: { workspaceOnly: false } } } };

  it.each([
    ['..', 'lies outside the workspace'],
    ['../secret.txt', 'lies outside the workspace'],
    ['sub/../../secret.txt', 'lies outside the workspace'],
    ['/etc/hostname', 'lies outside the workspace'],
    ['~/secret.txt', 'lies outside the workspace'],
    ['out/secret.txt', 'lies outside the workspace'],
    ['out-file', 'lies outside the workspace'],
    ['out/new/file.txt', 'lies outside the workspace'],
    ['dangling', 'leads nowhere'],
    ['', 'is empty'],
    ['a\0b', 'not a text'],
  ])('%j is refused by every tool', async (path, message) => {
    await writeFile(join(root, 'secret.txt'), 'secret');
    await symlink(root, inWorkspace('out'));
    await symlink(join(root, 'secret.txt'), inWorkspace('out-file'));
    await symlink(join(root, 'not-there'), inWorkspace('dangling'));
    const { call } = load();
    await expect(call('read', { path })).rejects.toThrow(message);
    await expect(call('write', { path, content: 'x' })).rejects.toThrow(message);
    await expect(call('edit', { path, edits: [{ oldText: 'secret', newText: 'x' }] })).rejects.toThrow(message);
    expect(await readFile(join(root, 'secret.txt'), 'utf8')).toBe('secret');
    expect((await readdir(root)).sort()).toEqual(['secret.txt', 'state', 'workspace']);
  });

  it('a name that begins with two dots is a name', async () => {
    await load().call('write', { path: '..name', content: 'x' });
    expect(await readFile(inWorkspace('..name'), 'utf8')).toBe('x');
  });

  it('workspaceOnly: false opens the rest of the machine, for one agent too', async () => {
    await writeFile(join(root, 'other.txt'), 'other');
    expect(text(await load(free).call('read', { path: join(root, 'other.txt') }))).toBe('other');
    const forAgent = { config: { tools: { fs: { workspaceOnly: true } }, agents: { list: [{ id: 'main', tools: { fs: { workspaceOnly: false } } }] } } };
    expect(text(await load(forAgent).call('read', { path: '../other.txt' }))).toBe('other');
    const strict = { config: { tools: { fs: { workspaceOnly: false } }, agents: { list: [{ id: 'main', tools: { fs: { workspaceOnly: true } } }] } } };
    await expect(load(strict).call('read', { path: '../other.txt' })).rejects.toThrow('outside');
  });

  it('the state directory is out of reach in any case, a workspace inside it is not', async () => {
    const policy = join(stateDir, 'exec-approvals.json');
    await writeFile(policy, '{}');
    await symlink(stateDir, inWorkspace('state'));
    for (const path of [policy, 'state/exec-approvals.json']) {
      await expect(load(free).call('read', { path })).rejects.toThrow('state directory');
      await expect(load(free).call('write', { path, content: 'x' })).rejects.toThrow('state directory');
    }
    workspaceDir = root;
    await expect(load().call('write', { path: 'state/exec-approvals.json', content: 'x' })).rejects.toThrow('state directory');
    workspaceDir = join(stateDir, 'workspace');
    await mkdir(workspaceDir);
    await load().call('write', { path: 'a.txt', content: 'x' });
    await expect(load(free).call('write', { path: '../exec-approvals.json', content: 'x' })).rejects.toThrow('state directory');
    workspaceDir = stateDir;
    await expect(load().call('write', { path: 'exec-approvals.json', content: 'x' })).rejects.toThrow('state directory');
    expect(await readFile(policy, 'utf8')).toBe('{}');
  });
});
