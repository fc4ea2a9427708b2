/**
 * Makes `dist/`: what the published package runs. Node refuses TypeScript below node_modules, and one bundle per entry starts in a fraction of
 * the time that hundreds of small files take. Manifests, templates and the type declarations of the sdk go along.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
/** Libraries on the path of a start: bundled, because looking them up file by file costs more than running them. */
const BUNDLED = /^(ws|tapable|commander|semver|json5)(\/|$)/;

/** What nearly every command and the gateway load together; else each shared file becomes a chunk of its own, and looking up a hundred of them costs a start dearly. */
const CHUNKS = [
  { name: 'errors', test: /\/sdk\/(?:errors|suggest|error-codes\/[^/]+)\.ts$/ },
  { name: 'sdk', test: /\/sdk\/(?:ports\/[^/]+|[^/]+)\.ts$/, minShareCount: 3 },
  { name: 'config', test: /\/core\/config\//, minShareCount: 3 },
  { name: 'manifest', test: /\/core\/(?:manifest|logging)\//, minShareCount: 3 },
];

process.chdir(root);
rmSync(dist, { recursive: true, force: true });

const extensions = globSync('extensions/*/*/Durar.plugin.json').map(dirname);
const input: Record<string, string> = {
  'core/cli/main': 'core/cli/main.ts',
  ...(existsSync('core/testing/index.ts') ? { 'core/testing/index': 'core/testing/index.ts' } : {}),
};
for (const file of globSync('core/{install,cli}/**/*-child.ts')) input[file.replace(/\.ts$/, '')] = file;
for (const file of globSync('sdk/**/*.ts'))
  if (!/\.(test|d)\.ts$|\/templates\/|\/(methods|schema)\b.*|sdk\/(?:protocol|error-codes)\//.test(file)) input[file.replace(/\.ts$/, '')] = file;
for (const folder of extensions) if (existsSync(join(folder, 'index.ts'))) input[`${folder}/index`] = `${folder}/index.ts`;

const bundle = await rolldown({
  input,
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/') && !id.startsWith('Durar/plugin-sdk/') && !BUNDLED.test(id) && !(id in input),
  plugins: [
    {
      name: 'sdk-specifiers',
      resolveId(id) {
        const name = /^Durar\/plugin-sdk\/(.+)$/.exec(id)?.[1];
        if (name === undefined) return undefined;
        const file = { core: 'sdk/index.ts', 'plugin-entry': 'sdk/entry.ts', testing: 'core/testing/index.ts' }[name] ?? `sdk/${name}.ts`;
        return join(root, file);
      },
    },
    {
      // one value, as Node has it: the bundler's own named exports of a document that two chunks share do not link
      name: 'json-value',
      transform: { filter: { id: /\.json$/ }, handler: (code) => ({ code: `export default ${code};`, moduleType: 'js' }) },
    },
  ],
});
await bundle.write({
  dir: dist,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'core/chunks/[name]-[hash].js',
  minify: false,
  sourcemap: false,
  codeSplitting: { groups: CHUNKS },
});
await bundle.close();
for (const file of globSync('dist/**/*.js')) takeBuiltinsFromProcess(file);

copy('core/cli/durar.js');
chmodSync(join(dist, 'core/cli/durar.js'), 0o755);
for (const folder of extensions) for (const file of globSync(`${folder}/{Durar.plugin.json,README.md}`)) copy(file);
if (existsSync('sdk/templates')) cpSync('sdk/templates', join(dist, 'sdk/templates'), { recursive: true });
for (const file of globSync('{core,sdk}/**/generated/*.json')) copy(file);
declareTypes();
console.log(`built dist/ with ${Object.keys(input).length} entries and ${extensions.length} extensions`);

function copy(file: string): void {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  cpSync(file, join(dist, file));
}

/**
 * An import of a built-in module makes Node read every export of it, lazy ones included: `node:http` alone then loads a whole HTTP client (18 ms),
 * `node:fs` all streams. Taken from the process, only what is used is read.
 */
function takeBuiltinsFromProcess(file: string): void {
  const text = readFileSync(file, 'utf8');
  const taken = text.replace(
    /^import (?:(\w+)(?:, )?)?(?:\* as (\w+)|\{([^}]*)\})? from "(node:[\w/]+)";$/gm,
    (_line, whole?: string, space?: string, names?: string, id?: string) => {
      const module = `process.getBuiltinModule("${id}")`;
      const parts = [whole, space].filter((name) => name !== undefined).map((name) => `const ${name} = ${module};`);
      if (names !== undefined) parts.push(`const {${names.replaceAll(' as ', ': ')}} = ${module};`);
      return parts.join(' ');
    },
  );
  if (taken !== text) writeFileSync(file, taken);
}

/** The sdk's declarations, their imports renamed from source to output. */
function declareTypes(): void {
  const settings = ['--ignoreConfig', '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', dist, '--rootDir', '.'];
  const language = [
    '--target',
    'es2024',
    '--module',
    'nodenext',
    '--strict',
    '--skipLibCheck',
    '--allowImportingTsExtensions',
    '--resolveJsonModule',
    '--types',
    'node',
  ];
  execFileSync(
    join(root, 'node_modules/.bin/tsc'),
    [...settings, ...language, 'core/testing/index.ts', ...globSync(['sdk/*.ts', 'sdk/client/*.ts']).filter((file) => !file.endsWith('.test.ts'))],
    {
      stdio: 'inherit',
    },
  );
  for (const file of globSync('dist/**/*.d.ts')) {
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/(from\s+|import\()(['"])(\.[^'"]+)\.ts\2/g, '$1$2$3.js$2'));
  }
  // Authors write `Durar/plugin-sdk/core`; the published subpath of that name is `plugin-sdk/core`.
  for (const [name, target] of [
    ['core', './index.js'],
    ['plugin-entry', './entry.js'],
    ['testing', '../core/testing/index.js'],
  ] as const) {
    writeFileSync(join(dist, 'sdk', `${name}.d.ts`), `export * from '${target}';\n`);
    writeFileSync(join(dist, 'sdk', `${name}.js`), `export * from '${target}';\n`);
  }
}
