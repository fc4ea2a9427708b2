#!/usr/bin/env node
// Plain JavaScript in syntax that any Node with ES modules can parse, so that an old one gets far enough to be told what is wrong.
// It answers --version alone, and otherwise runs the sources of a checkout or the build of a package.
// Built-in modules are taken from the process: importing one reads all of its exports, which loads what nobody asked for.
const WANTED = 24;
const argv = process.argv.slice(2);
const builtin = process.getBuiltinModule ?? (await import('node:module')).createRequire(import.meta.url);
const { existsSync, readFileSync } = builtin('node:fs');
const { join } = builtin('node:path');
const { fileURLToPath } = builtin('node:url');

if (asksVersion(argv)) process.stdout.write(`${packageVersion()}\n`);
else if (Number.parseInt(process.versions.node, 10) >= WANTED) await run();
else await rerun();

async function run() {
  if (!process.env.NODE_COMPILE_CACHE) builtin('node:module').enableCompileCache(join(cacheFolder(), 'durar', 'compile'));
  dropWarning('SQLite is an experimental feature');
  const entry = first('./main.js', './main.ts', '../../dist/core/cli/main.js');
  const { main } = await import(entry.href);
  process.exitCode = await main(argv);
}

/** In a checkout `npm ci` brought a Node that is new enough; elsewhere there is nothing to do but say so. */
async function rerun() {
  const node = new URL(`../../node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`, import.meta.url);
  if (!existsSync(node)) {
    const message = `Durar needs Node ${WANTED} or newer; this is ${process.versions.node}`;
    const hint = 'Install a newer Node; inside a checkout, run `npm ci` first.';
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ ok: false, error: { code: 'DUR_CLI_NODE', message, hint } })}\n`);
    else process.stderr.write(`error DUR_CLI_NODE: ${message}\n  ${hint}\n`);
    process.exitCode = 1;
    return;
  }
  const { spawn } = builtin('node:child_process');
  const child = spawn(fileURLToPath(node), [fileURLToPath(import.meta.url), ...argv], { stdio: 'inherit' });
  // A terminal sends its own signals to the whole group, so only those sent to this process alone are passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}

/** `--version` counts before the command only; after it, it may be the value of an option. */
function asksVersion(words) {
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i];
    if (word === '-V' || word === '-v' || word === '--version') return true;
    if (word === '--profile' || word === '--log-level') i += 1;
    else if (!word.startsWith('--') || word === '--') return false;
  }
  return false;
}

function packageVersion() {
  return JSON.parse(readFileSync(first('../../package.json', '../../../package.json'), 'utf8')).version;
}

function first(...paths) {
  const urls = paths.map((path) => new URL(path, import.meta.url));
  return urls.find((url) => existsSync(url)) ?? urls[0];
}

function cacheFolder() {
  const { homedir } = builtin('node:os');
  if (process.env.XDG_CACHE_HOME) return process.env.XDG_CACHE_HOME;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  if (process.platform === 'win32') return process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local');
  return join(homedir(), '.cache');
}

function dropWarning(start) {
  const emit = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning?.message ?? warning).startsWith(start)) emit.call(process, warning, ...rest);
  };
}
