import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type Machine, root, until } from './gateway-process.ts';

interface Answer {
  status: string;
  result?: { payloads?: Array<{ text?: string }>; meta: { contextEngine?: string } };
}

let machine: Machine;
const turn = async (message: string) => (await machine.cli(['agent', '--json', '--message', message])).json<Answer>();
const select = (slot: string, id: string) => machine.cli(['config', 'set', `plugins.slots.${slot}`, id]);
const SEARCH = '[[offline: tool notes_search {"query":"harbour"}]]';

beforeAll(async () => {
  machine = await createMachine({
    plugins: {
      slots: { memory: 'memory-notes' },
      entries: {
        'memory-notes': { enabled: true, config: { notes: ['The harbour code is 7731-K.', 'Lunch is at noon.'] } },
        'memory-reader': { enabled: true },
      },
    },
  });
  for (const name of ['memory-notes', 'memory-reader']) {
    await cp(join(root, 'test/fixtures', name), join(machine.stateDir, 'extensions', name), { recursive: true });
  }
  await machine.start();
});
afterAll(() => machine.remove());

describe('memory and context engine are two slots', () => {
  it('both are set and both work: the memory searches, the engine decides what the model sees (ENGINE-094, ENGINE-095)', async () => {
    const legacy = await turn(SEARCH);
    expect(legacy.result?.meta.contextEngine).toBe('legacy');
    expect(JSON.stringify(legacy.result)).toContain('7731-K');
    // the memory puts nothing into the context by itself
    expect(JSON.stringify((await turn('which code has the harbour?')).result)).not.toContain('From memory');
    const doctor = (await machine.cli(['doctor'])).stdout;
    expect(doctor).toMatch(/memory: memory-notes is (active|selected)/);
    expect(doctor).toMatch(/context engine: legacy is (active|selected)/);
  });

  it('an engine uses what the memory knows when it assembles (ENGINE-096)', async () => {
    expect((await select('contextEngine', 'memory-reader')).code).toBe(0);
    const answer = await until(async () => {
      const made = await turn('which code has the harbour?');
      return made.result?.meta.contextEngine === 'memory-reader' ? made : undefined;
    }, 'a turn under the engine');
    expect(JSON.stringify(answer.result)).toContain('From memory: The harbour code is 7731-K.');
  });

  it('the tool of the memory is there with any engine; without a memory the engine goes on (ENGINE-095, ENGINE-096)', async () => {
    expect(JSON.stringify((await turn(SEARCH)).result)).toContain('7731-K');
    expect((await select('memory', 'none')).code).toBe(0);
    const answer = await until(async () => {
      const made = await turn('which code has the harbour?');
      return JSON.stringify(made.result).includes('From memory') ? undefined : made;
    }, 'a turn without a memory');
    expect(answer).toMatchObject({ status: 'ok', result: { meta: { contextEngine: 'memory-reader' } } });
  });

  it('install names the slot of a memory', async () => {
    const other = await createMachine();
    try {
      const install = await other.cli(['plugins', 'install', '--link', join(root, 'test/fixtures/memory-notes')]);
      expect(install.stdout).toContain('durar config set plugins.slots.memory memory-notes');
    } finally {
      await other.remove();
    }
  });
});
