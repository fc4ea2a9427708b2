import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMachine, type Machine } from './gateway-process.ts';

let machine: Machine;

beforeEach(async () => {
  machine = await createMachine();
});
afterEach(() => machine.remove());

describe('a gateway', () => {
  it('goes on when nobody reads its output any more', async () => {
    const gateway = await machine.start({ args: ['--verbose'] });
    gateway.child.stdout?.destroy();
    gateway.child.stderr?.destroy();
    for (let turn = 0; turn < 3; turn++) expect((await machine.cli(['agent', '--message', 'hello'])).code).toBe(0);
    expect(await gateway.stop()).toBe(0);
  });
});

it('a chat has no JSON form and says what has', async () => {
  const refused = await machine.cli(['chat', '--json'], { input: 'hello\n' });
  expect(refused.code).toBe(2);
  expect(refused.json()).toMatchObject({ ok: false, error: { code: 'DUR_CLI_USAGE', hint: expect.stringContaining('durar agent --json') } });
});
