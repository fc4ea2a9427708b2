/** When the host's own secret fields are in use. Data for `x-active`; see `active-rule.ts` for the language. */
import type { ActiveRule, Condition } from '../active-rule.ts';

const off = (because: string, when: Condition): ActiveRule => ({ when, active: false, because });
const on = (because: string, when: Condition): ActiveRule => ({ when, active: true, because });

/** Counts for every field. */
export const EVERYWHERE = [off('it is switched off (enabled: false)', { switchedOff: true })];

export const CHANNEL = [
  off('no extension that is on serves the channel', { not: { served: 'channel', path: 'channels.*' } }),
  off('no enabled account inherits it', { not: { inheritedBy: 'channels.*.accounts' } }),
];

export const PLUGIN_ENTRY = [off('the extension is off', { not: { served: 'extension', path: 'plugins.entries.*' } })];

/** Of a tool that nobody may call. */
export const tool = (name: string, group: string) => [off(`tools.deny has ${name}`, { path: 'tools.deny', has: [name, `group:${group}`, '*'] })];

/** The key of one search provider. */
export const SEARCH_KEY = [off('tools.web.search.provider names another one', { not: { choice: 'tools.web.search.provider', name: 'tools.web.search.*' } })];

const usesSsh = (at: string): Condition => ({
  all: [
    { path: [`${at}.sandbox.backend`, 'agents.defaults.sandbox.backend'], is: 'ssh' },
    { path: [`${at}.sandbox.mode`, 'agents.defaults.sandbox.mode'], is: ['all', 'non-main'] },
  ],
});

/** What agents without a value of their own take. */
export const sshDefault = (key: string) => [
  on('an agent uses the ssh sandbox', {
    any: [
      { all: [{ not: { some: 'agents.list', where: { path: '@.id' } } }, usesSsh('agents.defaults')] },
      { some: 'agents.list', where: { all: [usesSsh('@'), { not: { path: `@.sandbox.ssh.${key}` } }] } },
    ],
  }),
  off('no agent that takes it uses the ssh sandbox', { all: [] }),
];

export const SSH_OF_AGENT = [off('the agent does not use the ssh sandbox', { not: usesSsh('agents.list.*') })];

type Kind = 'token' | 'password';
const ENV: Record<Kind, string> = { token: 'Durar_GATEWAY_TOKEN', password: 'Durar_GATEWAY_PASSWORD' };
const OTHER: Record<Kind, Kind> = { token: 'password', password: 'token' };
const MODE = 'gateway.auth.mode';

const envWins = (kind: Kind) => off(`${ENV[kind]} or --${kind} is set and wins`, { env: ENV[kind] });
const otherMode = (kind: Kind) => off(`gateway.auth.mode asks for no ${kind}`, { path: MODE, is: [OTHER[kind], 'none', 'trusted-proxy'] });

/** `gateway.auth.token` and `.password`, as the gateway chooses between them. */
export const AUTH: Record<Kind, ActiveRule[]> = {
  token: [envWins('token'), otherMode('token'), on('token authentication can win', { all: [] })],
  password: [
    envWins('password'),
    otherMode('password'),
    off('token authentication wins', { all: [{ not: { path: MODE } }, { env: ENV.token }] }),
    on('password authentication can win', { all: [] }),
  ],
};

/** What is configured that makes the other kind win where the mode is not set. */
const WINNERS: Record<Kind, Condition[]> = {
  token: [{ env: ENV.password }, { path: 'gateway.auth.password' }],
  password: [{ env: ENV.token }, { path: ['gateway.auth.token', 'gateway.remote.token'] }],
};

/** `gateway.remote.token` and `.password`. */
export const remote = (kind: Kind): ActiveRule[] => [
  on('gateway.mode is remote', { path: 'gateway.mode', is: 'remote' }),
  on('gateway.remote.url is configured', { path: 'gateway.remote.url' }),
  on('gateway.tailscale.mode opens the gateway to others', { path: 'gateway.tailscale.mode', is: ['serve', 'funnel'] }),
  envWins(kind),
  off(`gateway.auth.${kind} is configured and wins`, { path: `gateway.auth.${kind}` }),
  otherMode(kind),
  off(`${OTHER[kind]} authentication wins`, { all: [{ not: { path: MODE } }, { any: WINNERS[kind] }] }),
  on(`${kind} authentication can win and no other ${kind} is configured`, { all: [] }),
];
