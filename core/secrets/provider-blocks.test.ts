import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { PluginManifest } from '../../sdk/index.ts';
import type { Plan } from '../manifest/catalog.ts';
import { checkProviderBlocks } from './provider-blocks.ts';

const bundled = ['env', 'file', 'exec'].map(
  (source) => JSON.parse(readFileSync(new URL(`../../extensions/secrets/secrets-${source}/Durar.plugin.json`, import.meta.url), 'utf8')) as PluginManifest,
);

function planOf(...manifests: PluginManifest[]): Plan {
  return {
    extensions: new Map(manifests.map((manifest) => [manifest.id, { entry: { id: manifest.id, manifest } }])),
    owners: new Map(manifests.flatMap(({ id, secretSources = [] }) => secretSources.map((source) => [`secretsProvider:${source}`, [id]]))),
  } as unknown as Plan;
}

const check = (providers: Record<string, unknown>, plan = planOf(...bundled)) =>
  checkProviderBlocks({ secrets: { providers } }, plan, '/etc/Durar.json').map(({ code, owner, message }) => ({ code, pointer: owner.pointer, message }));

it('takes the blocks of the documentation (SEC-062, SEC-063, SEC-064, SEC-065, SEC-071, SEC-101, SEC-102, SEC-103)', () => {
  const homebrew = { source: 'exec', allowSymlinkCommand: true, trustedDirs: ['/opt/homebrew'], jsonOnly: false };
  const providers = {
    default: { source: 'env' },
    listed: { source: 'env', allowlist: ['OPENAI_API_KEY'], timeoutMs: 5000 },
    filemain: { source: 'file', path: '~/.Durar/secrets.json', mode: 'json' },
    single: { source: 'file', path: '/run/secret', mode: 'singleValue', maxBytes: 100, allowInsecurePath: true, timeoutMs: 1 },
    vault: { source: 'exec', command: '/usr/local/bin/Durar-vault-resolver', args: ['--profile', 'prod'], passEnv: ['PATH', 'VAULT_ADDR'], jsonOnly: true },
    limits: { source: 'exec', command: 'C:\\vault.exe', env: { A: 'b' }, timeoutMs: 1, noOutputTimeoutMs: 1, maxOutputBytes: 1, allowInsecurePath: false },
    onepassword_openai: { ...homebrew, command: '/opt/homebrew/bin/op', args: ['read', 'op://Personal/Durar QA API Key/password'], passEnv: ['HOME'] },
    vault_openai: { ...homebrew, command: '/opt/homebrew/bin/vault', args: ['kv', 'get'], passEnv: ['VAULT_ADDR', 'VAULT_TOKEN'] },
    sops_openai: { ...homebrew, command: '/opt/homebrew/bin/sops', args: ['-d'], passEnv: ['SOPS_AGE_KEY_FILE'] },
  };
  expect(check(providers)).toEqual([]);
});

it.each([
  [{ source: 'exec', command: '/bin/x', shell: true }, 'DUR_CONFIG_UNKNOWN_KEY', '/secrets/providers/x/shell'],
  [{ source: 'exec' }, 'DUR_CONFIG_INVALID', '/secrets/providers/x'],
  [{ source: 'exec', command: 'resolver' }, 'DUR_CONFIG_INVALID', '/secrets/providers/x/command'],
  [{ source: 'exec', command: '/x', args: 'a' }, 'DUR_CONFIG_INVALID', '/secrets/providers/x/args'],
  [{ source: 'exec', command: '/x', env: { A: 1 } }, 'DUR_CONFIG_INVALID', '/secrets/providers/x/env/A'],
  [{ source: 'file' }, 'DUR_CONFIG_INVALID', '/secrets/providers/x'],
  [{ source: 'file', path: '/x', mode: 'yaml' }, 'DUR_CONFIG_INVALID', '/secrets/providers/x/mode'],
  [{ source: 'file', path: '/x', maxBytes: 0 }, 'DUR_CONFIG_INVALID', '/secrets/providers/x/maxBytes'],
  [{ source: 'file', path: '/x', command: '/x' }, 'DUR_CONFIG_UNKNOWN_KEY', '/secrets/providers/x/command'],
  [{ source: 'env', allowList: [] }, 'DUR_CONFIG_UNKNOWN_KEY', '/secrets/providers/x/allowList'],
  [{ source: 'env', allowlist: 'X' }, 'DUR_CONFIG_INVALID', '/secrets/providers/x/allowlist'],
])('refuses %j (SEC-064, SEC-065, SEC-080)', (block, code, pointer) => {
  expect(check({ x: block, other: { source: 'env' } })).toMatchObject([{ code, pointer }]);
});

it('checks the blocks of a third party by its manifest, and names what it does not know (AMB-012)', () => {
  const vault = {
    id: 'vault',
    configSchema: {},
    secretSources: ['vault', 'bare'],
    secretSourceConfigs: {
      vault: {
        schema: {
          type: 'object',
          additionalProperties: false,
          properties: { url: { type: 'string', format: 'uri' }, role: { oneOf: [{ type: 'string' }, { type: 'integer' }] } },
        },
      },
    },
  };
  const plan = planOf(vault);
  expect(
    check({ a: { source: 'vault', url: 'https://x', role: 5, timeoutMs: 10 }, b: { source: 'bare', anything: 1 }, c: { source: 'nobody', x: 1 } }, plan),
  ).toEqual([]);
  expect(check({ a: { source: 'vault', role: true }, b: { source: 'vault', 'a/b': 1 } }, plan)).toMatchObject([
    { code: 'DUR_CONFIG_INVALID', pointer: '/secrets/providers/a/role' },
    { code: 'DUR_CONFIG_INVALID', pointer: '/secrets/providers/a/role' },
    { code: 'DUR_CONFIG_INVALID', pointer: '/secrets/providers/a/role' },
    { code: 'DUR_CONFIG_UNKNOWN_KEY', pointer: '/secrets/providers/b/a~1b' },
  ]);
});

it('a schema that is none is told, not thrown', () => {
  const odd = { id: 'odd', configSchema: {}, secretSources: ['odd'], secretSourceConfigs: { odd: { schema: { type: 'nonsense', if: {} } } } };
  expect(check({ a: { source: 'odd' } }, planOf(odd))).toMatchObject([{ code: 'DUR_CONFIG_INVALID', message: expect.stringContaining('no JSON Schema') }]);
});
