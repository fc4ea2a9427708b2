import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FileWatch, watchFiles } from './watch.ts';

let folder: string;
let file: string;
let seen: string[];
let watching: FileWatch | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durar-watch-'));
  file = join(folder, 'Durar.json');
  seen = [];
  await writeFile(file, 'one');
});

afterEach(async () => {
  await watching?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(files = [file]): Promise<void> {
  watching = await watchFiles({ files, debounceMs: 20, retryMs: 20, onChange: (changed) => seen.push(changed) });
}

const count = (number: number) => vi.waitFor(() => expect(seen).toHaveLength(number), { timeout: 5000, interval: 10 });

describe('watchFiles', () => {
  it('reports a write', async () => {
    await start();
    await writeFile(file, 'two');
    await count(1);
    expect(seen).toEqual([file]);
  });

  it('goes on after an editor replaced the file', async () => {
    await start();
    for (const text of ['two', 'three']) {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
      await count(text === 'two' ? 1 : 2);
    }
    await writeFile(file, 'four');
    await count(3);
  });

  it('reports a burst once', async () => {
    await start();
    for (let index = 0; index < 10; index += 1) await appendFile(file, 'x');
    await count(1);
    await sleep(80);
    expect(seen).toHaveLength(1);
  });

  it('is silent when the content stays, and about other files', async () => {
    await start();
    await writeFile(file, 'one');
    await writeFile(join(folder, 'other'), 'x');
    await sleep(80);
    expect(seen).toEqual([]);
  });

  it('reports that a file came and went', async () => {
    const other = join(folder, 'plugins.json');
    await start([file, other]);
    await writeFile(other, '{}');
    await count(1);
    await rm(other);
    await count(2);
    expect(seen).toEqual([other, other]);
  });

  it('sees the target of a link change', async () => {
    const store = join(folder, 'store');
    await mkdir(store);
    await writeFile(join(store, 'real.json'), 'one');
    const link = join(folder, 'link.json');
    await symlink(join(store, 'real.json'), link);
    await start([link]);
    await writeFile(join(store, 'real.json'), 'two');
    await count(1);
  });

  it('waits for a folder that does not exist yet', async () => {
    const late = join(folder, 'late', 'Durar.json');
    await start([late]);
    await mkdir(join(folder, 'late'));
    await writeFile(late, 'x');
    await count(1);
  });

  it('survives that its folder is removed and made again', async () => {
    const inner = join(folder, 'inner');
    const target = join(inner, 'Durar.json');
    await mkdir(inner);
    await writeFile(target, 'one');
    await start([target]);
    await rm(inner, { recursive: true });
    await count(1);
    await mkdir(inner);
    await writeFile(target, 'two');
    await count(2);
  });

  it('reports nothing after stop', async () => {
    await start();
    await writeFile(file, 'two');
    await watching?.stop();
    await watching?.stop();
    await sleep(60);
    expect(seen).toEqual([]);
  });
});
