import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeDigest } from './code-digest.ts';

const base = realpathSync(mkdtempSync(join(tmpdir(), 'durar-import-')));

type Files = Record<string, string>;
interface Job {
  /** The first file is the entry. */
  files: Files;
  /** Written before the second import, under another digest. */
  edit?: Files;
  /** Folder above the root. */
  under?: string;
}
interface Outcome {
  value?: unknown;
  code?: string;
  message?: string;
  hint?: string;
  owner?: { extension?: string; file?: string; line?: number };
}

/**
 * Runs in a process of its own, as the host does: vitest's module runner would import by other rules. The value of a module is its default
 * export; functions are called and what they throw is the value.
 */
const CHILD = `
import { readFileSync, writeFileSync } from 'node:fs';
const { jobs, module } = JSON.parse(readFileSync(0, 'utf8'));
const { importModule } = await import(module);
const show = (value) => {
  if (Array.isArray(value)) return value.map(show);
  if (typeof value !== 'function') return value;
  try { return value(); } catch (error) { return { code: error.code, message: error.message }; }
};
const outcomes = [];
for (const { root, file, edit } of jobs) {
  const results = [];
  for (const [place, digest] of ['1.0', ...(edit === undefined ? [] : ['1.1'])].entries()) {
    if (place > 0) for (const [path, text] of Object.entries(edit)) writeFileSync(path, text);
    try {
      results.push({ value: show((await importModule({ id: 'demo', root, file, digest, trusted: false, timeoutMs: 400 })).default) });
    } catch ({ code, message, hint, owner }) { results.push({ code, message, hint, owner }); }
  }
  outcomes.push(results);
}
process.stdout.write(JSON.stringify(outcomes));
process.exit(0);
`;

function place({ files, edit, under = '' }: Job): { root: string; file: string; edit?: Files } {
  const root = mkdtempSync(join(mkdir(join(base, under)), 'plugin-'));
  for (const [name, text] of Object.entries(files)) {
    mkdir(dirname(join(root, name)));
    writeFileSync(join(root, name), text);
  }
  const file = join(root, Object.keys(files)[0] ?? '');
  return edit === undefined ? { root, file } : { root, file, edit: Object.fromEntries(Object.entries(edit).map(([name, text]) => [join(root, name), text])) };
}

function mkdir(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

function runChild(jobs: Array<{ root: string; file: string; edit?: Files }>): Outcome[][] {
  const module = new URL('./import-module.ts', import.meta.url).href;
  const input = JSON.stringify({ jobs, module });
  return JSON.parse(
    execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '--eval', CHILD], { input, encoding: 'utf8', timeout: 25_000 }),
  ) as Outcome[][];
}

const SDK = 'import { definePluginEntry } from "Durar/plugin-sdk/core";';
const PI = '@mariozechner/pi-ai';
const loads: Record<string, Job & { value: unknown }> = {
  'TypeScript as it is (CARD-039, ENGINE-085)': {
    files: {
      'index.ts': `import { delegateCompactionToRuntime, type ContextEngine } from "Durar/plugin-sdk/core"; import { name } from "./name.ts";
        export default [typeof delegateCompactionToRuntime, name satisfies string];`,
      'name.ts': 'export const name: string = "demo";',
    },
    value: ['function', 'demo'],
  },
  'plain JavaScript': { files: { 'index.mjs': `${SDK} export default typeof definePluginEntry;` }, value: 'function' },
  'every spelling of the SDK, always the same module (AMB-002, CARD-035)': {
    files: {
      'index.mjs': `import { definePluginEntry as a } from "Durar/plugin-sdk/core"; import { definePluginEntry as b } from "durar/plugin-sdk/core";
        import { definePluginEntry as c } from "durar-ai/plugin-sdk/core"; import { definePluginEntry as d } from "Durar/plugin-sdk/plugin-entry";
        import { definePluginEntry as e } from "openclaw/plugin-sdk/plugin-entry"; import { createPluginRuntimeStore as f } from "Durar/plugin-sdk/runtime-store";
        export default [a === b, a === c, a === d, a === e, typeof f];`,
    },
    value: [true, true, true, true, 'function'],
  },
  'CommonJS, and the SDK by require': {
    files: {
      'index.cjs': `const { definePluginEntry } = require("Durar/plugin-sdk/core"); const { delegateCompactionToRuntime } = require("openclaw/plugin-sdk");
        module.exports = [typeof definePluginEntry, typeof delegateCompactionToRuntime, require("./name.cjs").name];`,
      'name.cjs': 'exports.name = "demo";',
    },
    value: ['function', 'function', 'demo'],
  },
  'an export that a compiler put into CommonJS': { files: { 'index.cjs': 'exports.__esModule = true; exports.default = "demo";' }, value: 'demo' },
  'TypeScript below node_modules, by jiti (CARD-039)': {
    under: 'node_modules',
    files: {
      'index.ts': `${SDK} import { name } from "./name"; export default [typeof definePluginEntry, name as string];`,
      'name.ts': 'export const name: string = "demo";',
    },
    value: ['function', 'demo'],
  },
  'enum and namespace, by jiti': {
    files: { 'index.ts': `${SDK} enum Mode { On = "on" } namespace N { export const x = 1 } export default [Mode.On, N.x, typeof definePluginEntry];` },
    value: ['on', 1, 'function'],
  },
  'require in an ES module, by jiti': {
    files: { 'index.ts': 'import { join } from "node:path"; const os = require("node:os"); export default [typeof join, typeof os.tmpdir];' },
    value: ['function', 'function'],
  },
  'a .js specifier of a .ts file, by jiti': {
    files: { 'index.ts': 'import { name } from "./name.js"; export default name;', 'name.ts': 'export const name: string = "demo";' },
    value: 'demo',
  },
  'a module that engines leave to the host, from its own node_modules': {
    files: {
      'index.ts': `import { v } from "${PI}"; export default v as number;`,
      [`node_modules/${PI}/package.json`]: '{"type":"module","exports":{".":{"import":"./i.js"}}}',
      [`node_modules/${PI}/i.js`]: 'export const v = 7;',
    },
    value: 7,
  },
  'the same by jiti': {
    files: {
      'index.ts': `import { v } from "${PI}"; enum A { B } export default [v, A.B];`,
      [`node_modules/${PI}/package.json`]: '{"type":"module","exports":{".":{"import":"./i.js"}}}',
      [`node_modules/${PI}/i.js`]: 'export const v = 7;',
    },
    value: [7, 0],
  },
  'the ancestor’s names that Durar lacks, which throw when they are called': {
    files: {
      'index.ts': `import { emptyPluginConfigSchema, onDiagnosticEvent } from "openclaw/plugin-sdk";
        import { createDedupeCache, DEFAULT_ACCOUNT_ID, KeyedAsyncQueue } from "openclaw/plugin-sdk/core";
        class Queue extends KeyedAsyncQueue {}
        export default [DEFAULT_ACCOUNT_ID, emptyPluginConfigSchema().safeParse({}).success, () => onDiagnosticEvent(), () => new Queue(), () => \`\${createDedupeCache}\`, () => KeyedAsyncQueue.of.all()];`,
    },
    value: [
      'default',
      true,
      ...[
        'openclaw/plugin-sdk onDiagnosticEvent',
        'openclaw/plugin-sdk/core KeyedAsyncQueue',
        'openclaw/plugin-sdk/core createDedupeCache',
        'openclaw/plugin-sdk/core KeyedAsyncQueue.of.all',
      ].map((member) => ({ code: 'DUR_EXT_NOT_AVAILABLE', message: `'${member}' is not available in this version of Durar` })),
    ],
  },
  'types that are imported without saying so, and names of later versions of the ancestor’s line': {
    files: {
      'index.ts': `import { definePluginEntry, OpenClawPluginApi } from "openclaw/plugin-sdk/core"; import { fromTheFuture } from "openclaw/plugin-sdk/core";
        export { alsoLater } from "openclaw/plugin-sdk/core";
        const api = {} as OpenClawPluginApi; export default [typeof definePluginEntry, typeof api, () => fromTheFuture()];`,
    },
    value: [
      'function',
      'object',
      { code: 'DUR_EXT_NOT_AVAILABLE', message: "'openclaw/plugin-sdk/core fromTheFuture' is not available in this version of Durar" },
    ],
  },
  'a name that a CommonJS package makes while it runs, by jiti': {
    files: {
      'index.mjs': 'import { late } from "pkg"; export default late;',
      'node_modules/pkg/package.json': '{"main":"i.js"}',
      'node_modules/pkg/i.js': 'for (const name of ["late"]) module.exports[name] = 7;',
    },
    value: 7,
  },
  'types of its own that are imported without saying so, by jiti': {
    files: {
      'index.ts': `import { Shape } from "./shape.ts"; import { later } from "openclaw/plugin-sdk";
        export default [({ side: 2 } as Shape).side, () => later()];`,
      'shape.ts': 'export interface Shape { side: number }',
    },
    value: [2, { code: 'DUR_EXT_NOT_AVAILABLE', message: "'openclaw/plugin-sdk later' is not available in this version of Durar" }],
  },
};

const refusals: Record<string, Job & { code: string; text: string; file?: string; line?: number }> = {
  'a syntax error in JavaScript': {
    files: { 'index.mjs': 'export const a = 1;\n\nconst b = = 2;' },
    code: 'DUR_EXT_IMPORT_FAILED',
    text: 'Unexpected token',
    file: 'index.mjs',
    line: 3,
  },
  'a syntax error in TypeScript, in Node’s words': {
    files: { 'index.ts': 'import "./b.ts";', 'b.ts': '\nconst b: = 2;' },
    code: 'DUR_EXT_IMPORT_FAILED',
    text: '=',
    file: 'b.ts',
    line: 2,
  },
  'a syntax error below node_modules': { under: 'node_modules', files: { 'index.ts': 'const b: = 2;' }, code: 'DUR_EXT_IMPORT_FAILED', text: '' },
  'a throw at the top level': {
    files: { 'index.ts': 'const a: number = 1;\nthrow new TypeError("boom");' },
    code: 'DUR_EXT_IMPORT_FAILED',
    text: 'boom',
    file: 'index.ts',
    line: 2,
  },
  'a throw at the top level of what jiti loads': {
    files: { 'index.ts': 'enum A { B }\nthrow new TypeError("boom");' },
    code: 'DUR_EXT_IMPORT_FAILED',
    text: 'boom',
    file: 'index.ts',
    line: 2,
  },
  'something thrown that is no error': { files: { 'index.mjs': 'throw "boom";' }, code: 'DUR_EXT_IMPORT_FAILED', text: 'boom' },
  'an await that never resolves': { files: { 'index.mjs': 'await new Promise(() => {});' }, code: 'DUR_EXT_IMPORT_TIMEOUT', text: '400 ms' },
  'a missing package': { files: { 'index.mjs': 'import "left-pad-of-nobody";' }, code: 'DUR_EXT_MODULE_MISSING', text: "'demo' imports 'left-pad-of-nobody'" },
  'a missing file of its own': { files: { 'index.mjs': 'import "./gone.js";' }, code: 'DUR_EXT_IMPORT_FAILED', text: 'gone.js' },
  'an unknown subpath of the SDK': {
    files: { 'index.mjs': 'import "Durar/plugin-sdk/nonsense";' },
    code: 'DUR_EXT_MODULE_MISSING',
    text: "'demo' imports 'Durar/plugin-sdk/nonsense'",
  },
  'a subpath that leads out of the SDK': {
    files: { 'index.mjs': 'import "Durar/plugin-sdk/../core/kernel/host";' },
    code: 'DUR_EXT_MODULE_MISSING',
    text: 'core/kernel/host',
  },
  'an unknown subpath of the ancestor’s SDK': {
    files: { 'index.mjs': 'import "openclaw/plugin-sdk/nonsense";' },
    code: 'DUR_EXT_MODULE_MISSING',
    text: 'nonsense',
  },
  'a module left to the host, which the host has not either': {
    files: { 'index.mjs': `import "${PI}";` },
    code: 'DUR_EXT_MODULE_MISSING',
    text: `'demo' imports '${PI}'`,
  },
};

const generations: Record<string, Job> = {
  'ES modules': {
    files: { 'index.ts': 'export { default } from "./lib/child.ts";', 'lib/child.ts': 'export default "old" as string;' },
    edit: { 'lib/child.ts': 'export default "new" as string;' },
  },
  CommonJS: {
    files: { 'index.cjs': 'module.exports = require("./child.cjs");', 'child.cjs': 'module.exports = "old";' },
    edit: { 'child.cjs': 'module.exports = "new";' },
  },
  'what jiti loads': {
    files: { 'index.ts': 'import child from "./child"; enum A { B } export default child;', 'child.ts': 'export default "old" as string;' },
    edit: { 'child.ts': 'export default "new" as string;' },
  },
};

const all = { ...loads, ...refusals, ...generations };
const placed = Object.values(all).map(place);
/** One process for all, so that a refused import is shown not to disturb the next. */
const results = runChild(placed);
const outcomes = new Map(Object.keys(all).map((name, at) => [name, results[at] ?? []]));

describe('an extension is imported', () => {
  it.each(Object.entries(loads))('%s', (name, { value }) => {
    expect(outcomes.get(name)).toEqual([{ value }]);
  });

  it.each(Object.keys(generations))('anew with every file of its own, under a new digest: %s', (name) => {
    expect(outcomes.get(name)).toEqual([{ value: 'old' }, { value: 'new' }]);
  });
});

describe('an import is refused', () => {
  it.each(Object.entries(refusals))('%s', (name, { code, text, file, line }) => {
    const [outcome] = outcomes.get(name) ?? [];
    expect(outcome).toMatchObject({ code, owner: { extension: 'demo' } });
    expect(outcome?.message).toContain(text);
    expect(outcome?.hint).not.toBe('');
    if (file !== undefined) expect(outcome?.owner?.file).toMatch(new RegExp(`/plugin-[^/]+/${file}$`));
    if (line !== undefined) expect(outcome?.owner?.line).toBe(line);
  });

  it('when the entry was made to leave its folder after its manifest was read', () => {
    const { root } = place({ files: { 'other.mjs': 'export default 1;' } });
    const outside = join(mkdir(join(base, 'outside')), 'x.mjs');
    writeFileSync(outside, 'export default 1;');
    symlinkSync(outside, join(root, 'index.mjs'));
    expect(runChild([{ root, file: join(root, 'index.mjs') }])).toMatchObject([[{ code: 'DUR_MANIFEST_SOURCE_ESCAPES_ROOT' }]]);
  });
});

describe('the code digest', () => {
  it('changes with any file but those of node_modules and hidden folders', async () => {
    const { root } = place({ files: { 'index.ts': '', 'lib/a.ts': 'a', 'node_modules/x/index.js': '', '.git/HEAD': '' } });
    const first = await codeDigest(root);
    expect(await codeDigest(root)).toBe(first);
    writeFileSync(join(root, 'node_modules/x/index.js'), 'changed');
    writeFileSync(join(root, '.git/HEAD'), 'changed');
    expect(await codeDigest(root)).toBe(first);
    writeFileSync(join(root, 'lib/a.ts'), 'longer');
    const second = await codeDigest(root);
    expect(second).not.toBe(first);
    writeFileSync(join(root, 'new.json'), '{}');
    expect(await codeDigest(root)).not.toBe(second);
  });
});
