import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Registry, startRegistry, writeFiles } from '../../test/fixtures/registry.ts';
import { silentLogger } from '../logging/logger.ts';
import { createInstaller, type InstallProgress, recordsFile } from './installer.ts';

const STEPS: Array<InstallProgress['step'] | 'preflight'> = ['resolve', 'download', 'dependencies', 'verify', 'commit', 'preflight', 'cleanup'];

let dir: string;
let registry: Registry;
let script: string;
beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-interrupted-')));
  registry = await startRegistry(join(dir, 'registry'));
  await registry.publish({ 'package.json': { name: 'leaf', version: '1.0.0' }, 'index.js': '' });
  script = join(dir, 'install.ts');
  await writeFile(
    script,
    `import { createInstaller } from ${JSON.stringify(join(import.meta.dirname, 'installer.ts'))};
import { silentLogger } from ${JSON.stringify(join(import.meta.dirname, '../logging/logger.ts'))};
const [stateDir, spec, step] = process.argv.slice(2);
const die = (at) => { if (at === step) process.kill(process.pid, 'SIGKILL'); };
const installer = createInstaller({
  paths: { stateDir, pluginsDir: stateDir + '/extensions' }, env: process.env, hostVersion: '2026.11.0', bundledIds: [], log: silentLogger,
  progress: (event) => die(event.step), preflight: async () => die('preflight'),
});
process.send?.(await installer.install(spec).then((report) => report.status, (error) => error.code));
process.disconnect?.();
`,
  );
});
afterAll(async () => {
  await registry.close();
  await rm(dir, { recursive: true });
});

/** A folder is enough: only the lookup and the tarball of a package would be npm's, and both end in the staging folder. */
function victim(name: string, version: string): Promise<string> {
  const pkg = { name: 'victim', version, type: 'module', dependencies: { leaf: '1.0.0' } };
  return writeFiles(join(dir, name), {
    'package.json': pkg,
    'Durar.plugin.json': { id: 'victim', configSchema: {} },
    'index.js': `export default () => ${JSON.stringify(version)};`,
  });
}

function start(stateDir: string, spec: string, step = 'never') {
  return fork(script, [stateDir, spec, step], { env: registry.env, execArgv: [] });
}

function installer(stateDir: string) {
  return createInstaller({
    paths: { stateDir, pluginsDir: join(stateDir, 'extensions') },
    env: registry.env,
    hostVersion: '2026.11.0',
    bundledIds: [],
    log: silentLogger,
  });
}

describe.concurrent('an install that is killed', () => {
  for (const step of STEPS) {
    it(`at ${step} leaves the old version or the new one, and nothing of it stays after the next install`, { timeout: 60_000 }, async ({ expect }) => {
      const stateDir = join(dir, `state-${step}`);
      const source = await victim(`source-${step}`, '1.0.0');
      const { record: old } = await installer(stateDir).install(source);
      await victim(`source-${step}`, '2.0.0');
      const child = start(stateDir, source, step);
      const [, signal] = await once(child, 'exit');
      expect(signal).toBe('SIGKILL');

      const { victim: now } = await installer(stateDir).records();
      expect(now?.resolvedVersion).toBe(step === 'cleanup' ? '2.0.0' : '1.0.0');
      expect(await readdir(now?.root ?? '')).toContain('index.js');
      if (step !== 'cleanup') expect(now).toEqual(old);

      const { record } = await installer(stateDir).install(source);
      const store = join(stateDir, 'extensions/store/victim');
      expect((await readdir(store)).map((name) => join(store, name)).sort()).toEqual([record.root, old.root].sort());
      expect(await readdir(join(stateDir, 'extensions/.staging'))).toEqual([]);
      expect((await readdir(join(stateDir, 'extensions'))).sort()).toEqual(['.staging', 'store']);
      expect(await readdir(join(recordsFile(stateDir), '..'))).toEqual(['plugins.json']);
    });
  }
});

it('of two installs at once one waits for nobody and the other is told so', { timeout: 30_000 }, async () => {
  const stateDir = join(dir, 'state-two');
  const children = [start(stateDir, await victim('first', '1.0.0')), start(stateDir, await victim('second', '1.0.0'))];
  const results = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0]));
  expect(results.sort()).toEqual(['DUR_INSTALL_LOCKED', 'installed']);
  expect(Object.keys(await installer(stateDir).records())).toEqual(['victim']);
});
