import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

const fixture = join(root, 'test/fixtures/seven');
let machine: Machine;
let gateway: GatewayProcess;

const config = (extra: object = {}) => ({
  channels: { 'seven-chat': { dmPolicy: 'allowlist', allowFrom: ['ada'] } },
  secrets: { providers: { vault: { source: 'seven-vault' } } },
  plugins: {
    load: { paths: [fixture] },
    entries: { seven: { enabled: true, config: { secret: { source: 'seven-vault', provider: 'vault', id: 'door' }, ...extra } } },
  },
});
const points = async () => {
  const text = await readFile(join(machine.stateDir, 'seven.log'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { point: string; sees?: boolean });
};
const call = async <T>(method: string, params: object = {}) =>
  (await machine.cli(['gateway', 'call', method, '--json', '--params', JSON.stringify(params)])).json<T>();
const generation = async () => (await call<{ host: { generation: number } }>('status')).host.generation;
/** Writes the configuration and waits until it is live. */
async function apply(next: object): Promise<void> {
  const before = await generation();
  await machine.writeConfig(next);
  await until(async () => (await generation()) > before, 'the new generation');
}
const agent = (...args: string[]) => machine.cli(['agent', '--json', ...args]);

beforeAll(async () => {
  machine = await createMachine(config());
  gateway = await machine.start();
});
afterAll(() => machine.remove());

describe('a third-party extension at all seven hook points (CARD-015)', () => {
  it('ingest, assemble and provider request are tapped, and the change reaches the model (CARD-008, CARD-009)', async () => {
    expect((await agent('--message', 'hello')).code).toBe(0);
    const seen = await points();
    expect(seen.map((item) => item.point)).toEqual(expect.arrayContaining(['ingest', 'assemble', 'provider.request']));
    expect(seen.find((item) => item.point === 'provider.request')?.sees).toBe(true);
  });

  it('its provider answers a run (CARD-012)', async () => {
    const answer = await agent('--model', 'seven-model/one', '--message', 'are you there?');
    expect(answer.stdout).toContain('seven heard: are you there?');
    expect((await machine.cli(['models', 'list', '--json'])).stdout).toContain('seven-model');
  });

  it('its secrets provider resolved a reference at the start (CARD-013)', async () => {
    expect((await points()).filter((item) => item.point === 'secrets').length).toBeGreaterThan(0);
    expect((await call<object>('config.get')).toString()).not.toContain('value of door');
  });

  it('its approver decides a command (CARD-014, CARD-021)', async () => {
    const answer = await agent('--message', 'run touch made-by-approval');
    expect(answer.code).toBe(0);
    await stat(join(machine.workspace, 'made-by-approval'));
    expect((await points()).some((item) => item.point === 'approval')).toBe(true);
  });

  it('its channel receives, the hooks see both ways, and the reply goes out; strangers are turned away (CARD-011)', async () => {
    expect(await call('seven.say', { text: 'psst', sender: 'mallory' })).toMatchObject({ accepted: false });
    expect(await call('seven.say', { text: 'good day', sender: 'ada' })).toMatchObject({ accepted: true });
    const { sent } = await until(async () => {
      const answer = await call<{ sent: Array<{ to: string; text: string }> }>('seven.sent');
      return answer.sent.length > 0 ? answer : undefined;
    }, 'the reply');
    expect(sent[0]?.to).toBe('ada');
    expect(sent[0]?.text).toContain('good day (seen)');
    expect((await points()).map((item) => item.point)).toEqual(expect.arrayContaining(['channel', 'inbound', 'outbound']));
    expect(await call('seven.say', { text: '/status', sender: 'ada' })).toMatchObject({ accepted: true });
    await until(
      async () => (await call<{ sent: Array<{ text: string }> }>('seven.sent')).sent.some(({ text }) => text.includes('legacy')),
      'the answer to a command',
    );
  });

  for (const point of ['ingest', 'inbound', 'provider', 'approval']) {
    it(`a throw in ${point} is contained (CARD-016)`, async () => {
      await apply(config({ throws: point }));
      expect((await agent('--message', 'still there?')).json<{ status: string }>().status).toBe('ok');
      if (point === 'provider') {
        const broken = await agent('--model', 'seven-model/one', '--message', 'x');
        expect(broken.json<{ error: { message: string } }>().error.message).toContain('broke on purpose');
      }
      if (point === 'approval') {
        await agent('--message', 'run touch must-not-exist');
        await expect(stat(join(machine.workspace, 'must-not-exist'))).rejects.toMatchObject({ code: 'ENOENT' });
      }
      expect(gateway.child.exitCode).toBeNull();
    });
  }

  it('a throw from its timer switches it off; a reload brings it back', async () => {
    await call('seven.crash');
    await until(async () => (await machine.cli(['doctor', '--json'])).stdout.includes('DUR_EXT_CRASHED'), 'the quarantine');
    expect((await agent('--message', 'still there?')).code).toBe(0);
    await call('plugins.reload');
    await until(async () => (await machine.cli(['gateway', 'call', 'seven.sent', '--json'])).code === 0, 'the extension');
  });

  it('switched off, its contributions are gone and the rest works (CARD-017, CARD-018)', async () => {
    await machine.writeConfig({ plugins: { load: { paths: [fixture] }, entries: { seven: { enabled: false } } } });
    await until(async () => !(await machine.cli(['models', 'list', '--json'])).stdout.includes('seven-model'), 'its models to go');
    expect((await agent('--message', 'hello')).code).toBe(0);
    expect((await agent('--model', 'seven-model/one', '--message', 'x')).stdout).toContain('DUR_MODEL_UNKNOWN');
  });
});

describe('bundled extensions obey the same switches', () => {
  it('without legacy the slot fails and runs say so (CARD-019)', async () => {
    await machine.writeConfig({ plugins: { deny: ['legacy'] } });
    const answer = await until(async () => {
      const next = (await agent('--message', 'x')).json<{ status: string; error?: { code: string } }>();
      return next.status === 'error' ? next : undefined;
    }, 'a failing run');
    expect(answer.error?.code).toBe('DUR_SLOT_DISABLED');
  });

  it('without the env source a reference to it fails with a clear diagnostic, and the running configuration stays (CARD-020)', async () => {
    await machine.writeConfig({});
    await until(async () => (await agent('--message', 'x')).code === 0, 'a healed run');
    await machine.writeConfig({
      plugins: { deny: ['secrets-env'] },
      models: { providers: { acme: { baseUrl: 'http://127.0.0.1:9/v1', apiKey: { source: 'env', provider: 'default', id: 'ACME_KEY' }, models: [] } } },
    });
    await until(() => gateway.output().includes('DUR_SECRET_SOURCE') || gateway.output().includes("secret source 'env'"), 'the diagnostic');
    expect((await agent('--message', 'x')).code).toBe(0);
  });
});
