import { describe, expect, it } from 'vitest';
import { evaluateActivity } from '../config/active-rule.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { createSecretFields } from './fields.ts';

const secret = { type: 'string', sensitive: true };
const entry = (id: string, manifest: object) =>
  [id, { id, manifest: { id, configSchema: { type: 'object' }, ...manifest } } as unknown as CatalogEntry] as const;
const fields = createSecretFields(
  new Map([
    entry('dotted.id', {
      legacyPluginIds: ['former'],
      uiHints: { 'deep.pin': { sensitive: true } },
      configSchema: {
        type: 'object',
        properties: {
          list: { type: 'array', items: { type: 'object', properties: { code: secret } } },
          map: { additionalProperties: secret },
          choice: { anyOf: [{ type: 'string' }, { type: 'object', properties: { source: {}, provider: {}, id: {} } }] },
          odd: { ...secret, 'x-active': [{ when: { nonsense: 1 }, active: false, because: 'x' }] },
          ruled: { 'x-active': [{ when: { not: { path: '.on' } }, active: false, because: 'it is not on' }], properties: { code: secret } },
        },
      },
    }),
    entry('mail', {
      channelConfigs: { post: { schema: { properties: { pin: secret, accounts: { additionalProperties: { properties: { own: secret } } } } } } },
    }),
  ]),
);
const config = (...path: Array<string | number>) => ['plugins', 'entries', 'dotted.id', 'config', ...path];

describe('fields that manifests mark', () => {
  it.each([
    ['a hint', config('deep', 'pin'), true],
    ['an item of a list', config('list', 3, 'code'), true],
    ['a value of a map', config('map', 'any'), true],
    ['a schema that offers a reference', config('choice'), true],
    ['a former id', ['plugins', 'entries', 'former', 'config', 'choice'], true],
    ['anything else', config('list', 3, 'name'), false],
    ['another extension', ['plugins', 'entries', 'other', 'config', 'choice'], false],
    ['a channel', ['channels', 'post', 'pin'], true],
    ['its accounts take the same', ['channels', 'post', 'accounts', 'a', 'pin'], true],
    ['an account has its own', ['channels', 'post', 'accounts', 'a', 'own'], true],
    ['which the channel has not', ['channels', 'post', 'own'], false],
    ['another channel', ['channels', 'other', 'pin'], false],
  ])('%s: %j is %s', (_, path, expected) => {
    expect(fields.isMarked(path)).toBe(expected);
    expect(fields.find(path)?.takesRef === true).toBe(expected);
  });

  it('a rule above a field counts for it, with paths below its block', () => {
    const path = config('ruled', 'code');
    const state = (block: object) =>
      evaluateActivity(fields.find(path)?.rules ?? [], path, {
        config: { plugins: { entries: { 'dotted.id': { config: block } } } },
        env: {},
        isServed: () => true,
      }).state;
    expect([state({ ruled: { code: 'x' } }), state({ on: true, ruled: { code: 'x' } })]).toEqual(['inactive', 'active']);
  });

  it('rules that cannot be read do not count, so that nothing is passed over', () => {
    const path = config('odd');
    expect(evaluateActivity(fields.find(path)?.rules ?? [], path, { config: {}, env: {}, isServed: () => true }).state).toBe('active');
  });
});

it('the surface has a row for each, with owner and shape (SEC-120)', () => {
  const rows = new Map(fields.surface().map(({ id, owner, shape, takesRef }) => [id, [owner, shape, takesRef]]));
  expect(rows.get('plugins.entries.dotted.id.config.list.*.code')).toEqual(['dotted.id', 'list', true]);
  expect(rows.get('plugins.entries.dotted.id.config.map.*')).toEqual(['dotted.id', 'map', true]);
  expect(rows.get('channels.post.accounts.*.pin')).toEqual(['mail', 'map', true]);
  expect(rows.get('gateway.auth.token')).toEqual(['host', 'value', true]);
  expect(rows.get('agents.list.*.sandbox.ssh.identityData')).toEqual(['host', 'list', true]);
  expect(rows.get('hooks.token')).toEqual(['host', 'value', false]);
});
