import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { PluginApi } from '../../sdk/index.ts';
import { createTrialRuntime } from '../install/trial-runtime.ts';
import { silentLogger } from '../logging/logger.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { type Instance, loadInstance } from './instance.ts';

const entry: CatalogEntry = {
  id: 'demo',
  origin: 'installed',
  root: '/demo',
  format: 'ancestor',
  manifest: { id: 'demo', configSchema: {} },
  manifestFile: '/demo/openclaw.plugin.json',
  entry: '/demo/index.js',
  declared: false,
  declares: {},
  taps: [],
  findings: [],
};

function load(namespace: unknown, own: Partial<CatalogEntry> = {}): Promise<Instance> {
  return loadInstance({
    entry: { ...entry, ...own },
    key: 'k',
    pluginConfig: {},
    config: () => ({}),
    log: silentLogger,
    createRuntime: ({ logger }) => createTrialRuntime({ stateDir: tmpdir(), hostVersion: '1.0.0', config: {}, logger }),
    importEntry: async () => namespace,
    ownerOf: () => undefined,
    onRefused() {},
  });
}

const made = ({ draft }: Instance) => draft.contributions.map(({ kind, key }) => `${kind}:${key}`);
const command = (api: PluginApi): unknown => api.registerCommand({ name: 'c', description: 'c', handler: () => undefined });
const channel = { id: 'chat', meta: { label: 'Chat' }, capabilities: { chatTypes: [] }, config: { listAccountIds: () => [], resolveAccount: () => ({}) } };
const engine = (id: string) => ({ info: { id, name: id }, ingest: async () => ({}), assemble: async () => ({}), compact: async () => ({}) }) as never;

describe('the entry', () => {
  it.each([
    ['a function', command, 'command:c'],
    ['an object with register', { id: 'demo', register: command }, 'command:c'],
    ['an object with activate', { activate: command }, 'command:c'],
    ['an object under the default of a default', { default: { register: command } }, 'command:c'],
    ['what a setup entry exports: a channel', { plugin: channel }, 'channel:chat'],
    ['an async register', { register: async (api: PluginApi): Promise<unknown> => command(api) }, 'command:c'],
  ])('may be %s', async (_name, value, expected) => {
    expect(made(await load({ default: value }))).toEqual([expected]);
  });

  it.each([undefined, null, 7, {}, { register: 'no' }, { plugin: 'no' }])('may not be %o', async (value) => {
    await expect(load({ default: value })).rejects.toMatchObject({ code: 'DUR_EXT_ENTRY_INVALID' });
  });
});

describe('the name of a command', () => {
  const named = (name: string) => (api: PluginApi) => void api.registerCommand({ name, description: 'd', handler: () => undefined });

  it.each(['status', 'Think', 't', 'id'])('%s is the host’s own: a native extension fails, one in the ancestor’s format does without it', async (name) => {
    const declared = { format: 'native', declares: { command: [name] } } as never;
    await expect(load(named(name), declared)).rejects.toMatchObject({ code: 'DUR_EXT_SHAPE', message: expect.stringContaining("is the host's own") });
    expect(made(await load(named(name)))).toEqual([]);
  });

  it.each(['two words', '/slash', '', '1st', 'x'.repeat(33)])('%j can be none', async (name) => {
    expect(made(await load(named(name)))).toEqual([]);
  });
});

describe('api in the ancestor’s format', () => {
  it('costs a plugin the contribution that is wrong, not the others', async () => {
    const instance = await load((api: PluginApi) => {
      expect(api.registerCommand({ name: 'broken' } as never)).toEqual({ ok: false, existingOwner: 'demo' });
      expect(api.registerTool(null as never)).toEqual({ ok: false, existingOwner: 'demo' });
      api.on('hook_of_tomorrow' as never, () => undefined);
      command(api);
      expect(api.registerCommand({ name: 'c', description: 'again', handler: () => undefined })).toEqual({ ok: false, existingOwner: 'demo' });
    });
    expect(made(instance)).toEqual(['command:c']);
    expect([...instance.missing]).toEqual(['hook hook_of_tomorrow']);
  });

  it('refuses the ids of the host all the same', async () => {
    await expect(load((api: PluginApi) => api.registerContextEngine('legacy', () => engine('legacy')))).rejects.toMatchObject({ code: 'DUR_EXT_RESERVED' });
  });

  it('throws for a member that Durar lacks when it is called, and notes it', async () => {
    let told: unknown;
    const instance = await load((api: PluginApi & Record<string, () => void>) => {
      expect(api.registerOfTomorrow).toBeUndefined();
      try {
        api.onConversationBindingResolved?.();
      } catch (error) {
        told = error;
      }
    });
    expect(told).toMatchObject({ code: 'DUR_EXT_NOT_AVAILABLE', message: expect.stringContaining('api.onConversationBindingResolved') });
    expect([...instance.missing]).toEqual(['api.onConversationBindingResolved']);
    await expect(load((api: Record<string, () => void>) => api.registerHttpHandler?.())).rejects.toMatchObject({
      code: 'DUR_EXT_NOT_AVAILABLE',
      hint: 'Use api.registerHttpRoute.',
    });
  });

  it('survives a copy of it', async () => {
    expect(made(await load((api: PluginApi) => command({ ...api })))).toEqual(['command:c']);
  });

  it('gives tool factories without a name one each', async () => {
    const tool = (name: string) => ({ name, description: '', parameters: {}, execute: async () => ({ content: [] }) });
    const instance = await load((api: PluginApi) => {
      api.registerTool(() => tool('a'));
      api.registerTool(() => tool('b'));
      api.registerTool(() => tool('c'), { name: 'c' });
    });
    expect(made(instance)).toEqual(['tool:demo#1', 'tool:demo#2', 'tool:c']);
  });

  it('keeps an engine one object under several ids, and tells nothing of it to a native plugin', async () => {
    const one = engine('own');
    const instance = await load((api: PluginApi) => {
      api.registerContextEngine('a', () => one);
      api.registerContextEngine('b', () => one);
    });
    const [first, second] = instance.draft.contributions.map(({ value }) => (value as () => { info: { id: string } })());
    expect([first?.info.id, second?.info.id]).toEqual(['a', 'b']);
    const native = await load((api: PluginApi) => api.registerContextEngine('a', () => one), { format: 'native', declares: { contextEngine: ['a'] } });
    expect(native.draft.contributions.map(({ value }) => (value as () => unknown)())).toEqual([one]);
  });

  it('memory comes in one call or in three', async () => {
    const capability = { promptBuilder: () => [], runtime: { search: async () => ({ results: [] }) } };
    const instance = await load((api: { registerMemoryCapability(value: object): void }) => api.registerMemoryCapability(capability));
    expect(made(instance)).toEqual(['memoryPromptSection:demo', 'memoryRuntime:demo']);
  });
});
