import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { npmPack, type Registry, startRegistry, writeFiles } from '../fixtures/registry.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;
let registry: Registry;
/** Stays connected through everything. */
let client: GatewayClient;
let disconnects = 0;

const manifest = (id: string) => ({
  id,
  name: id,
  kind: 'context-engine',
  contextEngines: [id],
  configSchema: { type: 'object', additionalProperties: false },
});
const engine = (id: string, mark: string, language: 'js' | 'ts' = 'js') => `
${language === 'ts' ? "import type { PluginApi } from 'Durar/plugin-sdk/core';\nenum Mark { One = 1 }\n" : "import { mark } from 'engine-mark';\n"}
export default function register(api${language === 'ts' ? ': PluginApi' : ''}) {
  api.registerContextEngine('${id}', () => ({
    info: { id: '${id}', name: '${id}', version: '${mark}' },
    ingest: async () => ({ ingested: true }),
    assemble: async ({ messages }${language === 'ts' ? ': any' : ''}) => ({ messages, estimatedTokens: ${language === 'ts' ? 'Mark.One' : '1'}, systemPromptAddition: '${mark}' + ${language === 'ts' ? "''" : 'mark'} }),
    compact: async () => ({ ok: true, compacted: false }),
  }));
}
`;
const packageOf = (name: string, id: string, version: string, extra: object = {}) => ({
  'package.json': { name, version, type: 'module', Durar: { extensions: ['./index.js'] }, dependencies: { 'engine-mark': '1.0.0' }, ...extra },
  'Durar.plugin.json': manifest(id),
  'index.js': engine(id, version),
});

beforeAll(async () => {
  machine = await createMachine();
  const packages = join(machine.home, 'registry');
  await mkdir(packages, { recursive: true });
  registry = await startRegistry(packages);
  Object.assign(machine.env, registry.env);
  await registry.publish({
    'package.json': { name: 'engine-mark', version: '1.0.0', type: 'module', exports: './index.js' },
    'index.js': "export const mark = '+dep';\n",
  });
  const postinstall = { scripts: { postinstall: "node -e \"require('fs').writeFileSync(process.env.HOME + '/postinstall-ran', '1')\"" } };
  await registry.publish(packageOf('@acme/engine', 'acme', '1.0.0', postinstall));
  await registry.publish(packageOf('@acme/engine', 'acme', '1.1.0', postinstall));
  await registry.publish(packageOf('@acme/engine', 'acme', '2.0.0-beta.1'), { tag: 'beta' });
  gateway = await machine.start();
  client = await machine.connect(gateway, () => {
    disconnects += 1;
  });
}, 120_000);

afterAll(async () => {
  client.close();
  await registry.close();
  await machine.remove();
});

const durar = (...args: string[]) => machine.cli(args);
let count = 0;
/** A turn over the connection that stays; resolves to the engine that served it. */
async function servedBy(): Promise<string | undefined> {
  count += 1;
  const answer = (await client.request('agent', { message: `turn ${count}`, idempotencyKey: `install-${count}` }, { expectFinal: true })) as {
    result?: { meta: { contextEngine?: string } };
  };
  return answer.result?.meta.contextEngine;
}
const listed = async (id: string) =>
  (await durar('plugins', 'list', '--json'))
    .json<{ plugins: Array<{ id: string; version?: string; enabled?: boolean; origin: string }> }>()
    .plugins.find((plugin) => plugin.id === id);
const storeOf = async (id: string) => (await readdir(join(machine.stateDir, 'extensions/store', id)).catch(() => [])).length;

describe('extensions come, change and go under a running gateway with a client connected', () => {
  it('installs from npm by name and exact version, with its own dependencies and without running its scripts (ENGINE-009, ENGINE-011, CARD-027, CARD-032)', async () => {
    const install = await durar('plugins', 'install', '@acme/engine@1.0.0');
    expect(install.stderr).not.toContain('error');
    expect(install.code).toBe(0);
    expect(await listed('acme')).toMatchObject({ version: '1.0.0', origin: 'installed' });
    await expect(stat(join(machine.home, 'postinstall-ran'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await servedBy()).toBe('legacy');
  });

  it('serves the next turn once the slot names it', async () => {
    expect((await durar('config', 'set', 'plugins.slots.contextEngine', 'acme')).code).toBe(0);
    expect(await servedBy()).toBe('acme');
  });

  it('updates to what the recorded spec resolves to, and to a dist-tag on request', async () => {
    const tag = await durar('plugins', 'install', '@acme/engine@latest');
    expect(tag.stderr).not.toContain('error');
    expect((await listed('acme'))?.version).toBe('1.1.0');
    await registry.publish(packageOf('@acme/engine', 'acme', '1.2.0'));
    const update = await durar('plugins', 'update', 'acme');
    expect(update.code).toBe(0);
    expect((await listed('acme'))?.version).toBe('1.2.0');
    expect(await servedBy()).toBe('acme');
    expect((await durar('plugins', 'install', '@acme/engine@beta')).code).toBe(0);
    expect((await listed('acme'))?.version).toBe('2.0.0-beta.1');
  });

  it('a failed update leaves the old version running', async () => {
    await registry.publish({ ...packageOf('@acme/engine', 'acme', '3.0.0'), 'index.js': 'export default () => { throw new Error("broken release"); };\n' });
    const update = await durar('plugins', 'install', '@acme/engine@3.0.0');
    expect(update.code).toBe(1);
    expect(update.stderr).toContain('broken release');
    expect((await listed('acme'))?.version).toBe('2.0.0-beta.1');
    expect(await servedBy()).toBe('acme');
  });

  it('disable fails the slot clearly, enable heals it (CARD-033)', async () => {
    expect((await durar('plugins', 'disable', 'acme')).code).toBe(0);
    const failed = await until(async () => {
      const answer = await machine.cli(['agent', '--json', '--message', 'anyone?']);
      return answer.code === 1 ? answer.stdout : undefined;
    }, 'a failing run');
    expect(failed).toContain('DUR_SLOT_DISABLED');
    expect((await durar('plugins', 'enable', 'acme')).code).toBe(0);
    await until(async () => (await servedBy().catch(() => undefined)) === 'acme', 'the engine');
  });

  const refused: Array<[string, string]> = [
    ['@acme/engine@^1.0.0', 'DUR_INSTALL_SPEC'],
    ['git+https://example.test/engine.git', 'DUR_INSTALL_SPEC'],
    ['https://example.test/engine.tgz', 'DUR_INSTALL_SPEC'],
    ['no-such-package-here@1.0.0', 'DUR_INSTALL_NOT_FOUND'],
    ['legacy', 'DUR_INSTALL_BUNDLED'],
  ];
  for (const [spec, code] of refused) {
    it(`refuses ${spec} and leaves nothing behind (CARD-031)`, async () => {
      const before = await durar('plugins', 'list', '--json');
      const install = await durar('plugins', 'install', spec);
      expect(install.code).toBe(1);
      expect(install.stderr).toContain(code);
      expect((await durar('plugins', 'list', '--json')).stdout).toBe(before.stdout);
      expect(await servedBy()).toBe('acme');
    });
  }

  it('installs a .tgz and a copied folder, in TypeScript that Node alone refuses (CARD-028, CARD-030, CARD-039)', async () => {
    const source = await writeFiles(join(machine.home, 'tee'), {
      'package.json': { name: 'tee', version: '1.0.0', type: 'module', Durar: { extensions: ['./index.ts'] } },
      'Durar.plugin.json': manifest('tee'),
      'index.ts': engine('tee', 'tee', 'ts'),
    });
    const tarball = await npmPack(source, join(machine.home, 'packed'), machine.env);
    const archive = await durar('plugins', 'install', tarball);
    expect(archive.stderr).not.toContain('error');
    expect(archive.code).toBe(0);
    expect((await durar('config', 'set', 'plugins.slots.contextEngine', 'tee')).code).toBe(0);
    expect(await servedBy()).toBe('tee');
    expect((await durar('plugins', 'uninstall', 'tee')).code).toBe(0);
    expect(await storeOf('tee')).toBe(0);
    await until(async () => (await servedBy().catch(() => undefined)) === 'legacy', 'the default engine');
    expect((await durar('plugins', 'install', source)).code).toBe(0);
    expect((await listed('tee'))?.origin).toBe('installed');
    await stat(join(source, 'index.ts'));
  });

  it('uninstall removes code, record and settings, and the default serves again (CARD-033)', async () => {
    await durar('config', 'set', 'plugins.slots.contextEngine', 'acme');
    expect(await servedBy()).toBe('acme');
    const uninstall = await durar('plugins', 'uninstall', 'acme');
    expect(uninstall.code).toBe(0);
    expect(await listed('acme')).toBeUndefined();
    expect(await storeOf('acme')).toBe(0);
    expect(await readFile(machine.configFile, 'utf8')).not.toContain('acme');
    await until(async () => (await servedBy().catch(() => undefined)) === 'legacy', 'the default engine');
  });

  it('the client never lost its connection', () => {
    expect(disconnects).toBe(0);
    expect(gateway.child.exitCode).toBeNull();
  });
});

describe('an author goes from an empty folder to a running engine (CARD-037)', () => {
  it('create, verify, install -l, select, chat', async () => {
    const create = await machine.cli(['plugins', 'create', 'my-engine', '--kind', 'context-engine']);
    expect(create.code).toBe(0);
    const verify = await machine.cli(['plugins', 'verify', './my-engine', '--json']);
    expect(verify.code).toBe(0);
    expect((await machine.cli(['plugins', 'install', '-l', './my-engine'])).code).toBe(0);
    expect((await machine.cli(['config', 'set', 'plugins.slots.contextEngine', 'my-engine'])).code).toBe(0);
    expect(await servedBy()).toBe('my-engine');
    const chat = await machine.cli(['chat'], { input: 'and now?\n/quit\n' });
    expect(chat.stdout).toContain('and now?');
  });
});
