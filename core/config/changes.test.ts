// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${VAR} is the syntax of the file
import { expect, it } from 'vitest';
import { diffConfig, holdRestartKeys, reloadClass } from './changes.ts';
import { applyDefaults } from './defaults.ts';
import { restoreTemplates } from './env.ts';

it('diffConfig names each changed key and what it needs', () => {
  const before = applyDefaults({ plugins: { entries: { a: { enabled: true } } }, agents: { list: [{ id: 'a' }] } });
  const after = applyDefaults({
    gateway: { port: 5, reload: { mode: 'hot' } },
    plugins: { slots: { contextEngine: 'x' } },
    agents: { list: [{ id: 'b' }] },
    meta: { lastTouchedVersion: '1' },
  });
  expect(
    diffConfig(before, after)
      .map(({ path, reload }) => [path, reload])
      .toSorted(),
  ).toEqual([
    ['agents.list', 'live'],
    ['gateway.port', 'restart'],
    ['gateway.reload.mode', 'none'],
    ['meta', 'none'],
    ['plugins.entries.a', 'live'],
    ['plugins.slots.contextEngine', 'live'],
  ]);
  expect(diffConfig(before, structuredClone(before))).toEqual([]);
});

it.each([
  ['gateway.bind', 'restart'],
  ['gateway.tls.certPath', 'restart'],
  ['gateway.auth.token', 'live'],
  ['gateway.remote.url', 'none'],
  ['plugins.enabled', 'live'],
  ['secrets.providers.x.source', 'live'],
  ['channels.telegram.botToken', 'live'],
])('%s is %s: only the listener restarts (AMB-050)', (path, expected) => expect(reloadClass(path.split('.'))).toBe(expected));

it('holdRestartKeys keeps what only a restart changes, and takes over the rest (GW-061)', () => {
  const live = applyDefaults({ gateway: { port: 5, tls: { certPath: 'a' } } });
  const next = applyDefaults({
    gateway: { port: 6, bind: 'custom', customBindHost: '10.0.0.1', tls: { keyPath: 'b' }, trustedProxies: ['x'] },
    ui: { seamColor: 'red' },
  });
  const { config, held } = holdRestartKeys(live, next);
  expect(held.toSorted()).toEqual(['gateway.bind', 'gateway.customBindHost', 'gateway.port', 'gateway.tls.certPath', 'gateway.tls.keyPath']);
  expect(config.gateway).toEqual({ ...live.gateway, trustedProxies: ['x'] });
  expect(config.ui).toEqual({ seamColor: 'red' });
  expect(holdRestartKeys(live, live).config).toBe(live);
});

it('restoreTemplates puts back the template of what a client did not change', () => {
  const source = { a: '${X}', b: ['${Y}', 'z'], c: { d: 'pre-${X}' } };
  const resolved = { a: 'x', b: ['y', 'z'], c: { d: 'pre-x' } };
  expect(restoreTemplates({ a: 'x', b: ['y', 'new'], c: { d: 'other' }, e: 'x' }, source, resolved)).toEqual({
    a: '${X}',
    b: ['${Y}', 'new'],
    c: { d: 'other' },
    e: 'x',
  });
});
