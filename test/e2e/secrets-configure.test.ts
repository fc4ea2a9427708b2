import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseText } from '../../core/config/parse.ts';
import { createSecretFields } from '../../core/secrets/activate.ts';
import { createMachine, type Machine } from './gateway-process.ts';
import { openTerminal } from './terminal.ts';

/** The key that moves. */
const KEY = ['sk', 'plain', '7d1f0c94a2'].join('-');
const APPLIED = 'Write it now?';
const hasTools = ['/usr/bin/script', '/usr/bin/pass', '/usr/bin/gpg'].every((tool) => existsSync(tool));

let model: Server;
let shown: string[];
let machine: Machine;

beforeAll(async () => {
  model = createServer((request, response) => {
    shown.push(request.headers.authorization ?? '');
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const choice = { index: 0, delta: { content: 'yes' }, finish_reason: 'stop' };
      response.end(`data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [choice] })}\n\ndata: [DONE]\n\n`);
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  model.close();
});
beforeEach(async () => {
  shown = [];
  machine = await createMachine();
});
afterEach(async () => {
  if (existsSync(join(machine.home, '.gnupg'))) execFileSync('/usr/bin/gpgconf', ['--homedir', join(machine.home, '.gnupg'), '--kill', 'all']);
  await machine.remove();
});

const openai = (apiKey: unknown) => ({
  baseUrl: `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`,
  api: 'openai-completions',
  apiKey,
  models: [{ id: 'm', contextWindow: 32_000 }],
});
const plain = (more: object = {}) => ({
  gateway: { mode: 'local' },
  models: { providers: { openai: openai(KEY) } },
  agents: { defaults: { model: 'openai/m' } },
  ...more,
});
const stored = async () =>
  (await parseText(await readFile(machine.configFile, 'utf8'), machine.configFile)) as ReturnType<typeof plain> & { secrets?: { providers: object } };
const profilesFile = (agent = 'main') => join(machine.stateDir, `agents/${agent}/agent/auth-profiles.json`);
async function writeProfiles(profiles: object, agent = 'main'): Promise<void> {
  await mkdir(join(machine.stateDir, `agents/${agent}/agent`), { recursive: true });
  await writeFile(profilesFile(agent), JSON.stringify({ version: 1, profiles }));
}

/** Every file below a folder that holds the text. */
async function holders(folder: string, text: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(files.map(async (file) => ((await readFile(file)).includes(text) ? [file] : [])));
  return found.flat();
}

function preparePassword(): void {
  const run = (tool: string, args: string[]) => execFileSync(tool, args, { env: machine.env, stdio: 'pipe' });
  execFileSync('/usr/bin/mkdir', ['-m', '700', join(machine.home, '.gnupg')]);
  run('/usr/bin/gpg', ['--batch', '--quiet', '--passphrase', '', '--quick-gen-key', 'me@example.org', 'default', 'default', 'never']);
  run('/usr/bin/pass', ['init', 'me@example.org']);
}

describe.skipIf(!hasTools)('a newcomer moves a key to pass', () => {
  it('from the configuration, its backup and its copies, in a few answers, and the gateway answers through it (SEC-170, SEC-171, SEC-189, SEC-190, SEC-191, SEC-197, SEC-198, SEC-199, SEC-207)', async () => {
    preparePassword();
    await machine.writeConfig(plain({ agents: { defaults: { model: 'openai/m', workspace: machine.workspace } } }));
    // the ring of backups gets texts with the key
    for (const port of ['19101', '19102']) expect((await machine.cli(['config', 'set', 'gateway.port', port])).code).toBe(0);
    await writeProfiles({ 'openai:default': { type: 'api_key', provider: 'openai', key: KEY } });
    await writeFile(join(machine.stateDir, 'agents/main/agent/auth.json'), JSON.stringify({ openai: { type: 'api_key', key: KEY } }));
    await writeFile(join(machine.stateDir, '.env'), `# mine\nOPENAI_API_KEY=${KEY}\nOTHER=1\n`);
    expect((await holders(machine.stateDir, KEY)).length).toBeGreaterThan(4);
    const gateway = await machine.start();
    expect((await machine.cli(['secrets', 'audit', '--check'])).code).toBe(1);

    const terminal = openTerminal(machine, ['secrets', 'configure', '--allow-exec', '--apply']);
    // Enter is the right answer to every question
    const questions = ['Providers of secrets', 'Which secret should move?', 'Where is the secret', 'Entry of the password store', 'Copy the present secret'];
    for (const question of questions) await terminal.answer(question, '');
    await terminal.answer('Which field should get a reference?', '');
    await terminal.answer(APPLIED, '');
    expect(await terminal.closed, terminal.screen()).toBe(0);

    const after = await stored();
    expect(after.models.providers.openai.apiKey).toEqual({ source: 'exec', provider: 'pass_openai', id: 'value' });
    expect(after.secrets?.providers).toMatchObject({
      pass_openai: { source: 'exec', command: '/usr/bin/pass', args: ['show', 'durar/openai'], jsonOnly: false },
    });
    expect(await holders(machine.stateDir, KEY)).toEqual([]);
    expect(terminal.screen()).not.toContain(KEY);
    expect(await readFile(join(machine.stateDir, '.env'), 'utf8')).toBe('# mine\nOTHER=1\n');
    const audit = await machine.cli(['secrets', 'audit', '--check', '--allow-exec']);
    expect({ code: audit.code, told: audit.stdout }).toEqual({ code: 0, told: expect.stringContaining('No secret is in plain text') });

    // the one that ran all the time, and one that starts with it
    await machine.cli(['agent', '--message', 'hello']);
    expect([...new Set(shown)]).toEqual([`Bearer ${KEY}`]);
    await gateway.stop();
    shown = [];
    const next = await machine.start();
    await machine.cli(['agent', '--message', 'hello']);
    expect([...new Set(shown)]).toEqual([`Bearer ${KEY}`]);
    await next.stop();
    expect(await holders(machine.stateDir, KEY)).toEqual([]);
  }, 120_000);
});

const HAS_TERMINAL = existsSync('/usr/bin/script');
const fileRef = (id: string) => ({ source: 'file', provider: 'keys', id });
const keys = { keys: { source: 'file', path: '~/.Durar/secrets.json' } };
const putSecrets = (secrets: object) => writeFile(join(machine.stateDir, 'secrets.json'), JSON.stringify(secrets), { mode: 0o600 });
const configure = (...flags: string[]) => openTerminal(machine, ['secrets', 'configure', ...flags]);
const screenOf = async (terminal: ReturnType<typeof configure>) => {
  const code = await terminal.closed;
  expect(terminal.screen()).not.toContain(KEY);
  return { code, told: terminal.screen() };
};

/** A command that counts its calls. */
async function putCounter(): Promise<{ command: string; calls(): number }> {
  const command = join(machine.home, 'counter');
  await writeFile(command, `#!/bin/bash\necho call >> '${machine.home}/calls'\necho '${KEY}'\n`, { mode: 0o700 });
  return { command, calls: () => (existsSync(join(machine.home, 'calls')) ? readFileSync(join(machine.home, 'calls'), 'utf8').trim().split('\n').length : 0) };
}

it('a stored credential that moves is what the next turn shows to the model, without a restart (SEC-130, SEC-187, SEC-213)', async () => {
  const next = ['sk', 'next', '10ab'].join('-');
  await putSecrets({ openai: next });
  await machine.writeConfig(plain({ models: { providers: { openai: { ...openai(''), apiKey: undefined } } } }));
  await writeProfiles({ 'openai:default': { type: 'api_key', provider: 'openai', key: KEY } });
  const gateway = await machine.start();
  const turn = async () => {
    shown = [];
    const result = await machine.cli(['agent', '--message', 'hello']);
    expect(result.code, result.stderr).toBe(0);
    return [...new Set(shown)];
  };
  expect(await turn()).toEqual([`Bearer ${KEY}`]);
  const target = { type: 'auth-profiles.api_key.key', path: 'profiles.openai:default.key', agentId: 'main', ref: fileRef('/openai') };
  await writeFile(join(machine.home, 'plan.json'), JSON.stringify({ version: 1, protocolVersion: 1, providerUpserts: keys, targets: [target] }));
  expect((await machine.cli(['secrets', 'apply', '--from', join(machine.home, 'plan.json')])).code).toBe(0);
  expect(await turn()).toEqual([`Bearer ${next}`]);
  await gateway.stop();
  expect(await holders(machine.stateDir, KEY)).toEqual([]);
  expect(JSON.parse(await readFile(profilesFile(), 'utf8')).profiles['openai:default']).toEqual({
    type: 'api_key',
    provider: 'openai',
    keyRef: fileRef('/openai'),
  });
}, 60_000);

describe.skipIf(!HAS_TERMINAL)('durar secrets configure', () => {
  it('needs a terminal (SEC-185)', async () => {
    const result = await machine.cli(['secrets', 'configure', '--json']);
    expect({ code: result.code, told: result.json() }).toMatchObject({ code: 1, told: { ok: false, error: { code: 'DUR_CLI_NOT_TTY' } } });
    expect((await machine.cli(['secrets', 'configure', '--providers-only', '--skip-provider-setup'])).code).toBe(2);
  });

  it('adds, edits and removes providers first, by the settings that a source declares (SEC-185, SEC-194)', async () => {
    await putSecrets({ a: KEY });
    await machine.writeConfig({
      gateway: { mode: 'local' },
      secrets: { providers: { old: { source: 'env' }, used: keys.keys } },
      tools: { web: { search: { apiKey: { ...fileRef('/a'), provider: 'used' } } } },
    });
    const terminal = configure('--providers-only', '--apply', '--yes');
    await terminal.pick('Providers of secrets', 'add a provider');
    await terminal.pick('Which source?', 'file');
    await terminal.answer('Name of the provider', 'Bad Name');
    await terminal.answer('Small letters', 'mine');
    await terminal.answer('path', '~/first.json');
    await terminal.answer('More settings', '');
    await terminal.pick('Providers of secrets', 'edit one');
    await terminal.pick('Which one?', 'mine');
    await terminal.answer('path', '~/second.json');
    await terminal.answer('More settings', '');
    await terminal.pick('Providers of secrets', 'remove one');
    await terminal.pick('Which one?', 'used');
    await terminal.pick('It is in use and stays: tools.web.search.apiKey', 'remove one');
    await terminal.pick('Which one?', 'old');
    await terminal.pick('Providers of secrets', 'go on');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect(told).not.toContain('Which field');
    expect((await stored()).secrets?.providers).toEqual({ mine: { source: 'file', path: '~/second.json' }, used: keys.keys });
  });

  it('asks for the settings that the source of an extension declares, by their kinds, and tells what its schema refuses (SEC-185)', async () => {
    const folder = join(machine.home, 'boxes');
    await mkdir(folder);
    const properties = {
      folder: { type: 'string', minLength: 1 },
      depth: { type: 'integer', maximum: 9 },
      mode: { type: 'string', enum: ['open', 'closed'] },
      strict: { type: 'boolean' },
      names: { type: 'array', items: { type: 'string' } },
      env: { type: 'object', additionalProperties: { type: 'string', sensitive: true } },
      pin: { type: 'string', sensitive: true },
    };
    const manifest = {
      id: 'boxes',
      secretSources: ['box'],
      secretSourceConfigs: { box: { label: 'Boxes', schema: { type: 'object', additionalProperties: false, required: ['folder', 'depth'], properties } } },
      configSchema: { type: 'object' },
    };
    await writeFile(join(folder, 'Durar.plugin.json'), JSON.stringify(manifest));
    await writeFile(
      join(folder, 'index.mjs'),
      `export default { id: 'boxes', register(api) { api.registerSecretsProvider({ source: 'box', resolve: async () => ({ values: {} }) }); } };`,
    );
    const old = { source: 'box', folder: '/old', depth: 1, env: { A: KEY }, pin: KEY };
    await machine.writeConfig({ gateway: { mode: 'local' }, plugins: { load: { paths: [folder] } }, secrets: { providers: { old } } });
    const terminal = configure('--providers-only', '--yes');
    await terminal.pick('Providers of secrets', 'add a provider');
    await terminal.pick('Which source?', 'box');
    await terminal.answer('Name of the provider', '');
    const answers = async (depth: string) => {
      await terminal.answer('folder', '/boxes');
      await terminal.answer('depth', depth);
      await terminal.answer('More settings (mode, strict, names, env, pin)?', 'y');
      await terminal.pick('mode', 'closed');
      await terminal.answer('strict', 'y');
      await terminal.answer('names', 'one "two words"');
      await terminal.answer('env', `KEY=${KEY.slice(0, 4)}`);
      await terminal.answer('pin', '');
    };
    await answers('10');
    await answers('3');
    expect(terminal.screen()).toContain('✗');
    await terminal.pick('Providers of secrets', 'edit one');
    await terminal.pick('Which one?', 'old');
    await terminal.answer('folder [/old]', '');
    await terminal.answer('depth [1]', '');
    await terminal.answer('env; Enter keeps what is there', '');
    await terminal.answer('pin; Enter keeps what is there', '');
    await terminal.answer('More settings', '');
    await terminal.pick('Providers of secrets', 'go on');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect((await stored()).secrets?.providers).toEqual({
      old,
      box: { source: 'box', folder: '/boxes', depth: 3, mode: 'closed', strict: true, names: ['one', 'two words'], env: { KEY: KEY.slice(0, 4) } },
    });
  }, 60_000);

  it('prints one document with --json, and asks beside it (SEC-189, SEC-200)', async () => {
    await putSecrets({ good: KEY });
    await machine.writeConfig({ ...plain(), secrets: { providers: keys } });
    const out = join(machine.home, 'out.json');
    const terminal = openTerminal(machine, ['secrets', 'configure', '--skip-provider-setup', '--json'], {}, out);
    await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await terminal.pick('Where is the secret', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/good');
    await terminal.pick('Which field', 'done');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    const target = { type: 'models.providers.*.apiKey', path: 'models.providers.openai.apiKey', ref: fileRef('/good') };
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({
      ok: true,
      changed: false,
      plan: { version: 1, targets: [target] },
      preflight: { mode: 'dry-run' },
    });
    expect(JSON.stringify(await stored())).toContain(KEY);
  });

  it('lists what takes a reference, plain texts first, and nothing else (SEC-186, SEC-195)', async () => {
    await machine.writeConfig({ ...plain(), hooks: { token: 'h-1' } });
    const terminal = configure('--skip-provider-setup');
    await terminal.pick('Which secret should move? 1 in plain text', 'another field');
    await terminal.pick('Which field?', 'done');
    const { code, told } = await screenOf(terminal);
    expect({ code, told }).toEqual({ code: 0, told: expect.stringContaining('Nothing was chosen') });
    expect(told).not.toContain('Providers of secrets');
    const single = createSecretFields()
      .surface()
      .filter(({ takesRef, id }) => takesRef && !id.includes('*'));
    for (const { id } of single) expect(told).toContain(id);
    expect(told).not.toContain('hooks.token');
  });

  it('asks again after a bad name, an unset variable, an unknown provider, a missing id and a value that is no text; nothing of that is stored (SEC-042, SEC-043, SEC-044, SEC-045, SEC-046, SEC-047, SEC-049, SEC-190)', async () => {
    await putSecrets({ good: KEY, object: { a: 1 } });
    await machine.writeConfig({ ...plain(), secrets: { providers: keys } });
    const terminal = configure('--skip-provider-setup', '--yes');
    const where = 'Where is the secret';
    await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await terminal.pick(where, 'an environment variable');
    await terminal.answer('Variable', 'bad-name');
    await terminal.answer('Capital letters', 'NOT_SET_HERE');
    await terminal.pick('NOT_SET_HERE', 'a reference that you type');
    await terminal.pick('Which source?', 'file');
    await terminal.answer('Provider', 'nobody');
    await terminal.answer('Id', '/good');
    await terminal.pick('secrets.providers.nobody is not configured', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/missing');
    await terminal.pick('✗', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/object');
    await terminal.pick('its value is not a text', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/good');
    await terminal.pick('Which field', 'done');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect((await stored()).models.providers.openai.apiKey).toEqual(fileRef('/good'));
    for (const wrong of ['NOT_SET_HERE', 'nobody', '/missing', '/object']) expect(await holders(machine.stateDir, wrong)).toEqual([]);
  }, 60_000);

  it('offers the stored credentials of one agent and makes a new one, and puts the default provider first (SEC-067, SEC-187, SEC-188, SEC-196)', async () => {
    await putSecrets({ good: KEY });
    await machine.writeConfig({
      gateway: { mode: 'local' },
      agents: { list: [{ id: 'main' }, { id: 'work' }] },
      secrets: { providers: { aaa: { source: 'env' }, ...keys }, defaults: { file: 'keys' } },
    });
    await writeProfiles({ 'openai:main': { type: 'api_key', provider: 'openai', key: KEY } });
    await writeProfiles(
      { 'openai:work': { type: 'api_key', provider: 'openai', key: KEY }, signed: { type: 'oauth', provider: 'openai-codex', access: 'a', refresh: 'r' } },
      'work',
    );
    const before = await readFile(profilesFile(), 'utf8');
    const terminal = configure('--skip-provider-setup', '--agent', 'work', '--yes');
    await terminal.pick('Which secret should move? 1 in plain text', 'credential openai:work of agent work');
    await terminal.pick('Where is the secret', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/good');
    await terminal.pick('Which field', 'a new credential');
    await terminal.pick('What kind of credential?', 'a token');
    await terminal.answer('Model provider', 'acme');
    await terminal.answer('Name of the credential', '');
    await terminal.pick('Where is the secret', 'a reference that you type');
    await terminal.pick('Which source?', 'file');
    await terminal.answer('Provider', '');
    await terminal.answer('Id', '/good');
    await terminal.pick('Which field', 'done');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect(told).not.toContain('openai:main');
    expect(told).not.toContain('signed');
    expect(told.indexOf('the provider keys')).toBeLessThan(told.indexOf('the provider aaa'));
    expect(JSON.parse(await readFile(profilesFile('work'), 'utf8')).profiles).toMatchObject({
      'openai:work': { type: 'api_key', provider: 'openai', keyRef: fileRef('/good') },
      'acme:default': { type: 'token', provider: 'acme', tokenRef: fileRef('/good') },
    });
    expect(await readFile(profilesFile(), 'utf8')).toBe(before);
    expect(await screenOf(configure('--agent', 'nobody'))).toMatchObject({ code: 2, told: expect.stringContaining("there is no agent 'nobody'") });
  }, 60_000);

  it('writes the secret into a JSON file of its own, which only its owner reads (SEC-190, SEC-191)', async () => {
    await machine.writeConfig(plain());
    const terminal = configure('--skip-provider-setup', '--apply');
    await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await terminal.pick('Where is the secret', 'a JSON file');
    await terminal.answer('File', '');
    await terminal.answer('Place in it', '');
    await terminal.answer('Copy the present secret there now?', 'y');
    await terminal.pick('Which field', 'done');
    await terminal.answer(APPLIED, '');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect(await holders(machine.stateDir, KEY)).toEqual([join(machine.stateDir, 'secrets.json')]);
    expect(statSync(join(machine.stateDir, 'secrets.json')).mode & 0o777).toBe(0o600);
    expect((await stored()).models.providers.openai.apiKey).toEqual(fileRef('/providers/openai/apiKey'));
  });

  it('runs no command without --allow-exec, and refuses to apply what needs one; its plan is applied with it (SEC-192, SEC-193, SEC-200, SEC-201)', async () => {
    const { command, calls } = await putCounter();
    await machine.writeConfig({ ...plain(), secrets: { providers: { cmd: { source: 'exec', command, jsonOnly: false, passEnv: ['PATH'] } } } });
    const before = await readFile(machine.configFile, 'utf8');
    const choose = async (terminal: ReturnType<typeof configure>) => {
      await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
      await terminal.pick('Where is the secret', 'the provider cmd');
      await terminal.answer('Id of the secret in cmd', '');
      await terminal.pick('Which field', 'done');
    };
    const refused = configure('--skip-provider-setup', '--apply', '--yes');
    await choose(refused);
    expect(await screenOf(refused)).toMatchObject({ code: 1, told: expect.stringContaining('DUR_SECRETS_EXEC') });
    const plan = join(machine.home, 'plan.json');
    const saved = configure('--skip-provider-setup', '--plan-out', plan);
    await choose(saved);
    expect(await screenOf(saved)).toMatchObject({ code: 0, told: expect.stringContaining(`apply --from ${plan} --allow-exec`) });
    expect(calls()).toBe(0);
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
    expect(await readFile(plan, 'utf8')).not.toContain(KEY);
    expect((await machine.cli(['secrets', 'apply', '--from', plan, '--allow-exec'])).code).toBe(0);
    expect(calls()).toBeGreaterThan(0);
    expect(await holders(machine.stateDir, KEY)).toEqual([]);
  }, 60_000);

  it('takes any command that prints the secret (SEC-189, SEC-190, SEC-201)', async () => {
    const { command, calls } = await putCounter();
    await machine.writeConfig(plain());
    const terminal = configure('--skip-provider-setup', '--allow-exec', '--yes');
    await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await terminal.pick('Where is the secret', 'another command');
    await terminal.answer('command', 'counter');
    await terminal.answer('It must match', command);
    await terminal.answer('args', '--entry "durar openai"');
    await terminal.answer('passEnv', '');
    await terminal.answer('More settings', '');
    await terminal.answer('Does it print the secret itself?', '');
    await terminal.answer('Name of this provider', '');
    await terminal.pick('Which field', 'done');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect(calls()).toBeGreaterThan(0);
    expect(await stored()).toMatchObject({
      models: { providers: { openai: { apiKey: { source: 'exec', provider: 'counter', id: 'value' } } } },
      secrets: { providers: { counter: { source: 'exec', command, args: ['--entry', 'durar openai'], passEnv: ['PATH', 'HOME'], jsonOnly: false } } },
    });
  }, 60_000);

  it('does not let go of a secret for another one without a question, and goes on when a place cannot be used (SEC-049, SEC-190)', async () => {
    await putSecrets({ other: 'another-secret', good: KEY });
    await machine.writeConfig({ ...plain(), secrets: { providers: keys } });
    const terminal = configure('--skip-provider-setup', '--yes');
    await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
    if (hasTools) await terminal.pick('Where is the secret', 'the password store');
    await terminal.pick(hasTools ? 'is not set up yet' : 'Where is the secret', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/other');
    await terminal.answer('It has another secret than the field', '');
    await terminal.pick('Nothing is chosen', 'the provider keys');
    await terminal.answer('Id of the secret in keys', '/good');
    await terminal.pick('Which field', 'done');
    const { code, told } = await screenOf(terminal);
    expect(code, told).toBe(0);
    expect(told).not.toContain('another-secret');
    expect((await stored()).models.providers.openai.apiKey).toEqual(fileRef('/good'));
  }, 60_000);

  it('changes nothing when it is left, or answered with no (SEC-190)', async () => {
    await putSecrets({ good: KEY });
    await machine.writeConfig({ ...plain(), secrets: { providers: keys } });
    const before = await readFile(machine.configFile, 'utf8');
    const left = configure('--skip-provider-setup');
    await left.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await left.answer('Where is the secret', '\u0003');
    expect(await screenOf(left)).toMatchObject({ code: 130, told: expect.stringContaining('The configuration is as it was') });
    const no = configure('--skip-provider-setup', '--apply');
    await no.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await no.pick('Where is the secret', 'the provider keys');
    await no.answer('Id of the secret in keys', '/good');
    await no.pick('Which field', 'done');
    await no.answer(APPLIED, 'n');
    expect((await screenOf(no)).code).toBe(0);
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
  }, 60_000);
});
