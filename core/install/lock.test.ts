import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireInstallLock } from './lock.ts';

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durar-lock-'));
  file = join(dir, 'lock');
});
afterEach(() => rm(dir, { recursive: true }));

describe('install lock', () => {
  it('is held by one at a time and free after release', async () => {
    const first = await acquireInstallLock(file);
    await expect(acquireInstallLock(file)).rejects.toMatchObject({ code: 'DUR_INSTALL_LOCKED', message: expect.stringContaining(String(process.pid)) });
    await first.assertHeld();
    await first.release();
    await (await acquireInstallLock(file)).release();
    expect(await readdir(dir)).toEqual([]);
  });

  it('exactly one of many gets it, and of a stale one as well', async () => {
    const gone = 2 ** 22 + 1;
    // The guard of that lock was left by somebody who died while clearing it.
    const guard = `${file}.${createHash('sha256').update('first').digest('hex').slice(0, 12)}`;
    await writeFile(guard, JSON.stringify({ pid: gone, token: 'died too' }));
    const dead = [
      { pid: gone, token: 'first' },
      { pid: gone, token: 'second' },
      { pid: process.pid, began: '1', token: 'pid used again' },
    ];
    for (const stale of [...dead.map((holder) => JSON.stringify(holder)), '{"pid":', undefined]) {
      if (stale !== undefined) await writeFile(file, stale);
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => acquireInstallLock(file)));
      const held = results.filter((result) => result.status === 'fulfilled');
      expect(held, String(stale)).toHaveLength(1);
      await held[0]?.value.assertHeld();
      await held[0]?.value.release();
    }
    expect(await readdir(dir)).toEqual([]);
  });

  it('is taken over from a process that was killed', async () => {
    const script = join(dir, 'holder.ts');
    await writeFile(
      script,
      `import { acquireInstallLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};\nawait acquireInstallLock(${JSON.stringify(file)});\nprocess.send('held');\nsetInterval(() => {}, 1000);\n`,
    );
    const child = fork(script, { execArgv: [] });
    await once(child, 'message');
    await expect(acquireInstallLock(file)).rejects.toMatchObject({ code: 'DUR_INSTALL_LOCKED' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const lock = await acquireInstallLock(file);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  it('says when somebody took it away', async () => {
    const lock = await acquireInstallLock(file);
    await writeFile(file, JSON.stringify({ pid: 1, token: 'other' }));
    await expect(lock.assertHeld()).rejects.toMatchObject({ code: 'DUR_INSTALL_LOCKED' });
    await lock.release();
    expect(await readdir(dir)).toEqual(['lock']);
  });
});
