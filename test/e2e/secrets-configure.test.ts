import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseText } from '../../core/config/parse.ts';
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
    await terminal.pick('Providers of secrets', 'go on');
    await terminal.pick('Which secret should move?', 'models.providers.openai.apiKey');
    await terminal.pick('Where is the secret', 'pass');
    await terminal.answer('Entry of the password store', '');
    await terminal.answer('Copy the present secret there now?', '');
    await terminal.pick('Which secret should move?', 'done');
    await terminal.answer(APPLIED, 'y');
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
