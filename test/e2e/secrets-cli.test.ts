import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AppliedPlan } from '../../core/cli/secrets/secret-apply.ts';
import { parseText } from '../../core/config/parse.ts';
import type { AuditFinding, AuditReport } from '../../core/secrets/audit.ts';
import { MANIFESTS } from '../secret-surfaces.ts';
import { createMachine, type Machine } from './gateway-process.ts';

/** Stands in every secret of these tests. */
const MARK = ['zqx', 'plain'].join('-');
const secret = (name: string) => `${MARK}-${name}-4f81c2`;

let machine: Machine;
/** Everything that a command printed. */
let printed: string[];

beforeEach(async () => {
  machine = await createMachine();
  printed = [];
});
afterEach(async () => {
  expect(printed.join('\n')).not.toContain(MARK);
  await machine.remove();
});

async function run(...args: string[]) {
  const result = await machine.cli(args);
  printed.push(result.stdout, result.stderr);
  return result;
}
const audit = async (...flags: string[]) => (await run('secrets', 'audit', '--json', ...flags)).json<AuditReport & Record<string, unknown>>();
const place = ({ code, jsonPath, file }: AuditFinding) => `${code} ${file.slice(machine.stateDir.length + 1)} ${jsonPath}`;
const places = ({ findings }: AuditReport) => findings.filter(({ severity }) => severity !== 'info').map(place);

async function put(name: string, content: object | string, mode = 0o600): Promise<string> {
  const file = join(machine.stateDir, name);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  await chmod(file, mode);
  return file;
}
const read = (name: string) => readFile(join(machine.stateDir, name), 'utf8');
const config = async () => (await parseText(await readFile(machine.configFile, 'utf8'), '')) as Record<string, unknown>;
const putPlan = (plan: object) => put('../plan.json', { version: 1, protocolVersion: 1, ...plan });
const apply = (...flags: string[]) => run('secrets', 'apply', '--from', join(machine.home, 'plan.json'), '--json', ...flags);

const openai = (apiKey: unknown, more: object = {}) => ({
  baseUrl: 'http://127.0.0.1:9/v1',
  api: 'openai-completions',
  apiKey,
  models: [{ id: 'm', contextWindow: 32_000 }],
  ...more,
});
const models = (apiKey: unknown, more: object = {}) => ({ models: { providers: { openai: openai(apiKey) } }, gateway: { mode: 'local' }, ...more });
const profiles = (entries: object) => ({ version: 1, profiles: entries });
const fileRef = (id: string) => ({ source: 'file', provider: 'keys', id });
const keys = { keys: { source: 'file', path: '~/.Durar/secrets.json' } };
const target = (ref: object, path = 'models.providers.openai.apiKey', type = 'models.providers.*.apiKey') => ({ type, path, ref });

/** Extensions with secret fields of their own. */
async function withExtensions(): Promise<object> {
  for (const manifest of MANIFESTS) {
    const folder = `../plugins/${manifest.id}`;
    await put(`${folder}/Durar.plugin.json`, manifest);
    await put(`${folder}/index.js`, `export default { id: '${manifest.id}', register() {} };`);
    await put(`${folder}/package.json`, '{ "type": "module" }');
  }
  const paths = MANIFESTS.map(({ id }) => join(machine.home, 'plugins', id));
  return { gateway: { mode: 'local' }, plugins: { load: { paths }, entries: { finder: { config: { code: secret('code') } } } } };
}

/** A command that counts its calls. */
async function putCounter(): Promise<{ block: object; calls(): Promise<number> }> {
  const log = join(machine.home, 'calls');
  const command = await put(
    '../counter',
    `#!/bin/bash\nread -r request\necho call >> '${log}'\necho '{"protocolVersion":1,"values":{"k":"${secret('exec')}"}}'\n`,
    0o700,
  );
  return {
    block: { source: 'exec', command, passEnv: ['PATH'] },
    calls: async () => (existsSync(log) ? (await readFile(log, 'utf8')).trim().split('\n').length : 0),
  };
}

/** Every file with the hash of its content. */
async function snapshot(): Promise<Record<string, string>> {
  const entries = await readdir(machine.stateDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, hash('sha256', await readFile(file))] as const)));
}

async function holders(text: string): Promise<string[]> {
  const entries = await readdir(machine.stateDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(files.map(async (file) => ((await readFile(file)).includes(text) ? [file.slice(machine.stateDir.length + 1)] : [])));
  return found.flat().sort();
}

describe('durar secrets audit', () => {
  it('is clean with references that resolve, and says so by its exit code (SEC-171)', async () => {
    await put('secrets.json', { openai: secret('file') });
    await machine.writeConfig(models(fileRef('/openai'), { secrets: { providers: keys } }));
    expect((await run('secrets', 'audit', '--check')).code).toBe(0);
    expect(await audit('--check')).toMatchObject({
      status: 'clean',
      resolution: { refsChecked: 1, skippedExecRefs: 0, resolvabilityComplete: true },
      summary: { plaintextCount: 0, unresolvedRefCount: 0, shadowedRefCount: 0, legacyResidueCount: 0 },
      findings: [],
    });
  });

  it('finds plain text in the configuration and what it includes, with file, place and owner, and exits with 1 only with --check (SEC-171, SEC-172, SEC-184)', async () => {
    await put('more.json5', `{ tools: { web: { search: { apiKey: '${secret('search')}' } } } }`);
    await machine.writeConfig({
      $include: './more.json5',
      ...models(secret('config')),
      hooks: { token: secret('hook') },
      skills: { entries: { weather: { env: { WEATHER_API_KEY: secret('env'), WEATHER_UNITS: 'metric' } } } },
    });
    const report = await audit();
    expect(places(report).sort()).toEqual([
      'PLAINTEXT_FOUND Durar.json hooks.token',
      'PLAINTEXT_FOUND Durar.json models.providers.openai.apiKey',
      'PLAINTEXT_FOUND Durar.json skills.entries.weather.env.WEATHER_API_KEY',
      'PLAINTEXT_FOUND more.json5 tools.web.search.apiKey',
    ]);
    expect(report).toMatchObject({ status: 'findings', summary: { plaintextCount: 4 } });
    expect(report.findings.every(({ owner, hint }) => owner === 'host' && hint !== '')).toBe(true);
    expect((await run('secrets', 'audit')).code).toBe(0);
    const told = await run('secrets', 'audit', '--check');
    expect(told.code).toBe(1);
    expect(told.stdout).toContain('models.providers.openai.apiKey');
    expect(told.stdout).toContain('4 in plain text');
  });

  it('finds what an extension marks, with the extension as its owner, and apply moves it; a reference beside takes the place of its text (SEC-120, SEC-131, SEC-132, SEC-172)', async () => {
    const account = { type: 'service_account', private_key: secret('account') };
    await machine.writeConfig({
      ...(await withExtensions()),
      channels: { mail: { pin: secret('pin'), serviceAccount: account, accounts: { one: { hook: { url: 'x', code: secret('hook') } } } } },
    });
    const report = await audit();
    expect(report.findings.map(({ jsonPath, owner }) => `${jsonPath} ${owner}`).sort()).toEqual([
      'channels.mail.accounts.one.hook.code mail',
      'channels.mail.pin mail',
      'channels.mail.serviceAccount mail',
      'plugins.entries.finder.config.code finder',
    ]);
    await put('secrets.json', { pin: secret('pin'), hook: secret('hook'), code: secret('code'), account: JSON.stringify(account) });
    await putPlan({
      providerUpserts: keys,
      targets: [
        { ...target(fileRef('/hook'), 'channels.mail.accounts.one.hook.code', 'channels.mail.accounts.*.hook.code'), accountId: 'one' },
        target(fileRef('/pin'), 'channels.mail.pin', 'channels.mail.pin'),
        target(fileRef('/account'), 'channels.mail.serviceAccountRef', 'channels.mail.serviceAccountRef'),
        target(fileRef('/code'), 'plugins.entries.finder.config.code', 'plugins.entries.finder.config.code'),
      ],
    });
    const applied = await apply();
    expect(applied.code, applied.stdout).toBe(0);
    expect((await config()).channels).toEqual({
      mail: { pin: fileRef('/pin'), serviceAccountRef: fileRef('/account'), accounts: { one: { hook: { url: 'x', code: fileRef('/hook') } } } },
    });
    expect((await run('secrets', 'audit', '--check')).code).toBe(0);
  });

  it('finds plain text in the stored credentials of every agent, with the profile, and reminds of sign-ins (SEC-173, SEC-180)', async () => {
    await put('agents/main/agent/auth-profiles.json', profiles({ 'openai:default': { type: 'api_key', provider: 'openai', key: secret('main') } }));
    await put(
      'agents/work/agent/auth-profiles.json',
      profiles({
        'acme:work': { type: 'token', provider: 'acme', token: secret('work') },
        codex: { type: 'oauth', provider: 'openai-codex', access: secret('access'), refresh: secret('refresh'), expires: 1 },
      }),
    );
    const report = await audit();
    expect(places(report)).toEqual([
      'PLAINTEXT_FOUND agents/main/agent/auth-profiles.json profiles.openai:default.key',
      'PLAINTEXT_FOUND agents/work/agent/auth-profiles.json profiles.acme:work.token',
    ]);
    expect(report.findings).toContainEqual(expect.objectContaining({ code: 'LEGACY_RESIDUE', severity: 'info', profileId: 'codex' }));
    expect(report.findings).toContainEqual(expect.objectContaining({ profileId: 'openai:default', provider: 'openai' }));
  });

  it('does not call a sign-in alone a finding (SEC-171, SEC-180)', async () => {
    await put(
      'agents/main/agent/auth-profiles.json',
      profiles({ codex: { type: 'oauth', provider: 'openai-codex', access: secret('a'), refresh: secret('r') } }),
    );
    await put('credentials/oauth.json', { codex: { refresh: secret('r') } });
    const report = await audit();
    expect(report.findings.map(({ code, severity }) => `${code} ${severity}`)).toEqual(['LEGACY_RESIDUE info', 'LEGACY_RESIDUE info']);
    expect((await run('secrets', 'audit', '--check')).code).toBe(0);
  });

  it('finds variables of .env by what providers declare and by their names (SEC-174)', async () => {
    await put('.env', `# a note\nOPENAI_API_KEY="${secret('env')}"\nexport GITHUB_TOKEN=${secret('github')}\nMAX_TOKENS=4096\nLANG=C\n`);
    expect(places(await audit())).toEqual(['PLAINTEXT_FOUND .env OPENAI_API_KEY', 'PLAINTEXT_FOUND .env GITHUB_TOKEN']);
  });

  it('finds keys and headers of generated catalogues, in any case and as part of a name, and passes markers (SEC-175, SEC-176, SEC-183)', async () => {
    const names = ['Authorization', 'X-API-Key', 'x-auth-TOKEN', 'client-secret', 'Proxy-Password', 'my-credentials'];
    await put('agents/main/agent/models.json', {
      providers: {
        acme: { apiKey: secret('key'), headers: { ...Object.fromEntries(names.map((name) => [name, secret(name.toLowerCase())])), 'X-Title': 'mine' } },
        marked: { apiKey: 'OPENAI_API_KEY', headers: { authorization: 'secretref-env:ACME', 'x-token': 'secretref-managed' } },
      },
    });
    const report = await audit();
    expect(report.findings.map(({ jsonPath }) => jsonPath)).toEqual(['providers.acme.apiKey', ...names.map((name) => `providers.acme.headers.${name}`)]);
  });

  it('finds references that do not resolve, wherever they stand, and exits with 2 (SEC-171, SEC-177)', async () => {
    await machine.writeConfig(models({ source: 'env', provider: 'default', id: 'NOT_SET_ANYWHERE' }, { agents: { list: [{ id: 'main' }] } }));
    await put('agents/main/agent/auth-profiles.json', profiles({ 'acme:x': { type: 'api_key', provider: 'acme', keyRef: fileRef('/none') } }));
    const report = await audit('--check');
    expect(report).toMatchObject({ status: 'unresolved', summary: { unresolvedRefCount: 2 } });
    expect(places(report)).toEqual([
      'REF_UNRESOLVED Durar.json models.providers.openai.apiKey',
      'REF_UNRESOLVED agents/main/agent/auth-profiles.json profiles.acme:x.keyRef',
    ]);
    expect((await run('secrets', 'audit', '--check')).code).toBe(2);
  });

  it('does not look up references that are out of use (SEC-123)', async () => {
    await machine.writeConfig({
      gateway: { mode: 'local' },
      skills: { entries: { off: { enabled: false, apiKey: { source: 'env', provider: 'default', id: 'NOT_SET' } } } },
    });
    expect(await audit()).toMatchObject({ status: 'clean', resolution: { refsChecked: 0 } });
  });

  it('finds a reference that a stored credential hides (SEC-130, SEC-178)', async () => {
    await put('secrets.json', { openai: secret('file') });
    await machine.writeConfig(models(fileRef('/openai'), { secrets: { providers: keys } }));
    await put('agents/main/agent/auth-profiles.json', profiles({ 'openai:old': { type: 'api_key', provider: 'openai', keyRef: fileRef('/openai') } }));
    const report = await audit();
    expect(places(report)).toEqual(['REF_SHADOWED Durar.json models.providers.openai.apiKey']);
    expect(report.findings[0]).toMatchObject({ profileId: 'openai:old', provider: 'openai' });
  });

  it('finds static entries of the legacy file, not its sign-ins (SEC-179, SEC-215)', async () => {
    await put('agents/main/agent/auth.json', { acme: { type: 'api_key', key: secret('legacy') }, codex: { type: 'oauth', access: secret('a') } });
    const report = await audit();
    expect(places(report)).toEqual(['LEGACY_RESIDUE agents/main/agent/auth.json acme']);
    expect(report.findings.filter(({ severity }) => severity === 'info').map(({ jsonPath }) => jsonPath)).toEqual(['codex']);
  });

  it('runs no command unless it may (SEC-181, SEC-182)', async () => {
    const { block, calls } = await putCounter();
    await machine.writeConfig(models({ source: 'exec', provider: 'cmd', id: 'k' }, { secrets: { providers: { cmd: block } } }));
    expect(await audit()).toMatchObject({ status: 'clean', resolution: { refsChecked: 0, skippedExecRefs: 1, resolvabilityComplete: false } });
    expect((await run('secrets', 'audit')).stdout).toContain('1 exec reference skipped');
    expect(await calls()).toBe(0);
    expect(await audit('--allow-exec')).toMatchObject({ resolution: { refsChecked: 1, skippedExecRefs: 0, resolvabilityComplete: true } });
    expect(await calls()).toBe(1);
  });

  it('changes nothing, and tells a file that it cannot read without a part of it (SEC-184)', async () => {
    await machine.writeConfig(models(secret('config')));
    const before = await snapshot();
    await audit();
    expect(await snapshot()).toEqual(before);
    await put('agents/main/agent/auth-profiles.json', `{ "profiles": ${secret('broken')} }`);
    const failed = await run('secrets', 'audit', '--check');
    expect({ code: failed.code, told: failed.stderr }).toEqual({ code: 1, told: expect.stringContaining('DUR_SECRETS_FILE') });
  });
});

describe('durar secrets apply', () => {
  it('carries out a plan: references in every file, providers, copies gone, all else byte by byte (SEC-197, SEC-198, SEC-199, SEC-200, SEC-207, SEC-215)', async () => {
    await put('secrets.json', { openai: secret('one'), work: secret('two') });
    const text = `{
  // the gateway of this machine
  gateway: { mode: 'local' },
  models: {
    providers: {
      openai: { baseUrl: 'http://127.0.0.1:9/v1', api: 'openai-completions', apiKey: '${secret('one')}', models: [{ id: 'm', contextWindow: 32000 }] }, // old
    },
  },
}
`;
    await machine.writeConfig(text);
    await put('Durar.json.bak', text);
    await put('Durar.json.bak.1', `{ not json ${secret('one')}`);
    await put('Durar.json.bak.2', '{ "gateway": { "port": 19000 } }');
    const others = { 'acme:x': { type: 'token', provider: 'acme', token: secret('acme') } };
    await put('agents/main/agent/auth-profiles.json', profiles({ 'openai:a': { type: 'api_key', provider: 'openai', key: secret('one') }, ...others }));
    await put('agents/work/agent/auth-profiles.json', profiles({ 'openai:w': { type: 'api_key', provider: 'openai', key: secret('two') } }));
    await put('agents/main/agent/auth.json', { openai: { type: 'api_key', key: secret('one') }, codex: { type: 'oauth', access: secret('access') } });
    await put('agents/main/agent/models.json', { providers: { openai: { apiKey: secret('one'), headers: { 'x-title': 'mine' } } } });
    await put('.env', `# mine\nOPENAI_API_KEY=${secret('one')}\nSTAYS="${secret('acme')}"\n\nexport LANG=C\n`);
    await putPlan({
      providerUpserts: keys,
      targets: [
        { ...target(fileRef('/openai')), providerId: 'openai' },
        { ...target(fileRef('/work'), 'profiles.openai:w.key', 'auth-profiles.api_key.key'), agentId: 'work' },
        { ...target(fileRef('/work'), 'profiles.openai:new.token', 'auth-profiles.token.token'), agentId: 'main', authProfileProvider: 'openai' },
      ],
    });
    const result = await apply();
    expect({ code: result.code, told: result.stdout }).toEqual({ code: 0, told: expect.stringContaining('"mode": "write"') });

    const written = await readFile(machine.configFile, 'utf8');
    expect(written).toContain('// the gateway of this machine');
    expect(written).toContain('// old');
    expect(await config()).toMatchObject({ models: { providers: { openai: { apiKey: fileRef('/openai') } } }, secrets: { providers: keys } });
    expect(JSON.parse(await read('agents/main/agent/auth-profiles.json')).profiles).toEqual({
      ...others,
      'openai:new': { type: 'token', provider: 'openai', tokenRef: fileRef('/work') },
    });
    expect(JSON.parse(await read('agents/work/agent/auth-profiles.json')).profiles).toEqual({
      'openai:w': { type: 'api_key', provider: 'openai', keyRef: fileRef('/work') },
    });
    expect(JSON.parse(await read('agents/main/agent/auth.json'))).toEqual({ codex: { type: 'oauth', access: secret('access') } });
    expect(JSON.parse(await read('agents/main/agent/models.json')).providers.openai).toEqual({ apiKey: 'secretref-managed', headers: { 'x-title': 'mine' } });
    expect(await read('.env')).toBe(`# mine\nSTAYS="${secret('acme')}"\n\nexport LANG=C\n`);
    expect(await read('Durar.json.bak.2')).toBe('{ "gateway": { "port": 19000 } }');
    expect((await parseText(await read('Durar.json.bak'), '')) as object).toMatchObject({ models: { providers: { openai: { apiKey: fileRef('/openai') } } } });
    expect(existsSync(join(machine.stateDir, 'Durar.json.bak.1'))).toBe(false);
    expect(await holders(secret('one'))).toEqual(['secrets.json']);
    expect(await holders(secret('two'))).toEqual(['secrets.json']);
    // again: all is there
    expect((await apply()).json()).toMatchObject({ ok: true, changed: false, changedFiles: [] });
  });

  it('writes into the included file that has the field, and every other that hides behind it (SEC-200, SEC-207)', async () => {
    await put('secrets.json', { openai: secret('new') });
    await put('models.json5', `{\n  // mine\n  providers: { openai: ${JSON.stringify(openai(secret('hidden')))} },\n}\n`);
    await machine.writeConfig({ gateway: { mode: 'local' }, models: { $include: './models.json5', providers: { openai: { apiKey: secret('shown') } } } });
    await putPlan({ providerUpserts: keys, targets: [target(fileRef('/openai'))] });
    expect((await apply()).code).toBe(0);
    expect(await read('models.json5')).toContain('// mine');
    expect([await holders(secret('hidden')), await holders(secret('shown'))]).toEqual([[], []]);
    expect((await run('secrets', 'audit', '--check')).code).toBe(0);
  });

  it('keeps another secret of the same provider, which would be lost, and says so (SEC-197)', async () => {
    await put('secrets.json', { openai: secret('one') });
    await machine.writeConfig(models(secret('one')));
    await put('agents/main/agent/auth-profiles.json', profiles({ 'openai:other': { type: 'api_key', provider: 'openai', key: secret('only-here') } }));
    await put('agents/main/agent/auth.json', { acme: { type: 'api_key', key: secret('legacy-only') } });
    await putPlan({ providerUpserts: keys, targets: [target(fileRef('/openai'))] });
    const report = (await apply()).json<AppliedPlan & Record<string, unknown>>();
    expect(report.warnings).toEqual([expect.stringContaining("'openai:other'"), expect.stringContaining("'acme:default'")]);
    expect(JSON.parse(await read('agents/main/agent/auth-profiles.json')).profiles).toEqual({
      'openai:other': { type: 'api_key', provider: 'openai', key: secret('only-here') },
      'acme:default': { type: 'api_key', provider: 'acme', key: secret('legacy-only') },
    });
    expect(existsSync(join(machine.stateDir, 'agents/main/agent/auth.json'))).toBe(false);
  });

  it('leaves the line of .env that a new reference reads, and copies where the options say so (SEC-199)', async () => {
    await put('.env', `OPENAI_API_KEY=${secret('env')}\n`);
    await machine.writeConfig(models(secret('env')));
    await put('agents/main/agent/auth.json', { openai: { type: 'api_key', key: secret('env') } });
    const options = { scrubLegacyAuthJson: false };
    await putPlan({ targets: [target({ source: 'env', provider: 'default', id: 'OPENAI_API_KEY' })], options });
    expect((await apply()).code).toBe(0);
    expect(await read('.env')).toBe(`OPENAI_API_KEY=${secret('env')}\n`);
    expect(await holders(secret('env'))).toEqual(['.env', 'agents/main/agent/auth.json']);
  });

  it('writes nothing in a dry run, and says which files would change (SEC-202, SEC-204)', async () => {
    await put('secrets.json', { openai: secret('one') });
    await machine.writeConfig(models(secret('one')));
    await putPlan({ providerUpserts: keys, targets: [target(fileRef('/openai'))] });
    const before = await snapshot();
    const result = await apply('--dry-run');
    expect(result.json()).toMatchObject({ ok: true, mode: 'dry-run', changed: true, changedFiles: [machine.configFile], checks: { refsChecked: 1 } });
    expect(await snapshot()).toEqual(before);
  });

  it('runs a command only with --allow-exec, and writes no plan that needs one without it (SEC-201, SEC-203, SEC-204, SEC-205)', async () => {
    const { block, calls } = await putCounter();
    await machine.writeConfig(models(secret('one')));
    await putPlan({ providerUpserts: { cmd: block }, targets: [target({ source: 'exec', provider: 'cmd', id: 'k' })] });
    const before = await snapshot();
    expect((await apply('--dry-run')).json()).toMatchObject({ ok: true, checks: { refsChecked: 0, skippedExecRefs: 1, resolvabilityComplete: false } });
    const refused = await apply();
    expect({ code: refused.code, told: refused.json() }).toMatchObject({ code: 1, told: { ok: false, error: { code: 'DUR_SECRETS_EXEC' } } });
    expect(await calls()).toBe(0);
    expect((await apply('--dry-run', '--allow-exec')).code).toBe(0);
    expect(await calls()).toBeGreaterThan(0);
    expect(await snapshot()).toEqual(before);
    expect((await apply('--allow-exec')).code).toBe(0);
    expect(await holders(secret('one'))).toEqual([]);
    await putPlan({ providerUpserts: { other: block }, targets: [] });
    expect((await apply()).json()).toMatchObject({ error: { code: 'DUR_SECRETS_EXEC' } });
  });

  it.each([
    ['a reference that does not resolve (SEC-208)', { targets: [target(fileRef('/none'))], providerUpserts: keys }, 'DUR_SECRET_UNRESOLVED'],
    ['a value that is no text (SEC-208)', { targets: [target(fileRef('/object'))], providerUpserts: keys }, 'DUR_SECRET_UNRESOLVED'],
    ['a provider that is not configured (SEC-208)', { targets: [target(fileRef('/openai'))] }, 'DUR_SECRET_UNRESOLVED'],
    ['a provider that its source refuses (SEC-208)', { targets: [], providerUpserts: { keys: { source: 'file' } } }, 'DUR_CONFIG_INVALID'],
    [
      'an activation that fails (SEC-209)',
      { targets: [target(fileRef('/openai'), 'models.providers.signed.apiKey')], providerUpserts: keys },
      'DUR_SECRET_OAUTH',
    ],
    [
      'an unknown type (SEC-206)',
      { targets: [target(fileRef('/openai'), 'models.providers.openai.baseUrl', 'models.providers.*.baseUrl')], providerUpserts: keys },
      'DUR_SECRETS_PLAN',
    ],
    ['a path of another type (SEC-206)', { targets: [target(fileRef('/openai'), 'gateway.auth.token')], providerUpserts: keys }, 'DUR_SECRETS_PLAN_TARGET'],
  ])('changes nothing for %s', async (_name, plan, code) => {
    await put('secrets.json', { openai: secret('one'), object: { a: 1 } });
    await machine.writeConfig({
      ...models(secret('one')),
      models: { providers: { openai: openai(secret('one')), signed: openai(secret('two'), { auth: 'oauth' }) } },
    });
    await putPlan(plan);
    const before = await snapshot();
    const result = await apply();
    expect({ code: result.code, told: result.json() }).toMatchObject({ code: 1, told: { ok: false, error: { code } } });
    expect(await snapshot()).toEqual(before);
  });

  it('a running gateway takes the result over at once, and one that cannot keeps all files as they were (SEC-209, SEC-211)', async () => {
    await put('secrets.json', { openai: secret('one') });
    await machine.writeConfig(models(secret('one')));
    const gateway = await machine.start();
    await putPlan({ providerUpserts: keys, targets: [target(fileRef('/openai'))] });
    expect((await apply()).json()).toMatchObject({ ok: true, applied: { gateway: 'applied' } });
    // a variable that this shell has, and the gateway does not
    await putPlan({ targets: [target({ source: 'env', provider: 'default', id: 'ONLY_HERE' })] });
    const before = await readFile(machine.configFile, 'utf8');
    const result = await machine.cli(['secrets', 'apply', '--from', join(machine.home, 'plan.json'), '--json'], { env: { ONLY_HERE: secret('here') } });
    printed.push(result.stdout, result.stderr);
    expect(result.json()).toMatchObject({ ok: false, error: { code: 'DUR_SECRETS_REFUSED' } });
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
    await gateway.stop();
  });

  it('killed at any moment leaves every file old or new, and is ended by the next one (SEC-210)', async () => {
    await put('secrets.json', { openai: secret('one') });
    const text = JSON.stringify(models(secret('one')), null, 2);
    const agents = Array.from({ length: 30 }, (_, at) => `agents/a${at}/agent/auth-profiles.json`);
    const store = profiles({ 'openai:a': { type: 'api_key', provider: 'openai', key: secret('one') }, kept: { type: 'token', provider: 'acme', token: 't' } });
    await putPlan({ providerUpserts: keys, targets: [target(fileRef('/openai'))] });
    await machine.writeConfig(text);
    for (const file of agents) await put(file, store);
    const present = async () => Promise.all([machine.configFile, ...agents.map((file) => join(machine.stateDir, file))].map((file) => readFile(file, 'utf8')));
    const old = await present();
    expect((await apply()).code).toBe(0);
    const next = await present();
    for (let round = 0; round < 8; round += 1) {
      await machine.writeConfig(text);
      for (const file of agents) await put(file, store);
      await machine.cli(['secrets', 'apply', '--from', join(machine.home, 'plan.json')], {
        timeoutMs: Math.round(150 + Math.random() * 250),
        killSignal: 'SIGKILL',
      });
      for (const [at, now] of (await present()).entries()) expect([old[at], next[at]]).toContain(now);
    }
    expect((await apply()).code).toBe(0);
    expect(await present()).toEqual(next);
    expect(await holders(secret('one'))).toEqual(['secrets.json']);
  }, 60_000);

  it('needs a plan that it can read (SEC-200)', async () => {
    expect((await run('secrets', 'apply')).code).toBe(2);
    expect((await apply()).json()).toMatchObject({ error: { code: 'DUR_SECRETS_PLAN' } });
  });
});
