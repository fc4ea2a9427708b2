import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { durarError, errorCode } from '../../sdk/errors.ts';

/** One exact version as the registry describes it. */
export interface ResolvedPackage {
  name: string;
  version: string;
  integrity?: string;
  shasum?: string;
}

/** The user's own npm: its registry, credentials and cache are those of the user's npmrc. */
export interface Npm {
  /** Throws `DUR_INSTALL_NOT_FOUND`, `DUR_INSTALL_NPM`. */
  resolve(spec: string, cwd: string): Promise<ResolvedPackage>;
  /** Downloads the tarball of an exact version into `dir`, which must be empty; npm checks it against the registry. Returns its path. */
  download(pkg: ResolvedPackage, dir: string): Promise<string>;
  /** Installs what `<dir>/package.json` asks for, without scripts, dev and peer dependencies. `spec` is what messages call it. */
  install(spec: string, dir: string): Promise<void>;
}

const TIME_LIMIT_MS = 10 * 60_000;
/** What an outer `npx` or `npm run` sets for its own project, which is not the one that we work in. */
const OUTER =
  /^(?:npm_(?:package|lifecycle)_.*|npm_(?:command|config_(?:local_prefix|workspaces?|include_workspace_root|omit|include|global|location|dry_run|package_lock_only))|init_cwd)$/i;

export function createNpm(env: NodeJS.ProcessEnv): Npm {
  const childEnv = Object.fromEntries(Object.entries(env).filter(([name]) => !OUTER.test(name)));

  async function run(spec: string, cwd: string, args: string[]): Promise<string> {
    const { execa } = await import('execa');
    const [file, first] = command(env);
    const result = await execa(file, [...first, ...args], { cwd, env: childEnv, extendEnv: false, reject: false, timeout: TIME_LIMIT_MS, stdin: 'ignore' });
    if (result.exitCode === 0) return result.stdout;
    if (result.code === 'ENOENT')
      throw durarError(
        'DUR_INSTALL_NPM',
        { reason: 'there is no npm on the PATH' },
        { cause: result, hint: 'Install npm, or install the extension from a folder.' },
      );
    if (result.timedOut) throw durarError('DUR_INSTALL_NPM', { reason: `it did not end within ${TIME_LIMIT_MS / 60_000} minutes` });
    throw failure(args[0] === 'install' ? (missingSpec(result.stdout) ?? spec) : spec, result.stdout, result.stderr, result.signal);
  }

  return {
    async resolve(spec, cwd) {
      const output = await run(spec, cwd, ['view', '--json', '--prefer-online', '--prefix', cwd, '--', spec, 'name', 'version', 'dist']);
      const found = parse(output);
      const { name, version, dist } = (Array.isArray(found) ? found.at(-1) : found) as { name?: unknown; version?: unknown; dist?: Record<string, unknown> };
      if (typeof name !== 'string' || typeof version !== 'string') throw durarError('DUR_INSTALL_NOT_FOUND', { spec });
      return {
        name,
        version,
        ...strongest(dist?.integrity),
        ...(typeof dist?.shasum === 'string' ? { shasum: dist.shasum } : {}),
      };
    },
    async download({ name, version }, dir) {
      const spec = `${name}@${version}`;
      await run(spec, dir, ['pack', '--json', '--ignore-scripts', '--prefix', dir, '--pack-destination', dir, '--', spec]);
      const file = (await readdir(dir)).find((entry) => entry.endsWith('.tgz'));
      if (file === undefined) throw durarError('DUR_INSTALL_NPM', { reason: `it downloaded nothing for '${spec}'` });
      return join(dir, file);
    },
    async install(spec, dir) {
      const flags = ['--omit=dev', '--omit=peer', '--ignore-scripts', '--no-audit', '--no-fund', '--install-links', '--no-workspaces', '--loglevel=error'];
      await run(spec, dir, ['install', '--json', ...flags, '--prefix', dir]);
    },
  };
}

/** The npm that runs us when there is one, else the first on the PATH. */
function command(env: NodeJS.ProcessEnv): [string, string[]] {
  const script = env.npm_execpath;
  if (script !== undefined && basename(script) === 'npm-cli.js') return [process.execPath, [script]];
  return ['npm', []];
}

function failure(spec: string, stdout: string, stderr: string, signal: string | undefined): Error {
  const { code, summary, detail } = reported(stdout);
  const text = withoutCredentials(
    summary ?? stderr.split('\n').find((line) => line.trim() !== '') ?? (signal === undefined ? 'it gave no reason' : `it was ended by ${signal}`),
  );
  if (code === 'E404' || code === 'ETARGET' || code === 'ENOVERSIONS') return durarError('DUR_INSTALL_NOT_FOUND', { spec }, { cause: new Error(text) });
  if (code === 'ENOSPC') return durarError('DUR_INSTALL_SPACE', { spec });
  if (code === 'EINTEGRITY')
    return durarError(
      'DUR_INSTALL_NPM',
      { reason: text },
      { hint: 'The download does not match the registry. Try again; if it goes on, do not trust the source.' },
    );
  return durarError(
    'DUR_INSTALL_NPM',
    { reason: code === undefined ? text : `${code} ${text}` },
    { details: withoutCredentials(detail ?? stderr).slice(-4000) },
  );
}

/** An integrity text may hold several digests; old packages have none but the shasum. */
function strongest(integrity: unknown): { integrity?: string } {
  const sha512 = typeof integrity === 'string' ? integrity.split(/\s+/).find((each) => each.startsWith('sha512-')) : undefined;
  return sha512 === undefined ? {} : { integrity: sha512 };
}

/** The dependency that npm's report names as missing; that helps more than the name of the extension. */
function missingSpec(text: string): string | undefined {
  return /'([^']+)' (?:is not in this registry|could not be found)/.exec(text)?.[1] ?? /No matching version found for ([^\s"]+?)\.?[\s"]/.exec(text)?.[1];
}

function reported(stdout: string): { code?: string; summary?: string; detail?: string } {
  const value = parse(stdout) as { error?: Record<string, unknown> } | undefined;
  const text = (field: string) =>
    typeof value?.error?.[field] === 'string' && value.error[field] !== '' ? { [field]: (value.error[field] as string).trim() } : {};
  return { ...text('code'), ...text('summary'), ...text('detail') };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/\s@]+@/g, '//***@').replace(/(_authToken|_password|_auth)\s*=\s*\S+/g, '$1=***');
}

/** True for the codes that a full disk or a spent quota gives. */
export function isNoSpace(error: unknown): boolean {
  for (let cause: unknown = error, depth = 0; cause !== undefined && cause !== null && depth < 8; cause = (cause as { cause?: unknown }).cause, depth += 1) {
    const code = errorCode(cause);
    if (code === 'ENOSPC' || code === 'EDQUOT') return true;
  }
  return false;
}
