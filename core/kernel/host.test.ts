import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { ContributionKind, PluginApi, PluginManifest, PluginRuntime, SecretsProvider } from '../../sdk/index.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { silentLogger } from '../logging/logger.ts';
import type { Catalog, CatalogEntry } from '../manifest/catalog.ts';
import { createPlan } from '../manifest/plan.ts';
import { createHost, HostFailure, type HostStages } from './host.ts';

interface Plugin {
  manifest?: Partial<PluginManifest>;
  declares?: Partial<Record<ContributionKind, string[]>>;
  taps?: string[];
  digest?: string;
  origin?: CatalogEntry['origin'];
  register: (api: PluginApi) => unknown;
}

const engine =
  (id: string, extra: Record<string, unknown> = {}) =>
  () => ({
    info: { id, name: id },
    ingest: async () => ({ ingested: true }),
    assemble: async () => ({ messages: [], estimatedTokens: 0 }),
    compact: async () => ({ ok: true, compacted: false }),
    ...extra,
  });
const store = () =>
  Object.fromEntries(['open', 'get', 'list', 'patch', 'append', 'read', 'reset', 'delete', 'close'].map((name) => [name, async () => undefined]));

const legacy: Plugin = {
  manifest: { kind: 'context-engine', enabledByDefault: true },
  declares: { contextEngine: ['legacy'] },
  origin: 'bundled',
  register: (api) => api.registerContextEngine('legacy', engine('legacy') as never),
};
const local: Plugin = {
  manifest: { kind: 'session-store', enabledByDefault: true },
  declares: { sessionStore: ['local'] },
  origin: 'bundled',
  register: (api) => api.registerSessionStore('local', store as never),
};

/** A world whose files are the two arguments; a test edits them and activates again. */
function world(plugins: Record<string, Plugin>, config: Record<string, unknown> = {}) {
  const state = { plugins: { legacy, local, ...plugins } as Record<string, Plugin>, config, imports: [] as string[], errors: [] as Error[] };
  const stages: HostStages = {
    loadConfig: async () => ({ config: state.config as Config, errors: state.errors }) as unknown as LoadedConfig,
    async discover(): Promise<Catalog> {
      const entries = new Map<string, CatalogEntry>();
      for (const [id, plugin] of Object.entries(state.plugins)) {
        entries.set(id, {
          id,
          origin: plugin.origin ?? 'config',
          root: `/plugins/${id}`,
          format: 'native',
          manifest: { id, configSchema: { type: 'object' }, ...plugin.manifest } as PluginManifest,
          manifestFile: `/plugins/${id}/Durar.plugin.json`,
          entry: `/plugins/${id}/index.ts`,
          declared: true,
          declares: plugin.declares ?? {},
          taps: plugin.taps ?? [],
          findings: [],
        });
      }
      return { entries, shadowed: [], broken: new Map(), findings: [] };
    },
    plan: async (current, catalog) => createPlan({ config: current as never, catalog, hostVersion: '2026.11.0' }),
    async resolveSecrets(current, source) {
      const providers = await Promise.all(Object.keys((current as { needs?: Record<string, string> }).needs ?? {}).map(source));
      const missing = providers
        .filter((provider): provider is undefined => provider === undefined)
        .map(() => Object.assign(new Error('no source'), { code: 'DUR_SECRET_SOURCE', hint: '' }));
      return { resolved: current, values: [], errors: missing as never[] };
    },
    redact: (current) => current as Record<string, unknown>,
    codeDigest: async ({ entry }) => state.plugins[entry.id]?.digest ?? '1',
    async importEntry({ entry }) {
      state.imports.push(entry.id);
      return { default: { id: entry.id, register: state.plugins[entry.id]?.register } };
    },
    createRuntime: () => ({}) as PluginRuntime,
  };
  return { state, stages, host: createHost({ stages, log: silentLogger, stateDir: '/state', workspaceDir: '/workspace' }) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 10));

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

const provider = (id: string): Plugin => ({ declares: { provider: [id] }, register: (api) => api.registerProvider({ id }) });

describe('the shadow engine', () => {
  const shadow = (factory: () => unknown): Plugin => ({
    manifest: { kind: 'context-engine' },
    declares: { contextEngine: ['shade'] },
    register: (api) => api.registerContextEngine('shade', factory as never),
  });
  const slots = { plugins: { slots: { contextEngineShadow: 'shade' } } };

  it('is made when the host is up, once, and goes into the next generation', async () => {
    let made = 0;
    const { state, host } = world(
      {
        shade: shadow(() => {
          made += 1;
          return engine('shade')();
        }),
      },
      slots,
    );
    await host.activate('boot');
    expect(state.imports).not.toContain('shade');
    await host.start();
    await host.current().settled;
    await settled();
    const first = await host.current().slot('contextEngineShadow');
    expect(first).toMatchObject({ slot: 'contextEngineShadow', key: 'shade', owner: 'shade' });
    await host.activate('reload');
    await host.current().settled;
    expect((await host.current().slot('contextEngineShadow'))?.instance).toBe(first?.instance);
    expect(made).toBe(1);
  });

  it('that hangs in its factory holds up neither the activation nor what turns wait for', async () => {
    const { host } = world({ shade: shadow(() => new Promise(() => undefined)) }, slots);
    await host.activate('boot');
    await host.start();
    await host.current().settled;
    expect((await host.current().slot('contextEngine'))?.key).toBe('legacy');
    expect(await host.current().contributions('tool')).toEqual([]);
  });

  it('that fails is a finding; the active engine serves on', async () => {
    const { host } = world({ shade: shadow(() => ({ info: { id: 'shade' } })) }, slots);
    await host.activate('boot');
    await host.start();
    await host.current().settled;
    await settled();
    const failures = host.current().findings.filter(({ level }) => level === 'error');
    expect(failures).toMatchObject([{ code: 'DUR_SLOT_FAILED', owner: { extension: 'shade' } }]);
    await expect(host.current().slot('contextEngineShadow')).rejects.toMatchObject({ code: 'DUR_SLOT_FAILED' });
    expect((await host.current().slot('contextEngine'))?.key).toBe('legacy');
  });
});

describe('host: one generation at a time', () => {
  it('imports a declared extension only when something it contributes is asked for (CARD-005)', async () => {
    const { state, host } = world({ acme: provider('acme') });
    await host.activate('boot');
    await host.start();
    expect(state.imports.sort()).toEqual(['legacy', 'local']);
    const [one, two] = await Promise.all([host.current().contribution('provider', 'acme'), host.current().contribution('provider', 'acme')]);
    expect(one?.owner).toBe('acme');
    expect(two).toBe(one);
    expect(state.imports).toContain('acme');
    expect(state.imports.filter((id) => id === 'acme')).toHaveLength(1);
  });

  it('carries an unchanged instance over and loads a changed one anew', async () => {
    let registered = 0;
    const acme = {
      ...provider('acme'),
      register: (api: PluginApi) => {
        registered += 1;
        api.registerProvider({ id: 'acme' });
      },
    };
    const { state, host } = world({ acme });
    await host.activate('boot');
    await host.current().contribution('provider', 'acme');
    await host.activate('same');
    await host.current().contribution('provider', 'acme');
    expect(registered).toBe(1);
    state.plugins.acme = { ...acme, digest: '2' };
    await host.activate('new code');
    await host.current().contribution('provider', 'acme');
    expect(registered).toBe(2);
    state.config = { plugins: { entries: { acme: { config: { a: 1 } } } } };
    await host.activate('new config');
    await host.current().contribution('provider', 'acme');
    expect(registered).toBe(3);
    state.config = { ...state.config, logging: { level: 'debug' } };
    await host.activate('another key');
    await host.current().contribution('provider', 'acme');
    expect(registered).toBe(3);
  });

  it('swaps the engine for the next run while a lease keeps the old one, which is disposed when the lease ends (ENGINE-072, ENGINE-089, ENGINE-100)', async () => {
    const disposed: string[] = [];
    const mine: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['mine'] },
      register: (api) => api.registerContextEngine('mine', engine('mine', { dispose: async () => void disposed.push('mine') }) as never),
    };
    const { state, host } = world({ mine }, { plugins: { slots: { contextEngine: 'mine' } } });
    await host.activate('boot');
    const lease = host.lease();
    expect((await lease.generation.slot('contextEngine'))?.key).toBe('mine');
    state.config = { plugins: { entries: { mine: { enabled: false } } } };
    await host.activate('back to legacy');
    expect((await host.current().slot('contextEngine'))?.key).toBe('legacy');
    expect((await lease.generation.slot('contextEngine'))?.key).toBe('mine');
    expect(disposed).toEqual([]);
    lease.release();
    lease.release();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(disposed).toEqual(['mine']);
  });

  const broken: Array<{ name: string; register: Plugin['register']; reason: RegExp }> = [
    {
      name: 'register throws',
      register: () => {
        throw new Error('boom');
      },
      reason: /boom/,
    },
    {
      name: 'the factory throws',
      register: (api) =>
        api.registerContextEngine('mine', () => {
          throw new Error('no disk');
        }),
      reason: /no disk/,
    },
    {
      name: 'no info (ENGINE-055)',
      register: (api) => api.registerContextEngine('mine', engine('mine', { info: undefined }) as never),
      reason: /'info' needs/,
    },
    {
      name: 'no ingest (ENGINE-056)',
      register: (api) => api.registerContextEngine('mine', engine('mine', { ingest: undefined }) as never),
      reason: /'ingest' must be/,
    },
    {
      name: 'no assemble (ENGINE-057)',
      register: (api) => api.registerContextEngine('mine', engine('mine', { assemble: undefined }) as never),
      reason: /'assemble' must be/,
    },
    {
      name: 'no compact (ENGINE-058)',
      register: (api) => api.registerContextEngine('mine', engine('mine', { compact: undefined }) as never),
      reason: /'compact' must be/,
    },
    { name: 'it registers nothing', register: () => undefined, reason: /registers no context engine/ },
  ];
  for (const { name, register, reason } of broken) {
    it(`publishes a failed slot, never a fallback: ${name} (ENGINE-102, ENGINE-104, CARD-026)`, async () => {
      const mine: Plugin = { manifest: { kind: 'context-engine' }, declares: { contextEngine: ['mine'] }, register };
      const { state, host } = world({ mine }, { plugins: { slots: { contextEngine: 'mine' } } });
      const report = await host.activate('boot');
      await expect(host.current().slot('contextEngine')).rejects.toMatchObject({
        message: expect.stringMatching(reason),
        hint: expect.stringContaining('contextEngine'),
      });
      expect(report.findings.some((finding) => finding.level === 'error')).toBe(true);
      state.config = {};
      await host.activate('healed');
      expect((await host.current().slot('contextEngine'))?.key).toBe('legacy');
    });
  }

  it('a slot that names nobody fails with the id in the error (ENGINE-103)', async () => {
    const { host } = world({}, { plugins: { slots: { contextEngine: 'nope' } } });
    await host.activate('boot');
    await expect(host.current().slot('contextEngine')).rejects.toMatchObject({ code: 'DUR_SLOT_UNKNOWN', message: expect.stringContaining("'nope'") });
  });

  it('other enabled engines run their registration code after listen (ENGINE-090, CARD-024)', async () => {
    const other: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['other'] },
      register: (api) => api.registerContextEngine('other', engine('other') as never),
    };
    const { state, host } = world({ other });
    await host.activate('boot');
    expect(state.imports).not.toContain('other');
    await host.start();
    expect(state.imports).toContain('other');
    expect((await host.current().slot('contextEngine'))?.key).toBe('legacy');
  });

  it('host failures are reported together and leave the running generation untouched', async () => {
    const { state, host } = world({});
    await host.activate('boot');
    state.errors = [new Error('one'), new Error('two')];
    await expect(host.activate('edit')).rejects.toMatchObject({ failures: [{ message: 'one' }, { message: 'two' }] });
    expect(host.current().number).toBe(1);
    state.errors = [];
    state.config = { needs: { vault: 'x' } };
    await expect(host.activate('edit')).rejects.toBeInstanceOf(HostFailure);
    expect(host.current().number).toBe(1);
  });

  it('loads the secret source that the configuration needs before anything else', async () => {
    const vault: Plugin = {
      declares: { secretsProvider: ['vault'] },
      register: (api) => api.registerSecretsProvider({ source: 'vault', resolve: async () => ({ values: {} }) } satisfies SecretsProvider),
    };
    const { state, host } = world({ vault }, { needs: { vault: 'x' } });
    await host.activate('boot');
    expect(state.imports[0]).toBe('vault');
  });

  it('taps of secrets.resolve answer before the provider of the source (CARD-013)', async () => {
    const asked: string[][] = [];
    const vault: Plugin = {
      declares: { secretsProvider: ['vault'] },
      register: (api) =>
        api.registerSecretsProvider({
          source: 'vault',
          resolve: async ({ ids }) => {
            asked.push(ids);
            return { values: Object.fromEntries(ids.map((id) => [id, 'from vault'])) };
          },
        }),
    };
    const tap: Plugin = {
      taps: ['secrets.resolve'],
      register: (api) => api.on('secrets.resolve', ({ id }) => (id === 'a' ? { value: 'from tap' } : undefined)),
    };
    const { stages, host } = world({ vault, tap });
    let values: Record<string, unknown> = {};
    stages.resolveSecrets = async (current, source) => {
      values = (await (await source('vault'))?.resolve({ provider: 'p', config: {}, ids: ['a', 'b'] }))?.values ?? {};
      return { resolved: current, values: [], errors: [] };
    };
    await host.activate('boot');
    expect(values).toEqual({ a: 'from tap', b: 'from vault' });
    expect(asked).toEqual([['b']]);
  });

  it('our own writes refuse a candidate that breaks what works', async () => {
    const mine: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['mine'] },
      register: () => {
        throw new Error('boom');
      },
    };
    const { state, host } = world({ mine });
    await host.activate('boot');
    state.config = { plugins: { slots: { contextEngine: 'mine' } } };
    await expect(host.activate('config set', { strict: true })).rejects.toBeInstanceOf(HostFailure);
    expect(host.current().number).toBe(1);
    expect((await host.current().slot('contextEngine'))?.key).toBe('legacy');
  });

  it('a throw outside any call puts its extension out of use until it is loaded anew (CARD-016)', async () => {
    const acme = provider('acme');
    const { state, host } = world({ acme });
    await host.activate('boot');
    await host.current().contribution('provider', 'acme');
    const error = Object.assign(new Error('timer'), { stack: 'Error: timer\n    at tick (file:///plugins/acme/index.ts:3:1)' });
    expect(host.blame(error)).toBe('acme');
    expect(host.blame(Object.assign(new Error('other'), { stack: 'at /elsewhere' }))).toBeUndefined();
    await expect(host.current().contribution('provider', 'acme')).rejects.toMatchObject({ code: 'DUR_EXT_CRASHED' });
    await host.activate('reload');
    expect((await host.current().contribution('provider', 'acme'))?.owner).toBe('acme');
    expect(state.imports.filter((id) => id === 'acme')).toHaveLength(2);
  });

  it('services start after listen, stop before their replacement starts, and stop with the host', async () => {
    const events: string[] = [];
    const service = (version: string): Plugin => ({
      declares: { service: ['s'] },
      digest: version,
      register: (api) => api.registerService({ id: 's', start: () => void events.push(`start ${version}`), stop: () => void events.push(`stop ${version}`) }),
    });
    const { state, host } = world({ svc: service('1') });
    await host.activate('boot');
    expect(events).toEqual([]);
    await host.start();
    state.plugins.svc = service('2');
    await host.activate('update');
    state.plugins.svc = {
      ...service('3'),
      register: (api) =>
        api.registerService({
          id: 's',
          start: () => {
            throw new Error('port taken');
          },
        }),
    };
    await host.activate('bad update');
    expect(events).toEqual(['start 1', 'stop 1', 'start 2', 'stop 2', 'start 2']);
    expect(host.current().findings.some((finding) => finding.message.includes('port taken'))).toBe(true);
  });

  it('an extension that was loaded on demand goes on in the next generation and is disposed with the last that holds it', async () => {
    const events: string[] = [];
    const acme: Plugin = {
      ...provider('acme'),
      register(api) {
        events.push('register');
        api.defer(() => void events.push('dispose'));
        api.registerProvider({ id: 'acme' });
      },
    };
    const { state, host } = world({ acme });
    await host.activate('boot');
    await host.start();
    await host.current().contribution('provider', 'acme');
    await host.activate('same');
    await settled();
    expect((await host.current().contribution('provider', 'acme'))?.owner).toBe('acme');
    expect(events).toEqual(['register']);
    state.config = { plugins: { entries: { acme: { enabled: false } } } };
    await host.activate('off');
    await settled();
    expect(events).toEqual(['register', 'dispose']);
    state.config = {};
    await host.activate('on');
    expect((await host.current().contribution('provider', 'acme'))?.owner).toBe('acme');
    expect(events).toEqual(['register', 'dispose', 'register']);
  });

  it('a refused candidate disposes what it made and nothing that it took over', async () => {
    const events: string[] = [];
    const noting = (id: string): Plugin => ({
      ...provider(id),
      register(api) {
        api.defer(() => void events.push(`dispose ${id}`));
        api.registerProvider({ id });
      },
    });
    const { state, host } = world({ acme: noting('acme'), vault: { ...noting('vault'), declares: { provider: ['vault'], service: ['v'] } } });
    await host.activate('boot');
    await host.start();
    await host.current().contribution('provider', 'acme');
    state.plugins.vault = { ...(state.plugins.vault as Plugin), digest: '2' };
    state.config = { plugins: { slots: { contextEngine: 'nope' } } };
    await expect(host.activate('bad', { strict: true })).rejects.toBeInstanceOf(HostFailure);
    state.config = {};
    state.errors = [new Error('bad file')];
    await expect(host.activate('bad')).rejects.toBeInstanceOf(HostFailure);
    await settled();
    expect(events.filter((event) => event === 'dispose acme')).toEqual([]);
    expect((await host.current().contribution('provider', 'acme'))?.owner).toBe('acme');
  });

  it('an extension registers with the configuration of its own generation', async () => {
    const seen: unknown[] = [];
    const acme: Plugin = {
      manifest: { kind: 'context-engine', reload: { configPrefixes: ['talk'] } as never },
      declares: { contextEngine: ['acme'] },
      register(api) {
        seen.push((api.config as { talk?: unknown }).talk);
        api.registerContextEngine('acme', engine('acme') as never);
      },
    };
    const { state, host } = world({ acme }, { talk: 1, plugins: { slots: { contextEngine: 'acme' } } });
    await host.activate('boot');
    await host.start();
    state.config = { ...state.config, talk: 2 };
    await host.activate('talk');
    expect(seen).toEqual([1, 2]);
  });

  it('holds no secret in the configuration of a generation, which tools and channels are shown', async () => {
    const { state, stages, host } = world({}, { token: 'secret' });
    stages.redact = (config) => ({ ...config, token: '***' });
    stages.resolveSecrets = async (config) => ({ resolved: config, values: [], errors: [] });
    await host.activate('boot');
    expect(host.current().config).toMatchObject({ token: '***' });
    expect(host.current().resolvedConfig).toMatchObject({ token: 'secret' });
    state.config = { token: 'other' };
    await host.activate('edit');
    expect(host.current().resolvedConfig).toMatchObject({ token: 'other' });
  });

  it('the block of a channel has the defaults of its schema, and one that the schema refuses blocks its extension', async () => {
    const schema = { type: 'object', properties: { port: { type: 'integer', default: 6667 } } };
    const irc: Plugin = { manifest: { channels: ['irc'], channelConfigs: { irc: { schema } } }, declares: { channel: ['irc'] }, register() {} };
    const { state, host } = world({ irc }, { channels: { irc: { allowFrom: ['*'] } } });
    await host.activate('boot');
    expect(host.current().config.channels).toEqual({ irc: { allowFrom: ['*'], port: 6667 } });
    expect(host.current().resolvedConfig.channels).toEqual({ irc: { allowFrom: ['*'], port: 6667 } });
    state.config = { channels: { irc: { port: 'high' } } };
    await expect(host.activate('worse', { strict: true })).rejects.toThrow('channels.irc/port must be integer');
    await host.activate('worse');
    await expect(host.current().contribution('channel', 'irc')).rejects.toMatchObject({ code: 'DUR_MANIFEST_CONFIG_INVALID' });
  });

  it('api.runtime shows the configuration that is current, also after a change that was refused', async () => {
    let shown: (() => Record<string, unknown>) | undefined;
    const { state, stages, host } = world({ acme: provider('acme') }, { talk: 1 });
    stages.createRuntime = ({ id, config }) => {
      if (id === 'acme') shown = config;
      return {} as PluginRuntime;
    };
    await host.activate('boot');
    await host.start();
    await host.current().contribution('provider', 'acme');
    state.config = { talk: 2, plugins: { slots: { contextEngine: 'nope' } } };
    await expect(host.activate('refused', { strict: true })).rejects.toBeInstanceOf(HostFailure);
    expect(shown?.()).toMatchObject({ talk: 1 });
    state.config = { talk: 3 };
    await host.activate('taken');
    expect(shown?.()).toMatchObject({ talk: 3 });
  });

  it('a key that its owner gave up goes to the extension that was refused it', async () => {
    const tool = (id: string): Plugin => ({
      declares: { tool: ['look'] },
      register: (api) => api.registerTool({ name: 'look', description: id, parameters: {}, execute: async () => ({ content: [] }) } as never),
    });
    const both = (id: string): Plugin => ({
      declares: { ...tool(id).declares, provider: [id] },
      register(api) {
        tool(id).register(api);
        api.registerProvider({ id });
      },
    });
    const { state, host } = world({ first: both('first'), second: both('second') });
    await host.activate('boot');
    await host.start();
    await host.current().contribution('provider', 'first');
    await host.current().contribution('provider', 'second');
    const owners = async () => (await host.current().contributions('tool')).map((made) => made.owner);
    expect(await owners()).toHaveLength(1);
    const [owner = ''] = await owners();
    const other = owner === 'first' ? 'second' : 'first';
    await host
      .current()
      .contribution('tool', 'look')
      .then((made) => expect(made?.owner).toBe(owner));
    state.config = { plugins: { entries: { [owner]: { enabled: false } } } };
    await host.activate('owner off');
    expect(await owners()).toEqual([other]);
    state.config = {};
    await host.activate('owner on again');
    expect(await owners()).toEqual([owner]);
  });

  it('a service whose replacement fails goes on under the new generation until it is replaced', async () => {
    const events: string[] = [];
    const service = (version: string, start: () => void = () => undefined): Plugin => ({
      declares: { service: ['s'] },
      digest: version,
      register(api) {
        api.defer(() => void events.push(`dispose ${version}`));
        api.registerService({
          id: 's',
          start: () => {
            start();
            events.push(`start ${version}`);
          },
          stop: () => void events.push(`stop ${version}`),
        });
      },
    });
    const { state, host } = world({ svc: service('1') });
    await host.activate('boot');
    await host.start();
    state.plugins.svc = service('2', () => {
      throw new Error('port taken');
    });
    await host.activate('bad update');
    await settled();
    expect(events).toEqual(['start 1', 'stop 1', 'start 1']);
    state.plugins.svc = service('3', () => {
      throw new Error('port still taken');
    });
    await host.activate('bad again');
    await settled();
    expect(events).toEqual(['start 1', 'stop 1', 'start 1', 'stop 1', 'start 1', 'dispose 2']);
    state.plugins.svc = service('4');
    await host.activate('good update');
    await settled();
    expect(events.slice(6)).toEqual(['stop 1', 'start 4', 'dispose 1', 'dispose 3']);
    await host.stop('test', 1000);
    expect(events.slice(-2)).toEqual(['stop 4', 'dispose 4']);
  });

  it('neither the replacement nor the old service starts: the swap still ends and the old generation goes', async () => {
    let fail = false;
    const service = (version: string): Plugin => ({
      declares: { service: ['s'] },
      digest: version,
      register: (api) =>
        api.registerService({
          id: 's',
          start: () => {
            if (fail) throw new Error('port taken');
          },
        }),
    });
    const { state, host } = world({ svc: service('1') });
    await host.activate('boot');
    await host.start();
    fail = true;
    state.plugins.svc = service('2');
    const report = await host.activate('bad update');
    expect(report.generation).toBe(2);
    expect(report.findings.filter((finding) => finding.message.includes('port taken'))).not.toEqual([]);
  });

  it('an activation asked for while the first services start waits for them', async () => {
    const events: string[] = [];
    const gate = Promise.withResolvers<void>();
    const service = (version: string, until?: Promise<void>): Plugin => ({
      declares: { service: ['s'] },
      digest: version,
      register: (api) =>
        api.registerService({
          id: 's',
          async start() {
            await until;
            events.push(`start ${version}`);
          },
          stop: () => void events.push(`stop ${version}`),
        }),
    });
    const { state, host } = world({ svc: service('1', gate.promise) });
    await host.activate('boot');
    const starting = host.start();
    await settled();
    state.plugins.svc = service('2');
    const change = host.activate('edit');
    await settled();
    gate.resolve();
    await Promise.all([starting, change]);
    expect(events).toEqual(['start 1', 'stop 1', 'start 2']);
  });

  it('a stop does not wait longer for an activation than its limit, and what that builds is disposed', async () => {
    const gate = Promise.withResolvers<void>();
    const events: string[] = [];
    const slow: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['slow'] },
      async register(api) {
        api.defer(() => void events.push('dispose'));
        await gate.promise;
        api.registerContextEngine('slow', engine('slow') as never);
      },
    };
    const { state, host } = world({});
    await host.activate('boot');
    state.plugins.slow = slow;
    state.config = { plugins: { slots: { contextEngine: 'slow' } } };
    const change = host.activate('edit');
    change.catch(() => undefined);
    await settled();
    await host.stop('test', 20);
    gate.resolve();
    await expect(change).rejects.toMatchObject({ code: 'DUR_HOST_STOPPED' });
    expect(events).toEqual(['dispose']);
  });

  it('a stop before the start runs no code of extensions that were not needed so far', async () => {
    const other: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['other'] },
      register: (api) => api.registerContextEngine('other', engine('other') as never),
    };
    const { state, host } = world({ other });
    await host.activate('boot');
    await host.stop('failed boot', 1000);
    expect(state.imports).not.toContain('other');
  });

  it('an extension that goes on throwing is reported once, also one whose registration had failed or whose path is encoded', async () => {
    const acme = provider('acme');
    const broken: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['b r#1'] },
      register() {
        throw new Error('boom');
      },
    };
    const { host } = world({ acme, 'b r#1': broken });
    await host.activate('boot');
    await host.start();
    await host.current().contribution('provider', 'acme');
    const before = host.current().findings.length;
    const timer = Object.assign(new Error('timer'), { stack: 'Error: timer\n    at tick (file:///plugins/acme/index.ts?g=1&r=5:3:1)' });
    for (let i = 0; i < 50; i++) expect(host.blame(Object.assign(new Error(`timer ${i}`), { stack: timer.stack }))).toBe('acme');
    expect(host.current().findings).toHaveLength(before + 1);
    expect(host.blame(Object.assign(new Error('late'), { stack: 'Error: late\n    at file:///plugins/b%20r%231/index.ts?g=1:3:1' }))).toBe('b r#1');
    expect(host.blame(Object.assign(new Error('other'), { stack: 'Error: other\n    at tick (/home/me/plugins/acme/x.js:1:1)' }))).toBeUndefined();
  });

  it('two instances whose factories return one object close it when the last of them goes', async () => {
    const closed: string[] = [];
    const shared = engine('mine', { dispose: async () => void closed.push('mine') })();
    const mine: Plugin = {
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['mine'] },
      register: (api) => api.registerContextEngine('mine', () => shared as never),
    };
    const slots = { contextEngine: 'mine' };
    const { state, host } = world({ mine }, { plugins: { slots } });
    await host.activate('boot');
    await host.start();
    state.config = { plugins: { slots, entries: { mine: { config: { a: 1 } } } } };
    await host.activate('new config');
    await settled();
    expect(closed).toEqual([]);
    state.config = {};
    await host.activate('legacy again');
    await settled();
    expect(closed).toEqual(['mine']);
  });

  it('1,000 activations keep nothing of what is gone', async () => {
    const counts = { registered: 0, disposed: 0 };
    const changing = (digest: string): Plugin => ({
      manifest: { kind: 'context-engine' },
      declares: { contextEngine: ['changing'] },
      digest,
      register(api) {
        counts.registered += 1;
        api.defer(() => {
          counts.disposed += 1;
        });
        api.registerContextEngine('changing', engine('changing') as never);
      },
    });
    const { state, host } = world({ acme: provider('acme'), changing: changing('0') });
    await host.activate('boot');
    await host.start();
    await host.current().contribution('provider', 'acme');
    const gone: WeakRef<object>[] = [];
    for (let i = 1; i <= 1000; i++) {
      gone.push(new WeakRef(host.current()));
      state.plugins.changing = changing(String(i));
      await host.activate('again');
    }
    await settled();
    expect(counts).toEqual({ registered: 1001, disposed: 1000 });
    expect(state.imports.filter((id) => id === 'legacy' || id === 'acme')).toHaveLength(2);
    collectGarbage();
    await settled();
    collectGarbage();
    expect(gone.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(10);
  });

  it('two hosts in one process share nothing', async () => {
    const [a, b] = [world({ acme: provider('acme') }), world({})];
    await a.host.activate('boot');
    await b.host.activate('boot');
    await b.host.start();
    expect((await a.host.current().contribution('provider', 'acme'))?.owner).toBe('acme');
    expect(await b.host.current().contribution('provider', 'acme')).toBeUndefined();
  });

  it('boots with no extension at all and says which slots are empty (CARD-004)', async () => {
    const { state, host } = world({});
    state.plugins = {};
    const report = await host.activate('boot');
    expect(report.findings.filter((finding) => finding.level === 'error').map((finding) => finding.owner.pointer)).toEqual(
      expect.arrayContaining(['/plugins/slots/contextEngine', '/plugins/slots/sessionStore']),
    );
  });
});
