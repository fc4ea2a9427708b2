import { describe, expect, it } from 'vitest';
import type { PluginManifest, PluginOrigin } from '../../sdk/index.ts';
import { declaredContributions, declaredHooks } from '../../sdk/manifest-fields.ts';
import type { Catalog, CatalogEntry, Finding, HostRange } from './catalog.ts';
import { createPlan, type PlanConfig } from './plan.ts';

interface Given extends Partial<PluginManifest> {
  id: string;
  origin?: PluginOrigin;
  format?: CatalogEntry['format'];
  ranges?: HostRange[];
}

const BASE: Given[] = [
  { id: 'legacy', origin: 'bundled', kind: 'context-engine', enabledByDefault: true },
  { id: 'local', origin: 'bundled', kind: 'session-store', enabledByDefault: true },
];

function catalogOf(given: Given[], broken: Array<{ id: string; finding: Finding }> = []): Catalog {
  const entries = given.map(({ origin = 'global', format = 'native', ranges, ...fields }): [string, CatalogEntry] => {
    const manifest: PluginManifest = { configSchema: { type: 'object', additionalProperties: false }, ...fields };
    const isNative = format === 'native';
    const entry: CatalogEntry = {
      ...{
        id: manifest.id,
        origin,
        root: `/x/${manifest.id}`,
        format,
        manifest,
        manifestFile: `/x/${manifest.id}/m.json`,
        entry: `/x/${manifest.id}/index.ts`,
      },
      ...{ declared: isNative, declares: declaredContributions(isNative ? manifest : { ...manifest, kind: [] }), taps: declaredHooks(manifest), findings: [] },
      ...(ranges === undefined ? {} : { hostRanges: ranges }),
    };
    return [manifest.id, entry];
  });
  const brokenMap = broken.map(({ id, finding }): [string, { id: string; root: string; origin: PluginOrigin; finding: Finding }] => [
    id,
    { id, root: `/x/${id}`, origin: 'global', finding },
  ]);
  return { entries: new Map(entries), shadowed: [], broken: new Map(brokenMap), findings: broken.map(({ finding }) => finding) };
}

function planOf(given: Given[], plugins: PlanConfig['plugins'] = {}, more: PlanConfig = {}) {
  return createPlan({ config: { ...more, plugins }, catalog: catalogOf([...BASE, ...given]), hostVersion: '2026.11.0' });
}

describe('enablement', () => {
  const demo = { id: 'demo' };
  const cases: Array<{ name: string; given: Given; plugins?: PlanConfig['plugins']; more?: PlanConfig; enabled: boolean }> = [
    { name: 'a global one is on', given: demo, enabled: true },
    { name: 'a workspace one is off', given: { ...demo, origin: 'workspace' }, enabled: false },
    {
      name: 'a workspace one is on by name (ENGINE-014)',
      given: { ...demo, origin: 'workspace' },
      plugins: { entries: { demo: { enabled: true } } },
      enabled: true,
    },
    { name: 'a workspace one in allow only is off', given: { ...demo, origin: 'workspace' }, plugins: { allow: ['demo'] }, enabled: false },
    { name: 'enabled: false switches off (ENGINE-014)', given: demo, plugins: { entries: { demo: { enabled: false } } }, enabled: false },
    {
      name: 'enabled: false beats a slot',
      given: { ...demo, kind: 'context-engine' },
      plugins: { slots: { contextEngine: 'demo' }, entries: { demo: { enabled: false } } },
      enabled: false,
    },
    { name: 'deny beats allow', given: demo, plugins: { allow: ['demo'], deny: ['demo'] }, enabled: false },
    {
      name: 'deny reaches what the host stands on',
      given: { ...demo, origin: 'bundled', secretSources: ['env'] },
      plugins: { deny: ['demo'] },
      enabled: false,
    },
    { name: 'an empty allow allows', given: demo, plugins: { allow: [], deny: [] }, enabled: true },
    { name: 'absent from allow is off', given: demo, plugins: { allow: ['other'] }, enabled: false },
    {
      name: 'absent from allow is off though a slot names it',
      given: { ...demo, kind: 'context-engine' },
      plugins: { allow: ['other'], slots: { contextEngine: 'demo' } },
      enabled: false,
    },
    { name: 'plugins.enabled: false switches off', given: demo, plugins: { enabled: false, entries: { demo: { enabled: true } } }, enabled: false },
    ...[{ secretSources: ['env'] }, { approvers: ['ask'] }, { kind: 'context-engine' as const }, { contracts: { tools: ['exec'] } }].map((fields) => ({
      name: `plugins.enabled and allow leave a bundled ${JSON.stringify(fields)} on`,
      given: { ...demo, origin: 'bundled' as const, enabledByDefault: true, ...fields },
      plugins: { enabled: false, allow: ['other'] },
      enabled: true,
    })),
    {
      name: 'plugins.enabled: false reaches another bundled tool',
      given: { ...demo, origin: 'bundled', enabledByDefault: true, contracts: { tools: ['browser'] } },
      plugins: { enabled: false },
      enabled: false,
    },
    {
      name: 'plugins.enabled: false reaches a third party’s secrets source',
      given: { ...demo, secretSources: ['vault'] },
      plugins: { enabled: false },
      enabled: false,
    },
    { name: 'a bundled one is off by default', given: { ...demo, origin: 'bundled' }, enabled: false },
    { name: 'enabledByDefault: true switches it on', given: { ...demo, origin: 'bundled', enabledByDefault: true }, enabled: true },
    {
      name: 'enabledByDefault of another value does not',
      given: { ...demo, origin: 'bundled', enabledByDefault: 'yes' as unknown as boolean },
      enabled: false,
    },
    { name: 'a slot switches it on', given: { ...demo, origin: 'bundled', kind: 'memory' }, plugins: { slots: { memory: 'demo' } }, enabled: true },
    { name: 'its configured channel switches it on', given: { ...demo, origin: 'bundled', channels: ['irc'] }, more: { channels: { irc: {} } }, enabled: true },
    {
      name: 'its switched-off channel does not',
      given: { ...demo, origin: 'bundled', channels: ['irc'] },
      more: { channels: { irc: { enabled: false } } },
      enabled: false,
    },
    {
      name: 'its configured provider switches it on',
      given: { ...demo, origin: 'bundled', providers: ['acme'] },
      more: { models: { providers: { acme: {} } } },
      enabled: true,
    },
    {
      name: 'a provider that was signed in to switches it on',
      given: { ...demo, origin: 'bundled', autoEnableWhenConfiguredProviders: ['acme'] },
      more: { auth: { profiles: { 'acme:me': { provider: 'acme' } } } },
      enabled: true,
    },
    { name: 'an old id still names it', given: { ...demo, legacyPluginIds: ['old'] }, plugins: { deny: ['old'] }, enabled: false },
  ];
  it.each(cases)('$name', ({ given, plugins, more, enabled }) => {
    const planned = planOf([given], plugins, more).extensions.get('demo');
    expect(planned?.enabled).toBe(enabled);
    expect(planned?.reason).not.toBe('');
  });
});

describe('the shadow slot', () => {
  const other: Given = { id: 'other', kind: 'context-engine' };
  const shadow = (key: string, engine = 'legacy') => planOf([other], { slots: { contextEngine: engine, contextEngineShadow: key } });

  it('is empty unless it is named, and switches on what it names, which is loaded when the host is up', () => {
    expect(planOf([other]).slots.contextEngineShadow).toEqual({ slot: 'contextEngineShadow', key: 'none', none: true });
    const plan = planOf([{ ...other, origin: 'bundled' }], { slots: { contextEngineShadow: 'other' } });
    expect(plan.slots.contextEngineShadow).toEqual({ slot: 'contextEngineShadow', key: 'other', owner: 'other' });
    expect(plan.extensions.get('other')).toMatchObject({ enabled: true, reason: 'plugins.slots.contextEngineShadow', load: 'settle' });
    expect(plan.findings.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('may not name the active engine, which stays what it is', () => {
    const plan = shadow('legacy');
    expect(plan.slots.contextEngineShadow).toMatchObject({ failed: { level: 'warn', code: 'DUR_SLOT_SHADOW' } });
    expect(plan.slots.contextEngine).toMatchObject({ owner: 'legacy' });
    expect(plan.extensions.get('legacy')).toMatchObject({ load: 'activation', reason: 'plugins.slots.contextEngine' });
    expect(plan.findings.filter(({ level }) => level !== 'info').map(({ code }) => code)).toEqual(['DUR_SLOT_SHADOW']);
    expect(shadow('legacy', 'other').slots.contextEngineShadow).toMatchObject({ owner: 'legacy' });
  });

  it('fails by itself when nobody offers what it names', () => {
    const plan = shadow('othr');
    expect(plan.slots.contextEngineShadow).toMatchObject({ failed: { level: 'error', code: 'DUR_SLOT_UNKNOWN', hint: expect.stringContaining("'other'") } });
    expect(plan.slots.contextEngine).toMatchObject({ owner: 'legacy' });
  });
});

describe('slots', () => {
  const engine: Given = { id: 'mine', kind: 'context-engine' };
  type Case = { name: string; given?: Given[]; key?: string; plugins?: PlanConfig['plugins']; owner?: string; code?: string; text?: string };
  const cases: Case[] = [
    { name: 'the default is legacy (ENGINE-005, ENGINE-018, ENGINE-087)', owner: 'legacy' },
    { name: 'legacy by name (ENGINE-017)', key: 'legacy', owner: 'legacy' },
    { name: 'a plugin id that is its engine id (ENGINE-088)', given: [engine], key: 'mine', owner: 'mine' },
    { name: 'an engine id of another plugin id', given: [{ ...engine, contextEngines: ['other'] }], key: 'other', owner: 'mine' },
    {
      name: 'a plugin id whose engine id differs (ENGINE-013, AMB-015)',
      given: [{ ...engine, contextEngines: ['other'] }],
      key: 'mine',
      code: 'DUR_SLOT_ENGINE_ID',
      text: 'other',
    },
    { name: 'an unknown id (CARD-026)', key: 'nope', code: 'DUR_SLOT_UNKNOWN', text: 'nope' },
    { name: 'the id of a plugin of another kind', given: [{ id: 'tool', contracts: { tools: ['x'] } }], key: 'tool', code: 'DUR_SLOT_UNKNOWN' },
    { name: 'a disabled plugin', given: [engine], key: 'mine', plugins: { entries: { mine: { enabled: false } } }, code: 'DUR_SLOT_DISABLED', text: 'mine' },
    { name: 'legacy, disabled (AMB-013)', plugins: { entries: { legacy: { enabled: false } } }, code: 'DUR_SLOT_DISABLED', text: 'legacy' },
    {
      name: 'a plugin for a newer host (CARD-040)',
      given: [{ ...engine, ranges: [{ key: 'host', range: '>=9999' }] }],
      key: 'mine',
      code: 'DUR_SLOT_FAILED',
      text: '>=9999',
    },
    {
      name: 'a plugin whose config is wrong',
      given: [engine],
      key: 'mine',
      plugins: { entries: { mine: { config: { x: 1 } } } },
      code: 'DUR_SLOT_FAILED',
      text: "'x'",
    },
    { name: 'an ancestor plugin by its id', given: [{ ...engine, format: 'ancestor' }], key: 'mine', owner: 'mine' },
    { name: 'an ancestor plugin without kind by its id', given: [{ id: 'mine', format: 'ancestor' }], key: 'mine', owner: 'mine' },
    { name: 'an ancestor plugin that registers another id', given: [{ ...engine, format: 'ancestor' }], key: 'lcm', owner: 'mine' },
    {
      name: 'a native engine before an ancestor one',
      given: [
        { id: 'old', kind: 'context-engine', format: 'ancestor' },
        { ...engine, contextEngines: ['lcm'] },
      ],
      key: 'lcm',
      owner: 'mine',
    },
    { name: 'none, which this slot does not have', key: 'none', code: 'DUR_SLOT_UNKNOWN' },
  ];
  it.each(cases)('$name', ({ given = [], key, plugins = {}, owner, code, text }) => {
    const plan = planOf(given, { ...plugins, ...(key === undefined ? {} : { slots: { contextEngine: key } }) });
    const choice = plan.slots.contextEngine;
    expect(choice.key).toBe(key ?? 'legacy');
    if (owner !== undefined) expect(choice).toMatchObject({ owner });
    else expect(choice).toMatchObject({ failed: { level: 'error', code } });
    if ('failed' in choice) expect(plan.findings).toContainEqual(choice.failed);
    if ('failed' in choice && text !== undefined) expect(choice.failed.message).toContain(text);
    if (owner !== undefined) expect(plan.extensions.get(owner)?.load).toBe('activation');
  });

  it('are empty, each with one clear error, when nothing is installed (CARD-004, CARD-019)', () => {
    const plan = createPlan({ config: {}, catalog: catalogOf([]), hostVersion: '1.0.0' });
    expect(plan.slots.contextEngine).toMatchObject({ failed: { code: 'DUR_SLOT_EMPTY' } });
    expect(plan.slots.sessionStore).toMatchObject({ failed: { code: 'DUR_SLOT_EMPTY' } });
    expect(plan.findings.map(({ level, code }) => `${level} ${code}`).sort()).toEqual(['error DUR_SLOT_EMPTY', 'error DUR_SLOT_EMPTY', 'info DUR_SLOT_EMPTY']);
  });

  it('name the id that was meant', () => {
    const { contextEngine } = planOf([{ id: 'lossless', kind: 'context-engine' }], { slots: { contextEngine: 'losless' } }).slots;
    expect(contextEngine).toMatchObject({ failed: { code: 'DUR_SLOT_UNKNOWN', hint: expect.stringContaining("Did you mean 'lossless'?") } });
    expect(planOf([], { slots: { contextEngine: 'nope' } }).slots.contextEngine).toMatchObject({ failed: { hint: expect.stringContaining('Install it') } });
  });

  it('memory is none by default when its default is not installed, and only then', () => {
    const unset = planOf([]);
    expect(unset.slots.memory).toMatchObject({ none: true });
    expect(unset.findings).toMatchObject([{ level: 'info', code: 'DUR_SLOT_EMPTY' }]);
    expect(planOf([], { slots: { memory: 'none' } })).toMatchObject({ slots: { memory: { none: true } }, findings: [] });
    expect(planOf([], { slots: { memory: 'other' } }).slots.memory).toMatchObject({ failed: { code: 'DUR_SLOT_UNKNOWN' } });
    expect(planOf([{ id: 'memory-core', origin: 'bundled', kind: 'memory' }]).slots.memory).toMatchObject({ owner: 'memory-core' });
  });

  it('fail with what is wrong with a broken candidate', () => {
    const finding: Finding = { level: 'error', code: 'DUR_MANIFEST_SYNTAX', message: 'the manifest is not JSON', hint: 'Fix it.', owner: {} };
    const catalog = catalogOf(BASE, [{ id: 'mine', finding }]);
    const plan = createPlan({ config: { plugins: { slots: { contextEngine: 'mine' }, entries: { mine: {} } } }, catalog, hostVersion: '1.0.0' });
    expect(plan.slots.contextEngine).toMatchObject({ failed: { code: 'DUR_SLOT_FAILED', message: expect.stringContaining('not JSON') } });
    expect(plan.findings.some(({ code }) => code === 'DUR_CONFIG_PLUGIN_UNKNOWN')).toBe(false);
  });
});

describe('load time', () => {
  const cases: Array<{ name: string; given: Given; load: string }> = [
    { name: 'a declared channel waits until it is needed', given: { id: 'demo', channels: ['irc'] }, load: 'demand' },
    {
      name: 'a declared provider, tool and method wait',
      given: { id: 'demo', providers: ['a'], contracts: { tools: ['t'], gatewayMethods: ['x.y'] } },
      load: 'demand',
    },
    { name: 'an unselected engine comes after listen (ENGINE-089, CARD-024)', given: { id: 'demo', kind: 'context-engine' }, load: 'settle' },
    { name: 'hooks come after listen', given: { id: 'demo', contracts: { hooks: ['agent_end'] } }, load: 'settle' },
    { name: 'a service comes after listen', given: { id: 'demo', contracts: { services: ['s'] } }, load: 'settle' },
    { name: 'a route comes after listen', given: { id: 'demo', contracts: { httpRoutes: ['/x'] } }, load: 'settle' },
    { name: 'the undeclared comes after listen', given: { id: 'demo', format: 'ancestor' }, load: 'settle' },
  ];
  it.each(cases)('$name', ({ given, load }) => expect(planOf([given]).extensions.get('demo')?.load).toBe(load));
});

describe('findings', () => {
  it.each([
    { plugins: { entries: { ghost: {} } }, path: 'plugins.entries.ghost', code: 'DUR_CONFIG_PLUGIN_UNKNOWN' },
    { plugins: { allow: ['legacy', 'local', 'ghost'] }, path: 'plugins.allow[2]', code: 'DUR_CONFIG_PLUGIN_UNKNOWN' },
    { plugins: { deny: ['ghost'] }, path: 'plugins.deny[0]', code: 'DUR_CONFIG_PLUGIN_UNKNOWN' },
    { more: { channels: { irc: {} } }, path: 'channels.irc', code: 'DUR_CONFIG_CHANNEL_UNKNOWN' },
  ])('$path names nobody', ({ plugins, more, path, code }) => {
    const errors = planOf([], plugins, more).findings.filter(({ level }) => level === 'error');
    expect(errors).toMatchObject([{ code, message: expect.stringContaining(`'${path}'`) }]);
  });

  it('are none for channels that a manifest owns, on or off, and for the shared keys', () => {
    const plan = planOf([{ id: 'demo', channels: ['irc'] }], { entries: { demo: { enabled: false } } }, { channels: { irc: {}, defaults: {} } });
    expect(plan.findings.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('name two owners of one contribution; the first is asked', () => {
    const plan = planOf([
      { id: 'one', channels: ['irc'] },
      { id: 'two', channels: ['irc'] },
      { id: 'three', channels: ['irc'], enabledByDefault: false, origin: 'workspace' },
    ]);
    expect(plan.owners.get('channel:irc')).toEqual(['one', 'two']);
    expect(plan.findings.filter(({ code }) => code === 'DUR_EXT_DUPLICATE')).toMatchObject([{ level: 'warn', owner: { extension: 'two' } }]);
  });

  it('keep a blocked owner last, so that what needs it fails with its reason', () => {
    const plan = planOf([
      { id: 'one', channels: ['irc'], ranges: [{ key: 'host', range: '>=99999' }] },
      { id: 'two', channels: ['irc'] },
    ]);
    expect(plan.owners.get('channel:irc')).toEqual(['two', 'one']);
    expect(plan.findings.some(({ code }) => code === 'DUR_EXT_DUPLICATE')).toBe(false);
  });

  const RANGES: Array<{ range: string; key?: string; code?: string }> = [
    { range: '>=2026.11.0' },
    { range: '2026.x' },
    { range: '>=2026.10.1', key: 'install.minHostVersion' },
    { range: '>=99999', code: 'DUR_MANIFEST_HOST_TOO_OLD' },
    { range: '<2026.1.0', code: 'DUR_MANIFEST_HOST_TOO_NEW' },
    { range: 'newest please', code: 'DUR_MANIFEST_HOST_RANGE' },
    { range: '^2026.1.0', key: 'install.minHostVersion', code: 'DUR_MANIFEST_HOST_RANGE' },
    { range: '>=2027.1.0', key: 'compat.minGatewayVersion', code: 'DUR_MANIFEST_HOST_TOO_OLD' },
  ];
  it.each(RANGES)('host range $range gives $code, with both versions named (CARD-040)', ({ range, key = 'host', code }) => {
    const plan = planOf([{ id: 'demo', ranges: [{ key, range }] }]);
    const { blocked } = plan.extensions.get('demo') ?? {};
    expect(blocked?.code).toBe(code);
    if (code !== undefined) expect(blocked?.message).toContain(range);
    if (code?.endsWith('TOO_OLD') === true) expect(blocked?.message).toContain('2026.11.0');
    const advisory = planOf([{ id: 'demo', format: 'ancestor', ranges: [{ key, range }] }]);
    expect(advisory.extensions.get('demo')?.blocked).toBeUndefined();
    if (code !== undefined) expect(advisory.findings).toContainEqual(expect.objectContaining({ level: 'info', code }));
  });
});

describe('an extension’s own configuration (CARD-041, ENGINE-015)', () => {
  const configSchema = {
    type: 'object',
    additionalProperties: false,
    required: ['url'],
    properties: {
      url: { type: 'string' },
      key: { type: 'string', sensitive: true },
      depth: { type: 'integer', minimum: 1, default: 3 },
      mode: { enum: ['a', 'b'] },
    },
  };
  const cases: Array<{ name: string; config?: unknown; code?: string; text?: string; result?: unknown; schema?: Record<string, unknown> }> = [
    { name: 'valid, with defaults', config: { url: 'x' }, result: { url: 'x', depth: 3 } },
    { name: 'missing key', config: {}, text: "must have required property 'url'" },
    { name: 'absent though a key is required', text: "must have required property 'url'" },
    { name: 'wrong type', config: { url: 1 }, text: 'config/url must be string' },
    { name: 'unknown key', config: { url: 'x', urls: 1 }, text: "unknown key 'urls'" },
    { name: 'below the minimum', config: { url: 'x', depth: 0 }, text: 'config/depth must be >= 1' },
    { name: 'not one of the values', config: { url: 'x', mode: 'c' }, text: 'config/mode must be equal to one of the allowed values: a, b' },
    {
      name: 'a reference where a secret is',
      config: { url: 'x', key: { source: 'env', provider: 'default', id: 'K' } },
      result: { url: 'x', key: { source: 'env', provider: 'default', id: 'K' }, depth: 3 },
    },
    { name: 'a reference elsewhere', config: { url: { source: 'env', provider: 'default', id: 'K' } }, text: 'config/url must be string' },
    { name: 'not an object', config: 'x', text: 'must be object' },
    {
      name: 'empty where the schema is open',
      schema: { type: 'object', properties: { n: { type: 'integer', default: 2 }, on: { type: 'boolean' } } },
      result: { n: 2 },
    },
    { name: 'a schema that is none', schema: { type: 'objekt' }, code: 'DUR_MANIFEST_SCHEMA_INVALID' },
    {
      name: 'a schema of the newer dialect',
      schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object', required: ['a'] },
      config: { b: 1 },
      text: "'a'",
    },
  ];
  it.each(cases)('$name', ({ config, code = 'DUR_MANIFEST_CONFIG_INVALID', text, result, schema }) => {
    const plan = planOf([{ id: 'demo', configSchema: schema ?? configSchema }], { entries: { demo: { config } } });
    const planned = plan.extensions.get('demo');
    if (result !== undefined) {
      expect(planned?.blocked).toBeUndefined();
      expect(planned?.config).toEqual(result);
      return;
    }
    expect(planned?.blocked).toMatchObject({ level: 'error', code });
    expect(planned?.blocked?.message).toContain(text ?? '');
    expect(plan.findings).toContainEqual(planned?.blocked);
  });

  it('of a disabled extension is kept and not checked', () => {
    const planned = planOf([{ id: 'demo', configSchema }], { entries: { demo: { enabled: false, config: { nonsense: 1 } } } }).extensions.get('demo');
    expect(planned).toMatchObject({ enabled: false, config: { nonsense: 1 } });
    expect(planned?.blocked).toBeUndefined();
  });
});

describe('the block of a channel', () => {
  const schema = {
    type: 'object',
    additionalProperties: false,
    required: ['port'],
    properties: { port: { type: 'integer', minimum: 1 }, nick: { type: 'string', default: 'durar' }, token: { type: 'string' } },
  };
  const irc = { id: 'demo', channels: ['irc'], channelConfigs: { irc: { schema } } };
  const faultsOf = ({ findings }: ReturnType<typeof planOf>) => findings.filter(({ level }) => level !== 'info');
  const planWith = (block: unknown, given: Given = irc) => planOf([given], {}, { channels: { irc: block } });

  it('is filled with the defaults of its schema; keys of the host stay', () => {
    const block = { enabled: true, allowFrom: ['*'], accounts: { home: {} }, port: 6667, token: { source: 'env', provider: 'default', id: 'K' } };
    const plan = planWith(block);
    expect(faultsOf(plan)).toEqual([]);
    expect(plan.channels).toEqual({ irc: { ...block, nick: 'durar' } });
  });

  it.each<[string, unknown, string, string]>([
    ['wrong type', { port: 'high' }, '/channels/irc/port', 'channels.irc/port must be integer'],
    ['missing key', {}, '/channels/irc', "channels.irc must have required property 'port'"],
    ['unknown key', { port: 1, prot: 2 }, '/channels/irc', "channels.irc has the unknown key 'prot'"],
  ])('with a violation blocks its extension: %s', (_name, block, pointer, message) => {
    const plan = planWith(block);
    const { blocked } = plan.extensions.get('demo') ?? {};
    expect(blocked).toMatchObject({ level: 'error', code: 'DUR_MANIFEST_CONFIG_INVALID', message, owner: { extension: 'demo', pointer } });
    expect(plan.findings).toContainEqual(blocked);
    expect(plan.channels).toEqual({ irc: block });
  });

  it('is checked where the schema names a key of the host', () => {
    const properties = { ...schema.properties, allowFrom: { type: 'array', items: { type: 'string' } } };
    const plan = planWith({ port: 1, allowFrom: [5] }, { ...irc, channelConfigs: { irc: { schema: { ...schema, properties } } } });
    expect(plan.extensions.get('demo')?.blocked?.owner.pointer).toBe('/channels/irc/allowFrom/0');
  });

  it('is not checked while the channel or its extension is off', () => {
    expect(planWith({ enabled: false, port: 'high' }).extensions.get('demo')?.blocked).toBeUndefined();
    const off = planOf([irc], { entries: { demo: { enabled: false } } }, { channels: { irc: { port: 'high' } } });
    expect(faultsOf(off)).toEqual([]);
  });

  it('whose schema is none names it', () => {
    const { blocked } = planWith({ port: 1 }, { ...irc, channelConfigs: { irc: { schema: { type: 'objekt' } } } }).extensions.get('demo') ?? {};
    expect(blocked).toMatchObject({ code: 'DUR_MANIFEST_SCHEMA_INVALID', message: expect.stringContaining('channelConfigs.irc.schema') });
  });
});

it('a plan is the same for the same input, and leaves it alone', () => {
  const catalog = catalogOf([...BASE, { id: 'demo', channels: ['irc'], configSchema: { type: 'object', properties: { n: { default: 1, type: 'integer' } } } }]);
  const config = { plugins: { entries: { demo: { config: { x: {} } } } }, channels: { irc: {} } };
  const before = structuredClone({ config, entries: [...catalog.entries] });
  const plan = createPlan({ config, catalog, hostVersion: '1.0.0' });
  expect(createPlan({ config, catalog, hostVersion: '1.0.0' })).toEqual(plan);
  expect({ config, entries: [...catalog.entries] }).toEqual(before);
});
