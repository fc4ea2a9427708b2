import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createMachine, type Machine, until } from '../e2e/gateway-process.ts';

/** Loaded before the gateway: writes down what is asked of the file system by path; on a signal it tells and begins anew. */
const WATCH = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const write = fs.writeFileSync;
  const rename = fs.renameSync;
  let calls = [];
  for (const [owner, prefix] of [[fs, ''], [fs.promises, 'promises.']]) {
    for (const name of Object.keys(owner)) {
      const original = owner[name];
      if (!/^(access|appendFile|chmod|copyFile|exists|l?stat|mkdir|open|opendir|readdir|readFile|readlink|realpath|rename|rm|unlink|writeFile)(Sync)?$/.test(name)) continue;
      owner[name] = Object.assign(function (...args) {
        if (typeof args[0] !== 'number') calls.push([prefix + name, String(args[0])]);
        return original.apply(this, args);
      }, original);
    }
  }
  syncBuiltinESMExports();
  process.on('SIGUSR2', () => {
    write(process.env.TEST_CALLS + '.new', JSON.stringify(calls));
    rename(process.env.TEST_CALLS + '.new', process.env.TEST_CALLS);
    calls = [];
  });`;
const FILES = ['AGENTS.md', 'BOOTSTRAP.md', 'HEARTBEAT.md', 'IDENTITY.md', 'SOUL.md', 'TOOLS.md', 'USER.md'];
/** Looked at by whoever watches the configuration, whether there are turns or not. */
const WATCHED = /\/(\.env|Durar\.json|plugins\.json)$/;
const TURNS = 5;

let machine: Machine;
afterAll(() => machine.remove());

it('a turn asks for the state of each bootstrap file once, and reads none that did not change', async () => {
  machine = await createMachine();
  const file = join(machine.home, 'calls.json');
  const gateway = await machine.start({ env: { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(WATCH)}`, TEST_CALLS: file } });
  const client = await machine.connect(gateway);
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn += 1) {
      const { status } = (await client.request('agent', { message: 'hello', idempotencyKey: crypto.randomUUID() }, { expectFinal: true })) as {
        status: string;
      };
      expect(status).toBe('ok');
    }
  };
  let told: string | undefined;
  const calls = async () => {
    // what a turn does behind its reply is over
    await new Promise((resolve) => setTimeout(resolve, 100));
    gateway.child.kill('SIGUSR2');
    told = await until(async () => {
      const text = await readFile(file, 'utf8').catch(() => undefined);
      return text !== told && text;
    }, 'the calls');
    const asked = (JSON.parse(told) as Array<[string, string]>).filter(([, path]) => !WATCHED.test(path));
    return asked.map(([name, path]) => `${name} ${path.replace(machine.workspace, 'workspace')}`).sort();
  };
  await turns(20);
  await calls();
  const stats = FILES.map((name) => `promises.stat workspace/${name}`);
  await turns(TURNS);
  expect(await calls()).toEqual(stats.flatMap((stat) => Array.from({ length: TURNS }, () => stat)));
  await writeFile(join(machine.workspace, 'SOUL.md'), 'Be brief.');
  await turns(2);
  expect(await calls()).toEqual([...stats, ...stats, 'promises.readFile workspace/SOUL.md'].sort());
  client.close();
  await gateway.stop();
}, 60_000);
