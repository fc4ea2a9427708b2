import { access, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Registry, startRegistry, writeFiles } from '../../test/fixtures/registry.ts';
import { installDependencies } from './dependencies.ts';
import { createNpm } from './npm.ts';

let dir: string;
let registry: Registry;
beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-dependencies-')));
  registry = await startRegistry(join(dir, 'registry'));
  for (const version of ['0.64.0', '0.99.0']) {
    await registry.publish({ 'package.json': { name: '@mariozechner/pi-coding-agent', version, main: 'i.js' }, 'i.js': `exports.version = '${version}';` });
  }
});
afterAll(async () => {
  await registry.close();
  await rm(dir, { recursive: true });
});

const install = (root: string) => installDependencies({ root, work: `${root}-work`, npm: createNpm(registry.env), spec: root, onStart() {} });
const sources = {
  'index.js': "import { version } from '@mariozechner/pi-coding-agent'; export default version;",
  'types.ts': "import type { A } from '@mariozechner/pi-ai'; export type B = A;",
  'index.test.js': "import { z } from 'zod'; z;",
};

it("brings the modules that a plugin of the ancestor's line leaves to its host, in that host's versions, and never the host itself", async () => {
  const root = await writeFiles(join(dir, 'left'), {
    ...sources,
    'package.json': { name: 'left', version: '1.0.0', openclaw: { extensions: ['./index.js'] }, dependencies: { openclaw: '*' } },
  });
  expect(await install(root)).toBe(true);
  expect((await readdir(join(root, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual(['@mariozechner']);
  expect(await readdir(join(root, 'node_modules/@mariozechner'))).toEqual(['pi-coding-agent']);
  const installed = await readFile(join(root, 'node_modules/@mariozechner/pi-coding-agent/package.json'), 'utf8');
  expect(JSON.parse(installed)).toMatchObject({ version: '0.64.0' });
});

it('leaves a version that the plugin names itself, and native extensions', async () => {
  const own = await writeFiles(join(dir, 'own'), {
    ...sources,
    'package.json': { name: 'own', version: '1.0.0', openclaw: { extensions: ['./index.js'] }, dependencies: { '@mariozechner/pi-coding-agent': '0.99.0' } },
  });
  await install(own);
  expect(JSON.parse(await readFile(join(own, 'node_modules/@mariozechner/pi-coding-agent/package.json'), 'utf8'))).toMatchObject({ version: '0.99.0' });
  const native = await writeFiles(join(dir, 'native'), {
    ...sources,
    'package.json': { name: 'native', version: '1.0.0', Durar: { extensions: ['./index.js'] } },
  });
  expect(await install(native)).toBe(false);
  await expect(access(join(native, 'node_modules'))).rejects.toMatchObject({ code: 'ENOENT' });
});
