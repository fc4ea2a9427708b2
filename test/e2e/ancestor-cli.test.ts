/**
 * The command line of the ancestor (OpenClaw 2026.4.2), unmodified, against our gateway. It is too large to be a dependency:
 * `npm install --prefix <folder> --before 2026-04-06 --ignore-scripts openclaw@2026.4.2`, then ANCESTOR_CLI=<folder>/node_modules/openclaw/openclaw.mjs.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine } from './gateway-process.ts';

const cli = process.env.ANCESTOR_CLI;
const TOKEN = 'ancestor-token-ancestor-token-1';

describe.skipIf(cli === undefined)(`the ancestor's command line${cli === undefined ? ' (skipped: ANCESTOR_CLI names none)' : ''}`, { timeout: 120_000 }, () => {
  let machine: Machine;
  let gateway: GatewayProcess;
  let home = '';

  const run = (...args: string[]) =>
    new Promise<{ code: number | null; text: string; json<T>(): T }>((resolve, reject) => {
      const env: NodeJS.ProcessEnv = {
        PATH: process.env.PATH,
        HOME: home,
        NO_COLOR: '1',
        OPENCLAW_STATE_DIR: join(home, 'state'),
        OPENCLAW_GATEWAY_PORT: String(gateway.port),
        OPENCLAW_GATEWAY_TOKEN: TOKEN,
      };
      const child = spawn(process.execPath, [cli ?? '', ...args], { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
      let out = '';
      let text = '';
      child.stdout.on('data', (chunk) => {
        out += String(chunk);
        text += String(chunk);
      });
      child.stderr.on('data', (chunk) => (text += String(chunk)));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, text, json: () => JSON.parse(out) }));
    });
  const call = (method: string, params: object = {}, ...more: string[]) =>
    run('gateway', 'call', method, '--params', JSON.stringify(params), '--json', ...more);

  beforeAll(async () => {
    machine = await createMachine({ gateway: { auth: { token: TOKEN } } });
    gateway = await machine.start();
    home = join(machine.home, 'ancestor');
    mkdirSync(join(home, 'state'), { recursive: true, mode: 0o700 });
    writeFileSync(join(home, 'state', 'openclaw.json'), JSON.stringify({ gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN } } }), { mode: 0o600 });
  }, 60_000);
  afterAll(async () => {
    await gateway?.stop();
    await machine?.remove();
  });

  it('finds the gateway healthy and reachable, and is not pinned to the scopes of that look', async () => {
    expect(await run('health')).toMatchObject({ code: 0, text: expect.stringContaining('main (default)') });
    expect((await run('status')).text).toMatch(/Gateway .* reachable/);
    expect((await call('status')).json()).toMatchObject({ sessions: { count: expect.any(Number) } });
  });

  it('runs an agent, chats, and follows sessions', async () => {
    const { code, json } = await run('agent', '--agent', 'main', '--message', 'hello', '--json');
    expect(code).toBe(0);
    expect(json()).toMatchObject({ status: 'ok', result: { payloads: [{ text: expect.stringContaining('hello') }] } });
    expect((await call('sessions.list')).json()).toMatchObject({ sessions: [{ key: 'agent:main:main' }] });
    expect((await call('chat.send', { sessionKey: 'main', message: 'again', idempotencyKey: 'k' })).json()).toMatchObject({ runId: 'k', status: 'started' });
    expect((await call('chat.history', { sessionKey: 'main' })).json()).toMatchObject({
      messages: expect.arrayContaining([expect.objectContaining({ role: 'user' })]),
    });
  });

  it('manages devices, nodes and approvals', async () => {
    expect((await run('devices', 'list', '--json')).json()).toMatchObject({ pending: [], paired: [{ clientId: 'cli', role: 'operator' }] });
    expect(await run('nodes', 'status')).toMatchObject({ code: 0, text: expect.stringContaining('Known: 0') });
    expect(await run('approvals', 'allowlist', 'add', '--gateway', '--agent', 'main', 'ls *')).toMatchObject({ code: 0 });
    expect((await run('approvals', 'get', '--gateway', '--json')).json()).toMatchObject({ file: { agents: { main: { allowlist: [{ pattern: 'ls *' }] } } } });
  });

  it('reads presence and the log', async () => {
    expect((await call('system-presence')).json()).toMatchObject([{ mode: 'gateway', reason: 'self' }, { deviceId: expect.any(String) }]);
    expect(await run('logs', '--limit', '3')).toMatchObject({ code: 0 });
  });
});
