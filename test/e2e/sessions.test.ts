import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type Machine } from './gateway-process.ts';

let machine: Machine;

beforeAll(async () => {
  machine = await createMachine();
  await machine.start();
});
afterAll(() => machine.remove());

const sessions = (...args: string[]) => machine.cli(['sessions', ...args]);

describe('durar sessions', () => {
  it('changes, compacts, resets and deletes sessions (PROTO-179 to PROTO-182)', async () => {
    for (const word of ['one', 'two', 'three']) expect((await machine.cli(['agent', '--message', `say ${word}`])).code).toBe(0);
    const patched = await sessions('patch', 'main', '--label', 'My talk', '--model', 'offline/small');
    expect(patched.stdout).toContain('Changed agent:main:main; its model is offline/small.');
    expect((await sessions('list', '--json')).json<{ sessions: object[] }>().sessions[0]).toMatchObject({ label: 'My talk', displayName: 'My talk' });
    const refused = await sessions('patch', 'main', '--thinking', 'very');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('invalid thinkingLevel (use ');
    expect((await sessions('patch', 'main')).stderr).toContain('nothing to change was named');
    expect((await sessions('patch', 'main', '--model', 'none')).stdout).toContain('offline/echo');
    expect((await sessions('compact', 'main')).stdout).toContain('Compacted agent:main:main');
    expect((await sessions('abort', 'main')).stdout).toContain('Nothing runs in main.');
    expect((await sessions('reset', 'main')).stdout).toContain('starts over');
    expect((await sessions('show', 'main')).stdout).toContain('has no messages');
    expect((await machine.cli(['agent', '--message', 'hello', '--session', 'agent:main:other'])).code).toBe(0);
    const deleted = (await sessions('delete', 'agent:main:other', '--json')).json<{ deleted: boolean; archived: string[] }>();
    expect(deleted.deleted).toBe(true);
    expect(await readFile(deleted.archived[0] ?? '', 'utf8')).toContain('hello');
    expect((await sessions('delete', 'agent:main:other')).code).toBe(1);
    expect((await sessions('delete', 'main')).stderr).toContain('Cannot delete the main session');
  });

  it('the chat begins anew with /new, in the same session', async () => {
    const talk = await machine.cli(['chat'], { input: 'first words\n/new\n/history\nlast words\n' });
    expect(talk.code).toBe(0);
    expect(talk.stdout).toContain('A new conversation.');
    const history = (await sessions('show', 'main', '--json')).json<{ messages: Array<{ role: string; content: unknown }> }>().messages;
    expect(JSON.stringify(history)).toContain('last words');
    expect(JSON.stringify(history)).not.toContain('first words');
  });
});
