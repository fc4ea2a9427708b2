import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createMachine, type Machine, until } from './gateway-process.ts';

interface Line {
  type: string;
  message?: { role: string; content: unknown; isError?: boolean };
}

let machine: Machine;
afterEach(() => machine.remove());

const sessionsDir = () => join(machine.stateDir, 'agents/main/sessions');
async function transcriptFile(): Promise<string> {
  return until(async () => {
    const names = await readdir(sessionsDir()).catch(() => [] as string[]);
    const name = names.find((file) => file.endsWith('.jsonl'));
    return name === undefined ? undefined : join(sessionsDir(), name);
  }, 'a transcript');
}
const lines = async (file: string) =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
const roles = async (file: string) => (await lines(file)).filter((line) => line.type === 'message').map((line) => line.message?.role);

describe('kill -9', () => {
  it('during the model call: the next process answers the message, and then what comes after it', async () => {
    machine = await createMachine();
    let gateway = await machine.start();
    const lost = machine.cli(['agent', '--message', '[[offline: delay 2000]] keep me']);
    const file = await transcriptFile();
    await until(async () => (await roles(file)).includes('user'), 'the user entry');
    await gateway.stop('SIGKILL');
    expect((await lost).code).not.toBe(0);
    gateway = await machine.start();
    expect((await machine.cli(['agent', '--message', 'go on'])).code).toBe(0);
    expect(await roles(file)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect((await machine.cli(['sessions', 'show', 'main'])).stdout).toContain('keep me');
  });

  it('during a tool call: it gets an error result and is never executed again', async () => {
    machine = await createMachine({ tools: { exec: { security: 'full', ask: 'off' } } });
    await writeFile(join(machine.stateDir, 'exec-approvals.json'), JSON.stringify({ version: 1, defaults: { security: 'full', ask: 'off' } }), { mode: 0o600 });
    const gateway = await machine.start();
    const lost = machine.cli(['agent', '--message', 'run echo once >> ran.txt; sleep 30']);
    await until(async () => (await stat(join(machine.workspace, 'ran.txt')).catch(() => undefined)) !== undefined, 'the command');
    const file = await transcriptFile();
    await gateway.stop('SIGKILL');
    await lost;
    await machine.start();
    const next = await machine.cli(['agent', '--message', 'hello again']);
    expect(next.code).toBe(0);
    const results = (await lines(file)).filter((line) => line.message?.role === 'toolResult');
    expect(results).toHaveLength(1);
    expect(JSON.stringify(results[0]?.message)).toContain('interrupted by restart');
    expect(await readFile(join(machine.workspace, 'ran.txt'), 'utf8')).toBe('once\n');
  });

  it('a torn last line and a foreign line are repaired, with a copy kept', async () => {
    machine = await createMachine();
    const gateway = await machine.start();
    await machine.cli(['agent', '--message', 'one']);
    await gateway.stop();
    const file = await transcriptFile();
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('\n', '\nnot json at all\n'));
    await appendFile(file, '{"type":"message","id":"torn');
    await machine.start();
    expect((await machine.cli(['agent', '--message', 'two'])).code).toBe(0);
    const shown = (await machine.cli(['sessions', 'show', 'main'])).stdout;
    expect(shown).toContain('one');
    expect(shown).toContain('two');
    expect((await readdir(sessionsDir())).length).toBeGreaterThan(1);
  });
});

describe('an operator edits the configuration by hand while it runs', () => {
  it('a broken edit changes nothing and is reported with line and column; a good one is applied', async () => {
    machine = await createMachine({ agents: { defaults: { model: 'offline/echo' } } });
    const gateway = await machine.start();
    await machine.writeConfig('{ agents: { defaults: {\n  model: “offline/echo”\n} } }');
    await until(() => /line 2/.test(gateway.output()), 'the report');
    expect((await machine.cli(['agent', '--message', 'hello'])).code).toBe(0);
    await machine.writeConfig({ agents: { defaults: { model: 'offline/none' } } });
    await until(async () => (await machine.cli(['agent', '--message', 'hello'])).code !== 0, 'the new model');
    await machine.writeConfig({ agents: { defaults: { modle: 'offline/echo' } } });
    await until(() => gateway.output().includes('agents.defaults.modle'), 'the unknown key');
    expect((await machine.cli(['config', 'validate'])).code).toBe(1);
    await machine.writeConfig({
      models: { providers: { acme: { baseUrl: 'http://127.0.0.1:9/v1', apiKey: { source: 'env', provider: 'default', id: 'NO_SUCH_KEY' }, models: [] } } },
    });
    const doctor = await until(async () => {
      const { stdout } = await machine.cli(['doctor']);
      return stdout.includes('NO_SUCH_KEY') ? stdout : undefined;
    }, 'the refusal in doctor');
    expect(doctor).toContain('goes on as before');
    expect(gateway.child.exitCode).toBeNull();
  });
});
