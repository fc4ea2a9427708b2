import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from './gateway-process.ts';

const run = promisify(execFile);
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durar-package-'));
  env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    HOME: folder,
    Durar_HOME: folder,
    NO_COLOR: '1',
    npm_config_cache: process.env.npm_config_cache ?? join(process.env.HOME ?? folder, '.npm'),
  };
  await run('npm', ['pack', '--pack-destination', folder], { cwd: root, env: { ...env, HOME: process.env.HOME }, timeout: 120_000 });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  await writeFile(join(folder, 'package.json'), '{"name":"elsewhere","private":true,"type":"module"}');
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball ?? '')], {
    cwd: folder,
    env: { ...env, HOME: process.env.HOME },
    timeout: 180_000,
  });
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const durar = (...args: string[]) => run(process.execPath, [join(folder, 'node_modules/.bin/durar'), ...args], { cwd: folder, env, timeout: 60_000 });

describe('the published package, outside the checkout', () => {
  it('holds no TypeScript source and no test', async () => {
    const files = await readdir(join(folder, 'node_modules/durar-ai'), { recursive: true });
    expect(files.filter((file) => /\.test\.|(?<!\.d)\.ts$/.test(file) && !file.includes('node_modules') && !file.includes('templates'))).toEqual([]);
  });

  it('prints its version and lists the bundled extensions', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    expect((await durar('--version')).stdout.trim()).toBe(version);
    expect((await durar('plugins', 'list')).stdout).toContain('legacy');
  });

  it('runs a gateway and a turn', async () => {
    const child = execFile(process.execPath, [join(folder, 'node_modules/.bin/durar'), 'gateway', 'run', '--allow-unconfigured', '--port', '0', '--json'], {
      env,
      cwd: folder,
    });
    const url = await new Promise<string>((resolve, reject) => {
      let printed = '';
      child.stdout?.on('data', (chunk) => {
        printed += String(chunk);
        const found = /"url": ?"([^"]+)"/.exec(printed)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.stderr?.on('data', (chunk) => (printed += String(chunk)));
      child.on('exit', (code) => reject(new Error(`ended with ${code}: ${printed}`)));
    });
    env = { ...env, Durar_GATEWAY_PORT: new URL(url).port };
    expect((await durar('agent', '--message', 'hello from the package')).stdout).toContain('hello from the package');
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('an author type-checks an engine against the sdk alone, and a wrong shape fails (CARD-034, CARD-035, CARD-036)', async () => {
    const head = "import { definePluginEntry, delegateCompactionToRuntime, type ContextEngine } from 'durar-ai/plugin-sdk/core';\n";
    const engine = (estimate: string) =>
      `${head}const engine: ContextEngine = { info: { id: 'a', name: 'A' }, ingest: async () => ({ ingested: true }), assemble: async ({ messages }) => ({ messages, estimatedTokens: ${estimate} }), compact: (params) => delegateCompactionToRuntime(params) };\nexport default definePluginEntry({ id: 'a', register: (api) => void api.registerContextEngine('a', () => engine) });\n`;
    await writeFile(join(folder, 'good.ts'), engine('1'));
    await writeFile(join(folder, 'bad.ts'), engine("'one'"));
    const check = (file: string) =>
      run(
        join(root, 'node_modules/.bin/tsc'),
        [
          '--ignoreConfig',
          '--noEmit',
          '--strict',
          '--module',
          'nodenext',
          '--target',
          'es2024',
          '--types',
          'node',
          '--typeRoots',
          join(root, 'node_modules/@types'),
          file,
        ],
        { cwd: folder, env },
      );
    await check('good.ts').catch((error: { stdout: string }) => expect(error.stdout).toBe(''));
    await expect(check('bad.ts')).rejects.toMatchObject({ stdout: expect.stringContaining("'string' is not assignable to type 'number'") });
  });
}, 120_000);
