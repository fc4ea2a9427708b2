import { readdirSync, readFileSync } from 'node:fs';
import { createRequire, registerHooks, stripTypeScriptTypes } from 'node:module';
import { join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ANCESTOR } from '../../sdk/ancestor.ts';
import { type DurarError, durarError, type ErrorOwner, errorCode, errorText } from '../../sdk/index.ts';
import { trustedEntry } from '../manifest/trust.ts';
import { createSdkSpecifiers, missingModule, type SdkSpecifiers } from './sdk-specifiers.ts';

export interface ImportRequest {
  id: string;
  /** Absolute real paths. */
  file: string;
  root: string;
  /** Of all its code: another digest is another copy of every module below the root. */
  digest: string;
  /** Part of the host's own package; anything else passes the trust gates once more. */
  trusted: boolean;
  /** milliseconds, default 15000 */
  timeoutMs?: number;
}

const IMPORT_TIMEOUT_MS = 15_000;
/** A type that is imported without saying so: Node takes it for a value, jiti leaves it out. */
const UNMARKED_TYPE = /^[^\n]*\.[cm]?ts(?:\?[^\n]*)?:\d+\n[\s\S]*does not provide an export named/;
/** A name of a CommonJS package that Node does not see before it runs. */
const UNSEEN_EXPORT = /(?:^Named export '[^']+' not found|^The requested module '(?!node:|Durar\/|durar)[^./][^']*' does not provide an export named)/;
/** Node says no, jiti may say yes. `ERR_MODULE_NOT_FOUND` is among them because sources say `./x.js` or `./x` for `x.ts`. */
const JITI_CODES: readonly unknown[] = [
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_INVALID_TYPESCRIPT_SYNTAX',
  'ERR_UNSUPPORTED_DIR_IMPORT',
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_REQUIRE_ASYNC_MODULE',
];
const MISSING_CODES: readonly unknown[] = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];
const MIXED = /^(require|module|exports|__filename|__dirname) is not defined in ES module scope/;

/**
 * Imports the entry of an extension; resolves to its namespace. Rejects with `DUR_EXT_IMPORT_FAILED`, `_IMPORT_TIMEOUT`, `_MODULE_MISSING`, or with the
 * code of a `DUR_MANIFEST_*` gate.
 */
export async function importModule(request: ImportRequest): Promise<unknown> {
  const { id, file, root, trusted, timeoutMs = IMPORT_TIMEOUT_MS } = request;
  if (!trusted) trustedEntry({ id, root, entry: file, origin: 'installed' });
  const sdk = createSdkSpecifiers();
  if (!isHooked()) installHooks(sdk);
  const timer = Promise.withResolvers<never>();
  const timeout = setTimeout(() => timer.reject(durarError('DUR_EXT_IMPORT_TIMEOUT', { id, ms: timeoutMs }, { owner: { extension: id, file } })), timeoutMs);
  try {
    return await Promise.race([importEither(request, sdk), timer.promise]);
  } catch (error) {
    throw describeFailure(error, request);
  } finally {
    clearTimeout(timeout);
  }
}

/** Node has one module loader a process and keeps its hooks for good, so whether they are there is asked of it. */
function isHooked(): boolean {
  try {
    createRequire(import.meta.url).resolve('Durar/plugin-sdk/core');
    return true;
  } catch (error) {
    if (MISSING_CODES.includes(errorCode(error))) return false;
    throw error;
  }
}

/** The hooks hold no state: the URL of an extension's module says which generation it is of and how deep its root lies. */
function installHooks(sdk: SdkSpecifiers): void {
  registerHooks({
    resolve(specifier, context, next) {
      const url = sdk.resolve(specifier, context.parentURL ?? '');
      if (url !== undefined) return { url, shortCircuit: true };
      if (Object.hasOwn(ANCESTOR.hostModules, specifier)) return resolveShared(specifier, context, next);
      const result = next(specifier, context);
      const [query, depth] = /\?g=[^&]+&r=(\d+)$/.exec(context.parentURL ?? '') ?? [];
      if (query === undefined || result.url.includes('?')) return result;
      const root = `${context.parentURL?.split('/').slice(0, Number(depth)).join('/')}/`;
      return isOwnFile(result.url, root) ? { ...result, url: `${result.url}${query}` } : result;
    },
    load(url, context, next) {
      const source = sdk.load(url);
      if (source !== undefined) return { format: 'module', source, shortCircuit: true };
      const result = next(url, context);
      return url.includes('?g=') && result.format?.startsWith('commonjs') === true
        ? { format: 'module', source: wrapCommonJs(url), shortCircuit: true }
        : result;
    },
  });
}

/**
 * A CommonJS module of an extension as an ES module. Node's own way fills its cache with half-loaded modules while it looks for export names, and a
 * second generation then reads those as empty.
 */
function wrapCommonJs(url: string): string {
  const file = fileURLToPath(url.slice(0, url.indexOf('?')));
  const value: unknown = createRequire(file)(file);
  const names = Object.keys(Object(value)).filter((name) => name !== 'default' && name !== 'module.exports');
  return [
    `import { createRequire } from 'node:module';`,
    `const value = createRequire(${JSON.stringify(file)})(${JSON.stringify(file)});`,
    `export { value as default, value as 'module.exports' };`,
    ...names.map((name, place) => `const m${place} = value[${JSON.stringify(name)}]; export { m${place} as ${JSON.stringify(name)} };`),
  ].join('\n');
}

async function importEither(request: ImportRequest, sdk: SdkSpecifiers): Promise<unknown> {
  const { file, root, digest } = request;
  forgetRequired(root);
  try {
    return unwrap(
      await import(/* @vite-ignore */ `${pathToFileURL(file).href}?g=${encodeURIComponent(digest)}&r=${pathToFileURL(root).href.split('/').length}`),
    );
  } catch (error) {
    if (!isForJiti(error, root)) throw error;
    try {
      return await importWithJiti(file, sdk);
    } catch (second) {
      // Both agree that it is wrong: Node's words name file and line, and jiti's are about code that nobody wrote.
      throw second instanceof SyntaxError || MISSING_CODES.includes(errorCode(second)) || errorText(second).startsWith('ParseError') ? error : second;
    }
  }
}

async function importWithJiti(file: string, sdk: SdkSpecifiers): Promise<unknown> {
  const [{ createJiti }, { standIns }] = await Promise.all([import('jiti'), import('../../sdk/ancestor/members.ts')]);
  const hostRequire = createRequire(import.meta.url);
  const jiti = createJiti(pathToFileURL(file).href, {
    fsCache: false,
    rebuildFsCache: false,
    moduleCache: true,
    debug: false,
    sourceMaps: false,
    interopDefault: true,
    tryNative: false,
    esmEvalTempFile: false,
    jsx: false,
    tsconfigPaths: false,
    alias: {},
    nativeModules: [],
    transformModules: [],
    extensions: ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.json'],
    // The same modules as under native import, so an extension never holds a second SDK.
    virtualModules: new Proxy(
      {},
      { has: (_, id) => typeof id === 'string' && sdk.resolve(id, file) !== undefined, get: (_, id) => standIns(id as string, hostRequire(id as string)) },
    ),
  });
  return jiti.import(file);
}

/** What a compiler made of `export default` in CommonJS. */
function unwrap(namespace: { default?: unknown }): unknown {
  const inner = namespace.default as { __esModule?: unknown } | undefined;
  return typeof inner === 'object' && inner?.__esModule === true ? inner : namespace;
}

/** From the extension first, then from the host. */
function resolveShared<Result>(specifier: string, context: { parentURL?: string | undefined }, next: (specifier: string, context: object) => Result): Result {
  const importer = context.parentURL ?? '';
  for (const parentURL of [importer, import.meta.url]) {
    try {
      return next(specifier, { ...context, parentURL });
    } catch (error) {
      if (!MISSING_CODES.includes(errorCode(error))) throw error;
    }
  }
  throw missingModule(specifier, importer, `Add ${specifier} to the dependencies of the extension; Durar does not bring it.`);
}

function describeFailure(error: unknown, { id, file, root }: ImportRequest): unknown {
  const code = errorCode(error);
  if (code === 'DUR_EXT_MODULE_MISSING') {
    const { hint, details } = error as DurarError & { details: { specifier: string; file: string } };
    return missingModule(details.specifier, details.file, hint, id);
  }
  if (code?.startsWith('DUR_') === true) return error;
  const owner = { extension: id, file, ...placeOf(error, root) };
  const specifier = MISSING_CODES.includes(code) ? /Cannot find (?:package|module) '([^./\\][^']*)'/.exec(errorText(error))?.[1] : undefined;
  if (specifier !== undefined) return durarError('DUR_EXT_MODULE_MISSING', { id, specifier }, { owner, cause: error });
  const place = owner.line === undefined ? '' : ` (${owner.file}:${owner.line})`;
  return durarError('DUR_EXT_IMPORT_FAILED', { id, root, reason: `${errorText(error)}${place}` }, { owner, cause: error });
}

/** Where in the extension's code an error arose. V8 does not say it for a syntax error in an ES module, so the sources are parsed once more. */
function placeOf(error: unknown, root: string): ErrorOwner {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const match of stack.matchAll(/((?:file:\/\/)?\/[^\s:()]+?)(?:\?[^:\s]*)?:(\d+)(?::(\d+))?/g)) {
    const [, path = '', line, column] = match;
    const file = path.startsWith('file:') ? fileURLToPath(path) : path;
    if (file.startsWith(root + sep)) return { file, line: Number(line), ...(column === undefined ? {} : { column: Number(column) }) };
  }
  return error instanceof SyntaxError ? findSyntaxError(root) : {};
}

function findSyntaxError(root: string): ErrorOwner {
  const sources = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /\.[cm]?[jt]s$/.test(name) && !name.split(sep).includes('node_modules'),
  );
  for (const file of sources.map((name) => join(root, name))) {
    try {
      stripTypeScriptTypes(readFileSync(file, 'utf8'));
    } catch (error) {
      const line = /^[^\n]*:(\d+)\n/.exec(error instanceof Error ? (error.stack ?? '') : '')?.[1];
      if (errorCode(error) === 'ERR_INVALID_TYPESCRIPT_SYNTAX' && line !== undefined) return { file, line: Number(line) };
    }
  }
  return {};
}

function isForJiti(error: unknown, root: string): boolean {
  if (JITI_CODES.includes(errorCode(error))) return true;
  if (error instanceof ReferenceError) return MIXED.test(error.message);
  if (error instanceof SyntaxError) return UNSEEN_EXPORT.test(error.message) || UNMARKED_TYPE.test(error.stack ?? '');
  const url = (error as { url?: unknown } | undefined)?.url;
  return errorCode(error) === 'ERR_MODULE_NOT_FOUND' && typeof url === 'string' && isOwnFile(url, urlOf(root));
}

/** CommonJS modules are cached by file name without the digest, so those of an older generation are taken out. */
function forgetRequired(root: string): void {
  const { cache } = createRequire(import.meta.url);
  for (const file of Object.keys(cache)) if (isOwnFile(pathToFileURL(file).href, urlOf(root))) delete cache[file];
}

function urlOf(root: string): string {
  return `${pathToFileURL(root).href}/`;
}

function isOwnFile(url: string, root: string): boolean {
  return url.startsWith(root) && !url.slice(root.length - 1).includes('/node_modules/');
}
