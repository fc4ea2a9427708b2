import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { npmPack } from '../fixtures/registry.ts';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

interface Answer {
  status: string;
  result?: { payloads: Array<{ text?: string }>; meta: { contextEngine?: string } };
  error?: { code?: string; message: string };
}
type Line = { call: string; sessionId?: string; [detail: string]: unknown };

let machine: Machine;
let gateway: GatewayProcess;
/** Stays connected through everything. */
let client: GatewayClient;
let disconnects = 0;
/** What the model of Acme was sent. */
let model: Server;
const asked: Array<{ authorization: string | undefined; body: { model: string } }> = [];

const fixture = (name: string) => join(root, 'test/fixtures', name);
const durar = (...args: string[]) => machine.cli(args);
const set = (path: string, value: unknown) => durar('config', 'set', path, typeof value === 'string' ? value : JSON.stringify(value));
async function journal(file: string): Promise<Line[]> {
  const text = await readFile(join(machine.stateDir, file), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}
let count = 0;
async function turn(message: string, sessionKey = 'agent:main:main', extra: object = {}): Promise<Answer> {
  count += 1;
  return (await client.request('agent', { message, sessionKey, idempotencyKey: `ancestor-${count}`, ...extra }, { expectFinal: true })) as Answer;
}
const served = (answer: Answer) => answer.result?.meta.contextEngine;
const said = (answer: Answer) => answer.result?.payloads.map(({ text }) => text).join('\n');
const results = async (key: string) => (await durar('sessions', 'show', key)).stdout;

beforeAll(async () => {
  model = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      asked.push({ authorization: request.headers.authorization, body: JSON.parse(body) });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const part = (delta: object, finish: string | null = null) =>
        response.write(
          `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'anvil', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
        );
      part({ role: 'assistant', content: 'anvil' });
      part({ content: ' speaks' });
      part({}, 'stop');
      response.end('data: [DONE]\n\n');
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  machine = await createMachine();
  gateway = await machine.start({ env: { ACME_API_KEY: 'example-acme-key' } });
  client = await machine.connect(gateway, () => {
    disconnects += 1;
  });
}, 60_000);

afterAll(async () => {
  client.close();
  model.close();
  await machine.remove();
});

describe('plugins of the ancestor’s line run unmodified under a running gateway with a client connected', () => {
  describe('an engine in TypeScript, from a folder', () => {
    it('verifies', async () => {
      const verify = await durar('plugins', 'verify', fixture('ancestor-engine'));
      expect(verify.stdout).toContain(', 0 failed,');
      expect(verify.stdout).toContain('uses what this version does not offer: hook hook_of_a_later_line');
      expect(verify.code).toBe(0);
    });

    it('installs, registers in full and serves the next turn under the id that it registered (CARD-027, ENGINE-013)', async () => {
      expect(said(await turn('before'))).toContain('before');
      const install = await durar('plugins', 'install', fixture('ancestor-engine'));
      expect(install.stderr).not.toContain('error');
      expect(install.code).toBe(0);
      expect((await set('plugins.slots.contextEngine', 'acme')).code).toBe(0);
      expect(served(await turn('first under acme'))).toBe('acme');
      const log = await journal('acme.log');
      expect(log.find(({ call }) => call === 'register')).toEqual({
        call: 'register',
        mode: 'full',
        keep: 4,
        file: true,
        home: true,
        store: true,
        defaults: expect.arrayContaining(['provider', 'model']),
        workspace: true,
        later: 'undefined',
      });
      expect(log.find(({ call }) => call === 'second')).toEqual({ call: 'second', ok: false, existingOwner: 'acme-context' });
      expect(log.map(({ call }) => call)).not.toContain('never');
    });

    it('imports the history from our transcript, once, and gets its turns by afterTurn alone (ENGINE-064, ENGINE-066)', async () => {
      const log = await until(async () => {
        const lines = await journal('acme.log');
        return lines.some(({ call }) => call === 'afterTurn') ? lines : undefined;
      }, 'afterTurn');
      expect(log.filter(({ call }) => call === 'bootstrap')).toMatchObject([{ header: 'session', version: 3, importedMessages: 2 }]);
      expect(log.find(({ call }) => call === 'afterTurn')).toMatchObject({
        roles: ['user', 'assistant'],
        file: 'string',
        tokenBudget: 'number',
        runtimeContext: expect.arrayContaining(['provider', 'model']),
      });
      expect(log.find(({ call }) => call === 'assemble')).toMatchObject({ given: 2, own: 2, tokenBudget: 'number', model: 'echo', prompt: 'first under acme' });
      expect(log.filter(({ call }) => call === 'ingest' || call === 'ingestBatch')).toEqual([]);
    });

    it('a brand-new session has no transcript to import, and ten turns with tools run (ENGINE-021)', async () => {
      for (let each = 1; each <= 10; each += 1) {
        const answer = await turn(`[[offline: tool acme_status {"format":"long"}]] [[offline: say turn ${each}]]`, 'agent:main:ten');
        expect(answer.error).toBeUndefined();
        expect(served(answer)).toBe('acme');
        expect(said(answer)).toContain(`turn ${each}`);
      }
      const log = await until(async () => {
        const lines = await journal('acme.log');
        const sessionId = lines.findLast(({ call }) => call === 'assemble')?.sessionId;
        const own = lines.filter((line) => line.sessionId === sessionId);
        return own.filter(({ call }) => call === 'afterTurn').length === 10 ? own : undefined;
      }, 'ten turns');
      expect(log.map(({ call }) => call)).not.toContain('bootstrap');
      expect(log.find(({ call }) => call === 'afterTurn')).toMatchObject({ roles: ['user', 'assistant', 'toolResult', 'assistant'] });
      expect(log.filter(({ call }) => call === 'assemble').at(-1)).toMatchObject({ given: 36, own: 36 });
      expect(await results('agent:main:ten')).toContain('"sessionKey": "agent:main:ten"');
    });

    it('tools come from factories without a name, and what they return without content becomes text', async () => {
      const answer = await turn('[[offline: tool acme_other {"format":"short"}]] [[offline: say done]]', 'agent:main:tools');
      expect(answer.error).toBeUndefined();
      expect(await results('agent:main:tools')).toContain('plain');
    });

    it('its hooks, service, events and gateway methods work', async () => {
      const calls = (await journal('acme.log')).map(({ call }) => call);
      for (const call of ['before_prompt_build', 'service', 'event']) expect(calls).toContain(call);
      expect(await client.request('acme.echo', { text: 'hi' })).toEqual({ echoed: 'hi' });
      await expect(client.request('acme.echo', { fail: true })).rejects.toThrow('refused on purpose');
    });

    it('compacts by itself when the context comes near the window (ENGINE-030)', async () => {
      await set('agents.defaults.compaction', { reserveTokens: 1000, reserveTokensFloor: 0 });
      await set('agents.defaults.contextTokens', 9000);
      for (let each = 1; each <= 8; each += 1) {
        const answer = await turn('[[offline: tokens 1000]]', 'agent:main:small');
        expect(answer.error).toBeUndefined();
      }
      const compact = await until(async () => (await journal('acme.log')).find(({ call }) => call === 'compact'), 'a compaction');
      expect(compact.params).toEqual(expect.arrayContaining(['currentTokenCount', 'runtimeContext', 'sessionFile', 'sessionId', 'sessionKey', 'tokenBudget']));
      await durar('config', 'unset', 'agents');
    });

    it('serves under its second id, and reads again what it missed meanwhile', async () => {
      await set('plugins.slots.contextEngine', 'legacy');
      expect(
        served(await until(async () => ((await turn('meanwhile')).result?.meta.contextEngine === 'legacy' ? turn('and again') : undefined), 'legacy')),
      ).toBe('legacy');
      await set('plugins.slots.contextEngine', 'default');
      expect(served(await turn('back'))).toBe('default');
      const imports = (await journal('acme.log')).filter(({ call }) => call === 'bootstrap');
      expect(imports.at(-1)?.importedMessages).toBeGreaterThan(2);
      const assembled = (await journal('acme.log')).findLast(({ call }) => call === 'assemble');
      expect(assembled).toMatchObject({ given: assembled?.own, prompt: 'back' });
    });

    it('is swapped out and uninstalled; sessions keep what was said', async () => {
      expect((await durar('config', 'unset', 'plugins.slots.contextEngine')).code).toBe(0);
      expect(served(await turn('after all'))).toBe('legacy');
      expect((await durar('plugins', 'uninstall', 'acme-context')).code).toBe(0);
      await until(async () => (await journal('acme.log')).some(({ call }) => call === 'dispose'), 'dispose');
      expect((await journal('acme.log')).map(({ call }) => call)).toContain('service stop');
      expect(await results('agent:main:ten')).toContain('turn 10');
      expect(served(await turn('and on'))).toBe('legacy');
    });
  });

  it('an engine in CommonJS, from what npm packed: messages at the end of the turn, compaction by the host (CARD-030)', async () => {
    const into = join(machine.home, 'packed');
    await mkdir(into);
    expect((await durar('plugins', 'install', await npmPack(fixture('ancestor-cjs'), into, machine.env))).code).toBe(0);
    await set('plugins.slots.contextEngine', 'plain-context');
    await set('agents.defaults.compaction', { reserveTokens: 1000, reserveTokensFloor: 0, keepRecentTokens: 500 });
    await set('agents.defaults.contextTokens', 9000);
    for (let each = 1; each <= 9; each += 1) {
      const answer = await turn('[[offline: tokens 1000]]', 'agent:main:plain');
      expect(answer.error).toBeUndefined();
      expect(served(answer)).toBe('plain-context');
    }
    const log = await journal('plain.log');
    expect(log.slice(0, 4)).toEqual([
      { call: 'assemble', given: 0 },
      { call: 'ingest', role: 'user' },
      { call: 'ingest', role: 'assistant' },
      { call: 'assemble', given: 2 },
    ]);
    expect(Number(log.findLast(({ call }) => call === 'assemble')?.given)).toBeLessThan(16);
    await durar('config', 'unset', 'agents');
    await durar('config', 'unset', 'plugins.slots.contextEngine');
    expect((await durar('plugins', 'uninstall', 'plain-context')).code).toBe(0);
  });

  it('tools that import what Durar lacks load, run, and say what is missing when they need it', async () => {
    expect((await durar('plugins', 'install', fixture('ancestor-tools'))).code).toBe(0);
    await turn('[[offline: tool acme_plain {"text":"hello"}]] [[offline: say ok]]', 'agent:main:lack');
    await turn('[[offline: tool acme_speak {"text":"hello"}]] [[offline: say ok]]', 'agent:main:lack');
    await turn('[[offline: tool acme_plain {"text":"cache"}]] [[offline: say ok]]', 'agent:main:lack');
    const shown = await results('agent:main:lack');
    expect(shown).toContain('"said": "hello"');
    expect(shown).toContain("'api.runtime.tts.textToSpeech' is not available");
    expect(shown).toContain("'openclaw/plugin-sdk createDedupeCache' is not available");
    const { unavailable } = (await durar('plugins', 'inspect', 'acme-tools', '--json')).json<{ unavailable: string[] }>();
    expect(unavailable).toEqual([
      'api.runtime.tts.textToSpeech',
      'openclaw/plugin-sdk createDedupeCache',
      'openclaw/plugin-sdk onDiagnosticEvent',
      'openclaw/plugin-sdk/infra-runtime fetchWithSsrFGuard',
      'openclaw/plugin-sdk/infra-runtime sleepOfALaterLine',
    ]);
    expect((await durar('plugins', 'inspect', 'acme-tools')).stdout).toContain('not available');
    expect(await (await fetch(`${gateway.url.replace('ws', 'http')}/acme`)).text()).toBe('acme route');
  });

  it('a channel starts with its configuration and stops with it', async () => {
    expect((await durar('plugins', 'install', fixture('ancestor-channel'))).code).toBe(0);
    expect((await set('channels.acme-chat', { enabled: true, token: 'example-token' })).code).toBe(0);
    const log = await until(async () => ((await journal('chat.log')).length >= 2 ? journal('chat.log') : undefined), 'the account');
    expect(log.slice(0, 2)).toEqual([
      { call: 'start', accountId: 'default', token: 'example-token' },
      {
        call: 'refused',
        code: 'DUR_EXT_NOT_AVAILABLE',
        message: "'api.runtime.channel.reply.dispatchReplyWithBufferedBlockDispatcher' is not available in this version of Durar",
      },
    ]);
    expect((await set('channels.acme-chat.enabled', false)).code).toBe(0);
    await until(async () => (await journal('chat.log')).some(({ call }) => call === 'stop'), 'the end of the account');
  });

  it('a provider’s catalog names models, and the built-in wire format streams them', async () => {
    expect((await durar('plugins', 'install', fixture('ancestor-provider'))).code).toBe(0);
    const baseUrl = `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`;
    expect((await set('plugins.entries.acme-models.config', { baseUrl })).code).toBe(0);
    expect((await durar('models', 'list', '--json')).stdout).toContain('anvil');
    expect((await set('agents.defaults.model', 'acme/anvil')).code).toBe(0);
    const answer = await turn('hello', 'agent:main:anvil');
    expect(said(answer)).toBe('anvil speaks');
    expect(asked.at(-1)).toMatchObject({ authorization: 'Bearer example-acme-key', body: { model: 'anvil' } });
  });

  it('nothing was left in the ancestor’s own folder, and the connection stood all the time', async () => {
    expect(await readdir(machine.home)).not.toContain('.openclaw');
    expect(disconnects).toBe(0);
    expect(gateway.child.exitCode).toBeNull();
  });
});
