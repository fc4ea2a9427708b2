import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

interface Answer {
  status: string;
  result?: { payloads?: Array<{ text?: string }>; meta: { contextEngine?: string } };
  error?: { code?: string; message: string };
}

let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  machine = await createMachine({ plugins: { entries: { recall: { config: { recentTurns: 2 } } } } });
  gateway = await machine.start();
});
afterAll(() => machine.remove());

const turn = async (message: string) => (await machine.cli(['agent', '--json', '--message', message])).json<Answer>();
const select = (id: string) => machine.cli(['config', 'set', 'plugins.slots.contextEngine', id]);
const served = (engine: string) => until(async () => (await turn('who serves?')).result?.meta.contextEngine === engine, `a turn under '${engine}'`);

describe('the recall engine in a running gateway', () => {
  it('is off until the slot names it', async () => {
    expect((await turn('Please note: the harbour code of Valparaiso is 7731-K.')).result?.meta.contextEngine).toBe('legacy');
    await expect(stat(join(machine.stateDir, 'recall'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('selected, it knows what was said under another engine, long after that left the window (ENGINE-006, ENGINE-088, ENGINE-099)', async () => {
    expect((await select('recall')).code).toBe(0);
    await served('recall');
    for (let count = 0; count < 6; count += 1) await turn(`small talk number ${count} about the weather`);
    // the offline model repeats what it was sent as the newest message
    const answer = await turn('Which harbour code has Valparaiso?');
    expect(answer.result?.meta.contextEngine).toBe('recall');
    expect(JSON.stringify(answer.result)).toContain('Recalled history');
    expect(JSON.stringify(answer.result)).toContain('7731-K');
    expect((await stat(join(machine.stateDir, 'recall', 'recall.db'))).mode & 0o777).toBe(0o600);
  });

  it('its tools search for the model', async () => {
    const answer = await turn('use it: [[offline: tool recall_search {"query":"Valparaiso harbour"}]]');
    expect(answer).toMatchObject({ status: 'ok' });
    // the offline model tells what the tool returned
    expect(JSON.stringify(answer.result)).toMatch(/recall_search.*returned.*7731-K/);
  });

  it('swapped out and in again it has missed nothing, and the other engine has its history (ENGINE-017, ENGINE-104)', async () => {
    expect((await select('legacy')).code).toBe(0);
    await served('legacy');
    await turn('Please note: the second lighthouse is called Bluefin Rock.');
    expect((await select('recall')).code).toBe(0);
    await served('recall');
    for (let count = 0; count < 5; count += 1) await turn(`more talk number ${count} about the weather`);
    expect(JSON.stringify((await turn('What is the name of the second lighthouse?')).result)).toContain('Bluefin Rock');
    expect((await machine.cli(['config', 'unset', 'plugins.slots.contextEngine'])).code).toBe(0);
    await served('legacy');
    expect((await machine.cli(['sessions', 'show', 'agent:main:main'])).stdout).toContain('Bluefin Rock');
    expect(gateway.child.exitCode).toBeNull();
  });
});
