import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseText } from '../../core/config/parse.ts';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { blocksOf } from '../docs/markdown.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

interface Example {
  secrets: { providers: Record<string, Record<string, unknown>> };
  models: { providers: { openai: { apiKey: { source: string; provider: string; id: string } } } };
}

/** Where the tools of an example are; without them it is not run. */
const TOOLS: Record<string, string[]> = {
  pass: ['/usr/bin/pass', '/usr/bin/gpg'],
  gpg: ['/usr/bin/gpg'],
  age: ['/usr/bin/age', '/usr/bin/age-keygen'],
  mine: ['/usr/bin/age', '/usr/bin/age-keygen', '/usr/bin/jq'],
};
const ALIASES = ['models', 'keys', 'keyfile', 'pass', 'gpg', 'age', 'onepassword', 'vault', 'sops', 'mine'];
const has = (tool: string) => {
  try {
    return execFileSync('/usr/bin/test', ['-x', tool]).length === 0;
  } catch {
    return false;
  }
};
const missing = (alias: string) => (TOOLS[alias] ?? []).filter((tool) => !has(tool));
const secret = (alias: string) => `sk-${alias}-5f0c9a1e`;

let machine: Machine;
let gateway: GatewayProcess;
let client: GatewayClient;
let model: Server;
/** What the model was sent, by the provider's path. */
const authorizations = new Map<string, string | undefined>();

beforeAll(async () => {
  model = createServer((request, response) => {
    authorizations.set(request.url?.split('/')[1] ?? '', request.headers.authorization);
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = {
        id: 'x',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'gpt-5',
        choices: [{ index: 0, delta: { content: 'yes' }, finish_reason: 'stop' }],
      };
      response.end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  machine = await createMachine();
  await prepareTools(machine);
  await machine.writeConfig(await exampleConfig(machine));
  gateway = await machine.start({ env: { OPENAI_API_KEY: secret('models'), ...credentials() } });
  client = await machine.connect(gateway);
}, 60_000);

afterAll(async () => {
  client?.close();
  model.close();
  if (has('/usr/bin/gpgconf')) execFileSync('/usr/bin/gpgconf', ['--homedir', join(machine.home, '.gnupg'), '--kill', 'all']);
  await machine.remove();
});

describe('the examples of the documentation bring a key to a model', () => {
  it.each([
    ['models', 'SEC-063, SEC-071'],
    ['keys', 'SEC-074, SEC-075'],
    ['keyfile', 'SEC-076'],
    ['pass', 'SEC-099'],
    ['gpg', 'SEC-099'],
    ['age', 'SEC-099'],
    ['onepassword', 'SEC-083, SEC-085, SEC-101, SEC-104, SEC-105'],
    ['vault', 'SEC-102'],
    ['sops', 'SEC-103'],
    ['mine', 'SEC-092, SEC-094'],
  ])('%s (%s)', async (alias, _ids) => {
    await askOrSkip(alias);
    expect(authorizations.get(alias)).toBe(`Bearer ${secret(alias)}`);
  });

  it('commands got the arguments and variables of their block (SEC-089, SEC-101, SEC-102, SEC-103)', async () => {
    const calls = await Promise.all(['op', 'vault', 'sops'].map((name) => readFile(join(machine.home, `${name}.call`), 'utf8')));
    const variables = { HOME: machine.home };
    expect(calls.map((call) => JSON.parse(call))).toEqual([
      { args: ['read', 'op://Personal/OpenAI/password'], env: { ...variables, OP_SERVICE_ACCOUNT_TOKEN: 'ops_1' } },
      { args: ['kv', 'get', '-field=OPENAI_API_KEY', 'secret/durar'], env: { ...variables, VAULT_ADDR: 'https://vault.example', VAULT_TOKEN: 'hvs.1' } },
      {
        args: ['-d', '--extract', '["providers"]["openai"]["apiKey"]', join(machine.home, '.secrets/secrets.enc.json')],
        env: { ...variables, SOPS_AGE_KEY_FILE: '/keys/age.txt' },
      },
    ]);
  });

  it('two references of an alias are one process with two ids (SEC-093)', async () => {
    for (const id of ['first', 'second']) {
      await ask(id);
      expect(authorizations.get(id)).toBe(`Bearer ${secret(id)}`);
    }
    const requests = (await readFile(join(machine.home, 'requests'), 'utf8')).trim().split('\n');
    expect(requests.map((line) => JSON.parse(line))).toEqual([{ protocolVersion: 1, provider: 'counted', ids: ['first/key', 'second/key'] }]);
  });
});

it('no secret stands in what the gateway printed, logged, stored, or answers (SEC-100)', async () => {
  const config = JSON.stringify([await client.request('config.get', {}), await client.request('status', {})]);
  const told = [
    gateway.output(),
    config,
    (await machine.cli(['config', 'get', 'secrets'])).stdout,
    await allText(machine.stateDir),
    await until(() => readFile(join(machine.home, 'gateway.log'), 'utf8').catch(() => undefined), 'the log'),
  ];
  expect(told.every((text) => text.length > 0)).toBe(true);
  const secrets = [...ALIASES, 'first', 'second', 'token'].map(secret);
  expect(secrets.filter((each) => told.some((text) => text.includes(each)))).toEqual([]);
  expect(await readFile(`/proc/${gateway.child.pid}/cmdline`, 'utf8')).not.toContain('sk-');
});

it('a source of a third party is installed, configured and used while the gateway runs; its manifest checks its block (CARD-013, AMB-012)', async () => {
  const folder = join(machine.home, 'json-vault');
  await mkdir(folder);
  for (const { title = '', text } of blocksOf('docs/extending/secrets-provider.md'))
    if (/^json-vault\/[^/]+\.(?:ts|json)$/.test(title) && !title.includes('.test.')) await writeFile(join(machine.home, title), text);
  const durar = (...args: string[]) => machine.cli(args);
  expect((await durar('plugins', 'install', '-l', folder)).code).toBe(0);
  const vault = join(machine.home, 'vault.json');
  await writeFile(vault, JSON.stringify({ acme: secret('third') }));
  const refused = await durar('config', 'set', 'secrets.providers.third', `{ source: 'json-vault', file: '${vault}' }`);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/'secrets\.providers\.third.*'/) });
  expect(await durar('config', 'set', 'secrets.providers.third', `{ source: 'json-vault', path: '${vault}' }`)).toMatchObject({ code: 0, stderr: '' });
  const baseUrl = `http://127.0.0.1:${(model.address() as AddressInfo).port}/third/v1`;
  const provider = { baseUrl, models: [{ id: 'gpt-5' }], apiKey: { source: 'json-vault', provider: 'third', id: 'acme' } };
  expect(await durar('config', 'set', 'models.providers.third', JSON.stringify(provider))).toMatchObject({ code: 0, stderr: '' });
  await ask('third');
  expect(authorizations.get('third')).toBe(`Bearer ${secret('third')}`);
  expect(gateway.output()).not.toContain(secret('third'));
});

describe('a source that fails stops the start, and says why', () => {
  const body = (text: string) => `#!/bin/bash\nread -r request\n${text}\n`;
  const spilled = '{"protocolVersion":1,"values":{"value":"sk-spilled-1"}}';

  it.each([
    ['a file that others may read (SEC-077)', { source: 'file', path: '~/open.json' }, '/key', 'others may read'],
    ['a pointer to nothing (SEC-075)', { source: 'file', path: '~/closed.json' }, '/nothing', 'nothing at this pointer'],
    ['a relative command (SEC-080)', { source: 'exec', command: 'resolver' }, 'value', "'secrets.providers.broken.command'"],
    ['a link (SEC-082)', { source: 'exec', command: 'HOME/link' }, 'value', 'is a symbolic link'],
    ['an exit code (SEC-100)', { source: 'exec', command: 'HOME/fails' }, 'value', 'ended with exit code 9'],
    ['silence (SEC-087)', { source: 'exec', command: 'HOME/hangs', passEnv: ['PATH'], noOutputTimeoutMs: 200 }, 'value', 'printed nothing for 200 ms'],
    ['another version (SEC-096)', { source: 'exec', command: 'HOME/version' }, 'value', 'protocolVersion 1'],
    ['an id without an answer (SEC-097)', { source: 'exec', command: 'HOME/good' }, 'other', 'neither a value nor an error'],
    ['an error of the source (SEC-095)', { source: 'exec', command: 'HOME/denies' }, 'value', 'access denied'],
    ['plain text (SEC-098)', { source: 'exec', command: 'HOME/plain' }, 'value', 'its output is not JSON'],
    ['a name outside the allowlist (SEC-071)', { source: 'env', allowlist: ['OTHER'] }, 'SPILLED_KEY', 'the allowlist does not have SPILLED_KEY'],
    ['a variable that is not set (SEC-072)', { source: 'env' }, 'NOT_SET', 'NOT_SET is not set'],
    ['an empty variable (SEC-073)', { source: 'env' }, 'EMPTY_KEY', 'EMPTY_KEY is empty'],
    ['an unknown key (SEC-065)', { source: 'exec', command: 'HOME/good', shell: true }, 'value', "'secrets.providers.broken.shell'"],
  ])('%s', async (_what, block, id, reason) => {
    const other = await createMachine();
    try {
      const files = { 'open.json': '{"key":"sk-spilled-1"}', 'closed.json': '{"key":"sk-spilled-1"}' };
      for (const [name, text] of Object.entries(files)) await writeFile(join(other.home, name), text, { mode: name === 'open.json' ? 0o644 : 0o600 });
      const programs = {
        fails: `echo '${spilled}'; echo sk-spilled-1 >&2; exit 9`,
        hangs: 'sleep 60',
        version: `echo '${spilled.replace('1', '2')}'`,
        good: `echo '${spilled}'`,
        denies: `echo '{"protocolVersion":1,"errors":{"value":{"message":"access denied"}}}'`,
        plain: 'echo sk-spilled-1',
      };
      for (const [name, text] of Object.entries(programs)) await writeFile(join(other.home, name), body(text), { mode: 0o700 });
      await symlink('good', join(other.home, 'link'));
      const broken = JSON.parse(JSON.stringify(block).replace('HOME', other.home)) as { source: string };
      const apiKey = { source: broken.source, provider: 'broken', id };
      await other.writeConfig({
        secrets: { providers: { broken } },
        logging: { level: 'trace', file: join(other.stateDir, 'gateway.log') },
        models: { providers: { acme: { baseUrl: 'http://127.0.0.1:9/v1', models: [{ id: 'm' }], apiKey } } },
      });
      const run = await other.cli(['gateway', 'run', '--port', '0', '--allow-unconfigured'], { env: { EMPTY_KEY: '', SPILLED_KEY: 'sk-spilled-1' } });
      expect(run.code).not.toBe(0);
      expect(run.code).not.toBeNull();
      const told = run.stdout + run.stderr;
      expect(told).toContain(reason);
      expect(told).not.toContain('sk-spilled');
      if (!reason.startsWith("'secrets")) expect(told).toContain('models.providers.acme.apiKey');
      expect(await allText(other.stateDir)).not.toContain('sk-spilled');
    } finally {
      await other.remove();
    }
  });

  it('a start that is stopped while it waits for commands leaves none of them behind', async () => {
    const other = await createMachine();
    const names = ['one', 'two'];
    const pidOf = async (name: string) => Number(await readFile(join(other.home, `${name}.pid`), 'utf8').catch(() => '0'));
    try {
      const providers: Record<string, object> = {};
      const models: Record<string, object> = {};
      for (const name of names) {
        await writeFile(join(other.home, name), `#!/bin/bash\necho $$ > ${other.home}/${name}.pid\nsleep 60 & wait\n`, { mode: 0o700 });
        providers[name] = { source: 'exec', command: join(other.home, name), passEnv: ['PATH'], timeoutMs: 60_000 };
        models[name] = { baseUrl: 'http://127.0.0.1:9/v1', models: [{ id: 'm' }], apiKey: { source: 'exec', provider: name, id: 'value' } };
      }
      await other.writeConfig({ secrets: { providers }, models: { providers: models } });
      const child = spawn(process.execPath, [join(root, 'core/cli/durar.js'), 'gateway', 'run', '--port', '0', '--allow-unconfigured'], { env: other.env });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const pids = await until(async () => {
        const found = await Promise.all(names.map(pidOf));
        return found.every((pid) => pid > 0) && found;
      }, 'both commands');
      child.kill('SIGTERM');
      await ended;
      await until(() => pids.every((pid) => !isAlive(-pid)), 'the end of both groups', 5_000);
    } finally {
      await other.remove();
    }
  });

  it('a block with an unknown key is found before it is put to use (SEC-064, SEC-065)', async () => {
    const refused = await machine.cli(['config', 'set', 'secrets.providers.keys.mode', 'yaml']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('\'secrets.providers.keys.mode\' must be one of "json", "singleValue"');
    const typo = await machine.cli(['config', 'set', 'secrets.providers.keys.maxByte', '5']);
    expect(typo.stderr).toContain("Did you mean 'maxBytes'?");
    const other = await createMachine({ secrets: { providers: { x: { source: 'file' } } } });
    const validated = await other.cli(['config', 'validate']);
    expect(validated).toMatchObject({ code: 1, stderr: expect.stringContaining("'path'") });
    await other.remove();
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function askOrSkip(alias: string): Promise<void> {
  const absent = missing(alias);
  if (absent.length > 0) return void console.warn(`not run: there is no ${absent.join(', ')}`);
  await ask(alias);
}

async function ask(provider: string): Promise<void> {
  await client.request(
    'agent',
    { message: 'hello', model: `${provider}/gpt-5`, sessionKey: `agent:main:${provider}`, idempotencyKey: provider },
    { expectFinal: true },
  );
}

const credentials = () => ({
  OP_SERVICE_ACCOUNT_TOKEN: 'ops_1',
  VAULT_ADDR: 'https://vault.example',
  VAULT_TOKEN: 'hvs.1',
  SOPS_AGE_KEY_FILE: '/keys/age.txt',
});

/** Every example at once, each as the key of a model provider of its own, with the paths of this machine. */
async function exampleConfig({ home }: Machine): Promise<object> {
  const url = `http://127.0.0.1:${(model.address() as AddressInfo).port}`;
  const provider = (name: string, apiKey: unknown) => ({ [name]: { baseUrl: `${url}/${name}/v1`, models: [{ id: 'gpt-5', name: 'gpt-5' }], apiKey } });
  const blocks: Record<string, unknown> = {};
  const models: Record<string, unknown> = {};
  for (const { text } of blocksOf('docs/operating/secret-sources.md').filter(({ language }) => language === 'json5')) {
    const here = text.replaceAll('/home/me', home).replaceAll('/opt/homebrew', join(home, 'homebrew')).replaceAll('/usr/local', join(home, 'local'));
    const example = (await parseText(here, 'example')) as Example;
    const [[alias, block] = []] = Object.entries(example.secrets.providers);
    if (alias === undefined || missing(alias).length > 0) continue;
    blocks[alias] = block;
    Object.assign(models, provider(alias, example.models.providers.openai.apiKey));
  }
  expect(Object.keys(blocks).length).toBeGreaterThanOrEqual(ALIASES.filter((alias) => missing(alias).length === 0).length);
  blocks.counted = { source: 'exec', command: join(home, 'counted'), env: { RESOLVER_TOKEN: secret('token') } };
  for (const id of ['first', 'second']) Object.assign(models, provider(id, { source: 'exec', provider: 'counted', id: `${id}/key` }));
  return {
    secrets: { providers: blocks },
    models: { providers: models },
    agents: { defaults: { model: 'keys/gpt-5' } },
    logging: { level: 'trace', file: join(home, 'gateway.log') },
  };
}

async function prepareTools({ home, stateDir, env }: Machine): Promise<void> {
  const write = async (path: string, text: string, mode = 0o600) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text);
    await chmod(path, mode);
  };
  const run = (tool: string, args: string[], input = '') => execFileSync(tool, args, { env, input, stdio: ['pipe', 'pipe', 'pipe'] }).toString();
  const secrets = join(home, '.secrets');
  await write(join(stateDir, 'secrets.json'), JSON.stringify({ providers: { openai: { apiKey: secret('keys') } } }));
  await write(join(secrets, 'openai.key'), `${secret('keyfile')}\n`);

  if (missing('gpg').length === 0) {
    await mkdir(join(home, '.gnupg'), { mode: 0o700 });
    run('/usr/bin/gpg', ['--batch', '--quiet', '--passphrase', '', '--quick-gen-key', 'me@example.org', 'default', 'default', 'never']);
    run('/usr/bin/gpg', ['--batch', '--quiet', '--recipient', 'me@example.org', '--output', join(secrets, 'openai.gpg'), '--encrypt'], `${secret('gpg')}\n`);
  }
  if (missing('pass').length === 0) {
    run('/usr/bin/pass', ['init', 'me@example.org']);
    run('/usr/bin/pass', ['insert', '--echo', 'durar/openai'], `${secret('pass')}\n`);
  }
  if (missing('age').length === 0) {
    run('/usr/bin/age-keygen', ['-o', join(secrets, 'age.key')]);
    const recipient = run('/usr/bin/age-keygen', ['-y', join(secrets, 'age.key')]).trim();
    const encrypt = (name: string, text: string) => run('/usr/bin/age', ['--recipient', recipient, '--output', join(secrets, name)], text);
    encrypt('openai.age', `${secret('age')}\n`);
    encrypt('all.json.age', JSON.stringify({ 'openai/key': secret('mine') }));
  }
  const resolver = blocksOf('docs/operating/secret-sources.md').find(({ language }) => language === 'bash')?.text ?? '';
  await write(join(home, 'local/bin/durar-resolver'), resolver, 0o700);
  const answer = { protocolVersion: 1, values: { 'first/key': secret('first'), 'second/key': secret('second') } };
  await write(join(home, 'counted'), `#!/bin/bash\nread -r request\necho "$request" >> ${home}/requests\necho '${JSON.stringify(answer)}'\n`, 0o700);

  // as Homebrew lays them out: a link to the cellar, folders that the group may write to
  for (const [name, alias] of [
    ['op', 'onepassword'],
    ['vault', 'vault'],
    ['sops', 'sops'],
  ] as const) {
    const cellar = join(home, 'homebrew/Cellar', name, '1.0/bin');
    const program = [
      `#!${process.execPath}`,
      `const { writeFileSync } = require('node:fs');`,
      `writeFileSync('${home}/${name}.call', JSON.stringify({ args: process.argv.slice(2), env: { ...process.env } }));`,
      `console.log('${secret(alias)}');`,
    ];
    await write(join(cellar, name), `${program.join('\n')}\n`, 0o755);
    await mkdir(join(home, 'homebrew/bin'), { recursive: true });
    await symlink(`../Cellar/${name}/1.0/bin/${name}`, join(home, 'homebrew/bin', name));
    for (const folder of [cellar, join(home, 'homebrew/bin'), join(home, 'homebrew')]) await chmod(folder, 0o775);
  }
}

/** The text of every file below a folder, the source of secrets and the operator's configuration excepted. */
async function allText(folder: string): Promise<string> {
  const items = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = items.filter((item) => item.isFile() && !/^(?:secrets|Durar)\.json/.test(item.name)).map((item) => join(item.parentPath, item.name));
  return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n');
}
