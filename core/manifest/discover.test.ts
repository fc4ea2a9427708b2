import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../logging/logger.ts';
import { type DiscoverOptions, discover } from './discover.ts';

let home: string;
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'durar-discover-')));
});

function put(path: string, manifest: object | string, entry = 'index.ts'): string {
  const root = join(home, path);
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, 'Durar.plugin.json'), typeof manifest === 'string' ? manifest : JSON.stringify({ configSchema: { type: 'object' }, ...manifest }));
  writeFileSync(join(root, entry), 'throw new Error("must not run")');
  return root;
}

function find(more: Partial<DiscoverOptions> = {}) {
  return discover({
    config: {},
    paths: { home, pluginsDir: join(home, 'extensions'), stateDbDir: join(home, 'state') },
    bundledDir: join(home, 'bundled'),
    installed: [],
    workspaceDir: join(home, 'work'),
    log: silentLogger,
    hostVersion: '1.0.0',
    env: {},
    ...more,
  });
}

describe('discovery', () => {
  it('takes the first of an id: config, workspace, global, installed, bundled; and names both roots of a duplicate (CARD-005)', async () => {
    const places = [
      { origin: 'config', root: put('linked', { id: 'demo' }) },
      { origin: 'workspace', root: put('work/.Durar/extensions/demo', { id: 'demo' }) },
      { origin: 'global', root: put('extensions/demo', { id: 'demo' }) },
      { origin: 'installed', root: put('store/1', { id: 'demo' }) },
      { origin: 'bundled', root: put('bundled/tools/demo', { id: 'demo' }) },
    ];
    const config = { plugins: { load: { paths: ['linked'] }, entries: { demo: { enabled: true } } } };
    for (const [place, { origin, root }] of places.entries()) {
      const catalog = await find({
        config: place > 0 ? { plugins: { entries: config.plugins.entries } } : config,
        installed: place > 3 ? [] : [{ id: 'demo', root: join(home, 'store/1') }],
      });
      expect(catalog.entries.get('demo')).toMatchObject({ origin, root });
      expect(catalog.shadowed.map((entry) => entry.origin)).toEqual(places.slice(place + 1).map((each) => each.origin));
      const duplicates = catalog.findings.filter(({ code }) => code === 'DUR_MANIFEST_DUPLICATE');
      expect(duplicates).toHaveLength(places.length - place - 1);
      for (const { message } of duplicates) expect(message).toContain(root);
      rmSync(root, { recursive: true });
    }
  });

  it('lets a workspace displace nothing unless it is enabled by name', async () => {
    put('work/.Durar/extensions/demo', { id: 'demo' });
    put('bundled/tools/demo', { id: 'demo' });
    expect((await find()).entries.get('demo')?.origin).toBe('bundled');
    expect((await find({ config: { plugins: { entries: { demo: { enabled: true } } } } })).entries.get('demo')?.origin).toBe('workspace');
  });

  it('keeps the others when one is broken, and what it stood for does not become something else (CARD-006)', async () => {
    put('extensions/good', { id: 'good' });
    put('extensions/bad', '{');
    put('extensions/demo', { id: 'demo', kind: 'nonsense' });
    put('bundled/tools/demo', { id: 'demo' });
    const catalog = await find();
    expect([...catalog.entries.keys()]).toEqual(['good']);
    expect(catalog.broken.get('bad')?.finding.code).toBe('DUR_MANIFEST_SYNTAX');
    expect(catalog.broken.get('demo')?.finding.code).toBe('DUR_MANIFEST_KIND_UNKNOWN');
    expect(catalog.findings.map(({ code }) => code).sort()).toEqual(['DUR_MANIFEST_DUPLICATE', 'DUR_MANIFEST_KIND_UNKNOWN', 'DUR_MANIFEST_SYNTAX']);
  });

  it('does not let a folder’s mere name take an id from a sound extension', async () => {
    put('extensions/demo', '{');
    put('bundled/tools/demo', { id: 'demo' });
    const catalog = await find();
    expect(catalog.entries.get('demo')?.origin).toBe('bundled');
    expect(catalog.findings.map(({ code }) => code)).toContain('DUR_MANIFEST_SYNTAX');
  });

  it.each([
    { id: 'legacy' },
    { id: 'local' },
    { id: 'memory-core' },
    { id: 'offline' },
    { id: 'p', providers: ['offline'] },
    { id: 'x', kind: 'context-engine', contextEngines: ['legacy'] },
  ])('refuses %j outside the bundle (AMB-013)', async (manifest) => {
    put('extensions/claim', manifest);
    put(`bundled/context-engines/${manifest.id}`, { ...manifest });
    const catalog = await find();
    expect(catalog.entries.get(manifest.id)?.origin).toBe('bundled');
    expect(catalog.findings.map(({ code }) => code)).toContain('DUR_MANIFEST_RESERVED');
  });

  it('reads load paths that are a folder, a folder of folders, a file, a link, or nothing', async () => {
    put('many/one', { id: 'one' });
    put('many/two', { id: 'two' });
    const three = put('three', { id: 'three' }, 'other.ts');
    symlinkSync(put('four', { id: 'four' }), join(home, 'link'));
    const catalog = await find({ config: { plugins: { load: { paths: [join(home, 'many'), '~/three/other.ts', 'link', 'gone', 'four'] } } } });
    expect([...catalog.entries.keys()]).toEqual(['one', 'two', 'three', 'four']);
    expect(catalog.entries.get('three')?.entry).toBe(join(three, 'other.ts'));
    expect(catalog.entries.get('four')?.root).toBe(join(home, 'four'));
    expect(catalog.broken.get('gone')?.finding.code).toBe('DUR_MANIFEST_PATH_STAT_FAILED');
    expect(catalog.findings.map(({ code }) => code)).toEqual(['DUR_MANIFEST_PATH_STAT_FAILED']);
  });

  it('reports a lone source file and an installed record without its folder', async () => {
    mkdirSync(join(home, 'extensions'));
    writeFileSync(join(home, 'extensions/lone.ts'), '');
    const catalog = await find({ installed: [{ id: 'lost', root: join(home, 'store/lost') }] });
    expect(catalog.broken.get('lone')?.finding.code).toBe('DUR_MANIFEST_MISSING');
    expect(catalog.broken.get('lost')?.finding.code).toBe('DUR_MANIFEST_PATH_STAT_FAILED');
  });

  it('finds nothing in nothing (CARD-004)', async () => {
    const catalog = await find();
    expect([catalog.entries.size, catalog.broken.size, catalog.findings.length]).toEqual([0, 0, 0]);
  });
});

describe('the manifest index', () => {
  const index = () => join(home, 'state/manifest-index.json');
  /** Reads until the files are old enough to be remembered, then saves. */
  async function remember(): Promise<void> {
    await sleep(80);
    await (await find()).saveIndex();
  }

  it('answers for what did not change, and its file is private', async () => {
    for (let place = 0; place < 5; place += 1) put(`extensions/p${place}`, { id: `p${place}`, channels: [`c${place}`] });
    await remember();
    expect(statSync(index()).mode & 0o777).toBe(0o600);
    const again = await find();
    expect(again.misses).toBe(0);
    expect(again.entries.get('p3')?.declares).toEqual({ channel: ['c3'] });
  });

  it('sees an edit that keeps size and modification time', async () => {
    const file = join(put('extensions/demo', { id: 'demo', name: 'one' }), 'Durar.plugin.json');
    await remember();
    const { atime, mtime, size } = statSync(file);
    writeFileSync(file, readFileSync(file, 'utf8').replace('one', 'two'));
    utimesSync(file, atime, mtime);
    expect(statSync(file).size).toBe(size);
    const catalog = await find();
    expect(catalog.misses).toBe(1);
    expect(catalog.entries.get('demo')?.manifest.name).toBe('two');
  });

  it('sees a replaced file, a package.json that appears, and a folder that goes', async () => {
    const demo = put('extensions/demo', { id: 'demo' });
    const other = put('extensions/other', { id: 'other' });
    await remember();
    writeFileSync(join(demo, 'package.json'), JSON.stringify({ name: 'demo', version: '9.9.9' }));
    rmSync(other, { recursive: true });
    const catalog = await find();
    expect(catalog.entries.get('demo')?.version).toBe('9.9.9');
    expect(catalog.entries.has('other')).toBe(false);
  });

  it('does not remember broken candidates, so that mending the entry is seen', async () => {
    const root = put('extensions/demo', { id: 'demo', entry: 'dist/main.js' });
    mkdirSync(join(root, 'dist'));
    await remember();
    writeFileSync(join(root, 'dist/main.js'), '');
    expect((await find()).entries.has('demo')).toBe(true);
  });

  it('is ignored when it is damaged, of another version, or switched off', async () => {
    put('extensions/demo', { id: 'demo' });
    await remember();
    expect((await find({ hostVersion: '2.0.0' })).misses).toBe(1);
    const off = await find({ env: { Durar_DISABLE_PLUGIN_MANIFEST_CACHE: '1' } });
    expect([off.misses, off.entries.size]).toEqual([1, 1]);
    writeFileSync(index(), '{"records":');
    expect((await find()).entries.size).toBe(1);
  });
});
