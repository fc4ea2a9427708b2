import { access, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Files, writeFiles } from '../../test/fixtures/registry.ts';
import { assistantMessage, createTestHost, toolCallMessage, toolResultMessage, userMessage } from './index.ts';

let dir: string;
beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-testing-')));
});
afterAll(() => rm(dir, { recursive: true }));

let count = 0;
function extension(register: string, manifest: object = {}, more: Files = {}): Promise<string> {
  count += 1;
  return writeFiles(join(dir, `extension-${count}`), {
    'Durar.plugin.json': {
      id: 'mine',
      configSchema: { type: 'object', properties: { size: { type: 'integer', default: 3 } }, additionalProperties: false },
      ...manifest,
    },
    'package.json': { type: 'module', version: '1.2.3' },
    'index.js': `export default { id: 'mine', async register(api) { ${register} } };`,
    ...more,
  });
}

const tool = (name: string) =>
  `{ name: '${name}', description: 'd', parameters: { type: 'object' }, execute: async (_id, params) => ({ content: [{ type: 'text', text: JSON.stringify(params) }] }) }`;

describe('test host', () => {
  it('loads an extension with its defaults, log, state and life as the gateway would', async () => {
    const root = await extension(
      `api.logger.info('hello', { size: api.pluginConfig.size, version: api.version });
       await api.runtime.state.set('k', { a: 1 });
       api.logger.warn(JSON.stringify([await api.runtime.state.get('k'), (await api.runtime.models.complete({ messages: [] })).text, api.config.extra]));
       api.defer(() => api.logger.info('bye'));
       api.on('message_sent', () => {});
       api.registerTool(${tool('one')});`,
      { contracts: { tools: ['one'], hooks: ['message_sent'] } },
    );
    const host = await createTestHost({ root, config: { extra: true }, complete: (messages) => `answer to ${messages.length}` });
    expect(host).toMatchObject({ id: 'mine', contributions: [{ kind: 'tool', key: 'one' }], hooks: ['message_sent'] });
    expect(host.log).toEqual([
      { level: 'info', message: 'hello', fields: { size: 3, version: '1.2.3' } },
      { level: 'warn', message: '[{"a":1},"answer to 0",true]' },
    ]);
    expect(await host.tool().execute('c', { x: 1 })).toEqual({ content: [{ type: 'text', text: '{"x":1}' }] });
    await access(host.stateDir);
    await host.dispose();
    expect(host.log.at(-1)).toMatchObject({ message: 'bye' });
    await expect(access(host.stateDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('takes the URL of a file in the folder, and keeps a state folder that it was given', async () => {
    const root = await extension('');
    const stateDir = join(dir, 'kept');
    await writeFiles(stateDir, { note: 'x' });
    await (await createTestHost({ root: pathToFileURL(join(root, 'index.test.js')).href, stateDir })).dispose();
    await access(join(stateDir, 'note'));
  });

  const failures = [
    { what: 'no manifest', root: () => writeFiles(join(dir, 'bare'), { x: '' }), code: 'DUR_MANIFEST_MISSING' },
    { what: 'a config that the schema refuses', root: () => extension(''), pluginConfig: { size: 'big' }, code: 'DUR_MANIFEST_CONFIG_INVALID' },
    { what: 'an undeclared contribution', root: () => extension(`api.registerTool(${tool('x')});`), code: 'DUR_EXT_UNDECLARED' },
    { what: 'a throw in register', root: () => extension(`throw new Error('boom');`), code: 'DUR_EXT_REGISTER_FAILED' },
  ];
  for (const { what, root, code, ...options } of failures) {
    it(`fails with the gateway's own code on ${what}`, async () => {
      await expect(createTestHost({ root: await root(), ...options })).rejects.toMatchObject({ code });
    });
  }

  it('asks for a key where several are there, and names what is not', async () => {
    const root = await extension(`for (const tool of [${tool('a')}, ${tool('b')}]) api.registerTool(tool);`, { contracts: { tools: ['a', 'b'] } });
    await using host = await createTestHost({ root });
    expect(() => host.tool()).toThrow('name one of a, b');
    expect(host.tool('b').name).toBe('b');
    expect(() => host.tool('c')).toThrow("no tool 'c'");
    expect(() => host.provider()).toThrow('contributes no provider');
  });

  it('asks a tool factory with the context of a run', async () => {
    const root = await extension(`api.registerTool((run) => (run.senderIsOwner ? ${tool('owned')} : null), { name: 'owned' });`, {
      contracts: { tools: ['owned'] },
    });
    await using host = await createTestHost({ root });
    expect(() => host.tool('owned')).toThrow('makes no such tool');
    expect(host.tool('owned', { senderIsOwner: true }).name).toBe('owned');
  });

  it('a contract that is broken is thrown with the cases that failed', async () => {
    const root = await extension(`api.registerApprover({ id: 'yes', decide: async () => ({ decision: 'yes, please' }) });`, { approvers: ['yes'] });
    await using host = await createTestHost({ root });
    await expect(host.checkContract('approver')).rejects.toThrow(/FAIL a decision is one of the three/);
  });

  it('makes messages of every role', () => {
    expect(userMessage('u')).toMatchObject({ role: 'user', content: 'u' });
    expect(assistantMessage('a')).toMatchObject({ role: 'assistant', stopReason: 'stop', content: [{ text: 'a' }] });
    expect(toolCallMessage('1', 'read', { path: 'x' })).toMatchObject({
      stopReason: 'toolUse',
      content: [{ type: 'toolCall', id: '1', arguments: { path: 'x' } }],
    });
    expect(toolResultMessage('1', 'read', 'text')).toMatchObject({ role: 'toolResult', toolCallId: '1', isError: false });
  });
});
