import { chmodSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, readExtension } from './read.ts';

const OUTSIDE = join(folder(), 'outside.ts');
writeFileSync(OUTSIDE, '');
const schema = { type: 'object', additionalProperties: false };
const sound = { id: 'demo', configSchema: schema };

/** The content of a file: text as it is, anything else as JSON. */
type Files = Record<string, unknown>;

function folder(files: Files = {}): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'durar-read-')));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return root;
}

function read(root: string, more: Partial<Candidate> = {}) {
  return readExtension({ path: root, origin: 'global', explicit: true, ...more });
}

function entryOf(files: Files, more: Partial<Candidate> = {}) {
  const result = read(folder(files), more);
  expect(result?.broken).toBeUndefined();
  const entry = result?.entries[0];
  if (entry === undefined) throw new Error('no entry');
  return entry;
}

describe('a manifest that cannot be used', () => {
  const native = (manifest: unknown, files: Files = { 'index.ts': '' }) => folder({ 'Durar.plugin.json': manifest, ...files });
  const cases: Array<{ name: string; code: string; root: () => string; pointer?: string }> = [
    { name: 'is missing', code: 'DUR_MANIFEST_MISSING', root: () => folder({ 'index.ts': '' }) },
    { name: 'is in a folder that does not exist', code: 'DUR_MANIFEST_PATH_STAT_FAILED', root: () => join(folder(), 'gone') },
    { name: 'is not JSON', code: 'DUR_MANIFEST_SYNTAX', root: () => native('{ id: demo }') },
    { name: 'is an array', code: 'DUR_MANIFEST_INVALID', root: () => native([]) },
    { name: 'is null', code: 'DUR_MANIFEST_INVALID', root: () => native('null') },
    { name: 'is a folder', code: 'DUR_MANIFEST_INVALID', root: () => folder({ 'Durar.plugin.json/x': '' }) },
    { name: 'is larger than a manifest can be', code: 'DUR_MANIFEST_INVALID', root: () => native({ ...sound, description: 'x'.repeat(1_100_000) }) },
    { name: 'has no id', code: 'DUR_MANIFEST_INVALID', root: () => native({ configSchema: schema }) },
    { name: 'has an id of the wrong type', code: 'DUR_MANIFEST_INVALID', root: () => native({ id: 7, configSchema: schema }), pointer: '/id' },
    { name: 'has an id that leads elsewhere', code: 'DUR_MANIFEST_INVALID', root: () => native({ id: '../x', configSchema: schema }), pointer: '/id' },
    { name: 'has an id that every object has', code: 'DUR_MANIFEST_INVALID', root: () => native({ id: 'constructor', configSchema: schema }) },
    { name: 'has no configSchema', code: 'DUR_MANIFEST_INVALID', root: () => native({ id: 'demo' }) },
    { name: 'lists channels as a text', code: 'DUR_MANIFEST_INVALID', root: () => native({ ...sound, channels: 'irc' }), pointer: '/channels' },
    {
      name: 'has contracts of the wrong type',
      code: 'DUR_MANIFEST_INVALID',
      root: () => native({ ...sound, contracts: { tools: 'x' } }),
      pointer: '/contracts/tools',
    },
    { name: 'has an unknown kind', code: 'DUR_MANIFEST_KIND_UNKNOWN', root: () => native({ ...sound, kind: 'channel' }), pointer: '/kind' },
    { name: 'names an entry that is not there', code: 'DUR_MANIFEST_ENTRY_MISSING', root: () => native({ ...sound, entry: 'dist/main.js' }) },
    { name: 'names a folder as entry', code: 'DUR_MANIFEST_ENTRY_MISSING', root: () => native({ ...sound, entry: 'dist' }, { 'dist/x.js': '' }) },
    { name: 'has no entry at all', code: 'DUR_MANIFEST_ENTRY_MISSING', root: () => native(sound, {}) },
    { name: 'names an entry above its folder', code: 'DUR_MANIFEST_SOURCE_ESCAPES_ROOT', root: () => native({ ...sound, entry: '../../outside.ts' }) },
    { name: 'names an absolute entry', code: 'DUR_MANIFEST_SOURCE_ESCAPES_ROOT', root: () => native({ ...sound, entry: OUTSIDE }) },
    { name: 'belongs to a package.json that is not JSON', code: 'DUR_MANIFEST_SYNTAX', root: () => native(sound, { 'package.json': '{', 'index.ts': '' }) },
    {
      name: 'stands in a package block without configSchema',
      code: 'DUR_MANIFEST_INVALID',
      root: () => folder({ 'package.json': { Durar: { extensions: ['a.ts'], id: 'demo' } } }),
    },
    {
      name: 'has package extensions of the wrong type',
      code: 'DUR_MANIFEST_INVALID',
      root: () => folder({ 'package.json': { Durar: { extensions: 'a.ts' } } }),
    },
  ];
  it.each(cases)('$name: $code (CARD-006, CARD-041)', ({ code, root, pointer }) => {
    const result = read(root());
    expect(result?.entries).toEqual([]);
    expect(result?.broken?.finding).toMatchObject({ level: 'error', code });
    expect(result?.broken?.finding.hint).not.toBe('');
    if (pointer !== undefined) expect(result?.broken?.finding.owner.pointer).toBe(pointer);
  });

  it('has an entry that is a link out of its folder', () => {
    const root = native(sound, {});
    symlinkSync(OUTSIDE, join(root, 'index.ts'));
    expect(read(root)?.broken?.finding.code).toBe('DUR_MANIFEST_SOURCE_ESCAPES_ROOT');
  });

  it('has an entry below a linked folder that leads out', () => {
    const root = native({ ...sound, entry: 'dist/outside.ts' }, {});
    symlinkSync(dirname(OUTSIDE), join(root, 'dist'));
    expect(read(root)?.broken?.finding.code).toBe('DUR_MANIFEST_SOURCE_ESCAPES_ROOT');
  });

  it.skipIf(process.platform === 'win32').each(['.', 'Durar.plugin.json', 'dist', 'dist/main.js'])('%s can be written by everyone', (name) => {
    const root = native({ ...sound, entry: 'dist/main.js' }, { 'dist/main.js': '' });
    chmodSync(join(root, name), 0o777);
    expect(read(root)?.broken?.finding.code).toBe('DUR_MANIFEST_WORLD_WRITABLE');
    expect(read(root, { origin: 'bundled' })?.broken?.finding.code).toBe('DUR_MANIFEST_WORLD_WRITABLE');
  });

  it('keeps the best id that could be read', () => {
    expect(read(native({ ...sound, kind: 'x' }))?.broken).toMatchObject({ id: 'demo', named: true });
    expect(read(folder({ 'package.json': { name: '@scope/pack' }, 'Durar.plugin.json': '{' }))?.broken).toMatchObject({ id: 'pack', named: false });
    expect(read(native('{'), { id: 'recorded' })?.broken).toMatchObject({ id: 'recorded', named: true });
  });
});

describe('a manifest', () => {
  it('needs only an id and a schema, and its code is not read (CARD-005, AMB-006)', () => {
    const entry = entryOf({ 'Durar.plugin.json': sound, 'index.ts': 'throw new Error("must not run")' });
    expect(entry).toMatchObject({ id: 'demo', format: 'native', declared: true, declares: {}, taps: [], findings: [] });
    expect(entry.entry).toBe(join(entry.root, 'index.ts'));
  });

  it('may be called durar.plugin.json, or stand in package.json', () => {
    expect(entryOf({ 'durar.plugin.json': sound, 'index.mjs': '' }).entry).toMatch(/index\.mjs$/);
    const pkg = { name: '@x/demo', version: '1.2.3', Durar: { ...sound, extensions: ['src/main.ts'], install: { minHostVersion: '>=1.0.0' } } };
    const entry = entryOf({ 'package.json': pkg, 'src/main.ts': '' });
    expect(entry).toMatchObject({
      id: 'demo',
      packageName: '@x/demo',
      version: '1.2.3',
      findings: [],
      hostRanges: [{ key: 'install.minHostVersion', range: '>=1.0.0' }],
    });
  });

  it('says what it contributes; an engine that is not named has its own id', () => {
    const manifest = { ...sound, kind: 'context-engine', channels: ['irc'], contracts: { tools: ['grep', 'grep'], hooks: ['agent_end'] } };
    const entry = entryOf({ 'Durar.plugin.json': manifest, 'index.ts': '' });
    expect(entry.declares).toEqual({ contextEngine: ['demo'], channel: ['irc'], tool: ['grep'] });
    expect(entry.taps).toEqual(['agent_end']);
    expect(entryOf({ 'Durar.plugin.json': { ...manifest, contextEngines: ['one', 'two'] }, 'index.ts': '' }).declares.contextEngine).toEqual(['one', 'two']);
  });

  it('needs no code when it only describes providers', () => {
    const providerCatalog = { acme: { api: 'openai-completions', baseUrl: 'https://acme.test/v1', models: [{ id: 'm' }] } };
    const entry = entryOf({ 'Durar.plugin.json': { ...sound, providerCatalog } });
    expect(entry.declares).toEqual({ provider: ['acme'] });
    expect(entry.entry).toBeUndefined();
    expect(read(folder({ 'Durar.plugin.json': { ...sound, providerCatalog, channels: ['irc'] } }))?.broken?.finding.code).toBe('DUR_MANIFEST_ENTRY_MISSING');
  });

  it('has its unknown keys named, not refused', () => {
    const entry = entryOf({ 'Durar.plugin.json': { ...sound, chanels: ['irc'] }, 'index.ts': '' });
    expect(entry.findings).toMatchObject([{ level: 'warn', code: 'DUR_MANIFEST_KEY_UNKNOWN', owner: { pointer: '/chanels' } }]);
  });

  it('gives each of several package entries an id of its own', () => {
    const pkg = { name: '@x/pack', Durar: { ...sound, extensions: ['a.ts', 'lib/b.ts'] } };
    const result = read(folder({ 'package.json': pkg, 'a.ts': '', 'lib/b.ts': '' }));
    expect(result?.entries.map(({ id, declared }) => ({ id, declared }))).toEqual([
      { id: 'pack/a', declared: false },
      { id: 'pack/b', declared: false },
    ]);
  });

  it('in the ancestor’s format loads as it is, undeclared, and unknown kinds are dropped', () => {
    const manifest = { id: 'demo', kind: 'context-engine', configSchema: schema, speechProviders: ['x'], somethingNew: 1, providers: ['acme'] };
    const pkg = { name: 'demo', version: '2.0.0', openclaw: { extensions: ['./dist/index.js'], compat: { minGatewayVersion: '2026.3.1' } } };
    const entry = entryOf({ 'openclaw.plugin.json': manifest, 'package.json': pkg, 'dist/index.js': '' });
    expect(entry).toMatchObject({ id: 'demo', format: 'ancestor', declared: false, declares: { provider: ['acme'] }, findings: [] });
    expect(entry.manifest).toEqual({ id: 'demo', kind: ['context-engine'], configSchema: schema, providers: ['acme'] });
    expect(entry.hostRanges).toEqual([{ key: 'compat.minGatewayVersion', range: '>=2026.3.1' }]);
    const odd = entryOf({ 'openclaw.plugin.json': { ...manifest, kind: 'channel' }, 'index.js': '' });
    expect(odd.findings).toMatchObject([{ level: 'warn', code: 'DUR_MANIFEST_KIND_UNKNOWN' }]);
  });

  it('in the native format wins over the ancestor’s beside it', () => {
    const entry = entryOf({ 'Durar.plugin.json': sound, 'openclaw.plugin.json': { ...sound, id: 'other' }, 'index.ts': '' });
    expect(entry).toMatchObject({ id: 'demo', format: 'native' });
  });
});

it('is not looked for in bundles and in folders of other things', () => {
  const quiet = { explicit: false };
  expect(read(folder({ '.claude-plugin/plugin.json': {}, 'index.js': '' }), quiet)).toBeUndefined();
  expect(read(folder({ 'notes.md': '' }), quiet)).toBeUndefined();
  expect(read(folder({ 'index.ts': '' }), quiet)?.broken?.finding.code).toBe('DUR_MANIFEST_MISSING');
});

it('never throws, whatever the files hold', () => {
  const root = folder({ 'index.ts': '' });
  const keys = fc.constantFrom(
    'id',
    'configSchema',
    'kind',
    'entry',
    'channels',
    'contracts',
    'providerCatalog',
    'uiHints',
    'host',
    '__proto__',
    'constructor',
  );
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom(sound.id, schema, 'context-engine', 'index.ts', ['x'], { tools: ['x'] }));
  const manifest = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(keys, value).map((fields) => JSON.stringify({ ...sound, ...fields })),
  );
  fc.assert(
    fc.property(manifest, fc.constantFrom('Durar.plugin.json', 'openclaw.plugin.json'), (text, name) => {
      for (const each of ['Durar.plugin.json', 'openclaw.plugin.json']) writeFileSync(join(root, each), each === name ? text : '{}');
      const result = read(root);
      expect(result?.broken?.finding.code ?? result?.entries[0]?.id).toMatch(/^(DUR_MANIFEST_[A-Z_]+|[A-Za-z0-9][\w.-]*)$/);
      expect(result?.broken?.finding.code).not.toBe('DUR_MANIFEST_PATH_STAT_FAILED');
    }),
    { numRuns: 300 },
  );
});
