import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Comparison } from '../../core/agent/shadow/comparison.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

interface Answer {
  status: string;
  result?: { meta: { contextEngine?: string } };
}

/** An engine that keeps a log of what it is given, slowly; `assemble` is what it does in the main session, after a check before its installation. */
const engineSource = (id: string, assemble: string) => `
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
export default function register(api) {
  const file = join(api.runtime.state.resolveStateDir(), '${id}.log');
  api.registerContextEngine('${id}', () => ({
    info: { id: '${id}', name: '${id}' },
    async ingest({ sessionKey, seq, replay }) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      appendFileSync(file, JSON.stringify({ sessionKey, seq, replay: replay === true }) + '\\n');
      return { ingested: true };
    },
    async assemble({ messages, sessionKey }) {
      if (sessionKey === 'agent:main:main') { ${assemble} }
      return { messages, estimatedTokens: 1 };
    },
    async compact() { return { ok: true, compacted: false }; },
  }));
}`;

let machine: Machine;
let gateway: GatewayProcess;
let tmp: string;

async function install(id: string, assemble: string): Promise<void> {
  const dir = join(machine.home, id);
  await mkdir(dir);
  await writeFile(
    join(dir, 'Durar.plugin.json'),
    JSON.stringify({ id, name: id, kind: 'context-engine', contextEngines: [id], configSchema: { type: 'object' } }),
  );
  await writeFile(join(dir, 'index.js'), engineSource(id, assemble));
  const result = await machine.cli(['plugins', 'install', '-l', dir]);
  expect(result.stderr).not.toContain('error');
}

beforeAll(async () => {
  machine = await createMachine({ plugins: { slots: { contextEngineShadow: 'recall' } } });
  tmp = join(machine.home, 'tmp');
  await mkdir(tmp);
  gateway = await machine.start();
});
afterAll(() => machine.remove());

const turn = async (message: string, session = 'main') => (await machine.cli(['agent', '--json', '--session', session, '--message', message])).json<Answer>();
const set = (path: string, value: string) => machine.cli(['config', 'set', path, value]);
const compare = async (...more: string[]) => (await machine.cli(['context', 'compare', '--json', ...more])).json<Comparison>();
const compared = (count: number, ...more: string[]) =>
  until(async () => {
    const found = await compare(...more);
    return found.turns >= count ? found : undefined;
  }, `${count} compared turns`);
const served = (engine: string) => until(async () => (await turn('who serves?', 'other')).result?.meta.contextEngine === engine, `a turn under '${engine}'`);

describe('a shadow in a running gateway', () => {
  it('is named by the boot report, status, doctor and the list of extensions', async () => {
    expect(gateway.report.slots.contextEngineShadow).toEqual({ key: 'recall', owner: 'recall' });
    expect((await machine.cli(['status'])).stdout).toMatch(/^shadow\s+recall/m);
    expect((await machine.cli(['doctor'])).stdout).toContain('shadow engine: recall is active');
    const { plugins } = (await machine.cli(['plugins', 'list', '--json'])).json<{ plugins: Array<{ id: string; reason: string }> }>();
    expect(plugins.find(({ id }) => id === 'recall')?.reason).toBe('plugins.slots.contextEngineShadow');
  });

  it('is compared with the engine that serves', async () => {
    expect(await compare()).toEqual({ turns: 0, groups: [] });
    expect((await machine.cli(['context', 'compare'])).stderr).toContain('contextEngineShadow');
    for (let count = 1; count <= 3; count += 1)
      expect((await turn(`number ${count}: [[offline: tool read {"path":"AGENTS.md"}]]`)).result?.meta.contextEngine).toBe('legacy');
    const { groups } = await compared(3);
    expect(groups[0]).toMatchObject({
      ...{ turns: 3, sessions: 1, skipped: 0, disabled: 0 },
      engines: [
        { engine: 'legacy', role: 'active', answered: 3, failures: {} },
        { engine: 'recall', role: 'shadow', answered: 3, failures: {} },
      ],
    });
    const { stdout } = await machine.cli(['context', 'compare', '--session', 'main', '--since', '1h']);
    expect(stdout).toContain('3 turns of 1 session compared');
    expect(stdout).toMatch(/^recall used .* and failed in 0 of 3 turns \(legacy: 0\)$/m);
    expect((await compare('--session', 'nobody')).turns).toBe(0);
    expect((await machine.cli(['context', 'compare', '--since', 'soon'])).stderr).toContain('DUR_CLI_USAGE');
  });

  it('may not be the active engine; a change of slots says so and turns go on', async () => {
    expect((await set('plugins.slots.contextEngine', 'recall')).code).toBe(0);
    await served('recall');
    const doctor = (await machine.cli(['doctor', '--json'])).stdout;
    expect(doctor).toContain('DUR_SLOT_SHADOW');
    expect((await machine.cli(['status'])).stdout).toContain('recall failed');
    const refused = await set('plugins.slots.contextEngineShadow', 'no-such-engine');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('DUR_SLOT_UNKNOWN');
    expect((await set('plugins.slots.contextEngineShadow', 'legacy')).code).toBe(0);
    await until(async () => {
      await turn('again', 'other');
      return (await compare('--session', 'other')).groups.some(({ engines }) => engines.map(({ engine }) => engine).join('/') === 'recall/legacy');
    }, 'legacy beside recall');
    expect((await set('plugins.slots.contextEngine', 'legacy')).code).toBe(0);
    await served('legacy');
  });

  it('gets each entry exactly once, killed in the middle and started again', async () => {
    await install('counter', '');
    expect((await set('plugins.slots.contextEngineShadow', 'counter')).code).toBe(0);
    const log = async () => {
      const text = await readFile(join(machine.stateDir, 'counter.log'), 'utf8').catch(() => '');
      const lines = text.split('\n').filter((line) => line !== '');
      return lines
        .map((line) => JSON.parse(line) as { sessionKey: string; seq: number; replay: boolean })
        .filter(({ sessionKey }) => sessionKey === 'agent:main:count');
    };
    await until(async () => (await machine.cli(['status', '--json'])).stdout.includes('"counter"'), 'the new shadow');
    for (let count = 0; count < 3; count += 1) await turn('[[offline: tool read {"path":"AGENTS.md"}]]', 'count');
    await until(async () => (await log()).length > 0, 'the first entry');
    await gateway.stop('SIGKILL');
    const before = (await log()).length;
    expect(before).toBeLessThan(12);
    gateway = await machine.start();
    await turn('after the kill', 'count');
    const seen = await until(async () => {
      const found = await log();
      return new Set(found.map(({ seq }) => seq)).size >= 14 ? found : undefined;
    }, 'all entries');
    expect([...new Set(seen.map(({ seq }) => seq))]).toEqual(Array.from({ length: 14 }, (_, place) => place + 1));
    // what came twice was in its hands when the process died, and is flagged
    const twice = seen.filter(({ seq }, place) => seen.findIndex((other) => other.seq === seq) !== place);
    expect(twice.every(({ replay }) => replay)).toBe(true);
    expect(twice.length).toBeLessThanOrEqual(1);
  });
});

describe('a recorded session again', () => {
  const replay = async (...more: string[]) => machine.cli(['context', 'replay', 'main', '--json', ...more], { env: { TMPDIR: tmp } });
  const tokens = (comparison: Comparison) => comparison.groups[0]?.engines.map(({ engine, answered, tokens: sums }) => [engine, answered, sums]);

  it('through our engines and one of the ancestor, the same with the gateway running and stopped, and without a trace', async () => {
    const dir = join(machine.home, 'ancestor-engine');
    await cp(join(root, 'test/fixtures/ancestor-engine'), dir, { recursive: true });
    expect((await machine.cli(['plugins', 'install', '-l', dir])).code).toBe(0);
    const engines = ['--engine', 'legacy', '--engine', 'recall', '--engine', 'acme'];
    const live = await replay(...engines);
    expect(live.stderr).toBe('');
    expect(live.code).toBe(0);
    const found = live.json<Comparison & { session: string }>();
    expect(found.session).toBe('agent:main:main');
    expect(found.groups[0]?.engines.map(({ engine, role, answered, failures }) => [engine, role, answered, failures])).toEqual([
      ['legacy', 'replay', 3, {}],
      ['recall', 'replay', 3, {}],
      ['acme', 'replay', 3, {}],
    ]);
    const trace = await readdir(machine.stateDir);
    await gateway.stop();
    const offline = await replay(...engines);
    expect(offline.code).toBe(0);
    expect(tokens(offline.json())).toEqual(tokens(found));
    expect(await readdir(machine.stateDir)).toEqual(trace);
    expect(await readdir(tmp)).toEqual([]);
    const table = await machine.cli(['context', 'replay', 'main', '--engine', 'legacy', '--turns', '2', '--model-window', '9000'], { env: { TMPDIR: tmp } });
    expect(table.stdout).toContain('2 turns of 1 session compared');
    expect(table.stdout).toMatch(/of a window of 9,000/);
  });

  it('an engine that ends its process is told of, and the others are compared', async () => {
    await install('deadly', 'process.exit(3);');
    const result = await replay('--engine', 'deadly', '--engine', 'legacy');
    expect(result.code).toBe(1);
    const found = result.json<Comparison & { engines: Array<{ engine: string; failure?: { code: string; message: string } }> }>();
    expect(found.engines[0]).toMatchObject({ engine: 'deadly', failure: { code: 'DUR_ENGINE_FAILED', message: expect.stringContaining('code 3') } });
    expect(found.groups[0]?.engines).toMatchObject([{ engine: 'legacy', answered: 3 }]);
  });

  it('ends at once on Ctrl-C and leaves nothing', async () => {
    await install('stuck', 'return new Promise(() => {});');
    const child = spawn(process.execPath, [join(root, 'core/cli/durar.js'), 'context', 'replay', 'main', '--engine', 'stuck'], {
      env: { ...machine.env, TMPDIR: tmp },
      stdio: 'ignore',
    });
    const code = new Promise<number | null>((resolve) => child.on('exit', resolve));
    await until(async () => (await readdir(tmp)).some((name) => name.startsWith('durar-replay-')), 'the replay');
    await until(async () => (await readdir(tmp, { recursive: true })).some((name) => name.endsWith('replay.jsonl')), 'its first turn');
    child.kill('SIGINT');
    expect(await code).toBe(130);
    expect(await readdir(tmp)).toEqual([]);
  });

  it('says what is missing', async () => {
    expect((await replay()).stdout).toContain('--engine is missing');
    // what an extension of the ancestor registers is known when it was asked
    expect((await replay('--engine', 'nobody')).stdout).toContain('DUR_SLOT_ENGINE_ID');
    expect((await replay('--engine', 'legacy', '--turns', '0')).stdout).toContain('--turns takes a whole number');
    expect((await machine.cli(['context', 'replay', 'nowhere', '--engine', 'legacy'])).stderr).toContain('DUR_SESSION_UNKNOWN');
  });
});
