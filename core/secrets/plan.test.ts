import { describe, expect, it } from 'vitest';
import { createSecretFields } from './fields.ts';
import { parsePlan, printPlan, targetType, usesExec } from './plan.ts';

const fields = createSecretFields();
const ref = { source: 'env', provider: 'default', id: 'OPENAI_API_KEY' };
const key = { type: 'models.providers.*.apiKey', path: 'models.providers.openai.apiKey', ref };
const profile = { type: 'auth-profiles.api_key.key', path: 'profiles.openai:default.key', agentId: 'main', ref };
const parse = (plan: object | string) => parsePlan(typeof plan === 'string' ? plan : JSON.stringify(plan), fields);
const withTargets = (...targets: unknown[]) => parse({ version: 1, protocolVersion: 1, targets });
const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code} ${message}`;
  }
  return 'accepted';
};

describe('a plan', () => {
  it('is read as it was printed (SEC-200, SEC-206)', () => {
    const plan = parse({
      version: 1,
      protocolVersion: 1,
      targets: [key, profile],
      providerUpserts: { keys: { source: 'file', path: '~/s' } },
      providerDeletes: ['old'],
    });
    expect(plan.options).toEqual({ scrubEnv: true, scrubAuthProfilesForProviderTargets: true, scrubLegacyAuthJson: true });
    expect(plan.targets.map(({ path }) => path)).toEqual([
      ['models', 'providers', 'openai', 'apiKey'],
      ['profiles', 'openai:default', 'key'],
    ]);
    expect(parse(printPlan(plan))).toEqual(plan);
  });

  it('takes the names of types without the stars, numbers in either form, and names with dots by their segments (SEC-206)', () => {
    expect(withTargets({ ...key, type: 'models.providers.apiKey', providerId: 'openai' }).targets).toHaveLength(1);
    const dotted = { ...key, path: 'models.providers.my.vendor.apiKey', pathSegments: ['models', 'providers', 'my.vendor', 'apiKey'], providerId: 'my.vendor' };
    expect(withTargets(dotted).targets[0]?.path).toEqual(dotted.pathSegments);
    for (const path of ['agents.list.0.sandbox.ssh.identityData', 'agents.list[0].sandbox.ssh.identityData']) {
      expect(withTargets({ type: 'agents.list.*.sandbox.ssh.identityData', path, ref }).targets[0]?.path[2]).toBe(0);
    }
  });

  it.each([
    ['__proto__', { ...key, path: 'models.providers.__proto__.apiKey' }],
    ['prototype', { ...key, path: 'models.providers.prototype.apiKey' }],
    ['constructor', { ...key, pathSegments: ['models', 'providers', 'constructor', 'apiKey'], path: 'models.providers.constructor.apiKey' }],
    ['an empty name', { ...key, path: 'models.providers..apiKey' }],
    ['a path that goes on', { ...key, path: 'models.providers.openai.apiKey.more' }],
    ['a path that ends before', { ...key, path: 'models.providers.openai' }],
    ['a path of another type', { ...key, path: 'gateway.auth.token' }],
    ['segments of another path', { ...key, pathSegments: ['models', 'providers', 'other', 'apiKey'] }],
    ['segments that are no texts', { ...key, pathSegments: ['models', 'providers', 1, 'apiKey'] }],
    ['another provider', { ...key, providerId: 'other' }],
    ['an account where there is none', { ...key, accountId: 'main' }],
    ['a field that takes no reference', { type: 'hooks.token', path: 'hooks.token', ref }],
    ['a credential that is renewed', { ...profile, path: 'profiles.codex.refresh' }],
    ['the token of a key', { ...profile, path: 'profiles.openai:default.token' }],
  ])('is refused for %s in the words of the contract (SEC-122, SEC-206)', (_name, target) => {
    expect(codeOf(() => withTargets(target))).toBe(`DUR_SECRETS_PLAN_TARGET Invalid plan target path for ${target.type}: ${target.path}`);
  });

  it.each([
    ['an unknown type', { ...key, type: 'models.providers.*.baseUrl', path: 'models.providers.openai.baseUrl' }],
    ['an unknown key', { ...key, file: '/etc/passwd' }],
    ['no reference', { ...key, ref: undefined }],
    ['a text for a reference', { ...key, ref: 'sk-1' }],
    ['a reference with a bad id', { ...key, ref: { ...ref, id: 'bad-name' } }],
    ['a reference that goes up', { ...key, ref: { source: 'exec', provider: 'vault', id: 'a/../b' } }],
    ['no agent', { ...profile, agentId: undefined }],
    ['an agent that is a path', { ...profile, agentId: '../../etc' }],
    ['an agent where none belongs', { ...key, agentId: 'main' }],
    ['a profile provider where none belongs', { ...key, authProfileProvider: 'openai' }],
    ['no object', 'models'],
  ])('is refused for a target with %s (SEC-206)', (_name, target) => {
    expect(codeOf(() => withTargets(target))).toMatch(/^DUR_SECRETS_PLAN the plan/);
  });

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['another version', { version: 2, protocolVersion: 1, targets: [] }],
    ['another protocol', { version: 1, targets: [] }],
    ['an unknown key', { version: 1, protocolVersion: 1, targets: [], files: ['/etc/passwd'] }],
    ['an unknown option', { version: 1, protocolVersion: 1, targets: [], options: { keepBackup: true } }],
    ['an option that is no switch', { version: 1, protocolVersion: 1, targets: [], options: { scrubEnv: 'no' } }],
    ['an alias that is a path', { version: 1, protocolVersion: 1, targets: [], providerUpserts: { '../x': { source: 'env' } } }],
    ['the alias __proto__', '{"version":1,"protocolVersion":1,"targets":[],"providerUpserts":{"__proto__":{"source":"env"}}}'],
    ['a provider without a source', { version: 1, protocolVersion: 1, targets: [], providerUpserts: { keys: {} } }],
    ['an alias set and removed', { version: 1, protocolVersion: 1, targets: [], providerUpserts: { a: { source: 'env' } }, providerDeletes: ['a'] }],
    ['a target twice', { version: 1, protocolVersion: 1, targets: [key, key] }],
  ])('is refused for %s (SEC-206)', (_name, plan) => {
    expect(codeOf(() => parse(plan))).toMatch(/^DUR_SECRETS_PLAN the plan/);
  });

  it('knows a field by its name where no schema names it, under the type other (SEC-206)', () => {
    const path = ['plugins', 'entries', 'acme', 'config', 'servers', 'git', 'apiKey'];
    expect(targetType(path, fields)).toBe('other');
    expect(withTargets({ type: 'other', path: path.join('.'), ref }).targets).toHaveLength(1);
    expect(codeOf(() => withTargets({ ...key, type: 'other' }))).toMatch(/^DUR_SECRETS_PLAN_TARGET/);
    expect(targetType(['gateway', 'port'], fields)).toBeUndefined();
  });

  it('tells whether a command would run (SEC-205)', () => {
    expect(usesExec(withTargets(key))).toBe(false);
    expect(usesExec(withTargets({ ...key, ref: { source: 'exec', provider: 'vault', id: 'x' } }))).toBe(true);
    expect(usesExec(parse({ version: 1, protocolVersion: 1, targets: [], providerUpserts: { vault: { source: 'exec' } } }))).toBe(true);
  });
});
