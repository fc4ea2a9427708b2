import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writePrivateFile } from './private-file.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durar-private-'));
});
afterEach(() => rm(dir, { recursive: true }));

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

it('makes the file and its folders for their owner alone', async () => {
  const file = join(dir, 'a/b/facts.json');
  await writePrivateFile(file, 'ä');
  expect(await readFile(file, 'utf8')).toBe('ä');
  expect(await Promise.all([file, join(dir, 'a/b'), join(dir, 'a')].map(modeOf))).toEqual([0o600, 0o700, 0o700]);
});

it('replaces a file that others could read, and leaves nothing beside it', async () => {
  const file = join(dir, 'facts.json');
  await writeFile(file, 'old', { mode: 0o644 });
  await Promise.all(['one', 'two', 'three'].map((text) => writePrivateFile(file, text.repeat(10_000))));
  expect((await readFile(file, 'utf8')).length % 10_000).toBe(0);
  expect(await modeOf(file)).toBe(0o600);
  expect(await readdir(dir)).toEqual(['facts.json']);
});

it('a reader never finds a part of it', async () => {
  const file = join(dir, 'facts.json');
  await writePrivateFile(file, 'x'.repeat(200_000));
  let isDone = false;
  const writing = (async () => {
    for (let i = 0; i < 20; i += 1) await writePrivateFile(file, 'x'.repeat(200_000));
    isDone = true;
  })();
  while (!isDone) expect((await readFile(file, 'utf8')).length).toBe(200_000);
  await writing;
});

it('leaves everything as it was when it fails', async () => {
  const folder = join(dir, 'taken');
  await mkdir(folder);
  await expect(writePrivateFile(folder, 'text')).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  expect(await readdir(dir)).toEqual(['taken']);
});
