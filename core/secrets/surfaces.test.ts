// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax under test
import { describe, expect, it, vi } from 'vitest';
import type { SecretsProvider } from '../../sdk/index.ts';
import { BROKEN, GOOD, MANIFESTS, ref, SURFACE_CASES, VARIABLES } from '../../test/secret-surfaces.ts';
import { applyDefaults } from '../config/defaults.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { activateSecrets, createSecretFields, type SecretDiagnostic } from './activate.ts';

const entries = new Map(MANIFESTS.map((manifest) => [manifest.id, { id: manifest.id, manifest } as unknown as CatalogEntry]));

async function activate(config: Record<string, unknown>, { env = {}, off = [] as string[] }: { env?: Record<string, string>; off?: string[] } = {}) {
  const all = { ...VARIABLES, ...env };
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

describe('a reference that does not resolve', () => {
  for (const { what, config, ignored: expected, env = {}, off = [] } of SURFACE_CASES) {
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
