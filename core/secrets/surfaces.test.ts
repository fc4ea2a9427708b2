// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax under test
import { describe, expect, it, vi } from 'vitest';
import type { SecretsProvider } from '../../sdk/index.ts';
import { applyDefaults } from '../config/defaults.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { activateSecrets, createSecretFields, type SecretDiagnostic } from './activate.ts';

const ref = (id: string) => ({ source: 'env', provider: 'default', id });
const BROKEN = ref('NOT_SET');
const GOOD = ref('GOOD');

/** An extension that serves the channel `mail`, and one with a search key of its own. */
const entries = new Map<string, CatalogEntry>(
  [
    {
      id: 'mail',
      configSchema: { type: 'object' },
      channelConfigs: {
        mail: {
          schema: {
            type: 'object',
            properties: {
              pin: { type: 'string', sensitive: true },
              serviceAccount: { anyOf: [{ type: 'string' }, { type: 'object' }], sensitive: true },
              serviceAccountRef: { type: 'object', sensitive: true },
              hook: {
                type: 'object',
                properties: {
                  url: { type: 'string' },
                  code: { type: 'string', sensitive: true, 'x-active': [{ when: { not: { path: '.hook.url' } }, active: false, because: 'there is no hook' }] },
                },
              },
            },
          },
        },
      },
    },
    {
      id: 'finder',
      configSchema: {
        type: 'object',
        properties: {
          code: {
            type: 'string',
            sensitive: true,
            'x-active': [{ when: { not: { choice: 'tools.web.search.provider', name: 'finder' } }, active: false, because: 'another provider is used' }],
          },
          servers: {
            additionalProperties: {
              properties: { env: { additionalProperties: { anyOf: [{ type: 'string' }, { properties: { source: {}, provider: {}, id: {} } }] } } },
            },
          },
        },
      },
    },
  ].map((manifest) => [manifest.id, { id: manifest.id, manifest } as unknown as CatalogEntry]),
);

async function activate(config: Record<string, unknown>, { env = {}, off = [] as string[] }: { env?: Record<string, string>; off?: string[] } = {}) {
  const all = { GOOD: 'good-value', OTHER: 'other-value', ...env };
  const resolve = vi.fn<SecretsProvider['resolve']>(async ({ ids }) => ({
    values: Object.fromEntries(ids.flatMap((id) => (id in all ? [[id, all[id as keyof typeof all]]] : []))),
    errors: Object.fromEntries(ids.flatMap((id) => (id in all ? [] : [[id, `${id} is not set`]]))),
  }));
  const answer = await activateSecrets({
    // biome-ignore lint/suspicious/noExplicitAny: the cases reach into it by name
    config: applyDefaults(config) as unknown as Record<string, any>,
    source: async () => ({ source: 'env', resolve }),
    env: all,
    fields: createSecretFields(entries),
    surfaces: { env, isServed: (_, id) => !off.includes(id) },
  });
  return { ...answer, resolve, asked: resolve.mock.calls.flatMap(([{ ids }]) => ids) };
}

const ignored = (diagnostics: readonly SecretDiagnostic[]) =>
  diagnostics.filter(({ code }) => code === 'SECRETS_REF_IGNORED_INACTIVE_SURFACE').map(({ path }) => path);

interface Case {
  what: string;
  config: Record<string, unknown>;
  /** The places that are ignored; none: the broken reference stops the activation. */
  ignored?: string[];
  env?: Record<string, string>;
  off?: string[];
}

const ssh = (more: object = {}) => ({ ssh: { identityData: BROKEN }, ...more });
const remote = (key: 'token' | 'password', gateway: object = {}) => ({ gateway: { remote: { [key]: BROKEN }, ...gateway } });

const cases: Case[] = [
  { what: 'a disabled channel (SEC-013, SEC-016, SEC-018)', config: { channels: { mail: { enabled: false, pin: BROKEN } } }, ignored: ['channels.mail.pin'] },
  { what: 'an enabled channel (SEC-013, SEC-014, SEC-124)', config: { channels: { mail: { pin: BROKEN } } } },
  { what: 'a channel that nothing serves (SEC-018)', config: { channels: { mail: { pin: BROKEN } } }, off: ['mail'], ignored: ['channels.mail.pin'] },
  {
    what: 'a disabled account (SEC-019)',
    config: { channels: { mail: { accounts: { a: { enabled: false, pin: BROKEN } } } } },
    ignored: ['channels.mail.accounts.a.pin'],
  },
  { what: 'an enabled account (SEC-019)', config: { channels: { mail: { accounts: { a: { pin: BROKEN } } } } } },
  {
    what: 'a credential of the channel when every account has its own (SEC-020)',
    config: { channels: { mail: { pin: BROKEN, accounts: { a: { pin: 'p' }, b: { enabled: false } } } } },
    ignored: ['channels.mail.pin'],
  },
  {
    what: 'a credential of the channel that an account inherits (SEC-020)',
    config: { channels: { mail: { pin: BROKEN, accounts: { a: { pin: 'p' }, b: {} } } } },
  },
  {
    what: 'a field with a rule in its manifest (SEC-021)',
    config: { channels: { mail: { hook: { code: BROKEN } } } },
    ignored: ['channels.mail.hook.code'],
  },
  { what: 'the same where its rule lets it count (SEC-021)', config: { channels: { mail: { hook: { url: 'u', code: BROKEN } } } } },
  { what: 'a disabled tool (SEC-021)', config: { tools: { web: { fetch: { enabled: false, apiKey: BROKEN } } } }, ignored: ['tools.web.fetch.apiKey'] },
  { what: 'a denied tool (SEC-021)', config: { tools: { deny: ['web_fetch'], web: { fetch: { apiKey: BROKEN } } } }, ignored: ['tools.web.fetch.apiKey'] },
  { what: 'an enabled tool (SEC-021)', config: { tools: { web: { fetch: { apiKey: BROKEN } } } } },
  { what: 'a disabled skill (SEC-021)', config: { skills: { entries: { s: { enabled: false, apiKey: BROKEN } } } }, ignored: ['skills.entries.s.apiKey'] },
  { what: 'cron that is off (SEC-021)', config: { cron: { enabled: false, webhookToken: BROKEN } }, ignored: ['cron.webhookToken'] },
  {
    what: 'an extension that is off (SEC-021, SEC-111)',
    config: { plugins: { entries: { finder: { config: { servers: { s: { env: { PAT: BROKEN } } } } } } } },
    off: ['finder'],
    ignored: ['plugins.entries.finder.config.servers.s.env.PAT'],
  },
  {
    what: 'an extension that is on (SEC-109, SEC-110)',
    config: { plugins: { entries: { finder: { config: { servers: { s: { env: { PAT: BROKEN } } } } } } } },
  },
  {
    what: 'a search key that is not selected (SEC-022)',
    config: { tools: { web: { search: { provider: 'one', one: { apiKey: GOOD }, two: { apiKey: BROKEN } } } } },
    ignored: ['tools.web.search.two.apiKey'],
  },
  {
    what: 'the search key that is selected (SEC-022)',
    config: { tools: { web: { search: { provider: 'two', one: { apiKey: GOOD }, two: { apiKey: BROKEN } } } } },
  },
  {
    what: 'an earlier search key when none is selected (SEC-023)',
    config: { tools: { web: { search: { one: { apiKey: BROKEN }, two: { apiKey: GOOD } } } } },
    ignored: ['tools.web.search.one.apiKey'],
  },
  {
    what: 'a later search key when none is selected (SEC-024)',
    config: { tools: { web: { search: { one: { apiKey: GOOD }, two: { apiKey: ref('OTHER') }, three: { apiKey: BROKEN } } } } },
    ignored: ['tools.web.search.two.apiKey', 'tools.web.search.three.apiKey'],
  },
  {
    what: 'a search key after a plain text (SEC-024)',
    config: { tools: { web: { search: { one: { apiKey: 'plain' }, two: { apiKey: BROKEN } } } } },
    ignored: ['tools.web.search.two.apiKey'],
  },
  { what: 'the only search key (SEC-023)', config: { tools: { web: { search: { one: { apiKey: BROKEN } } } } } },
  {
    what: 'a search key in an extension, another provider selected (SEC-022)',
    config: { tools: { web: { search: { provider: 'one' } } }, plugins: { entries: { finder: { config: { code: BROKEN } } } } },
    ignored: ['plugins.entries.finder.config.code'],
  },
  {
    what: 'ssh material without an ssh sandbox (SEC-025, SEC-119)',
    config: { agents: { defaults: { sandbox: ssh({ mode: 'all', backend: 'docker' }) } } },
    ignored: ['agents.defaults.sandbox.ssh.identityData'],
  },
  {
    what: 'ssh material with the sandbox off (SEC-025)',
    config: { agents: { defaults: { sandbox: ssh({ backend: 'ssh' }) } } },
    ignored: ['agents.defaults.sandbox.ssh.identityData'],
  },
  { what: 'ssh material of the default agent (SEC-025)', config: { agents: { defaults: { sandbox: ssh({ mode: 'all', backend: 'ssh' }) } } } },
  {
    what: 'ssh material that an agent of its own backend takes (SEC-025)',
    config: { agents: { defaults: { sandbox: ssh({ mode: 'all' }) }, list: [{ id: 'a', sandbox: { backend: 'ssh' } }] } },
  },
  {
    what: 'ssh material that every ssh agent has itself (SEC-025, SEC-026)',
    config: { agents: { defaults: { sandbox: ssh({ mode: 'all', backend: 'ssh' }) }, list: [{ id: 'a', sandbox: { ssh: { identityData: GOOD } } }] } },
    ignored: ['agents.defaults.sandbox.ssh.identityData'],
  },
  {
    what: 'ssh material of an agent without ssh (SEC-026)',
    config: { agents: { defaults: { sandbox: { mode: 'all', backend: 'ssh' } }, list: [{ id: 'a', sandbox: ssh({ backend: 'docker' }) }] } },
    ignored: ['agents.list[0].sandbox.ssh.identityData'],
  },
  { what: 'ssh material of an agent with ssh (SEC-026)', config: { agents: { list: [{ id: 'a', sandbox: ssh({ mode: 'all', backend: 'ssh' }) }] } } },
  ...(['token', 'password'] as const).flatMap((key): Case[] => {
    const other = key === 'token' ? 'password' : 'token';
    const place = [`gateway.remote.${key}`];
    const name = key === 'token' ? 'Durar_GATEWAY_TOKEN' : 'Durar_GATEWAY_PASSWORD';
    const id = key === 'token' ? 'SEC-031' : 'SEC-032';
    return [
      { what: `remote.${key} with gateway.mode remote (SEC-027)`, config: remote(key, { mode: 'remote' }), env: { [name]: 'x' } },
      {
        what: `remote.${key} with a URL (SEC-028)`,
        config: { gateway: { remote: { [key]: BROKEN, url: 'wss://h' }, auth: { mode: 'none' } } },
      },
      { what: `remote.${key} with tailscale serve (SEC-029)`, config: remote(key, { tailscale: { mode: 'serve' }, auth: { mode: 'none' } }) },
      { what: `remote.${key} with tailscale funnel (SEC-030)`, config: remote(key, { tailscale: { mode: 'funnel' }, auth: { mode: 'none' } }) },
      { what: `remote.${key} when ${key} can win (${id})`, config: remote(key, { mode: 'local', auth: { mode: key } }) },
      { what: `remote.${key} when nothing else is there (${id})`, config: remote(key) },
      { what: `remote.${key} beside the variable (${id})`, config: remote(key), env: { [name]: 'x' }, ignored: place },
      { what: `remote.${key} beside auth.${key} (${id})`, config: remote(key, { auth: { [key]: 'x' } }), ignored: place },
      { what: `remote.${key} in the mode ${other} (${id})`, config: remote(key, { auth: { mode: other } }), ignored: place },
      { what: `remote.${key} when ${other} wins (${id})`, config: remote(key, { auth: { [other]: 'x' } }), ignored: place },
      { what: `auth.${key} (SEC-038)`, config: { gateway: { auth: { [key]: BROKEN } } } },
      {
        what: `auth.${key} beside the variable (SEC-033, SEC-039)`,
        config: { gateway: { auth: { [key]: BROKEN } } },
        env: { [name]: 'x' },
        ignored: [`gateway.auth.${key}`],
      },
      { what: `auth.${key} in the mode ${other} (SEC-039)`, config: { gateway: { auth: { [key]: BROKEN, mode: other } } }, ignored: [`gateway.auth.${key}`] },
    ];
  }),
];

describe('a reference that does not resolve', () => {
  for (const { what, config, ignored: expected, env = {}, off = [] } of cases) {
    it(`${expected === undefined ? 'stops an activation' : 'is told and stops nothing'}: ${what}`, async () => {
      const { errors, diagnostics } = await activate(config, { env, off });
      if (expected === undefined) expect(errors.map(({ code }) => code)).toEqual(['DUR_SECRET_UNRESOLVED']);
      else {
        expect(errors).toEqual([]);
        expect(ignored(diagnostics)).toEqual(expected);
      }
    });
  }
});

describe('web search in auto mode', () => {
  it('takes the first key that resolves, in the order of the file (SEC-023, SEC-024)', async () => {
    const search = { one: { apiKey: BROKEN }, two: { apiKey: GOOD }, three: { apiKey: '${OTHER}' } };
    const { resolved } = await activate({ tools: { web: { search } } });
    expect(resolved.tools.web.search).toEqual({ one: { apiKey: BROKEN }, two: { apiKey: 'good-value' }, three: { apiKey: '' } });
  });
  it('does not ask for a key after a plain text', async () => {
    const { asked, resolved } = await activate({ tools: { web: { search: { one: { apiKey: 'plain' }, two: { apiKey: GOOD } } } } });
    expect(asked).toEqual([]);
    expect(resolved.tools.web.search.one.apiKey).toBe('plain');
  });
});

describe('what is ignored', () => {
  it('is not asked for, and a template of it is no value (SEC-016)', async () => {
    const { asked, resolved } = await activate({ channels: { mail: { enabled: false, pin: '${GOOD}', serviceAccount: GOOD } } });
    expect(asked).toEqual([]);
    expect(resolved.channels.mail).toEqual({ enabled: false, pin: '', serviceAccount: GOOD });
  });
});

describe('gateway credentials', () => {
  it.each([
    [{ auth: { token: GOOD } }, {}, 'gateway.auth.token', 'active', 'SEC-034'],
    [{ auth: { token: BROKEN } }, { Durar_GATEWAY_TOKEN: 'x' }, 'gateway.auth.token', 'inactive', 'SEC-034'],
    [{ auth: { mode: 'password', password: '${GOOD}' } }, {}, 'gateway.auth.password', 'active', 'SEC-035'],
    [{ mode: 'remote', remote: { token: GOOD } }, {}, 'gateway.remote.token', 'active', 'SEC-036'],
    [{ auth: { mode: 'none' }, remote: { password: BROKEN } }, {}, 'gateway.remote.password', 'inactive', 'SEC-037'],
  ])('%j with %j: %s is %s (%s, SEC-040, SEC-041)', async (gateway, env, path, state, _id) => {
    const { diagnostics, errors } = await activate({ gateway }, { env });
    expect(errors).toEqual([]);
    const told = diagnostics.filter(({ code }) => code === 'SECRETS_GATEWAY_AUTH_SURFACE');
    expect(told).toEqual([
      { code: 'SECRETS_GATEWAY_AUTH_SURFACE', level: 'info', path, state, reason: expect.any(String), message: expect.stringContaining(path) },
    ]);
    expect(told[0]?.reason).not.toBe('');
  });
  it('the reason differs by its cause (SEC-041)', async () => {
    const reason = async (gateway: object, env = {}) => (await activate({ gateway }, { env })).diagnostics[0]?.reason;
    const reasons = await Promise.all([
      reason({ auth: { token: GOOD } }),
      reason({ auth: { token: GOOD } }, { Durar_GATEWAY_TOKEN: 'x' }),
      reason({ auth: { token: GOOD, mode: 'password' } }),
    ]);
    expect(new Set(reasons).size).toBe(3);
  });
  it('nothing is told of a plain text', async () => expect((await activate({ gateway: { auth: { token: 'plain' } } })).diagnostics).toEqual([]));
});

describe('a reference beside the text that it stands for', () => {
  it('wins, with a warning (SEC-125, SEC-129, SEC-131)', async () => {
    const { resolved, diagnostics } = await activate({ channels: { mail: { serviceAccount: 'plain', serviceAccountRef: GOOD } } });
    expect(resolved.channels.mail.serviceAccount).toBe('good-value');
    expect(diagnostics).toEqual([expect.objectContaining({ code: 'SECRETS_REF_OVERRIDES_PLAINTEXT', level: 'warn', path: 'channels.mail.serviceAccountRef' })]);
  });
  it('a text that is broken does not matter then (SEC-132)', async () => {
    const { resolved, errors } = await activate({ channels: { mail: { serviceAccount: '${NOT_SET}', serviceAccountRef: GOOD } } });
    expect(errors).toEqual([]);
    expect(resolved.channels.mail.serviceAccount).toBe('good-value');
  });
  it('alone it fills the field, without a warning; in an account as well (SEC-131)', async () => {
    const { resolved, diagnostics } = await activate({ channels: { mail: { accounts: { a: { serviceAccountRef: GOOD } } } } });
    expect(resolved.channels.mail.accounts.a.serviceAccount).toBe('good-value');
    expect(diagnostics).toEqual([]);
  });
});

describe('a sign-in by oauth', () => {
  it('takes no reference in the configuration (SEC-008)', async () => {
    const { errors } = await activate({ models: { providers: { p: { auth: 'oauth', apiKey: GOOD } } } });
    expect(errors.map(({ code }) => code)).toEqual(['DUR_SECRET_OAUTH']);
  });
  it.each([
    [{ type: 'oauth', refresh: GOOD }, {}],
    [{ type: 'api_key', keyRef: GOOD }, { p: { provider: 'x', mode: 'oauth' } }],
  ])('nor in its own file: %j (SEC-008, SEC-122)', async (profile, profiles) => {
    const document = { file: 'auth-profiles.json', value: { profiles: { p: profile } }, fields: { find: () => undefined, isChoice: () => false } };
    const { errors } = await activateSecrets({ config: { auth: { profiles } }, env: {}, source: async () => undefined, documents: [document] });
    expect(errors[0]).toMatchObject({ code: 'DUR_SECRET_OAUTH', owner: { file: 'auth-profiles.json' } });
  });
});

it('other files are resolved in the same calls (SEC-213)', async () => {
  const resolve = vi.fn<SecretsProvider['resolve']>(async ({ ids }) => ({ values: Object.fromEntries(ids.map((id) => [id, `v-${id}`])) }));
  const fields = {
    find: (path: readonly (string | number)[]) => (/^key(?:Ref)?$/.test(String(path.at(-1))) ? { takesRef: true, rules: [] } : undefined),
    isChoice: () => false,
  };
  const answer = await activateSecrets({
    config: { models: { providers: { p: { apiKey: ref('A') } } } },
    env: {},
    source: async () => ({ source: 'env', resolve }),
    documents: [{ file: 'auth-profiles.json', value: { profiles: { one: { type: 'api_key', keyRef: ref('B') } } }, fields }],
  });
  expect(resolve.mock.calls.map(([{ ids }]) => ids)).toEqual([['A', 'B']]);
  expect(answer.documents).toEqual([{ profiles: { one: { type: 'api_key', keyRef: 'v-B', key: 'v-B' } } }]);
});

it('every row of the surface takes a reference or says that it does not (SEC-120)', async () => {
  for (const row of createSecretFields(entries).surface()) {
    const path = row.segments.map((segment) => (segment === '*' ? 'x' : segment));
    expect(createSecretFields(entries).find(path)?.takesRef, row.id).toBe(row.takesRef);
  }
});
