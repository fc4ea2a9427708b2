import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRecord } from '../../core/config/config-path.ts';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { GOOD, MANIFESTS, SURFACE_CASES, VARIABLES } from '../secret-surfaces.ts';
import { createMachine, type Machine } from './gateway-process.ts';

const IGNORED = /SECRETS_REF_IGNORED_INACTIVE_SURFACE: the reference at (\S+) is ignored/g;
const UNRESOLVED = /cannot be resolved: the environment variable NOT_SET is not set \(provider 'default'\)/;

let machine: Machine;
let client: GatewayClient;

beforeAll(async () => {
  machine = await createMachine();
  for (const manifest of MANIFESTS) {
    const folder = join(machine.home, 'plugins', manifest.id);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'Durar.plugin.json'), JSON.stringify(manifest));
    await writeFile(join(folder, 'index.js'), `export default { id: '${manifest.id}', register() {} };`);
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  }
  await machine.writeConfig(config({}));
  const gateway = await machine.start({ env: VARIABLES });
  client = await machine.connect(gateway);
}, 60_000);
afterAll(async () => {
  client?.close();
  await machine.remove();
});

/** The configuration of a case on a gateway that has the extensions of the cases. */
function config(own: object, off: readonly string[] = []): Record<string, unknown> {
  const base = {
    // the writes of this test are all that may change it
    gateway: { mode: 'local', reload: { debounceMs: 600_000 } },
    logging: { file: join(machine.home, 'gateway.log') },
    plugins: {
      load: { paths: MANIFESTS.map(({ id }) => join(machine.home, 'plugins', id)) },
      entries: Object.fromEntries(off.map((id) => [id, { enabled: false }])),
    },
  };
  return merge(base, own);
}

function merge(base: Record<string, unknown>, over: object): Record<string, unknown> {
  const merged = Object.entries(over).map(([key, value]): [string, unknown] => {
    const present = base[key];
    return [key, isRecord(present) && isRecord(value) ? merge(present, value) : value];
  });
  return { ...base, ...Object.fromEntries(merged) };
}

const ignoredIn = (text: string) => [...new Set([...text.matchAll(IGNORED)].map((match) => match[1]))];
const log = () => readFile(join(machine.home, 'gateway.log'), 'utf8').catch(() => '');
const outcome = (ignored: string[] | undefined) => (ignored === undefined ? 'is refused' : 'is taken, and told');

/** What can change while a gateway runs is written there. */
describe('config.set with a reference that does not resolve', () => {
  for (const { what, config: own, ignored, off = [] } of SURFACE_CASES.filter((each) => each.env === undefined && !('gateway' in each.config))) {
    it(`${outcome(ignored)}: ${what}`, async () => {
      const { hash: baseHash } = (await client.request('config.get', {})) as { hash: string };
      const before = (await log()).length;
      const written = client.request('config.set', { raw: JSON.stringify(config(own, off)), baseHash });
      if (ignored === undefined) {
        await expect(written).rejects.toThrow(UNRESOLVED);
        return;
      }
      await written;
      await client.request('logs.tail', { limit: 1 });
      expect(ignoredIn((await log()).slice(before))).toEqual(ignored);
    });
  }
});

describe('fields that a channel marks in its manifest', () => {
  const set = async (mail: object) => {
    const { hash: baseHash } = (await client.request('config.get', {})) as { hash: string };
    return await client.request('config.set', { raw: JSON.stringify(config({ channels: { mail } })), baseHash });
  };

  it('are masked, in the block and in its accounts; the marker sent back keeps them (SEC-126, SEC-128)', async () => {
    const mail = { pin: 'plain-pin-1', hook: { url: 'http://x', code: 'plain-pin-2' }, accounts: { a: { pin: 'plain-pin-3' } } };
    expect(JSON.stringify(await set(mail))).not.toContain('plain-pin');
    const read = (await client.request('config.get', {})) as unknown as { hash: string; parsed: { channels: object } };
    expect(JSON.stringify(read)).not.toContain('plain-pin');
    await client.request('config.set', { raw: JSON.stringify(read.parsed), baseHash: read.hash });
    expect(JSON.parse(await readFile(machine.configFile, 'utf8'))).toMatchObject({ channels: { mail } });
  });

  it('give way to the reference beside them, with a warning (SEC-125, SEC-129, SEC-131)', async () => {
    const before = (await log()).length;
    await set({ serviceAccount: 'plain-account', serviceAccountRef: GOOD });
    await client.request('logs.tail', { limit: 1 });
    expect((await log()).slice(before)).toMatch(/"level":"warn".*SECRETS_REF_OVERRIDES_PLAINTEXT: the reference at channels\.mail\.serviceAccountRef is used/);
    const answer = await client.request('secrets.resolve', { commandName: 'test', targetIds: ['channels.mail.serviceAccountRef'] });
    expect(answer).toMatchObject({ assignments: [{ path: 'channels.mail.serviceAccountRef', value: VARIABLES.GOOD }] });
  });
});

/** Credentials of the gateway itself are tried by its start. */
describe('a start with a gateway credential that does not resolve', () => {
  beforeAll(async () => {
    client.close();
    expect((await machine.cli(['gateway', 'stop'])).code).toBe(0);
  }, 60_000);

  for (const { what, config: own, ignored, env = {} } of SURFACE_CASES.filter((each) => each.env !== undefined || 'gateway' in each.config)) {
    it(`${outcome(ignored)}: ${what}`, async () => {
      await machine.writeConfig(config(own));
      if (ignored === undefined) {
        const { stderr, code } = await machine.cli(['gateway', 'run', '--allow-unconfigured', '--port', '0'], { env: { ...VARIABLES, ...env } });
        expect([code, stderr]).toEqual([1, expect.stringMatching(UNRESOLVED)]);
        return;
      }
      const gateway = await machine.start({ env: { ...VARIABLES, ...env } });
      await gateway.stop();
      expect(ignoredIn(gateway.output())).toEqual(ignored);
      expect(gateway.output()).toMatch(new RegExp(`SECRETS_GATEWAY_AUTH_SURFACE: the secret of ${ignored[0]?.replaceAll('.', '\\.')} is inactive: \\S+`));
    }, 30_000);
  }
});
