import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';
import { openTerminal } from './terminal.ts';

interface Row {
  accountId: string;
  configured: boolean;
  running: boolean;
  connected?: boolean;
  gaveUp?: boolean;
  restarts?: number;
}
interface View {
  gateway: string;
  channelAccounts: Record<string, Row[]>;
  unavailable: Array<{ path: string; reason: string }>;
}

const TOKEN = 'desk-token-one';
let machine: Machine;
let gateway: GatewayProcess | undefined;

const cli = (...args: string[]) => machine.cli(['channels', ...args]);
const view = async () => (await cli('status', '--json')).json<View>();
const text = () => readFile(machine.configFile, 'utf8');
const connected = (account: string) =>
  until(
    async () => (await view()).channelAccounts['desk-chat']?.some((row) => row.accountId === account && row.connected === true) || undefined,
    `${account} to connect`,
  );

beforeAll(async () => {
  machine = await createMachine({});
  const added = await machine.cli(['plugins', 'install', join(root, 'test/fixtures/desk-chat'), '--json']);
  expect(added.code, added.stderr).toBe(0);
}, 120_000);
afterAll(async () => {
  await gateway?.stop();
  await machine.remove();
});

describe('durar channels, without a gateway', () => {
  it('adds a channel with a token that is piped in, and keeps what a person wrote into the file', async () => {
    const written = await text();
    await writeFile(machine.configFile, written.replace('{', '{\n  // mine\n'));
    const refused = await machine.cli(['channels', 'add', 'desk-chat'], { input: 'nonsense' });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('that is no token of the desk')]);
    const shown = await machine.cli(['channels', 'add', 'desk-chat', '--set', `token=${TOKEN}`]);
    expect(shown.stderr).toContain('does not belong on a command line');
    const done = await machine.cli(['channels', 'add', 'desk-chat', '--set', 'server=one', '--json'], { input: `${TOKEN}\n` });
    expect(done.json(), done.stderr).toMatchObject({ ok: true, channel: 'desk-chat', accountId: 'default', changed: true });
    expect(done.stdout).not.toContain(TOKEN);
    expect(await text()).toContain('// mine');
    expect(await text()).toContain(TOKEN);
  }, 60_000);

  it('list and status tell what the configuration says; auth[] holds the profile ids (SYS-092, OAUTH-082)', async () => {
    await machine.cli(['models', 'auth', 'add', '--provider', 'acme', '--profile-id', 'acme:work'], { input: 'sk-test' });
    const listed = await cli('list', '--json');
    expect(listed.json<{ auth: string[] }>().auth, listed.stderr).toEqual(['acme:work']);
    const found = await view();
    expect(found.gateway).toBe('stopped');
    expect(found.channelAccounts['desk-chat']).toEqual([expect.objectContaining({ accountId: 'default', enabled: true, configured: true, running: false })]);
    const probed = await cli('status', '--probe');
    expect([probed.code, probed.stdout, probed.stderr]).toEqual([0, expect.stringContaining('desk of default'), expect.stringContaining('No gateway runs')]);
  }, 60_000);

  it('a second account moves the values of the first; its token stays in a variable', async () => {
    const done = await cli('add', 'desk-chat', '--account', 'work', '--name', 'Work', '--token-env', 'WORK_DESK', '--json');
    expect(done.json(), done.stderr).toMatchObject({ ok: true, accountId: 'work' });
    const { value } = (await machine.cli(['config', 'get', 'channels.desk-chat', '--json'])).json<{ value?: object }>();
    const block = value ?? (await machine.cli(['config', 'get', 'channels.desk-chat', '--json'])).json();
    expect(block).toMatchObject({
      accounts: { default: { server: 'one' }, work: { name: 'Work', token: { source: 'env', provider: 'default', id: 'WORK_DESK' } } },
    });
  }, 60_000);

  it('a secret that cannot be had weakens the answer and does not stop it (SEC-159, SEC-160)', async () => {
    const status = await cli('status', '--json');
    expect([status.code, status.json<View>().unavailable]).toEqual([0, [{ path: 'channels.desk-chat.accounts.work.token', reason: expect.any(String) }]]);
    expect(status.json<View>().channelAccounts['desk-chat']).toContainEqual(expect.objectContaining({ accountId: 'work', configured: false }));
    const probed = await cli('status', '--probe');
    expect([probed.code, probed.stderr]).toEqual([0, expect.stringContaining('configured but unavailable in this command path')]);
    expect(probed.stdout).not.toContain('desk of work');
    const resolved = await cli('resolve', '--channel', 'desk-chat', 'ann');
    expect([resolved.code, resolved.stderr]).toEqual([0, expect.stringContaining('configured but unavailable')]);
  }, 60_000);

  it('names are looked up where the channel can; capabilities tell what it can (SYS-092)', async () => {
    const env = { WORK_DESK: 'desk-token-two' };
    const found = await machine.cli(['channels', 'resolve', '--channel', 'desk-chat', 'ann', 'bob', '--json'], { env });
    expect([found.code, found.json<{ results: object[] }>().results]).toEqual([
      1,
      [
        { input: 'ann', resolved: true, id: 'U1', name: 'Ann' },
        { input: 'bob', resolved: false, note: 'nobody has that name' },
      ],
    ]);
    expect((await cli('resolve', '--channel', 'webchat', 'ann')).stderr).toContain('DUR_CHANNEL_NO_RESOLVER');
    const able = await cli('capabilities', 'telegram', '--json');
    expect(able.json(), able.stderr).toMatchObject({
      channels: [{ channel: 'telegram', can: expect.arrayContaining(['polls']), sends: expect.arrayContaining(['sendText']) }],
    });
    await machine.cli(['config', 'set', 'plugins.deny', '["telegram"]']);
    expect((await cli('capabilities', 'telegram')).stderr).toContain('DUR_CHANNEL_EXTENSION_OFF');
    await machine.cli(['config', 'unset', 'plugins.deny']);
    expect((await cli('capabilities', 'telegran')).stderr).toContain("Did you mean 'telegram'?");
  }, 60_000);

  it.skipIf(!existsSync('/usr/bin/script'))(
    'asks at a terminal, where a secret is not shown, and before it switches something off',
    async () => {
      const asked = openTerminal(machine, ['channels', 'add', 'desk-chat', '--account', 'typed']);
      await until(() => asked.screen().includes('it is not shown') || undefined, 'the question for the token');
      asked.type('desk-token-typed\r');
      await asked.answer('Server', 'two');
      expect(await asked.closed, asked.screen()).toBe(0);
      expect(asked.screen()).not.toContain('desk-token-typed');
      expect(await text()).toMatch(/desk-token-typed[^}]*"two"/);
      const kept = openTerminal(machine, ['channels', 'remove', 'desk-chat', '--account', 'typed', '--delete']);
      await kept.answer('Delete desk-chat/typed?', 'n');
      expect(await kept.closed, kept.screen()).not.toBe(0);
      expect(await text()).toContain('desk-token-typed');
      const gone = openTerminal(machine, ['channels', 'remove', 'desk-chat', '--account', 'typed', '--delete']);
      await gone.answer('Delete desk-chat/typed?', 'y');
      expect(await gone.closed, gone.screen()).toBe(0);
      expect(await text()).not.toContain('desk-token-typed');
    },
    60_000,
  );

  it('every command has its help (SYS-092)', async () => {
    const { stdout } = await cli('--help');
    for (const name of ['list', 'status', 'add', 'remove', 'login', 'logout', 'logs', 'resolve', 'capabilities'])
      expect(stdout).toMatch(new RegExp(`^ +${name}\\b`, 'm'));
  });
});

describe('durar channels, with a gateway', () => {
  it('shows what is live, and accounts come and go with add and remove', async () => {
    gateway = await machine.start({ env: { WORK_DESK: 'desk-token-two' } });
    await connected('default');
    await connected('work');
    const third = await machine.cli(['channels', 'add', 'desk-chat', '--account', 'third'], { input: 'desk-token-three' });
    expect(third.stdout, third.stderr).toContain('desk-chat/third is set up');
    await connected('third');
    expect((await view()).gateway).toBe('running');
    expect((await cli('remove', 'desk-chat', '--account', 'third')).stderr).toContain('--yes');
    const off = await cli('remove', 'desk-chat', '--account', 'third', '--yes');
    expect(off.stdout, off.stderr).toContain('desk-chat/third is off');
    await until(async () => (await view()).channelAccounts['desk-chat']?.some((row) => row.accountId === 'third' && !row.running) || undefined, 'third to end');
    expect((await cli('remove', 'desk-chat', '--account', 'third', '--delete', '--yes')).code).toBe(0);
    expect(await text()).not.toContain('desk-token-three');
    expect((await cli('remove', 'desk-chat', '--account', 'third', '--yes')).stderr).toContain('DUR_CHANNEL_ACCOUNT');
    expect((await cli('logs', 'desk-chat')).stdout).toContain('third sits at the desk');
    expect((await cli('logs', 'telegram')).stdout).not.toContain('sits at the desk');
  }, 90_000);

  it('an account whose token is refused gives up, says what to do, and comes back with the next change', async () => {
    const env = { WORK_DESK: 'desk-token-two', LATE_DESK: 'desk_token' };
    await gateway?.stop();
    await cli('add', 'desk-chat', '--account', 'late', '--token-env', 'LATE_DESK');
    gateway = await machine.start({ env });
    await connected('work');
    const row = (found: View) => found.channelAccounts['desk-chat']?.find(({ accountId }) => accountId === 'late');
    await until(async () => row(await view())?.gaveUp, 'late to give up');
    const status = await cli('status');
    expect([status.code, status.stdout, status.stderr]).toEqual([
      1,
      expect.stringContaining('given up'),
      expect.stringContaining('Ask the desk for another token.'),
    ]);
    const { restarts } = row(await view()) ?? {};
    expect(restarts).toBe(1);
    expect((await machine.cli(['channels', 'add', 'desk-chat', '--account', 'late'], { input: 'desk-token-late' })).code).toBe(0);
    await connected('late');
    expect((await cli('remove', 'desk-chat', '--account', 'late', '--delete', '--yes')).code).toBe(0);
  }, 90_000);

  it('logs in and out; a channel without a login says so', async () => {
    const login = await cli('login', 'desk-chat');
    expect([login.code, login.stderr]).toEqual([0, expect.stringContaining('it is done')]);
    const file = join(machine.stateDir, 'desk-login');
    expect(existsSync(file)).toBe(true);
    const out = await cli('logout', 'desk-chat', '--account', 'default', '--json');
    expect(out.json(), out.stderr).toEqual({ channel: 'desk-chat', accountId: 'default', cleared: true, loggedOut: true });
    expect(existsSync(file)).toBe(false);
    expect((await view()).channelAccounts['desk-chat']).toContainEqual(expect.objectContaining({ accountId: 'default', running: false }));
    expect((await cli('login', 'webchat')).stderr).toContain('DUR_CHANNEL_NO_LOGIN');
    expect((await cli('logout', 'webchat')).stderr).toContain('not logged in to');
    expect((await cli('logout', 'desk-chat', '--account', 'nobody')).stderr).toContain("no account 'nobody'");
  }, 60_000);
});
