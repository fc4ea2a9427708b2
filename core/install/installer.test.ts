import { access, copyFile, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DurarError } from '../../sdk/errors.ts';
import { type Files, npmPack, type PackageJson, type Registry, startRegistry, writeFiles } from '../../test/fixtures/registry.ts';
import { silentLogger } from '../logging/logger.ts';
import { createInstaller, type Installer, type InstallerOptions } from './installer.ts';

let dir: string;
let registry: Registry;
let stateDir: string;
let count = 0;
beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-install-')));
  registry = await startRegistry(join(dir, 'registry'));
  await registry.publish({ 'package.json': { name: 'leaf', version: '1.0.0' }, 'index.js': 'module.exports = "leaf 1";' });
  await registry.publish({ 'package.json': { name: 'leaf', version: '2.0.0' }, 'index.js': 'module.exports = "leaf 2";' });
  await registry.publish(plugin('npm-engine', '1.0.0'));
  await registry.publish(plugin('npm-engine', '2.0.0-beta.1'), { tag: 'beta' });
});
afterAll(async () => {
  await registry.close();
  await rm(dir, { recursive: true });
});
beforeEach(() => {
  count += 1;
  stateDir = join(dir, `state-${count}`);
});

/** A complete context engine; its name tells its version. */
function plugin(
  id: string,
  version: string,
  more: { package?: object; manifest?: object; index?: string; name?: string; files?: Files } = {},
): Files & { 'package.json': PackageJson } {
  const engine = `{ info: { id: '${id}', name: '${id} ${version}' }, ingest: async () => ({ ingested: true }), assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }), compact: async () => ({ ok: true, compacted: false }) }`;
  return {
    'package.json': { name: more.name ?? id, version, type: 'module', Durar: { extensions: ['./index.js'] }, ...more.package },
    'Durar.plugin.json': { id, kind: 'context-engine', configSchema: { type: 'object', additionalProperties: false }, ...more.manifest },
    'index.js': more.index ?? `export default (api) => api.registerContextEngine('${id}', () => (${engine}));`,
    ...more.files,
  };
}

function installer(more: Partial<InstallerOptions> = {}): Installer {
  return createInstaller({
    paths: { stateDir, pluginsDir: join(stateDir, 'extensions') },
    env: registry.env,
    hostVersion: '2026.11.0',
    bundledIds: ['legacy', 'offline'],
    log: silentLogger,
    ...more,
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What is on disk below the extensions folder, two levels of the store deep. */
async function onDisk(): Promise<string[]> {
  const store = join(stateDir, 'extensions', 'store');
  const ids = await readdir(store).catch(() => []);
  const versions = await Promise.all(ids.map(async (id) => (await readdir(join(store, id))).map((digest) => join(store, id, digest))));
  expect(await readdir(join(stateDir, 'extensions', '.staging'))).toEqual([]);
  return versions.flat().sort();
}

describe('install from a registry', () => {
  it('installs an exact version into a folder of its own and records it (CARD-027, ENGINE-009)', async () => {
    const steps: string[] = [];
    const report = await installer({ progress: ({ step }) => steps.push(step) }).install('npm-engine@1.0.0');
    expect(report).toMatchObject({
      id: 'npm-engine',
      status: 'installed',
      verification: { ok: true, extensions: [{ id: 'npm-engine', contributes: { contextEngine: ['npm-engine'] } }] },
    });
    expect(report.record).toMatchObject({
      source: 'npm',
      spec: 'npm-engine@1.0.0',
      resolvedName: 'npm-engine',
      resolvedVersion: '1.0.0',
      integrity: expect.stringMatching(/^sha512-/),
      shasum: expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    expect(report.record.root).toBe(join(stateDir, 'extensions/store/npm-engine', report.record.digest));
    expect(await readFile(join(report.record.root, 'index.js'), 'utf8')).toContain('npm-engine 1.0.0');
    expect(steps).toEqual(['resolve', 'download', 'verify', 'commit', 'cleanup']);
    const file = join(stateDir, 'state/plugins.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ version: 1, plugins: { 'npm-engine': report.record } });
    expect(await installer().records()).toEqual({ 'npm-engine': report.record });
    expect(await onDisk()).toEqual([report.record.root]);
  });

  it('installs by dist-tag; a bare name means latest (CARD-027)', async () => {
    expect((await installer().install('npm-engine')).record).toMatchObject({ spec: 'npm-engine', resolvedVersion: '1.0.0' });
    expect((await installer().install('npm-engine@beta')).record).toMatchObject({ spec: 'npm-engine@beta', resolvedVersion: '2.0.0-beta.1' });
  });

  it('installs a scoped package under the id of its manifest (ENGINE-009)', async () => {
    await registry.publish(plugin('lossless-claw', '0.5.0', { name: '@martian-engineering/lossless-claw' }));
    const { id, record } = await installer().install('@martian-engineering/lossless-claw');
    expect(id).toBe('lossless-claw');
    expect(record).toMatchObject({ spec: '@martian-engineering/lossless-claw', resolvedName: '@martian-engineering/lossless-claw', resolvedVersion: '0.5.0' });
  });

  it('pins what was resolved', async () => {
    expect((await installer().install('npm-engine', { pin: true })).record.spec).toBe('npm-engine@1.0.0');
  });

  it('gives each extension its own dependencies and the host none of them', async () => {
    for (const [id, range] of [
      ['with-one', '^1.0.0'],
      ['with-two', '^2.0.0'],
    ] as const) {
      const index = `import leaf from 'leaf';\n${String(plugin(id, '1.0.0')['index.js'])}\nif (!leaf.startsWith('leaf ${range[1]}')) throw new Error(leaf);`;
      await registry.publish(
        plugin(id, '1.0.0', {
          index,
          package: {
            dependencies: { leaf: range },
            devDependencies: { 'no-such-dev': '1.0.0' },
            peerDependencies: { 'durar-ai': '>=2026.11.0', 'no-such-peer': '1' },
          },
        }),
      );
      const { record } = await installer().install(id);
      expect(JSON.parse(await readFile(join(record.root, 'node_modules/leaf/package.json'), 'utf8')).version).toBe(`${range[1]}.0.0`);
      expect(await isThere(join(record.root, 'node_modules/no-such-dev'))).toBe(false);
    }
    expect(registry.requests.filter((request) => /no-such|durar-ai/.test(request))).toEqual([]);
  });

  it('runs no lifecycle script, neither its own nor of a dependency (CARD-032)', async () => {
    const marker = join(dir, 'script-ran');
    const scripts = Object.fromEntries(
      ['preinstall', 'install', 'postinstall', 'prepare'].map((name) => [name, `node -e "require('fs').writeFileSync('${marker}', '')"`]),
    );
    await registry.publish({ 'package.json': { name: 'scripted-leaf', version: '1.0.0', scripts } });
    await registry.publish(plugin('scripted', '1.0.0', { package: { scripts, dependencies: { 'scripted-leaf': '1.0.0' } } }));
    const { record } = await installer().install('scripted');
    expect(await isThere(join(record.root, 'node_modules/scripted-leaf'))).toBe(true);
    expect(await isThere(marker)).toBe(false);
  });

  const refused: Array<{ what: string; spec: string; code: string; says?: string; before?: () => Promise<unknown> }> = [
    { what: 'a package that does not exist', spec: 'no-such-plugin', code: 'DUR_INSTALL_NOT_FOUND', says: 'no-such-plugin' },
    { what: 'a version that does not exist', spec: 'npm-engine@9.9.9', code: 'DUR_INSTALL_NOT_FOUND', says: 'npm-engine@9.9.9' },
    { what: 'a tag that does not exist', spec: 'npm-engine@nightly', code: 'DUR_INSTALL_NOT_FOUND' },
    { what: 'a range', spec: 'npm-engine@^1.0.0', code: 'DUR_INSTALL_SPEC', says: 'range' },
    {
      what: 'latest that is a prerelease',
      spec: 'early',
      code: 'DUR_INSTALL_PRERELEASE',
      says: '1.0.0-rc.1',
      before: () => registry.publish(plugin('early', '1.0.0-rc.1')),
    },
    {
      what: 'a tarball without a manifest',
      spec: 'plain',
      code: 'DUR_MANIFEST_MISSING',
      says: "no manifest in 'plain'",
      before: () => registry.publish({ 'package.json': { name: 'plain', version: '1.0.0' }, 'index.js': '' }),
    },
    {
      what: 'a manifest that is not JSON',
      spec: 'garbled',
      code: 'DUR_MANIFEST_SYNTAX',
      says: "the manifest 'garbled/Durar.plugin.json' is not JSON",
      before: () => registry.publish({ 'package.json': { name: 'garbled', version: '1.0.0' }, 'Durar.plugin.json': '{', 'index.js': '' }),
    },
    {
      what: 'code that does not load',
      spec: 'torn',
      code: 'DUR_INSTALL_VERIFY',
      says: 'gone.js',
      before: () => registry.publish(plugin('torn', '1.0.0', { index: "import './gone.js';" })),
    },
    { what: 'a name that is part of Durar', spec: 'offline', code: 'DUR_INSTALL_BUNDLED', says: 'part of Durar' },
    {
      what: 'an id that is part of Durar',
      spec: 'evil',
      code: 'DUR_INSTALL_BUNDLED',
      before: () => registry.publish(plugin('offline', '1.0.0', { name: 'evil' })),
    },
    {
      what: 'a dependency that does not exist',
      spec: 'lonely',
      code: 'DUR_INSTALL_NOT_FOUND',
      says: 'no-such-leaf',
      before: () => registry.publish(plugin('lonely', '1.0.0', { package: { dependencies: { 'no-such-leaf': '1.0.0' } } })),
    },
    {
      what: 'a dependency on a local path',
      spec: 'sneaky',
      code: 'DUR_INSTALL_SPEC',
      says: 'local path',
      before: () => registry.publish(plugin('sneaky', '1.0.0', { package: { dependencies: { x: 'file:../../..' } } })),
    },
  ];
  for (const { what, spec, code, says, before } of refused) {
    it(`refuses ${what} and leaves nothing behind (CARD-031)`, async () => {
      await before?.();
      const refusal: unknown = await installer()
        .install(spec)
        .catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code, message: expect.stringContaining(says ?? ''), hint: expect.stringMatching(/\S/) });
      // The folder that it was fetched to is gone when somebody reads this.
      const { message, hint, owner } = refusal as DurarError;
      expect(JSON.stringify({ message, hint, owner })).not.toContain('.staging');
      expect(await installer().records()).toEqual({});
      const store = join(stateDir, 'extensions', 'store');
      expect(await isThere(store)).toBe(false);
    });
  }

  it('installs a prerelease that is asked for', async () => {
    await registry.publish(plugin('brave', '1.0.0-rc.1'));
    expect((await installer().install('brave@1.0.0-rc.1')).record.resolvedVersion).toBe('1.0.0-rc.1');
  });

  it('passes on what npm says when the registry is down', async () => {
    registry.fail = 503;
    try {
      await expect(installer().install('npm-engine')).rejects.toMatchObject({ code: 'DUR_INSTALL_NPM', message: expect.stringContaining('503'), retry: true });
    } finally {
      delete registry.fail;
    }
  });

  it('refuses a download that is not what the registry describes', async () => {
    const tarball = await registry.publish(plugin('tampered', '1.0.0'));
    const other = await npmPack(
      await writeFiles(join(dir, 'other-content'), plugin('tampered', '1.0.0', { files: { 'evil.js': '' } })),
      join(dir, 'other-packed'),
      registry.env,
    );
    await copyFile(other, tarball);
    await expect(installer().install('tampered')).rejects.toMatchObject({ code: 'DUR_INSTALL_NPM', hint: expect.stringContaining('do not trust') });
    expect(await installer().records()).toEqual({});
  });

  it('works in its own folder when an outer npm runs it', async () => {
    const outer = await writeFiles(join(dir, 'outer'), { 'package.json': { name: 'outer', version: '1.0.0' } });
    await registry.publish(plugin('nested', '1.0.0', { package: { dependencies: { leaf: '1.0.0' } } }));
    const env = {
      ...registry.env,
      npm_config_local_prefix: outer,
      npm_config_omit: 'optional',
      npm_config_workspace: 'x',
      INIT_CWD: outer,
      npm_command: 'exec',
    };
    const { record } = await installer({ env }).install('nested');
    expect(await isThere(join(record.root, 'node_modules/leaf'))).toBe(true);
    expect(await readdir(outer)).toEqual(['package.json']);
  });

  it('says so when there is no npm', async () => {
    await expect(installer({ env: { PATH: dir } }).install('npm-engine')).rejects.toMatchObject({
      code: 'DUR_INSTALL_NPM',
      message: expect.stringContaining('PATH'),
    });
  });
});

describe('install from disk', () => {
  it('copies a folder without node_modules and .git, and needs no npm (CARD-028)', async () => {
    const source = await writeFiles(join(dir, `copy-${count}`), {
      ...plugin('copied', '1.0.0'),
      'node_modules/x/index.js': '',
      '.git/HEAD': '',
      'lib/deep.js': '',
    });
    const { record } = await installer({ env: { PATH: dir } }).install(source);
    expect(record).toMatchObject({ source: 'path', spec: source, resolvedVersion: '1.0.0' });
    expect((await readdir(record.root)).sort()).toEqual(['Durar.plugin.json', 'index.js', 'lib', 'package.json']);
    await rm(source, { recursive: true });
    expect(await isThere(join(record.root, 'lib/deep.js'))).toBe(true);
  });

  it('installs the dependencies of a folder, relative ones from where it stood', async () => {
    await writeFiles(join(dir, 'neighbour'), { 'package.json': { name: 'neighbour', version: '1.0.0' }, 'index.js': 'module.exports = 1;' });
    const source = await writeFiles(
      join(dir, 'with-neighbour'),
      plugin('with-neighbour', '1.0.0', { package: { dependencies: { neighbour: 'file:../neighbour', leaf: '1.0.0' } } }),
    );
    const { record } = await installer().install(source);
    expect((await stat(join(record.root, 'node_modules/neighbour'))).isDirectory()).toBe(true);
    expect(await realpath(join(record.root, 'node_modules/neighbour'))).toBe(join(record.root, 'node_modules/neighbour'));
    expect(await isThere(join(record.root, 'node_modules/leaf'))).toBe(true);
  });

  it('links a folder: nothing is copied, the record points to it (CARD-029, ENGINE-010, ENGINE-105)', async () => {
    const source = await writeFiles(join(dir, `link-${count}`), plugin('linked', '1.0.0'));
    const report = await installer().install(source, { link: true });
    expect(report.record).toMatchObject({ source: 'link', spec: source, root: source, digest: '' });
    expect(await readdir(join(stateDir, 'extensions'))).toEqual(['.staging']);
    expect((await installer().install(source, { link: true })).status).toBe('unchanged');
    expect(await installer().update('linked')).toMatchObject({ status: 'skipped' });
    const gone = await installer().uninstall('linked');
    expect(gone).toMatchObject({ removed: [], kept: [source] });
    expect(await isThere(join(source, 'index.js'))).toBe(true);
  });

  it('installs what npm pack made (CARD-030)', async () => {
    const source = await writeFiles(join(dir, 'packed'), plugin('packed', '1.2.3', { package: { dependencies: { leaf: '2.0.0' } } }));
    const tarball = await npmPack(source, dir, registry.env);
    const { record } = await installer().install(tarball);
    expect(record).toMatchObject({ source: 'archive', spec: tarball, resolvedVersion: '1.2.3', integrity: expect.stringMatching(/^sha512-/) });
    expect(await isThere(join(record.root, 'node_modules/leaf'))).toBe(true);
  });

  it('keeps what a package bundles', async () => {
    const source = await writeFiles(join(dir, 'bundling'), {
      ...plugin('bundling', '1.0.0', { package: { dependencies: { inner: '1.0.0', leaf: '1.0.0' }, bundleDependencies: ['inner'] } }),
      'node_modules/inner/package.json': { name: 'inner', version: '1.0.0' },
    });
    const { record } = await installer().install(await npmPack(source, dir, registry.env));
    expect((await readdir(join(record.root, 'node_modules'))).filter((name) => !name.startsWith('.')).sort()).toEqual(['inner', 'leaf']);
  });

  it('installs a TypeScript extension that uses the SDK (CARD-034, CARD-035)', async () => {
    const index = `import { definePluginEntry, type ContextEngine } from 'Durar/plugin-sdk/core';
const engine: ContextEngine = { info: { id: 'typed', name: 'T' }, ingest: async () => ({ ingested: true }), assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }), compact: async () => ({ ok: true, compacted: false }) };
export default definePluginEntry({ id: 'typed', register: (api) => void api.registerContextEngine('typed', () => engine) });`;
    const { 'index.js': _js, ...files } = plugin('typed', '1.0.0', { package: { Durar: { extensions: ['./index.ts'] } } });
    expect((await installer().install(await writeFiles(join(dir, 'typed'), { ...files, 'index.ts': index }))).verification.ok).toBe(true);
  });

  it("installs a plugin written for the ancestor's line", async () => {
    const source = await writeFiles(join(dir, 'ancient'), {
      'package.json': {
        name: 'ancient',
        version: '1.0.0',
        type: 'module',
        openclaw: { extensions: ['./index.ts'] },
        peerDependencies: { openclaw: '>=2026.3.0' },
      },
      'openclaw.plugin.json': { id: 'ancient', kind: 'context-engine', configSchema: { type: 'object' } },
      'index.ts': `import { definePluginEntry } from 'openclaw/plugin-sdk/plugin-entry';
export default definePluginEntry({ id: 'ancient', name: 'Ancient', register(api: any) {
  api.registerContextEngine('ancient-engine', () => ({ info: { id: 'ancient-engine', name: 'A' }, ingest: async () => ({ ingested: true }), assemble: async ({ messages }: any) => ({ messages, estimatedTokens: 1 }), compact: async () => ({ ok: true, compacted: false }) }));
} });`,
    });
    const { record, verification } = await installer().install(source);
    expect(record).toMatchObject({ resolvedVersion: '1.0.0' });
    expect(verification.extensions).toMatchObject([{ id: 'ancient', format: 'ancestor', contributes: { contextEngine: ['ancient-engine'] } }]);
  });

  it('installs a package of several extensions under one record', async () => {
    const { 'Durar.plugin.json': _manifest, ...files } = plugin('several', '1.0.0', {
      package: { Durar: { id: 'several', configSchema: { type: 'object' }, extensions: ['./one.js', './two.js'] } },
      files: { 'one.js': 'export default () => {};', 'two.js': 'export default () => {};' },
    });
    const { id, verification } = await installer().install(await writeFiles(join(dir, 'several'), files));
    expect(id).toBe('several');
    expect(verification.extensions.map((extension) => extension.id)).toEqual(['several/one', 'several/two']);
    const { configEdits } = await installer().uninstall('several');
    expect(configEdits).toContainEqual({ action: 'unset', path: ['plugins', 'entries', 'several/one'] });
  });

  it('asks for configuration first instead of refusing an extension that needs some', async () => {
    const source = await writeFiles(
      join(dir, 'configured'),
      plugin('configured', '1.0.0', { manifest: { configSchema: { type: 'object', required: ['url'], properties: { url: { type: 'string' } } } } }),
    );
    const { verification } = await installer().install(source);
    expect(verification.checks.find((check) => check.id === 'register')).toMatchObject({ status: 'skip', message: expect.stringContaining('url') });
  });
});

describe('records', () => {
  it('refuses to guess when its file is damaged, and leaves it alone', async () => {
    for (const text of ['{ torn', '[]', '{"version":2,"plugins":{}}', '{"version":1,"plugins":{"x":{"source":"npm"}}}']) {
      await writeFiles(stateDir, { 'state/plugins.json': text });
      await expect(installer().install('npm-engine')).rejects.toMatchObject({ code: 'DUR_STATE_CORRUPT' });
      await expect(installer().records()).rejects.toMatchObject({ code: 'DUR_STATE_CORRUPT' });
      expect(await readFile(join(stateDir, 'state/plugins.json'), 'utf8')).toBe(text);
    }
  });
});

describe('one id, one source', () => {
  it('refuses another source under the same id unless it is forced', async () => {
    await installer().install('npm-engine@1.0.0');
    const source = await writeFiles(join(dir, `other-${count}`), plugin('npm-engine', '7.0.0'));
    await expect(installer().install(source)).rejects.toMatchObject({ code: 'DUR_INSTALL_EXISTS', message: expect.stringContaining('npm (npm-engine@1.0.0)') });
    expect((await installer().install(source, { force: true })).record).toMatchObject({ source: 'path', previous: { resolvedVersion: '1.0.0' } });
  });

  it('keeps the version before for rollback and removes the one before that', async () => {
    const source = await writeFiles(join(dir, `series-${count}`), plugin('series', '1.0.0'));
    const roots: string[] = [];
    for (const version of ['1.0.0', '2.0.0', '3.0.0']) {
      await writeFiles(source, plugin('series', version));
      roots.push((await installer().install(source)).record.root);
    }
    expect(await onDisk()).toEqual(roots.slice(1).sort());
    expect(await installer().install(source)).toMatchObject({ status: 'unchanged', record: { root: roots[2], previous: { root: roots[1] } } });
  });
});

describe('update', () => {
  it('asks for the recorded spec again', async () => {
    await registry.publish(plugin('moving', '1.0.0'));
    await installer().install('moving');
    expect(await installer().update('moving')).toMatchObject({ status: 'unchanged' });
    await registry.publish(plugin('moving', '1.1.0'));
    expect(await installer().update('moving', { dryRun: true })).toEqual({ id: 'moving', status: 'available', from: '1.0.0', to: '1.1.0' });
    expect((await installer().records()).moving).toMatchObject({ resolvedVersion: '1.0.0' });
    expect(await installer().update('moving')).toMatchObject({
      status: 'updated',
      from: '1.0.0',
      to: '1.1.0',
      record: { spec: 'moving', resolvedVersion: '1.1.0', previous: { resolvedVersion: '1.0.0' } },
    });
  });

  it('leaves an exact version where it is', async () => {
    await registry.publish(plugin('fixed', '1.0.0'));
    await installer().install('fixed@1.0.0');
    await registry.publish(plugin('fixed', '2.0.0'));
    expect(await installer().update('fixed')).toMatchObject({ status: 'unchanged', from: '1.0.0' });
  });

  it('refuses other content under the same version until it is accepted', async () => {
    await registry.publish(plugin('swapped', '1.0.0'));
    const { record } = await installer().install('swapped');
    await registry.publish(plugin('swapped', '1.0.0', { files: { 'extra.js': '' } }));
    await expect(installer().update('swapped')).rejects.toMatchObject({
      code: 'DUR_INSTALL_INTEGRITY',
      message: expect.stringContaining(record.integrity ?? '?'),
    });
    await expect(installer().install('swapped')).rejects.toMatchObject({ code: 'DUR_INSTALL_INTEGRITY' });
    expect((await installer().records()).swapped).toEqual(record);
    expect(await installer().update('swapped', { yes: true })).toMatchObject({ status: 'updated' });
  });

  it('a new version that fails verification leaves the old one in place', async () => {
    await registry.publish(plugin('regressing', '1.0.0'));
    const { record } = await installer().install('regressing');
    await registry.publish(plugin('regressing', '1.1.0', { index: 'throw new Error("boom");' }));
    await expect(installer().update('regressing')).rejects.toMatchObject({ code: 'DUR_INSTALL_VERIFY', message: expect.stringContaining('boom') });
    await registry.publish(plugin('renamed', '1.2.0', { name: 'regressing' }));
    await expect(installer().update('regressing')).rejects.toMatchObject({ code: 'DUR_INSTALL_VERIFY', message: expect.stringContaining('renamed') });
    expect(await installer().records()).toEqual({ regressing: record });
    expect(await onDisk()).toEqual([record.root]);
  });

  it('a new version that the gateway refuses leaves the old one in place', async () => {
    const source = await writeFiles(join(dir, `refused-${count}`), plugin('refused', '1.0.0'));
    const { record } = await installer().install(source);
    await writeFile(join(source, 'more.js'), '');
    const seen: string[] = [];
    const preflight: InstallerOptions['preflight'] = async (candidate) => {
      seen.push(await readFile(join(candidate.record.root, 'more.js'), 'utf8'));
      throw new Error('the slot would fail');
    };
    await expect(installer({ preflight }).update('refused')).rejects.toMatchObject({
      code: 'DUR_INSTALL_REFUSED',
      message: expect.stringContaining('the slot would fail'),
    });
    expect(seen).toEqual(['']);
    expect(await installer().records()).toEqual({ refused: record });
    expect(await onDisk()).toEqual([record.root]);
  });

  it('copies a changed folder again', async () => {
    const source = await writeFiles(join(dir, `edited-${count}`), plugin('edited', '1.0.0'));
    await installer().install(source);
    expect(await installer().update('edited')).toMatchObject({ status: 'unchanged' });
    await writeFile(join(source, 'more.js'), '');
    expect(await installer().update('edited', { dryRun: true })).toMatchObject({ status: 'available' });
    expect(await installer().update('edited')).toMatchObject({ status: 'updated' });
  });

  it('goes on when one of all fails', async () => {
    const source = await writeFiles(join(dir, `vanishing-${count}`), plugin('vanishing', '1.0.0'));
    await installer().install(source);
    await installer().install('npm-engine@1.0.0');
    await rm(source, { recursive: true });
    expect(await installer().updateAll()).toMatchObject([
      { id: 'vanishing', status: 'failed', error: { code: 'DUR_INSTALL_SPEC' } },
      { id: 'npm-engine', status: 'unchanged' },
    ]);
  });

  it('knows what is not installed and what is part of Durar', async () => {
    await expect(installer().update('nothing')).rejects.toMatchObject({ code: 'DUR_INSTALL_NOT_INSTALLED' });
    await expect(installer().update('legacy')).rejects.toMatchObject({ code: 'DUR_INSTALL_BUNDLED', hint: expect.stringContaining('updated with it') });
    await expect(installer().install('legacy')).rejects.toMatchObject({ code: 'DUR_INSTALL_BUNDLED', hint: expect.stringContaining('there already') });
    await expect(installer().uninstall('nothing')).rejects.toMatchObject({ code: 'DUR_INSTALL_NOT_INSTALLED' });
    for (const id of ['constructor', 'toString', '__proto__']) {
      await expect(installer().update(id)).rejects.toMatchObject({ code: 'DUR_INSTALL_NOT_INSTALLED' });
      await expect(installer().uninstall(id)).rejects.toMatchObject({ code: 'DUR_INSTALL_NOT_INSTALLED' });
    }
    await expect(installer().uninstall('legacy')).rejects.toMatchObject({ code: 'DUR_INSTALL_BUNDLED' });
  });
});

describe('uninstall', () => {
  it('removes record and files, and says what the configuration still holds (CARD-033)', async () => {
    await installer().install('npm-engine@beta');
    const { record } = await installer().install('npm-engine@1.0.0');
    const dry = await installer().uninstall('npm-engine', { dryRun: true });
    expect(dry.removed).toEqual([record.root, record.previous?.root]);
    expect(await installer().records()).toEqual({ 'npm-engine': record });
    const report = await installer().uninstall('npm-engine');
    expect(report).toEqual(dry);
    expect(report.configEdits).toContainEqual({ action: 'unset', path: ['plugins', 'entries', 'npm-engine'] });
    expect(report.configEdits).toContainEqual({ action: 'remove-item', path: ['plugins', 'allow'], item: 'npm-engine' });
    expect(report.configEdits).toContainEqual({ action: 'unset-if', path: ['plugins', 'slots', 'contextEngine'], values: ['npm-engine'] });
    expect(await installer().records()).toEqual({});
    expect(await onDisk()).toEqual([]);
  });

  it('keeps the files on request', async () => {
    const { record } = await installer().install('npm-engine@1.0.0');
    expect(await installer().uninstall('npm-engine', { keepFiles: true })).toMatchObject({ removed: [], kept: [record.root] });
    expect(await onDisk()).toEqual([record.root]);
  });
});
