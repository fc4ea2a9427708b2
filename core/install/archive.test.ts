import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestArchive, extractArchive } from './archive.ts';

let dir: string;
let out: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durar-archive-'));
  out = join(dir, 'out');
  await mkdir(out);
});
afterEach(() => rm(dir, { recursive: true }));

/** An archive of one entry with exactly this header; no tool would write it. */
async function raw(header: {
  path: string;
  type: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice';
  linkpath?: string;
  content?: string;
  mode?: number;
}): Promise<string> {
  const content = Buffer.from(header.content ?? '');
  const block = Buffer.alloc(512);
  const { content: _content, ...fields } = header;
  new Header({ mode: 0o644, ...fields, size: content.length, mtime: new Date() }).encode(block, 0);
  const padded = Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
  const file = join(dir, 'raw.tar');
  await writeFile(file, Buffer.concat([block, padded, Buffer.alloc(1024)]));
  return file;
}

async function packed(gzip: boolean, names: string[]): Promise<string> {
  const file = join(dir, gzip ? 'x.tgz' : 'x.tar');
  await create({ gzip, file, cwd: dir }, names);
  return file;
}

describe('archives', () => {
  for (const gzip of [true, false]) {
    it(`drops the one folder that npm pack adds (gzip: ${gzip}) (CARD-030)`, async () => {
      await mkdir(join(dir, 'package/lib'), { recursive: true });
      await writeFile(join(dir, 'package/index.js'), 'a');
      await writeFile(join(dir, 'package/lib/b.js'), 'b');
      await extractArchive(await packed(gzip, ['package']), out);
      expect((await readdir(out, { recursive: true })).sort()).toEqual(['index.js', 'lib', 'lib/b.js']);
    });
  }

  it('keeps the layout of an archive without that folder', async () => {
    await mkdir(join(dir, 'lib'));
    await writeFile(join(dir, 'index.js'), 'a');
    await writeFile(join(dir, 'lib/b.js'), 'b');
    await extractArchive(await packed(true, ['index.js', 'lib']), out);
    expect((await readdir(out)).sort()).toEqual(['index.js', 'lib']);
  });

  it('lets nobody but the owner write what it unpacks', async () => {
    await extractArchive(await raw({ path: 'package/index.js', type: 'File', content: 'x', mode: 0o6777 }), out);
    expect((await stat(join(out, 'index.js'))).mode & 0o7777).toBe(0o755);
  });

  const refused = {
    'an absolute path': { path: '/etc/durar-test', type: 'File', reason: 'leads out' },
    'a path with ..': { path: 'package/../../escaped', type: 'File', reason: 'leads out' },
    'a drive letter': { path: 'C:/windows/x', type: 'File', reason: 'leads out' },
    'a symbolic link': { path: 'package/link', type: 'SymbolicLink', linkpath: '/etc/passwd', reason: 'not a plain file' },
    'a hard link': { path: 'package/link', type: 'Link', linkpath: '/etc/passwd', reason: 'not a plain file' },
    'a device': { path: 'package/dev', type: 'CharacterDevice', reason: 'not a plain file' },
  } as const;
  for (const [what, { reason, ...header }] of Object.entries(refused)) {
    it(`refuses ${what} before it writes anything`, async () => {
      await expect(extractArchive(await raw({ content: 'x', ...header }), out)).rejects.toMatchObject({
        code: 'DUR_INSTALL_ARCHIVE',
        message: expect.stringContaining(reason),
      });
      expect(await readdir(out)).toEqual([]);
    });
  }

  it('refuses what unpacks to more than the limit', async () => {
    await writeFile(join(dir, 'big'), Buffer.alloc(200_000));
    const file = await packed(true, ['big']);
    expect((await stat(file)).size).toBeLessThan(2_000);
    await expect(extractArchive(file, out, { files: 10, bytes: 100_000 })).rejects.toMatchObject({ code: 'DUR_INSTALL_ARCHIVE' });
    await expect(extractArchive(file, out, { files: 0, bytes: 1_000_000 })).rejects.toMatchObject({ code: 'DUR_INSTALL_ARCHIVE' });
    expect(await readdir(out)).toEqual([]);
  });

  it('refuses what is not an archive, is cut off, or is empty', async () => {
    await writeFile(join(dir, 'text.tgz'), 'hello, this is no archive');
    await writeFile(join(dir, 'a'), Buffer.alloc(50_000, 'abc'));
    const whole = await readFile(await packed(true, ['a']));
    await writeFile(join(dir, 'cut.tgz'), whole.subarray(0, whole.length / 2));
    await writeFile(join(dir, 'empty.tar'), Buffer.alloc(1024));
    await writeFile(join(dir, 'nothing.tar'), '');
    for (const name of ['text.tgz', 'cut.tgz', 'empty.tar', 'nothing.tar']) {
      await expect(extractArchive(join(dir, name), out), name).rejects.toMatchObject({ code: 'DUR_INSTALL_ARCHIVE' });
    }
  });

  it('digests as npm does', async () => {
    await writeFile(join(dir, 'x'), 'hello');
    expect(await digestArchive(join(dir, 'x'))).toEqual({
      integrity: 'sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==',
      shasum: 'aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d',
    });
  });
});

it('a link inside a folder becomes its file, one that leads out is refused', async () => {
  const { copyFolder } = await import('./local.ts');
  const from = join(dir, 'from');
  await mkdir(join(from, 'node_modules/x'), { recursive: true });
  await mkdir(join(from, '.git'));
  await writeFile(join(from, 'index.js'), 'a', { mode: 0o666 });
  await symlink('index.js', join(from, 'alias.js'));
  await copyFolder(from, out);
  expect((await readdir(out)).sort()).toEqual(['alias.js', 'index.js']);
  expect((await stat(join(out, 'alias.js'))).isFile()).toBe(true);
  await symlink('/etc/hostname', join(from, 'escape'));
  await expect(copyFolder(from, join(dir, 'second'))).rejects.toMatchObject({ code: 'DUR_INSTALL_SPEC', message: expect.stringContaining('escape') });
});
