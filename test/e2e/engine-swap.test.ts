import { appendFile, cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

interface Answer {
  status: string;
  result?: { meta: { contextEngine?: string; generation?: number } };
  error?: { code?: string; message: string };
}

let machine: Machine;
let gateway: GatewayProcess;
let engineDir: string;

beforeAll(async () => {
  machine = await createMachine();
  engineDir = join(machine.home, 'marker-engine');
  await cp(join(root, 'test/fixtures/marker-engine'), engineDir, { recursive: true });
  gateway = await machine.start();
});
afterAll(() => machine.remove());

const turn = async (message: string) => (await machine.cli(['agent', '--json', '--message', message])).json<Answer>();
const calls = async () => {
  const text = await readFile(join(machine.stateDir, 'marker.log'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { call: string; role?: string; seq?: number; note?: string });
};
const select = (id: string) => machine.cli(['config', 'set', 'plugins.slots.contextEngine', id]);
const served = (engine: string) => until(async () => (await turn('who serves?')).result?.meta.contextEngine === engine, `a turn under '${engine}'`);

describe('an engine is written, installed, selected and taken out under a running gateway', () => {
  it('installing alone changes nothing (ENGINE-010, ENGINE-012)', async () => {
    const install = await machine.cli(['plugins', 'install', '-l', engineDir]);
    expect(install.stderr).not.toContain('error');
    expect(install.code).toBe(0);
    expect((await turn('hello')).result?.meta.contextEngine).toBe('legacy');
  });

  it('the next turn is served by the selected engine while a turn under way ends under the old one (ENGINE-006, ENGINE-013, ENGINE-088, ENGINE-100)', async () => {
    const underway = turn('[[offline: delay 2500]] slow one');
    await until(async () => (await machine.cli(['sessions', 'list', '--json'])).stdout.includes('"running"'), 'the slow turn');
    const set = await select('marker');
    expect(set.code).toBe(0);
    expect((await machine.cli(['agent', '--json', '--session', 'agent:main:other', '--message', 'quick one'])).json<Answer>().result?.meta.contextEngine).toBe(
      'marker',
    );
    expect((await underway).result?.meta.contextEngine).toBe('legacy');
    expect(gateway.child.exitCode).toBeNull();
  });

  it('its lifecycle is called: bootstrap once, ingest for each new message, assemble, afterTurn (ENGINE-019, ENGINE-021, ENGINE-025, ENGINE-065, ENGINE-045)', async () => {
    await machine.cli(['agent', '--session', 'agent:main:life', '--message', 'first']);
    await machine.cli(['agent', '--session', 'agent:main:life', '--message', 'second']);
    const log = await until(async () => {
      const found = await calls();
      return found.filter((item) => item.call === 'afterTurn').length >= 2 ? found : undefined;
    }, 'two turns in the log');
    const last = (await machine.cli(['sessions', 'list', '--json']))
      .json<{ sessions: Array<{ key: string; sessionId: string }> }>()
      .sessions.find((item) => item.key === 'agent:main:life');
    const own = log.filter((item) => (item as { sessionId?: string }).sessionId === last?.sessionId);
    expect(own.filter((item) => item.call === 'bootstrap')).toHaveLength(1);
    expect(own.filter((item) => item.call === 'ingest').map((item) => item.seq)).toEqual([
      ...new Set(own.filter((item) => item.call === 'ingest').map((item) => item.seq)),
    ]);
    expect(own.map((item) => item.call)).toContain('assemble');
  });

  it('plugin config reaches register, and a change of it loads the engine anew (ENGINE-015, ENGINE-072)', async () => {
    expect((await machine.cli(['config', 'set', 'plugins.entries.marker.config.note', 'a new note'])).code).toBe(0);
    await until(async () => (await calls()).some((item) => item.call === 'register' && item.note === 'a new note'), 'register with the new config');
    await until(async () => (await calls()).some((item) => item.call === 'dispose'), 'dispose of the old instance');
  });

  it('an edit of the linked source acts without a restart and without a copy (ENGINE-105)', async () => {
    await appendFile(join(engineDir, 'index.js'), '\n// edited\n');
    await writeFile(
      join(engineDir, 'Durar.plugin.json'),
      (await readFile(join(engineDir, 'Durar.plugin.json'), 'utf8')).replace('Marker engine', 'Marker engine two'),
    );
    const before = (await calls()).filter((item) => item.call === 'register').length;
    const list = (await machine.cli(['plugins', 'list', '--json'])).stdout;
    expect(list).toContain('Marker engine two');
    await machine.cli(['gateway', 'call', 'plugins.reload']);
    await until(async () => (await calls()).filter((item) => item.call === 'register').length > before, 'the edited code');
  });

  const failures = [
    { fail: 'throw', code: 'DUR_ENGINE_FAILED', ids: 'ENGINE-101' },
    { fail: 'shape', code: 'DUR_ENGINE_RESULT', ids: 'ENGINE-060' },
    { fail: 'budget', code: 'DUR_ENGINE_BUDGET', ids: 'ENGINE-022' },
    { fail: 'factory', code: 'DUR_SLOT_FAILED', ids: 'ENGINE-102' },
    { fail: 'register', code: 'DUR_SLOT_FAILED', ids: 'ENGINE-102' },
  ];
  for (const { fail, code, ids } of failures) {
    it(`fails clearly and never falls back: ${fail} (${ids})`, async () => {
      const text = JSON.parse(await readFile(machine.configFile, 'utf8')) as { plugins: { entries: { marker: { config: Record<string, unknown> } } } };
      text.plugins.entries.marker.config = { fail };
      await machine.writeConfig(text);
      const answer = await until(async () => {
        const next = await turn(`try ${fail}`);
        return next.status === 'error' && next.error?.code === code ? next : undefined;
      }, `${code}`);
      expect(answer.error?.message).toContain('marker');
      expect((await machine.cli(['doctor'])).stdout).toContain(code);
      expect(gateway.child.exitCode).toBeNull();
    });
  }

  it('doctor shows the error of the broken engine (ENGINE-098)', async () => {
    const doctor = await machine.cli(['doctor']);
    expect(doctor.stdout + doctor.stderr).toContain('marker');
    expect(doctor.code).toBe(1);
  });

  it('switching back heals without a restart, and existing sessions keep their history (ENGINE-017, ENGINE-099, ENGINE-104)', async () => {
    expect((await machine.cli(['config', 'unset', 'plugins.slots.contextEngine'])).code).toBe(0);
    await served('legacy');
    const shown = await machine.cli(['sessions', 'show', 'agent:main:life']);
    expect(shown.stdout).toContain('first');
  });

  it('an unknown id is refused by config set and fails runs when written by hand (ENGINE-103, CARD-026)', async () => {
    const set = await select('nope');
    expect(set.code).toBe(1);
    expect(set.stderr).toContain('nope');
    await machine.writeConfig({ plugins: { slots: { contextEngine: 'nope' } } });
    const answer = await until(async () => {
      const next = await turn('anybody?');
      return next.status === 'error' ? next : undefined;
    }, 'a failing run');
    expect(answer.error).toMatchObject({ code: 'DUR_SLOT_UNKNOWN', message: expect.stringContaining('nope') });
    await machine.writeConfig({});
    await served('legacy');
  });
});
