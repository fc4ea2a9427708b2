import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMachine, type Machine, until } from './gateway-process.ts';

let machine: Machine;

beforeEach(async () => {
  machine = await createMachine();
});
afterEach(() => machine.remove());

/** Writes a plugin in plain JavaScript and returns its folder. */
async function plugin(id: string, register: string, manifest: object = {}): Promise<string> {
  const folder = join(machine.home, id);
  await mkdir(folder, { mode: 0o755 });
  await writeFile(join(folder, 'Durar.plugin.json'), JSON.stringify({ id, configSchema: { type: 'object' }, ...manifest }), { mode: 0o644 });
  await writeFile(join(folder, 'index.js'), `export default { id: '${id}', register(api) { ${register} } };`, { mode: 0o644 });
  return folder;
}

describe('a gateway', () => {
  it('goes on when nobody reads its output any more', async () => {
    const gateway = await machine.start({ args: ['--verbose'] });
    gateway.child.stdout?.destroy();
    gateway.child.stderr?.destroy();
    for (let turn = 0; turn < 3; turn++) expect((await machine.cli(['agent', '--message', 'hello'])).code).toBe(0);
    expect(await gateway.stop()).toBe(0);
  });

  it('says once that an extension goes on throwing from its timers, serves turns, and ends when it is told to', async () => {
    const timer = "let n = 0; setInterval(() => { n += 1; if (n % 2) throw new Error('tick ' + n); Promise.reject(new Error('tock')); }, 2);";
    const folder = await plugin('restless', timer, { kind: 'memory' });
    await machine.writeConfig({ plugins: { load: { paths: [folder] }, entries: { restless: { enabled: true } } } });
    const gateway = await machine.start();
    const lines = () =>
      gateway
        .output()
        .split('\n')
        .filter((line) => line.includes("'restless' is switched off"));
    await until(() => lines().length >= 3, 'the hundredth error');
    expect((await machine.cli(['agent', '--message', 'hello'])).code).toBe(0);
    expect(lines().length).toBeLessThan(6);
    const doctor = (await machine.cli(['doctor'])).stdout;
    expect(doctor.match(/'restless' threw outside any call/g)).toHaveLength(1);
    expect(await gateway.stop()).toBe(0);
  });
});

it('a chat has no JSON form and says what has', async () => {
  const refused = await machine.cli(['chat', '--json'], { input: 'hello\n' });
  expect(refused.code).toBe(2);
  expect(refused.json()).toMatchObject({ ok: false, error: { code: 'DUR_CLI_USAGE', hint: expect.stringContaining('durar agent --json') } });
});

describe('state that cannot be used is named, with what to do', () => {
  it('a state folder that cannot be made', async () => {
    await writeFile(join(machine.home, 'file'), '');
    const refused = await machine.cli(['gateway', 'run', '--allow-unconfigured', '--json'], { env: { Durar_STATE_DIR: join(machine.home, 'file/state') } });
    expect(refused.code).toBe(1);
    expect(refused.json()).toMatchObject({ ok: false, error: { code: 'DUR_STATE_UNWRITABLE', hint: expect.stringMatching(/\S/) } });
  });

  it('install records that cannot be read', async () => {
    await mkdir(join(machine.stateDir, 'state/plugins.json'), { recursive: true, mode: 0o700 });
    const refused = await machine.cli(['plugins', 'list', '--json']);
    expect(refused.code).toBe(1);
    expect(refused.json()).toMatchObject({ ok: false, error: { code: 'DUR_STATE_UNREADABLE', hint: expect.stringMatching(/\S/) } });
  });
});
