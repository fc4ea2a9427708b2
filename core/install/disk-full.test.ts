import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { npmPack, writeFiles } from '../../test/fixtures/registry.ts';

const run = promisify(execFile);
/** A file system of our own needs a mount namespace, which not every machine grants. */
const mountable = canMount();

let dir: string;
beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-full-')));
});
afterAll(() => rm(dir, { recursive: true }));

describe.skipIf(!mountable)('on a full disk', () => {
  for (const form of ['folder', 'archive'] as const) {
    it(`an install from a ${form} says so and changes nothing`, async () => {
      const disk = join(dir, `disk-${form}`);
      await mkdir(disk);
      const manifest = { id: 'big', configSchema: {} };
      const pkg = { name: 'big', version: '1.0.0', type: 'module' };
      const content = Buffer.from(Array.from({ length: 600_000 }, (_none, index) => (index * 7919) % 251));
      const source = await writeFiles(join(dir, `source-${form}`), {
        'Durar.plugin.json': manifest,
        'package.json': pkg,
        'index.js': 'export default () => {};',
      });
      await writeFile(join(source, 'data.bin'), content);
      const spec = form === 'folder' ? source : await npmPack(source, dir, process.env);
      const script = join(dir, `${form}.ts`);
      await writeFile(
        script,
        `import { readdirSync } from 'node:fs';
import { createInstaller } from ${JSON.stringify(join(import.meta.dirname, 'installer.ts'))};
import { silentLogger } from ${JSON.stringify(join(import.meta.dirname, '../logging/logger.ts'))};
const stateDir = ${JSON.stringify(disk)};
const installer = createInstaller({ paths: { stateDir, pluginsDir: stateDir + '/extensions' }, env: process.env, hostVersion: '2026.11.0', bundledIds: [], log: silentLogger });
const error = await installer.install(${JSON.stringify(spec)}).catch((thrown) => thrown);
console.log(JSON.stringify({ code: error.code, records: await installer.records(), left: readdirSync(stateDir, { recursive: true }) }));
`,
      );
      const { stdout } = await run('unshare', ['-rm', 'sh', '-c', `mount -t tmpfs -o size=300k tmpfs '${disk}' && '${process.execPath}' '${script}'`]);
      expect(JSON.parse(stdout)).toEqual({ code: 'DUR_INSTALL_SPACE', records: {}, left: ['extensions', 'extensions/.staging'] });
    });
  }
});

function canMount(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
