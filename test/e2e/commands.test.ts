import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  machine = await createMachine();
  gateway = await machine.start();
}, 60_000);
afterAll(() => machine.remove());

it.each<[string, string[], string, string]>([
  ['a method', ['gateway', 'call', 'nothing'], 'DUR_GATEWAY_RPC: unknown method: nothing', 'docs/reference/protocol.md lists the methods'],
  ['a misspelt method', ['gateway', 'call', 'session.list'], 'DUR_GATEWAY_RPC: unknown method: session.list', "Did you mean 'sessions.list'?"],
  ['a session', ['sessions', 'show', 'nope'], "DUR_SESSION_UNKNOWN: there is no session 'nope'", 'durar sessions list'],
  ['a provider', ['models', 'list', '--provider', 'nope'], "DUR_PROVIDER_UNKNOWN: no provider 'nope' offers a model", 'durar models list'],
  ['a misspelt provider', ['models', 'list', '--provider', 'ofline'], "DUR_PROVIDER_UNKNOWN: no provider 'ofline'", "Did you mean 'offline'?"],
])('%s that there is not ends with 1 and says what to do', async (_name, args, message, hint) => {
  const { code, stdout, stderr } = await machine.cli(args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr).toContain(hint);
});

it('the main session may be empty, and a provider has models', async () => {
  expect(await machine.cli(['sessions', 'show'])).toMatchObject({ code: 0, stdout: expect.stringContaining('no messages') });
  expect(await machine.cli(['models', 'list', '--provider', 'offline'])).toMatchObject({ code: 0, stdout: expect.stringContaining('offline/echo') });
});

it('another profile on the same port is not this gateway: to ask leaves no trace', async () => {
  for (const args of [['status'], ['doctor'], ['health'], ['sessions', 'list']]) await machine.cli(['--profile', 'other', ...args]);
  expect(existsSync(join(machine.home, '.Durar-other'))).toBe(false);
  expect(await machine.cli(['--profile', 'other', 'status', '--json'])).toMatchObject({ code: 0, stdout: expect.stringContaining('"running": false') });
});

it.runIf(process.platform === 'linux')('a port in use: says by whom, and what ends it (GW-003)', async () => {
  const start = ['--profile', 'other', 'gateway', 'run', '--allow-unconfigured', '--token', 'example-token', '--port'];
  const taken = await machine.cli([...start, String(gateway.port)]);
  expect(taken.code).toBe(1);
  expect(taken.stderr).toContain(
    `DUR_GATEWAY_IN_USE: another gateway instance is already listening on ws://127.0.0.1:${gateway.port} (process ${gateway.child.pid}: `,
  );
  expect(taken.stderr).toContain('`durar gateway stop`, or choose another --port');

  const code = "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))";
  const child = spawn(process.execPath, ['-e', code, 'example-token'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const foreign = await machine.cli([...start, String(chunk).trim()]);
    expect(foreign.stderr).toContain(`\`kill ${child.pid}\``);
    expect(foreign.stderr).not.toContain('example-token');
  } finally {
    child.kill('SIGKILL');
  }
});
