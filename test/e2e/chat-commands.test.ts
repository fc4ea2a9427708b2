import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;

beforeAll(async () => {
  const paths = ['greeter', 'ancestor-engine'].map((name) => join(root, 'test/fixtures', name));
  machine = await createMachine({ plugins: { load: { paths }, entries: { greeter: { enabled: true }, 'acme-context': { enabled: true } } } });
  gateway = await machine.start();
});
afterAll(() => machine.remove());

const say = async (message: string) => {
  const { code, stdout, stderr } = await machine.cli(['agent', '--message', message]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};

describe('chat commands on the command line', () => {
  it('durar agent prints the answer of a command (CTX-074, CTX-075)', async () => {
    expect(await say('/status')).toMatch(/^Durar [\d.]+\nModel: offline\/\S+ \(default\)[\s\S]*Session: agent:main:main/);
    expect(await say('/context')).toMatch(/^🧠 Context breakdown\nWorkspace: [\s\S]*System prompt \(estimate\)/);
  });

  it('a command of an extension is loaded when it is asked for', async () => {
    expect(await say('/greet Ada')).toBe('Good day, Ada. agent:main:main true\n');
    expect(await say('/commands')).toContain('/greet - greets who is named (greeter)');
  });

  it('a command that the manifest of an ancestor’s plugin does not declare is there too', async () => {
    expect(await say('/acme')).toBe('all is well\n');
  });

  it('durar chat leaves commands to the gateway', async () => {
    const talk = await machine.cli(['chat'], { input: '/think low\n/status\n/help\nhello there\n/greet\n' });
    expect(talk.code).toBe(0);
    expect(talk.stdout).toContain('Thinking level set to low.');
    expect(talk.stdout).toContain('thinking low');
    expect(talk.stdout).toContain('/history');
    expect(talk.stdout).toMatch(/Commands:\n[\s\S]*\/status - /);
    expect(talk.stdout).toContain('Good day, stranger.');
    const { messages } = (await machine.cli(['sessions', 'show', 'main', '--json'])).json<{ messages: Array<{ role: string }> }>();
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
  });

  it('settings and the report of the last run outlive the gateway (CTX-082, CTX-096)', async () => {
    await say('/queue steer cap:3');
    await say('/usage tokens');
    await gateway.stop();
    gateway = await machine.start();
    expect(await say('/queue')).toContain('mode=steer, debounce=1000ms, cap=3');
    expect(await say('/status')).toMatch(/thinking low[\s\S]*Queue: steer[\s\S]*usage tokens/);
    expect(await say('/context')).toContain('System prompt (run)');
    expect(await say('hello')).toMatch(/\n\nUsage: [\d,]+ in \/ [\d,]+ out\n$/);
  });
});

describe('/config', () => {
  it('is refused until it is switched on, and then changes the file', async () => {
    expect(await say('/config show')).toContain('`commands.config` is off');
    expect((await machine.cli(['config', 'set', 'commands.config', 'true'])).code).toBe(0);
    await until(async () => (await say('/config show')).startsWith('Parts: '), 'the command is on');
    expect(await say('/config set agents.defaults.userTimezone=Europe/Berlin')).toBe('Set agents.defaults.userTimezone.\n');
    expect((await machine.cli(['config', 'get', 'agents.defaults.userTimezone'])).stdout).toContain('Europe/Berlin');
    expect(await say('/config set agents.defaults.maxConcurrent=many')).toContain('Not changed: ');
  });
});
