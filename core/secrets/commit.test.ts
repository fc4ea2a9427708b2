import { spawn } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commitChanges } from './commit.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durar-commit-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = async (name: string, text: string) => {
  await writeFile(join(folder, name), text);
  return join(folder, name);
};
const content = async () =>
  Object.fromEntries(await Promise.all((await readdir(folder)).sort().map(async (name) => [name, await readFile(join(folder, name), 'utf8')])));

describe('commitChanges', () => {
  it('replaces, makes and removes files, for their owner alone, and leaves nothing beside them (SEC-207, SEC-210)', async () => {
    const [one, gone] = [await put('one', 'a'), await put('gone', 'b')];
    await commitChanges([
      { file: one, before: 'a', after: 'A' },
      { file: join(folder, 'new'), after: 'N' },
      { file: gone, before: 'b' },
    ]);
    expect(await content()).toEqual({ new: 'N', one: 'A' });
    expect(((await stat(one)).mode & 0o777).toString(8)).toBe('600');
  });

  it('leaves a link to a file a link (SEC-210)', async () => {
    const [real, link] = [await put('real', 'a'), join(folder, 'link')];
    await symlink(real, link);
    await commitChanges([{ file: link, before: 'a', after: 'A' }]);
    expect([(await lstat(link)).isSymbolicLink(), await readFile(real, 'utf8')]).toEqual([true, 'A']);
  });

  it('gives the files before the one that fails their old text back, and names it (SEC-211)', async () => {
    const files = [await put('a', '1'), await put('b', '2'), await put('c', '3')];
    const changes = files.map((file, at) => ({ file, before: String(at + 1), after: `new ${at}` }));
    // somebody else writes the last one meanwhile
    await writeFile(join(folder, 'c'), 'theirs');
    const failed = commitChanges([...changes, { file: join(folder, 'd'), after: 'new' }]);
    await expect(failed).rejects.toMatchObject({
      code: 'DUR_SECRETS_APPLY',
      owner: { file: files[2] },
      hint: expect.stringContaining('restored'),
      details: { changed: true },
    });
    expect(await content()).toEqual({ a: '1', b: '2', c: 'theirs' });
  });

  it('writes nothing when a later file cannot be written at all (SEC-211)', async () => {
    const first = await put('a', '1');
    await put('file', 'x');
    const failed = commitChanges([
      { file: first, before: '1', after: 'new' },
      { file: join(folder, 'file', 'below'), after: 'new' },
    ]);
    await expect(failed).rejects.toMatchObject({ code: 'DUR_SECRETS_APPLY', hint: expect.stringContaining('Nothing was changed') });
    expect(await content()).toEqual({ a: '1', file: 'x' });
  });

  it('gives all back when the result is not confirmed, but not what somebody wrote since, which it names (SEC-211)', async () => {
    const [one, two] = [await put('one', '1'), await put('two', '2')];
    const changes = [
      { file: one, before: '1', after: 'A' },
      { file: two, before: '2', after: 'B' },
      { file: join(folder, 'new'), after: 'N' },
    ];
    await expect(commitChanges(changes, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
    expect(await content()).toEqual({ one: '1', two: '2' });
    const refused = commitChanges(changes, async () => {
      await writeFile(two, 'theirs');
      throw new Error('refused');
    });
    await expect(refused).rejects.toMatchObject({ code: 'DUR_SECRETS_APPLY', message: expect.stringContaining(two) });
    expect(await content()).toEqual({ one: '1', two: 'theirs' });
  });

  it('killed at any moment leaves each file old or new, whole, and no old text beside it (SEC-207, SEC-210)', async () => {
    const count = 60;
    const old = (at: number) => `old ${at} ${'x'.repeat(5000)}`;
    const next = (at: number) => `new ${at} ${'y'.repeat(5000)}`;
    const program = `
      const { commitChanges } = await import(${JSON.stringify(new URL('./commit.ts', import.meta.url).href)});
      const changes = Array.from({ length: ${count} }, (_, at) => ({
        file: ${JSON.stringify(folder)} + '/data/' + at, before: 'old ' + at + ' ' + 'x'.repeat(5000), after: 'new ' + at + ' ' + 'y'.repeat(5000),
      }));
      process.stdout.write('go');
      await commitChanges(changes);
    `;
    const seen = new Set<number>();
    for (let round = 0; round < 12; round += 1) {
      await rm(join(folder, 'data'), { recursive: true, force: true });
      await mkdir(join(folder, 'data'));
      for (let at = 0; at < count; at += 1) await writeFile(join(folder, 'data', String(at)), old(at));
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * round));
      else {
        const file = join(folder, 'data', String(4 * round));
        while (child.exitCode === null && (await readFile(file, 'utf8')).startsWith('old')) await new Promise(setImmediate);
      }
      child.kill('SIGKILL');
      await ended;
      let replaced = 0;
      for (let at = 0; at < count; at += 1) {
        const text = await readFile(join(folder, 'data', String(at)), 'utf8');
        expect([old(at), next(at)]).toContain(text);
        if (text === next(at)) replaced += 1;
      }
      seen.add(replaced);
      const beside = (await readdir(join(folder, 'data'))).filter((name) => !/^\d+$/.test(name));
      for (const name of beside) expect(await readFile(join(folder, 'data', name), 'utf8')).not.toContain('old');
    }
    // some rounds ended in the middle
    expect([...seen].some((replaced) => replaced > 0 && replaced < count)).toBe(true);
    const file = join(folder, 'data', '0');
    await commitChanges([{ file, before: await readFile(file, 'utf8'), after: 'end' }]);
    expect((await readdir(join(folder, 'data'))).filter((name) => /^\.0\.\d+-/.test(name))).toEqual([]);
  }, 120_000);
});
