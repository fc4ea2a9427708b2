// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax under test
import { describe, expect, it, vi } from 'vitest';
import type { SecretsProvider } from '../../sdk/index.ts';
import { activateSecrets } from './activate.ts';
import { isSecretRef, refProblem } from './ref.ts';

const env = { OPENAI_API_KEY: 'sk-one', SECOND_KEY: 'sk-two' };

function setup(more: Record<string, SecretsProvider> = {}) {
  const resolve = vi.fn<SecretsProvider['resolve']>(async ({ ids, env: given = {} }) => ({
    values: Object.fromEntries(ids.filter((id) => given[id] !== undefined).map((id) => [id, given[id]])),
    errors: Object.fromEntries(ids.filter((id) => given[id] === undefined).map((id) => [id, `${id} is not set`])),
  }));
  const sources: Record<string, SecretsProvider> = { env: { source: 'env', resolve }, ...more };
  const source = vi.fn(async (name: string) => sources[name]);
  return { resolve, source, activate: <C extends object>(config: C) => activateSecrets({ config, source, env }) };
}

const ref = (id: string, provider = 'default', source = 'env') => ({ source, provider, id });
/** Fields that take a reference, by name. */
const keys = (values: Record<string, unknown>) => ({
  models: { providers: Object.fromEntries(Object.entries(values).map(([name, apiKey]) => [name, { apiKey }])) },
});

describe('a configuration without references', () => {
  it('comes back as the same object, and no source is loaded', async () => {
    const { activate, source } = setup();
    const config = { gateway: { port: 1 }, agents: { list: [{ id: 'main', name: '${NOT_A_SECRET}' }] } };
    expect(await activate(config)).toEqual({ resolved: config, documents: [], values: [], errors: [], diagnostics: [] });
    expect((await activate(config)).resolved).toBe(config);
    expect(source).not.toHaveBeenCalled();
  });

  it('still gets its escaped templates in their plain form', async () => {
    const { activate, source } = setup();
    const { resolved } = await activate({ models: { providers: { a: { apiKey: '$${LITERAL}' } } } });
    expect(resolved.models.providers.a.apiKey).toBe('${LITERAL}');
    expect(source).not.toHaveBeenCalled();
  });

  it('tells which plain texts the logs must mask', async () => {
    const { activate } = setup();
    const { values } = await activate({ models: { providers: { local: { apiKey: 'sk-plain-text', baseUrl: 'http://127.0.0.1/v1' } } } });
    expect(values).toEqual(['sk-plain-text']);
  });
});

describe('references and templates', () => {
  it('are replaced in a copy; what holds none is shared (CARD-013, SEC-001, SEC-002, SEC-003)', async () => {
    const { activate, source } = setup();
    const config = Object.freeze({
      models: { providers: { openai: { apiKey: ref('OPENAI_API_KEY') }, local: { apiKey: 'sk-plain' } } },
      plugins: { entries: { search: { config: { list: [{ deepToken: ref('SECOND_KEY') }] } } } },
      gateway: { port: 1 },
    });
    const before = structuredClone(config);
    const { resolved, values, errors } = await activate(config);
    expect(errors).toEqual([]);
    expect(resolved.models.providers).toEqual({ openai: { apiKey: 'sk-one' }, local: { apiKey: 'sk-plain' } });
    expect(resolved.plugins.entries.search.config.list).toEqual([{ deepToken: 'sk-two' }]);
    expect(resolved.gateway).toBe(config.gateway);
    expect(resolved.models.providers.local).toBe(config.models.providers.local);
    expect(config).toEqual(before);
    expect(values.sort()).toEqual(['sk-one', 'sk-plain', 'sk-two']);
    expect(source).toHaveBeenCalledTimes(1);
  });

  it('templates count in secret-marked fields only, whole and as a part, and $${...} is a literal (SEC-109)', async () => {
    const { activate } = setup();
    const config = {
      models: { providers: { a: { apiKey: '${OPENAI_API_KEY}', headers: { 'X-Both': 'Bearer ${OPENAI_API_KEY}:${SECOND_KEY} $${LITERAL}' } } } },
      agents: { defaults: { model: '${OPENAI_API_KEY}' } },
    };
    const { resolved, values } = await activate(config);
    expect(resolved.models.providers.a.apiKey).toBe('sk-one');
    expect(resolved.models.providers.a.headers['X-Both']).toBe('Bearer sk-one:sk-two ${LITERAL}');
    expect(resolved.agents).toBe(config.agents);
    expect(values).toContain('Bearer sk-one:sk-two ${LITERAL}');
  });

  it('templates use secrets.defaults.env (SEC-067)', async () => {
    const { activate, resolve } = setup();
    const config = {
      secrets: { providers: { mine: { source: 'env', allowlist: ['SECOND_KEY'] } }, defaults: { env: 'mine' } },
      ...keys({ a: '${SECOND_KEY}' }),
    };
    const { resolved } = await activate(config);
    expect(resolved.models.providers.a?.apiKey).toBe('sk-two');
    expect(resolve.mock.calls.map(([{ signal: _signal, ...call }]) => call)).toEqual([
      { provider: 'mine', config: config.secrets.providers.mine, ids: ['SECOND_KEY'], env },
    ]);
  });

  it('all ids of an alias are asked for in one call, each once', async () => {
    const { activate, resolve } = setup();
    await activate(keys({ a: ref('OPENAI_API_KEY'), b: ref('OPENAI_API_KEY'), c: ref('SECOND_KEY') }));
    expect(resolve.mock.calls.map(([{ ids }]) => ids)).toEqual([['OPENAI_API_KEY', 'SECOND_KEY']]);
  });

  it('what is switched off stays as it is, and the settings of sources are theirs', async () => {
    const { activate, source } = setup();
    const config = {
      channels: { telegram: { enabled: false, token: ref('NOT_SET') } },
      secrets: { providers: { odd: { source: 'custom', token: ref('NOT_SET') } } },
    };
    expect((await activate(config)).resolved).toBe(config);
    expect(source).not.toHaveBeenCalled();
  });

  it('a source of an installed extension serves its own refs (CARD-013)', async () => {
    const vault: SecretsProvider = { source: 'vault', resolve: async ({ ids }) => ({ values: Object.fromEntries(ids.map((id) => [id, `v:${id}`])) }) };
    const { activate } = setup({ vault });
    const { resolved } = await activate({ ...keys({ a: ref('any id', 'main', 'vault') }), secrets: { providers: { main: { source: 'vault' } } } });
    expect(resolved.models.providers.a?.apiKey).toBe('v:any id');
  });
});

describe('failures', () => {
  it('are all reported at once, with their places, and nothing is applied (SEC-062, SEC-066, SEC-072, CARD-020)', async () => {
    const broken: SecretsProvider = { source: 'broken', resolve: () => Promise.reject(new Error('the vault is sealed')) };
    const odd: SecretsProvider = { source: 'odd', resolve: async () => ({ values: { number: 5, empty: '' } }) };
    const { activate } = setup({ broken, odd });
    const config = {
      ...keys({
        good: ref('OPENAI_API_KEY'),
        template: '${NOT_SET}',
        missing: ref('ALSO_NOT_SET'),
        alias: ref('OPENAI_API_KEY', 'nowhere'),
        mixed: ref('OPENAI_API_KEY', 'sealed'),
        form: ref('lower_case'),
        sealed: ref('x', 'sealed', 'broken'),
        unserved: ref('x', 'gone', 'gone'),
        number: ref('number', 'odd', 'odd'),
        empty: ref('empty', 'odd', 'odd'),
        absent: ref('absent', 'odd', 'odd'),
      }),
      secrets: { providers: { sealed: { source: 'broken' }, gone: { source: 'gone' }, odd: { source: 'odd' } } },
    };
    const { resolved, values, errors } = await activate(config);
    expect(resolved).toBe(config);
    expect(values).toEqual([]);
    expect(errors.map(({ code, owner, message }) => [code, owner.pointer, message])).toEqual([
      [
        'DUR_SECRET_UNRESOLVED',
        '/models/providers/template/apiKey',
        expect.stringContaining("'models.providers.template.apiKey' cannot be resolved: NOT_SET is not set (provider 'default')"),
      ],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/missing/apiKey', expect.stringContaining('ALSO_NOT_SET is not set')],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/alias/apiKey', expect.stringContaining('secrets.providers.nowhere is not configured')],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/mixed/apiKey', expect.stringContaining("has the source 'broken', not 'env'")],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/form/apiKey', expect.stringContaining('the name of an environment variable')],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/sealed/apiKey', expect.stringContaining('the vault is sealed')],
      ['DUR_SECRET_SOURCE', '/models/providers/unserved/apiKey', expect.stringContaining("'gone'")],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/number/apiKey', expect.stringContaining('not a text')],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/empty/apiKey', expect.stringContaining('not a text')],
      ['DUR_SECRET_UNRESOLVED', '/models/providers/absent/apiKey', expect.stringContaining('no value')],
    ]);
    expect(JSON.stringify(errors)).not.toContain('sk-one');
  });

  it('a reference at a field that takes none is refused, whatever it names (SEC-121)', async () => {
    const { activate, source } = setup();
    const { errors } = await activate({
      hooks: { enabled: true, token: ref('OPENAI_API_KEY') },
      bindings: [{ note: ref('x', 'v', 'vault') }],
      secrets: { providers: { v: { source: 'vault' } } },
    });
    expect(errors.map(({ code, owner }) => [code, owner.pointer])).toEqual([
      ['DUR_SECRET_UNSUPPORTED', '/hooks/token'],
      ['DUR_SECRET_UNSUPPORTED', '/bindings/0/note'],
    ]);
    expect(source).not.toHaveBeenCalled();
  });

  it.each([[{ source: 'env', id: 'OPENAI_API_KEY' }], [{ ...ref('OPENAI_API_KEY'), extra: 1 }], [{ source: 'env', provider: 'default', id: 5 }]])(
    'a secret field with %j is refused (SEC-050)',
    async (value) => {
      const { errors } = await setup().activate({ channels: { c: { token: value } } });
      expect(errors).toMatchObject([
        { code: 'DUR_SECRET_UNRESOLVED', owner: { pointer: '/channels/c/token' }, message: expect.stringContaining('keys source, provider and id') },
      ]);
      expect((await setup().activate({ channels: { c: { enabled: false, token: value } } })).errors).toEqual([]);
    },
  );

  it('an object that only looks like a reference stays', async () => {
    const config = { talk: { origin: { source: 'git', provider: 'hub', id: 'x' } } };
    expect(await setup().activate(config)).toMatchObject({ resolved: config, errors: [] });
  });

  it('a value in the reason of a source is masked (SEC-100)', async () => {
    const leaky: SecretsProvider = { source: 'leaky', resolve: async () => ({ values: { a: 'hush-hush' }, errors: { b: 'after hush-hush came nothing' } }) };
    const { activate } = setup({ leaky });
    const { errors } = await activate({
      ...keys({ a: ref('a', 'l', 'leaky'), b: ref('b', 'l', 'leaky') }),
      secrets: { providers: { l: { source: 'leaky' } } },
    });
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('after *** came nothing')]);
  });

  it('a source whose extension fails to load fails its refs with that reason', async () => {
    const { errors } = await activateSecrets({ config: keys({ a: ref('OPENAI_API_KEY') }), env, source: () => Promise.reject(new Error('import failed')) });
    expect(errors).toMatchObject([{ code: 'DUR_SECRET_UNRESOLVED', message: expect.stringContaining('import failed') }]);
  });
});

describe('the form of a reference', () => {
  it.each([
    [ref('A'), true],
    [{ ...ref('A'), extra: 1 }, false],
    [{ source: 'env', id: 'A' }, false],
    [{ source: 'env', provider: 'default', id: 1 }, false],
    ['text', false],
    [null, false],
  ])('%j is one: %s (SEC-050)', (value, expected) => {
    expect(isSecretRef(value)).toBe(expected);
  });

  it.each([
    [ref('A', `a${'b'.repeat(63)}`), true],
    [ref('A', `a${'b'.repeat(64)}`), false],
    [ref('A', 'Upper'), false],
    [ref('A'.repeat(128)), true],
    [ref('A'.repeat(129)), false],
    [ref('lower'), false],
    [ref('Durar_GATEWAY_TOKEN'), true],
    [ref('/a/b~1c~0d', 'f', 'file'), true],
    [ref('value', 'f', 'file'), true],
    [ref('a/b', 'f', 'file'), false],
    [ref('/a~2', 'f', 'file'), false],
    [ref('a/b.c:d-e', 'x', 'exec'), true],
    [ref('a..b', 'x', 'exec'), true],
    [ref('a/../b', 'x', 'exec'), false],
    [ref('a/./b', 'x', 'exec'), false],
    [ref('a'.repeat(256), 'x', 'exec'), true],
    [ref('a'.repeat(257), 'x', 'exec'), false],
    [ref('', 'x', 'vault'), false],
    [ref('anything at all', 'x', 'vault'), true],
  ])('%j is right: %s (SEC-053, SEC-055, SEC-056, SEC-057, SEC-058, SEC-060, SEC-061)', (value, expected) => {
    expect(refProblem(value) === undefined).toBe(expected);
  });

  it.each([
    ['env', 'A'],
    ['file', '/a'],
    ['exec', 'a'],
  ])('the alias of %s is a short lower-case name (SEC-052, SEC-054, SEC-059)', (source, id) => {
    const right = (provider: string) => refProblem(ref(id, provider, source)) === undefined;
    expect(['a', 'a-b_9', `a${'b'.repeat(63)}`].filter((provider) => !right(provider))).toEqual([]);
    expect(['', 'A', '9a', 'a.b', `a${'b'.repeat(64)}`].filter(right)).toEqual([]);
  });

  it('a source that nothing serves fails, with its name (SEC-051)', async () => {
    const { errors } = await setup().activate({ ...keys({ a: ref('A', 'v', 'vault') }), secrets: { providers: { v: { source: 'vault' } } } });
    expect(errors).toMatchObject([{ code: 'DUR_SECRET_SOURCE', message: expect.stringContaining('vault') }]);
  });
});
