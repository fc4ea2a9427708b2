import { expect, it } from 'vitest';
import { applyDefaults } from '../../config/defaults.ts';
import { resolvePaths } from '../../config/paths.ts';
import type { GatewayFlags } from './boot-report.ts';
import { resolveGatewaySettings } from './gateway-settings.ts';

const paths = resolvePaths({ env: { Durar_HOME: '/nowhere' } });
const settings = (gateway: object, flags: GatewayFlags = {}, env: Record<string, string> = {}) =>
  resolveGatewaySettings({ config: applyDefaults({ gateway: { auth: { token: 'from-config' }, ...gateway } }), env, flags, paths });

it.each<[string, GatewayFlags, Record<string, string>, object, number]>([
  ['--port first (GW-053)', { port: 1 }, { Durar_GATEWAY_PORT: '2' }, { port: 3 }, 1],
  ['then Durar_GATEWAY_PORT (GW-054)', {}, { Durar_GATEWAY_PORT: '2' }, { port: 3 }, 2],
  ['then gateway.port (GW-055)', {}, {}, { port: 3 }, 3],
  ['then gateway.port, where the variable is empty or no port (GW-055)', {}, { Durar_GATEWAY_PORT: ' ' }, { port: 3 }, 3],
  ['then 18789 (GW-056)', {}, {}, {}, 18_789],
])('the port is taken from %s', async (_name, flags, env, gateway, port) => {
  expect((await settings(gateway, flags, env)).port).toBe(port);
});

it.each<[string, GatewayFlags, object, string]>([
  ['the flag first (GW-057, AMB-053)', { bind: 'lan' }, { bind: 'custom', customBindHost: '192.0.2.1' }, '0.0.0.0'],
  ['then gateway.bind (GW-058)', {}, { bind: 'custom', customBindHost: '192.0.2.1' }, '192.0.2.1'],
  ['then loopback (GW-059)', {}, {}, '127.0.0.1'],
])('the address is taken from %s', async (_name, flags, gateway, host) => {
  expect((await settings(gateway, flags)).host).toBe(host);
});

it.each<[string, GatewayFlags, Record<string, string>, object, object]>([
  ['the flag', { token: 'flag' }, { Durar_GATEWAY_TOKEN: 'env' }, {}, { mode: 'token', token: 'flag' }],
  ['then Durar_GATEWAY_TOKEN (GW-032)', {}, { Durar_GATEWAY_TOKEN: 'env' }, {}, { mode: 'token', token: 'env' }],
  ['then gateway.auth.token (GW-030)', {}, {}, {}, { mode: 'token', token: 'from-config' }],
  ['gateway.auth.password (GW-031)', {}, {}, { auth: { password: 'secret' } }, { mode: 'password', password: 'secret' }],
  ['Durar_GATEWAY_PASSWORD (GW-033)', {}, { Durar_GATEWAY_PASSWORD: 'env' }, { auth: { password: 'secret' } }, { mode: 'password', password: 'env' }],
])('the secret of clients is taken from %s', async (_name, flags, env, gateway, auth) => {
  expect((await settings(gateway, flags, env)).auth).toMatchObject(auth);
});
