// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax under test
/** When a reference is in use: one configuration a case, for the activation alone and for a whole gateway. */

export const ref = (id: string) => ({ source: 'env', provider: 'default', id });
/** Its variable is not set. */
export const BROKEN = ref('NOT_SET');
export const GOOD = ref('GOOD');
export const VARIABLES = { GOOD: 'good-value', OTHER: 'other-value' };

/** An extension that serves the channel `mail`, and one with a search key of its own. */
export const MANIFESTS = [
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
];

export interface SurfaceCase {
  what: string;
  config: Record<string, unknown>;
  /** The places that are ignored; none: the broken reference stops the activation. */
  ignored?: string[];
  env?: Record<string, string>;
  off?: string[];
}

const ssh = (more: object = {}) => ({ ssh: { identityData: BROKEN }, ...more });
const remote = (key: 'token' | 'password', gateway: object = {}) => ({ gateway: { remote: { [key]: BROKEN }, ...gateway } });

export const SURFACE_CASES: SurfaceCase[] = [
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
  ...(['token', 'password'] as const).flatMap((key): SurfaceCase[] => {
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
      { what: `remote.${key} in the mode ${other} (${id})`, config: remote(key, { auth: { mode: other, [other]: 'x' } }), ignored: place },
      { what: `remote.${key} when ${other} wins (${id})`, config: remote(key, { auth: { [other]: 'x' } }), ignored: place },
      { what: `auth.${key} (SEC-038)`, config: { gateway: { auth: { [key]: BROKEN } } } },
      {
        what: `auth.${key} beside the variable (SEC-033, SEC-039)`,
        config: { gateway: { auth: { [key]: BROKEN } } },
        env: { [name]: 'x' },
        ignored: [`gateway.auth.${key}`],
      },
      {
        what: `auth.${key} in the mode ${other} (SEC-039)`,
        config: { gateway: { auth: { [key]: BROKEN, mode: other, [other]: 'x' } } },
        ignored: [`gateway.auth.${key}`],
      },
    ];
  }),
];
