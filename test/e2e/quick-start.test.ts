import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  machine = await createMachine();
  gateway = await machine.start();
});
afterAll(() => machine.remove());

describe('quick start on a fresh home', () => {
  it('tells what was loaded from which manifest, what serves each slot and where it listens', () => {
    const { report } = gateway;
    expect(report.slots.contextEngine?.key).toBe('legacy');
    expect(report.slots.sessionStore?.key).toBe('local');
    expect(report.model).toBe('offline/echo');
    expect(report.url).toMatch(/^ws:\/\/127\.0\.0\.1:/);
    for (const id of ['legacy', 'local', 'offline', 'webchat', 'operator', 'tools-files', 'tools-exec', 'secrets-env']) {
      expect(report.loaded.find((entry) => entry.id === id)?.manifestFile).toMatch(/Durar\.plugin\.json$/);
    }
  });

  it('health and status answer', async () => {
    expect((await machine.cli(['health'])).code).toBe(0);
    const status = await machine.cli(['gateway', 'status']);
    expect(status.stdout).toContain('Runtime: running');
    expect(status.stdout).toContain('RPC probe: ok');
  });

  it('an agent turn answers, and the transcript holds each message exactly once (ENGINE-005, ENGINE-035)', async () => {
    const answer = await machine.cli(['agent', '--message', 'hello']);
    expect(answer.stderr).toBe('');
    expect(answer.code).toBe(0);
    expect(answer.stdout).toContain('hello');
    const { sessions } = (await machine.cli(['sessions', 'list', '--json'])).json<{ sessions: Array<{ key: string; sessionId: string }> }>();
    expect(sessions.map((session) => session.key)).toEqual(['agent:main:main']);
    const transcript = await readFile(join(machine.stateDir, 'agents/main/sessions', `${sessions[0]?.sessionId}.jsonl`), 'utf8');
    const lines = transcript
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; message?: { role: string } });
    expect(lines[0]?.type).toBe('session');
    expect(lines.filter((line) => line.type === 'message').map((line) => line.message?.role)).toEqual(['user', 'assistant']);
  });

  it('the model reads a file through a tool', async () => {
    await writeFile(join(machine.workspace, 'note.txt'), 'the blue folder');
    const answer = await machine.cli(['agent', '--message', 'read note.txt']);
    expect(answer.code).toBe(0);
    expect(answer.stdout).toContain('the blue folder');
  });

  it('a command without anybody to approve it is denied (CARD-014)', async () => {
    const answer = await machine.cli(['agent', '--json', '--message', 'run touch forbidden.txt'], { input: '' });
    await expect(stat(join(machine.workspace, 'forbidden.txt'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(answer.stdout).toContain('not approved');
  });

  it('chat works through a pipe', async () => {
    const chat = await machine.cli(['chat'], { input: 'good morning\n/quit\n' });
    expect(chat.code).toBe(0);
    expect(chat.stdout).toContain('good morning');
  });

  it('doctor names the active engine (ENGINE-007, ENGINE-043)', async () => {
    const doctor = await machine.cli(['doctor']);
    expect(doctor.stdout).toContain('legacy');
    expect(doctor.code).toBe(0);
  });

  it('keeps its files to itself', async () => {
    expect((await stat(machine.stateDir)).mode & 0o077).toBe(0);
    for (const file of ['state/gateway-auth.json', 'state/durar.db']) expect((await stat(join(machine.stateDir, file))).mode & 0o077).toBe(0);
    expect(gateway.output()).not.toContain((JSON.parse(await readFile(join(machine.stateDir, 'state/gateway-auth.json'), 'utf8')) as { token: string }).token);
  });

  it('a second gateway on the same state is refused', async () => {
    const second = await machine.cli(['gateway', 'run', '--allow-unconfigured', '--port', '0']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('DUR_STATE_LOCKED');
  });

  it('stops cleanly on SIGTERM', async () => {
    expect(await gateway.stop()).toBe(0);
    expect((await machine.cli(['health'])).code).toBe(1);
  });
});
