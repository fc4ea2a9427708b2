import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readHostVersion } from './version.ts';

const entry = fileURLToPath(new URL('./durar.js', import.meta.url));
const cache = mkdtempSync(join(tmpdir(), 'durar-cli-cache-'));
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'durar-cli-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the real entry to its end, in a home of its own. */
function durar(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { PATH } = process.env;
  return new Promise((resolve) => {
    const options = { cwd: home, env: { PATH, HOME: home, XDG_CACHE_HOME: cache, ...env }, timeout: 30_000 };
    execFile(process.execPath, [entry, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

function writeConfig(text: string, folder = '.Durar'): string {
  const file = join(home, folder, 'Durar.json');
  mkdirSync(join(home, folder), { recursive: true, mode: 0o700 });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const read = (file: string) => readFileSync(file, 'utf8');

describe('the entry', () => {
  for (const args of [['--version'], ['-V'], ['-v'], ['--dev', '--version'], ['--profile', 'work', '-v']]) {
    it(`prints the version: durar ${args.join(' ')} (AMB-001)`, async () => {
      expect(await durar(args)).toEqual({ code: 0, stdout: `${readHostVersion()}\n`, stderr: '' });
    });
  }

  it('does not take a later -v for a question about its version', async () => {
    expect((await durar(['config', 'file', '-v'])).code).toBe(2);
  });

  it('refuses a Node that is too old, with a hint, and as JSON where asked', () => {
    const folder = join(home, 'elsewhere/core/cli');
    mkdirSync(folder, { recursive: true });
    // The same file without a checkout around it, under a Node that says it is old.
    writeFileSync(join(folder, 'durar.mjs'), read(entry));
    const old = ['--import', `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.2'})`];
    const run = (...args: string[]) => {
      try {
        execFileSync(process.execPath, [...old, join(folder, 'durar.mjs'), ...args], { stdio: 'pipe' });
      } catch (error) {
        return error as { status: number; stdout: Buffer; stderr: Buffer };
      }
      throw new Error('it was not refused');
    };
    const text = run('health');
    expect(text.status).toBe(1);
    expect(String(text.stderr)).toContain('DUR_CLI_NODE: Durar needs Node 24 or newer; this is 20.20.2');
    expect(String(text.stderr)).toContain('Install a newer Node');
    expect(JSON.parse(String(run('health', '--json').stdout))).toMatchObject({ ok: false, error: { code: 'DUR_CLI_NODE' } });
  });

  it('shows help on stdout, with every command and examples', async () => {
    for (const args of [[], ['--help'], ['help']]) {
      const { code, stdout, stderr } = await durar(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const name of ['gateway', 'status', 'health', 'doctor', 'agent', 'chat', 'plugins', 'config', 'sessions', 'models', 'completion'])
        expect(stdout).toContain(`  ${name}`);
      expect(stdout).toContain('Examples:');
    }
    expect((await durar(['help', 'plugins', 'install'])).stdout).toContain('Usage: durar plugins install [options] <spec>');
  });
});

describe('what is not understood ends with 2 and a proposal', () => {
  const cases: Array<[string[], string, string]> = [
    [['pluigns', 'list'], "unknown command 'pluigns'", '`durar plugins`'],
    [['plugins', 'lsit'], "unknown command 'lsit'", '`durar plugins list`'],
    [['gateway', 'statsu'], "unknown command 'statsu'", '`durar gateway status`'],
    [['hlep'], "unknown command 'hlep'", '`durar --help`'],
    [['version'], "unknown command 'version'", '`durar --version`'],
    [['plugins', 'help'], "unknown command 'help'", '`durar plugins --help`'],
    [['gateway', 'call', 'health', '--params', '{bad'], '--params is not JSON5: {bad', `--params '{"limit":5}'`],
    [['gateway', 'call', 'health', '--params', '5'], '--params is not an object', `--params '{"limit":5}'`],
    [['health', '--jsno'], "unknown option '--jsno'", '`--json`'],
    [['config'], "'durar config' needs a subcommand", 'get, set, unset, validate, file, schema'],
    [['config', 'set', 'only.path'], "missing required argument 'value'", 'durar config set --help'],
    [['health', '--timeout', 'soon'], 'must be a number', 'durar health --help'],
    [['gateway', 'run', '--bind', 'moon'], 'Allowed choices are loopback', 'durar gateway run --help'],
    [['--dev', '--profile', 'work', 'config', 'file'], '--dev and --profile exclude each other', '--help'],
    [['health', '--url', 'http:/nowhere'], 'needs --token or --password', 'never sent to another address'],
  ];
  for (const [args, message, hint] of cases) {
    it(`durar ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await durar(args);
      expect(code).toBe(message.includes('--token') ? 1 : 2);
      expect(stdout).toBe('');
      expect(stderr).toContain(message);
      expect(stderr).toContain(hint);
    });
  }

  it('is one JSON document on stdout with --json', async () => {
    const { code, stdout, stderr } = await durar(['plugins', 'lsit', '--json']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'DUR_CLI_USAGE', hint: expect.stringContaining('durar plugins list') } });
  });
});

describe('profiles', () => {
  it('keep their own state, configuration and port (AMB-007, AMB-058, GW-124)', async () => {
    expect((await durar(['--dev', 'config', 'file'])).stdout.trim()).toBe(join(home, '.Durar-dev/Durar.json'));
    expect((await durar(['config', 'file', '--profile', 'work'])).stdout.trim()).toBe(join(home, '.Durar-work/Durar.json'));
    expect((await durar(['--dev', 'config', 'get', 'gateway.port'])).stdout.trim()).toBe('19001');
    expect((await durar(['--dev', 'status'])).stdout).toContain('ws://127.0.0.1:19001');
  });
});

describe('config', () => {
  const text = `// mine
{
  gateway: {
    port: 18800, // not the usual one
  },
  /* keep me */
  agents: { defaults: { model: 'offline/echo' } },
}
`;

  it('set changes one value and keeps comments, order and everything else', async () => {
    const file = writeConfig(text);
    expect((await durar(['config', 'set', 'gateway.port', '18801'])).code).toBe(0);
    expect(read(file)).toBe(text.replace('18800', '18801'));
    expect((await durar(['config', 'get', 'gateway.port'])).stdout).toBe('18801\n');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('unset removes one value, so that its default counts', async () => {
    const file = writeConfig(text);
    expect((await durar(['config', 'unset', 'gateway.port'])).code).toBe(0);
    expect(read(file)).not.toContain('18800');
    expect(read(file)).toContain('/* keep me */');
    expect((await durar(['config', 'get', 'gateway.port'])).stdout).toBe('18789\n');
  });

  it('takes JSON5 where it parses, else a text; --strict-json insists', async () => {
    const file = writeConfig('{}');
    await durar(['config', 'set', 'plugins.deny', "['a', 'b']"]);
    await durar(['config', 'set', 'agents.defaults.model', 'offline/echo']);
    expect(JSON.parse(read(file))).toMatchObject({ agents: { defaults: { model: 'offline/echo' } } });
    const strict = await durar(['config', 'set', 'agents.defaults.model', 'offline/echo', '--strict-json']);
    expect(strict).toMatchObject({ code: 2, stderr: expect.stringContaining('the value is not JSON5') });
  });

  it('--dry-run writes nothing', async () => {
    const file = writeConfig(text);
    const { code, stdout } = await durar(['config', 'set', 'gateway.port', '18802', '--dry-run', '--json']);
    expect({ code, document: JSON.parse(stdout) }).toMatchObject({ code: 0, document: { ok: true, dryRun: true, changed: true } });
    expect(read(file)).toBe(text);
  });

  const refused: Array<[string, string, string]> = [
    ['gateway.port', 'high', 'DUR_CONFIG_INVALID'],
    ['gateway.nonsense', '1', 'DUR_CONFIG_UNKNOWN_KEY'],
    ['plugins.slots.contextEngine', 'nope', 'DUR_SLOT_UNKNOWN'],
    ['plugins.entries.nope.enabled', 'true', 'DUR_CONFIG_PLUGIN_UNKNOWN'],
    ['channels.pigeon.enabled', 'true', 'DUR_CONFIG_CHANNEL_UNKNOWN'],
    ['__proto__.x', '1', 'DUR_CONFIG_PATH'],
  ];
  for (const [path, value, code] of refused) {
    it(`set ${path} ${value} is refused and leaves the file as it was (${code})`, async () => {
      const file = writeConfig(text);
      const ended = await durar(['config', 'set', path, value, '--json']);
      expect({ exit: ended.code, error: JSON.parse(ended.stdout).error.code }).toEqual({ exit: 1, error: code });
      expect(read(file)).toBe(text);
    });
  }

  it('a file with one error can be repaired by hand or by command, but not made worse', async () => {
    const file = writeConfig('{ "gateway": { "prot": 1, "port": 18800 } }');
    expect((await durar(['config', 'set', 'gateway.prt', '2'])).code).toBe(1);
    expect((await durar(['config', 'set', 'gateway.port', '18801'])).code).toBe(0);
    expect((await durar(['config', 'unset', 'gateway.prot'])).code).toBe(0);
    expect((await durar(['config', 'validate'])).code).toBe(0);
    expect(JSON.parse(read(file))).toEqual({ gateway: { port: 18801 } });
  });

  it('set and unset name line and column of a syntax error, and write nothing', async () => {
    const file = writeConfig('{ a b');
    for (const args of [
      ['set', 'gateway.port', '18801'],
      ['unset', 'gateway.port'],
    ]) {
      const { code, stderr } = await durar(['config', ...args]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/DUR_CONFIG_SYNTAX: .*line 1, column 5/);
    }
    expect(read(file)).toBe('{ a b');
  });

  it('validate lists every error with its place', async () => {
    writeConfig('{ "gateway": { "port": "high", "bnd": 1 },\n "nonsense": true }');
    const { code, stdout } = await durar(['config', 'validate', '--json']);
    expect(code).toBe(1);
    const { errors } = JSON.parse(stdout) as { errors: Array<{ owner: { pointer: string } }> };
    expect(errors.map(({ owner }) => owner.pointer).sort()).toEqual(['/gateway/bnd', '/gateway/port', '/nonsense']);
  });

  it('validate names line and column of a syntax error', async () => {
    writeConfig('{\n  gateway: { port: 1 2 }\n}');
    const { code, stderr } = await durar(['config', 'validate']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/DUR_CONFIG_SYNTAX: .*line 2, column 22/);
  });

  it('get masks secrets and proposes the key that was meant', async () => {
    writeConfig('{ "gateway": { "auth": { "token": "super-secret-token" } } }');
    const { stdout } = await durar(['config', 'get', 'gateway.auth.token']);
    expect(stdout).toBe('__Durar_REDACTED__\n');
    expect((await durar(['config', 'get'])).stdout).not.toContain('super-secret-token');
    expect(await durar(['config', 'get', 'gateway.prot'])).toMatchObject({ code: 1, stderr: expect.stringContaining('`gateway.port`') });
  });

  it('schema prints the JSON Schema', async () => {
    expect(JSON.parse((await durar(['config', 'schema'])).stdout).properties).toHaveProperty('gateway');
  });
});

describe('plugins', () => {
  function plant(id: string, manifest: object | string): string {
    const folder = join(home, '.Durar/extensions', id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, 'Durar.plugin.json'), typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
    writeFileSync(join(folder, 'index.js'), 'throw new Error("its code ran");');
    return folder;
  }
  const engine = (id: string) => ({ id, version: '1.2.3', kind: 'context-engine', contextEngines: [id], configSchema: { type: 'object' } });

  it('list reads manifests only and needs no gateway (CARD-005)', async () => {
    const root = plant('explosive', engine('explosive'));
    const { code, stdout } = await durar(['plugins', 'list', '--json']);
    expect(code).toBe(0);
    const { plugins } = JSON.parse(stdout) as { plugins: Array<{ id: string }> };
    expect(plugins.find(({ id }) => id === 'explosive')).toMatchObject({
      version: '1.2.3',
      origin: 'global',
      status: 'on',
      provides: ['context engine explosive'],
      root,
    });
    expect(plugins.map(({ id }) => id)).toEqual(expect.arrayContaining(['legacy', 'local', 'offline']));
  });

  it('list shows what cannot be used, and doctor how to repair it', async () => {
    plant('broken', '{ "id": "broken", ');
    expect((await durar(['plugins', 'list'])).stdout).toMatch(/broken +- +global +broken .*not JSON/);
    const doctor = await durar(['plugins', 'doctor', '--json']);
    expect(doctor.code).toBe(1);
    expect(JSON.parse(doctor.stdout).checks).toContainEqual(
      expect.objectContaining({ id: 'plugin.broken', status: 'error', code: 'DUR_MANIFEST_SYNTAX', hint: expect.stringContaining('durar plugins verify') }),
    );
  });

  it('disable and enable write plugins.entries and keep comments (CARD-033)', async () => {
    plant('mine', engine('mine'));
    const file = writeConfig('{\n  // first\n  plugins: {},\n}\n');
    expect((await durar(['plugins', 'disable', 'mine'])).stdout).toContain('mine is off');
    expect(read(file)).toContain('// first');
    expect((await durar(['config', 'get', 'plugins.entries.mine.enabled'])).stdout).toBe('false\n');
    expect((await durar(['plugins', 'enable', 'mine'])).stdout).toContain('mine is on');
    expect(await durar(['plugins', 'enable', 'mien'])).toMatchObject({ code: 1, stderr: expect.stringContaining("'mine'") });
  });

  it('inspect shows one, with what it stands for', async () => {
    plant('mine', engine('mine'));
    expect(JSON.parse((await durar(['plugins', 'inspect', 'mine', '--json'])).stdout)).toMatchObject({ id: 'mine', manifest: { kind: 'context-engine' } });
    expect((await durar(['plugins', 'info', 'mine'])).stdout).toContain('context engine mine');
  });

  it('create writes an extension that verify passes and that can be installed (CARD-034)', async () => {
    const created = await durar(['plugins', 'create', 'my-engine', '--kind', 'context-engine', '--json']);
    expect(JSON.parse(created.stdout)).toMatchObject({ ok: true, id: 'my-engine', next: expect.arrayContaining(['durar plugins install -l ./my-engine']) });
    const verified = await durar(['plugins', 'verify', './my-engine', '--json']);
    expect({ code: verified.code, report: JSON.parse(verified.stdout) }).toMatchObject({ code: 0, report: { ok: true, extensions: [{ id: 'my-engine' }] } });
    expect((await durar(['plugins', 'install', '-l', 'my-engine'])).code).toBe(0);
    expect((await durar(['plugins', 'verify', 'my-engine'])).stdout).toMatch(/passed: \d+ passed, 0 failed/);
    expect(await durar(['plugins', 'create', 'my-engine', '--kind', 'tool'])).toMatchObject({ code: 2, stderr: expect.stringContaining('is not empty') });
  });

  it('verify ends with 1 and names what failed', async () => {
    const root = plant('explosive', engine('explosive'));
    const { code, stdout } = await durar(['plugins', 'verify', root]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAIL import/);
    expect(stdout).toContain('its code ran');
  });

  it('a linked folder is installed, selected, and removed with its configuration (CARD-029, ENGINE-012)', async () => {
    const folder = join(home, 'my-engine');
    mkdirSync(folder);
    writeFileSync(join(folder, 'Durar.plugin.json'), JSON.stringify(engine('my-engine')));
    const code = `export default { id: 'my-engine', register: (api) => api.registerContextEngine('my-engine', () => ({ info: { id: 'my-engine', name: 'Mine' }, ingest: async () => ({ ingested: true }), assemble: async ({ messages }) => ({ messages, estimatedTokens: 1 }), compact: async () => ({ ok: true, compacted: false }) })) };`;
    writeFileSync(join(folder, 'index.js'), code);
    const install = await durar(['plugins', 'install', '-l', './my-engine']);
    expect(install).toMatchObject({ code: 0, stderr: '' });
    expect(install.stdout).toContain('durar config set plugins.slots.contextEngine my-engine');
    expect((await durar(['config', 'get', 'plugins.slots.contextEngine'])).stdout).toBe('legacy\n');
    expect((await durar(['config', 'set', 'plugins.slots.contextEngine', 'my-engine'])).code).toBe(0);
    expect((await durar(['doctor'])).stdout).toContain('context engine: my-engine is selected and loads');
    const removed = await durar(['plugins', 'uninstall', 'my-engine', '--json']);
    expect(JSON.parse(removed.stdout)).toMatchObject({ ok: true, configChanged: true, kept: [folder] });
    expect((await durar(['config', 'get', 'plugins.slots.contextEngine'])).stdout).toBe('legacy\n');
  });
});

describe('without a gateway', () => {
  const port = { Durar_GATEWAY_PORT: '1' };

  for (const args of [['health'], ['agent', '-m', 'hello'], ['chat'], ['sessions', 'list'], ['models', 'list'], ['gateway', 'call', 'health']]) {
    it(`${args.join(' ')} fails at once and says how to start one (GW-156, GW-164)`, async () => {
      const { code, stderr } = await durar(args, port);
      expect(code).toBe(1);
      expect(stderr).toContain('DUR_GATEWAY_UNREACHABLE');
      expect(stderr).toContain('durar gateway run');
    });
  }

  it('gateway status tells another state than the healthy one (GW-010)', async () => {
    const { code, stdout } = await durar(['gateway', 'status'], port);
    expect(code).toBe(1);
    expect(stdout).toContain('Runtime: stopped');
    expect(stdout).toContain('RPC probe: failed');
  });

  it('status sums up the configuration (GW-006)', async () => {
    const { code, stdout } = await durar(['status', '--json'], port);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ gateway: { running: false, url: 'ws://127.0.0.1:1' }, agents: ['main'], channels: [], config: { valid: true } });
  });

  it('gateway stop has nothing to do', async () => {
    expect(await durar(['gateway', 'stop'], port)).toMatchObject({ code: 0, stdout: expect.stringContaining('No gateway runs') });
  });

  it('--auth password without one names every way to give it', async () => {
    const { code, stderr } = await durar(['gateway', 'run', '--allow-unconfigured', '--port', '0', '--auth', 'password']);
    expect(code).toBe(1);
    for (const way of ['gateway.auth.password', '--password ', '--password-file', 'Durar_GATEWAY_PASSWORD']) expect(stderr).toContain(way);
  });

  it('leaves no trace in the state folder', async () => {
    await durar(['health'], port);
    expect(() => statSync(join(home, '.Durar'))).toThrow('ENOENT');
  });

  it('to read makes no profile', async () => {
    const reading = [['plugins', 'list'], ['status'], ['doctor'], ['config', 'get'], ['config', 'validate'], ['sessions', 'list'], ['gateway', 'status']];
    for (const args of reading) await durar(['--profile', 'new', ...args], port);
    expect(() => statSync(join(home, '.Durar-new'))).toThrow('ENOENT');
  });

  it('doctor names the engine, finds loose permissions and repairs them (ENGINE-007, ENGINE-043, GW-070)', async () => {
    const file = writeConfig('{}');
    chmodSync(file, 0o644);
    const found = await durar(['doctor'], port);
    expect(found.code).toBe(1);
    expect(found.stdout).toContain('context engine: legacy is selected');
    expect(found.stdout).toContain(`${file} has mode 644`);
    expect(found.stdout).toMatch(/^1 problem\.$/m);
    expect((await durar(['doctor', '--fix'], port)).code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe('completion', () => {
  it('the bash script parses and proposes commands and flags', async () => {
    const { stdout } = await durar(['completion', '--shell', 'bash']);
    const file = join(home, 'durar.bash');
    writeFileSync(file, stdout);
    const complete = (line: string) => {
      const words = line.split(' ');
      const script = `source '${file}'; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _durar; echo "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split(' ');
    };
    expect(complete('durar pl')).toEqual(['plugins']);
    expect(complete('durar plugins in')).toEqual(['inspect', 'install']);
    expect(complete('durar plugins install --l')).toEqual(['--link', '--log-level']);
    expect(complete('durar --json config va')).toEqual(['validate']);
  });

  for (const shell of ['zsh', 'fish', 'powershell']) {
    it(`${shell} gets a script with every command`, async () => {
      const { code, stdout } = await durar(['completion', '-s', shell]);
      expect(code).toBe(0);
      for (const word of ['gateway', 'uninstall', 'validate', 'completion']) expect(stdout).toContain(word);
    });
  }
});
