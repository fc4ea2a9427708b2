import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { npmPack } from '../../test/fixtures/registry.ts';
import { silentLogger } from '../logging/logger.ts';
import { createPlugin, TEMPLATES, type TemplateKind } from './create.ts';
import { createInstaller } from './installer.ts';
import { productFile } from './product.ts';
import { formatVerifyReport, verifyPlugin } from './verify-plugin.ts';

const run = promisify(execFile);
const hostVersion = '2026.11.0';

let dir: string;
beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-create-')));
});
afterAll(() => rm(dir, { recursive: true }));

const options = () => ({ paths: { stateDir: join(dir, 'state') }, env: process.env, hostVersion });

describe.concurrent('templates', () => {
  for (const kind of Object.keys(TEMPLATES) as TemplateKind[]) {
    it(`a new ${kind} passes verification, its own tests and the type check (CARD-034, CARD-036, CARD-037)`, { timeout: 60_000 }, async ({ expect }) => {
      const folder = join(dir, `my-${kind}`);
      const { id, files } = await createPlugin({ dir: folder, kind, hostVersion });
      expect(id).toBe(`my-${kind}`);
      expect(files).toEqual(
        expect.arrayContaining(['.gitignore', 'Durar.plugin.json', 'README.md', 'index.test.js', 'index.ts', 'package.json', 'tsconfig.json']),
      );
      for (const name of files) expect(await readFile(join(folder, name), 'utf8'), name).not.toMatch(/__[A-Z]+__/);

      const report = await verifyPlugin(folder, options());
      expect(report.ok, formatVerifyReport(report)).toBe(true);
      expect(report.extensions).toMatchObject([{ id, format: 'native' }]);

      // The runner that runs us leaves marks in the environment that would change how its child reports.
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
      const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap'], { cwd: folder, env });
      expect(stdout).toMatch(/# pass [1-9]/);
      await run(process.execPath, [productFile('node_modules/.bin/tsc'), '-p', folder], { cwd: folder }).catch((error: { stdout: string }) =>
        expect.fail(error.stdout),
      );
    });
  }
});

describe('plugins create', () => {
  it('refuses a folder that holds something, a file, and an id that cannot be used', async () => {
    const folder = join(dir, 'full');
    await mkdir(folder);
    await writeFile(join(folder, 'notes.txt'), 'mine');
    await expect(createPlugin({ dir: folder, kind: 'tool', hostVersion })).rejects.toMatchObject({
      code: 'DUR_CLI_USAGE',
      message: expect.stringContaining('not empty'),
    });
    expect(await readdir(folder)).toEqual(['notes.txt']);
    await expect(createPlugin({ dir: join(folder, 'notes.txt'), kind: 'tool', id: 'x', hostVersion })).rejects.toMatchObject({ code: 'DUR_CLI_USAGE' });
    for (const id of ['Upper', '../x', 'with space', '', 'legacy', 'local']) {
      await expect(createPlugin({ dir: join(dir, 'new'), kind: 'tool', id, hostVersion })).rejects.toMatchObject({ code: 'DUR_CLI_USAGE' });
    }
    await expect(createPlugin({ dir: join(dir, 'new'), kind: 'nonsense' as TemplateKind, hostVersion })).rejects.toMatchObject({
      hint: expect.stringContaining('context-engine'),
    });
  });

  it('makes what can be packed, installed, linked and verified by id (CARD-037)', async () => {
    const folder = join(dir, 'whole-way');
    await createPlugin({ dir: folder, kind: 'context-engine', hostVersion });
    const stateDir = join(dir, 'state-whole-way');
    const paths = { stateDir, pluginsDir: join(stateDir, 'extensions') };
    const installer = createInstaller({ paths, env: process.env, hostVersion, bundledIds: [], log: silentLogger });
    const tarball = await npmPack(folder, dir, process.env);
    expect(await verifyPlugin(tarball, options())).toMatchObject({ ok: true, root: tarball });
    expect(await installer.install(tarball)).toMatchObject({ id: 'whole-way', record: { source: 'archive', resolvedVersion: '0.1.0' } });
    expect((await readdir((await installer.records())['whole-way']?.root ?? '')).sort()).toEqual([
      'Durar.plugin.json',
      'README.md',
      'index.ts',
      'package.json',
    ]);
    expect(await verifyPlugin('whole-way', { ...options(), paths })).toMatchObject({ ok: true });
    expect(await installer.install(folder, { link: true, force: true })).toMatchObject({ record: { source: 'link', root: folder } });
    await expect(verifyPlugin('nowhere', { ...options(), paths })).rejects.toMatchObject({ code: 'DUR_INSTALL_SPEC' });
  });

  it('the report names what is wrong, why and what to do', async () => {
    const folder = join(dir, 'wrong');
    await createPlugin({ dir: folder, kind: 'context-engine', hostVersion });
    const index = await readFile(join(folder, 'index.ts'), 'utf8');
    await writeFile(
      join(folder, 'index.ts'),
      index.replace('if (entries.has(entryId)) return { ingested: false };', '').replace("info: { id: 'wrong'", "info: { id: 'other'"),
    );
    const report = await verifyPlugin(folder, options());
    expect(report.ok).toBe(false);
    const failed = report.checks.filter((check) => check.status === 'fail');
    expect(failed.map((check) => check.id)).toEqual(failed.map(() => 'contract/context-engine/wrong'));
    const text = formatVerifyReport(report);
    expect(text).toMatch(/FAIL contract\/context-engine\/wrong: info names the engine/);
    expect(text).toMatch(/the same entryId again/);
    expect(text).toMatch(/failed: \d+ passed, \d+ failed/);
  });
});
