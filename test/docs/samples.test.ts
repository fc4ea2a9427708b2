import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkSdk } from '../../core/install/create.ts';
import { verifyFolder } from '../../core/install/verify.ts';
import { formatVerifyReport } from '../../core/install/verify-plugin.ts';
import { type Block, blocksOf, pages, root } from './markdown.ts';

const run = promisify(execFile);
const named = pages()
  .flatMap(blocksOf)
  .filter((block): block is Block & { title: string } => block.title !== undefined);
const samples = [...new Set(named.map(({ title }) => title.split('/')[0] ?? ''))];

let home: string;
let hostVersion: string;

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'durar-docs-')));
  hostVersion = (JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }).version;
  for (const { title, text } of named) {
    await mkdir(dirname(join(home, title)), { recursive: true });
    await writeFile(join(home, title), text);
  }
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe('samples of the documentation', () => {
  it('are files of a folder, each given once', () => {
    expect(samples.length).toBeGreaterThan(10);
    const titles = named.map(({ title }) => title);
    expect(titles.filter((title, at) => titles.indexOf(title) !== at || !title.includes('/'))).toEqual([]);
  });

  it('compile under the strictest settings', async () => {
    // As an author's editor would have it: a folder without package.json is read as ES modules.
    const settings = { typeRoots: [join(root, 'node_modules/@types')], module: 'esnext', moduleResolution: 'bundler' };
    const config = { extends: join(root, 'tsconfig.json'), compilerOptions: settings, include: [`${home}/**/*.ts`], exclude: [] };
    await writeFile(join(home, 'tsconfig.json'), JSON.stringify(config));
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', home]).catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  });

  it.concurrent.each(samples)('%s passes `durar plugins verify`', async (sample) => {
    const report = await verifyFolder({ root: join(home, sample), hostVersion, env: process.env, suites: true });
    expect(report.ok, formatVerifyReport(report)).toBe(true);
  });

  it('tests of samples pass', async () => {
    const tested = samples.filter((sample) => existsSync(join(home, sample, 'index.test.js')));
    expect(tested).not.toEqual([]);
    for (const sample of tested) {
      await linkSdk(join(home, sample), hostVersion);
      const { stdout } = await run(process.execPath, ['--test'], { cwd: join(home, sample), env: { ...process.env, NODE_OPTIONS: '' } }).catch(
        (error: { stdout: string }) => error,
      );
      expect(stdout).toMatch(/fail 0/);
    }
  });
});
