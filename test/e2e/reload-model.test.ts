/** Random edits of the configuration against a gateway process: what runs is always the last valid state of the files. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;
const ports: number[] = [];

beforeAll(async () => {
  for (let count = 0; count < 3; count += 1) ports.push(await freePort());
  machine = await createMachine();
  await machine.writeConfig(stateText({ ids: ['start'], port: ports[0] ?? 0 }));
  gateway = await machine.start({ configured: true });
});
afterAll(() => machine.remove());

/** What the files say when they are valid. */
interface Said {
  ids: string[];
  port: number;
}

const base = (port: number) => ({ mode: 'local', port, reload: { debounceMs: 5 } });
const stateText = ({ ids, port }: Said) => JSON.stringify({ gateway: base(port), agents: { list: ids.map((id) => ({ id })) } });

/** The same sequence for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

it.each([1, 2, 3, 4])(
  'after random edits, failures and reloads the running generation equals the last valid configuration (GW-018 to GW-020, seed %i)',
  { timeout: 120_000 },
  async (seed) => {
    const random = randomOf(seed);
    const file = machine.configFile;
    const include = join(machine.stateDir, 'part.json5');
    let client: GatewayClient | undefined;
    let expected = await state();
    /** Was valid since the last look, though perhaps not for long enough to be noticed. */
    let passed: Said[] = [];

    /** Files as a model; undefined: there is none. */
    let main: string | undefined = stateText(expected);
    let part: string | undefined;
    await rm(include, { force: true });

    const put = async (path: string, text: string) => {
      if (random(2) === 0) return writeFile(path, text);
      // as editors do
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    };
    const putMain = (text: string) => {
      main = text;
      return put(file, text);
    };
    const putPart = (text: string) => {
      part = text;
      return put(include, text);
    };
    const names = () => Array.from({ length: 1 + random(3) }, (_, index) => `s${seed}x${random(1000)}y${index}`);
    const port = () => ports[random(ports.length)] ?? 0;
    const included = (at: number) => JSON.stringify({ gateway: base(at), agents: { $include: './part.json5' } });

    const steps: Array<() => Promise<unknown>> = [
      () => putMain(stateText({ ids: names(), port: expected.port })),
      () => putMain(stateText({ ids: names(), port: port() })),
      // half a text, then the whole
      async () => {
        const text = stateText({ ids: names(), port: expected.port });
        await writeFile(file, text.slice(0, text.length / 2));
        await new Promise((resolve) => setTimeout(resolve, random(15)));
        await putMain(text);
      },
      () => putMain(stateText({ ids: names(), port: expected.port }).slice(0, -4)),
      () => putMain(JSON.stringify({ gateway: { ...base(expected.port), prot: 1 } })),
      () => putMain(JSON.stringify({ gateway: base(expected.port), agents: { list: [{ name: 'no id' }] } })),
      () => putMain(JSON.stringify({ gateway: { ...base(expected.port), auth: { token: { source: 'env', provider: 'default', id: 'NOT_SET_HERE' } } } })),
      async () => {
        main = undefined;
        await rm(file, { force: true });
      },
      () => putMain(included(expected.port)),
      () => putPart(JSON.stringify({ list: names().map((id) => ({ id })) })),
      () => putPart('{ list: ['),
      async () => {
        part = undefined;
        await rm(include, { force: true });
      },
      async () => {
        if (main === undefined) return;
        await machine.cli(['config', 'set', 'agents.defaults.maxConcurrent', String(1 + random(9))]);
        main = await readMain();
      },
      async () => {
        client = await reach();
        await client.request('plugins.reload', {}).catch(() => undefined);
      },
    ];

    async function readMain(): Promise<string | undefined> {
      return readFile(file, 'utf8').catch(() => undefined);
    }

    /** What the model says that is valid now; undefined: the last one stays. */
    function valid(): Said | undefined {
      if (main === undefined) return undefined;
      try {
        const { gateway: at, agents = {} } = JSON.parse(main) as {
          gateway: Said & Record<string, unknown>;
          agents?: { $include?: string; list?: Array<{ id?: string }> };
        };
        if ('prot' in at || 'auth' in at) return undefined;
        const list = agents.$include === undefined ? agents.list : part === undefined ? [{}] : (JSON.parse(part) as { list: Array<{ id: string }> }).list;
        const ids = (list ?? []).map(({ id }) => id);
        return ids.some((id) => id === undefined) ? undefined : { ids: ids as string[], port: at.port };
      } catch {
        return undefined;
      }
    }

    async function reach(): Promise<GatewayClient> {
      client?.close();
      client = await machine.connect({ url: (await address()) ?? gateway.url });
      return client;
    }

    async function check(what: string): Promise<void> {
      const now = valid();
      const allowed = now === undefined ? [expected, ...passed] : [now];
      let seen: unknown;
      await until(async () => {
        seen = await state().catch((error: unknown) => error);
        return allowed.some((each) => JSON.stringify(each) === JSON.stringify(seen));
      }, what).catch((error: unknown) => {
        throw new Error(
          `${String(error)}: expected one of ${JSON.stringify(allowed)}, ran ${JSON.stringify(seen)}\n${main}\n${part}\n${gateway.output().slice(-3000)}`,
        );
      });
      expected = seen as Said;
      passed = [];
    }

    async function state(): Promise<Said> {
      const asked = await reach();
      const { agents } = (await asked.request('agents.list', {})) as { agents: Array<{ id: string }> };
      return { ids: agents.map(({ id }) => id), port: Number(new URL((await address()) ?? '').port) };
    }

    for (let round = 0; round < 40; round += 1) {
      const index = random(steps.length);
      await steps[index]?.();
      const now = valid();
      if (now !== undefined) passed.push(now);
      // sometimes the next edit comes before this one was noticed
      if (random(3) > 0) await check(`seed ${seed}, round ${round}, step ${index}`);
    }
    await putMain(stateText({ ids: ['end'], port: expected.port }));
    await check('the last edit');
    client?.close();
    expect(gateway.child.exitCode).toBeNull();
  },
);

async function address(): Promise<string | undefined> {
  const text = await readFile(join(machine.stateDir, 'state/gateway-address.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as { url: string }).url;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
