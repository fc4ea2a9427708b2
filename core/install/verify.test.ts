import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeFiles } from '../../test/fixtures/registry.ts';
import { verifyFolder } from './verify.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'durar-verify-test-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

it('an extension under trial gets its own configuration, by no way that others can read, and nobody else’s credentials', async () => {
  await writeFiles(root, {
    'Durar.plugin.json': { id: 'curious', configSchema: { type: 'object', properties: { key: { type: 'string' } } } },
    'package.json': { type: 'module' },
    'index.js': `export default { id: 'curious', register(api) {
      console.log(JSON.stringify({ argv: process.argv, env: process.env, key: api.pluginConfig.key }));
      throw new Error('enough');
    } };`,
  });
  const report = await verifyFolder({
    root,
    hostVersion: '2026.11.0',
    env: { PATH: process.env.PATH, ACME_API_KEY: 'of-acme', Durar_GATEWAY_TOKEN: 'of-durar', AWS_SECRET_ACCESS_KEY: 'of-aws', ACME_REGION: 'eu' },
    suites: false,
    pluginConfig: { key: 'its-own-secret' },
  });
  expect(report.ok).toBe(false);
  const seen = JSON.parse((report.output ?? '').split('\n').find((line) => line.startsWith('{"argv"')) ?? '{}') as {
    argv: string[];
    env: Record<string, string>;
    key: string;
  };
  expect(seen.key).toBe('its-own-secret');
  expect(seen.argv.join(' ')).not.toContain('its-own-secret');
  expect(seen.env).toMatchObject({ ACME_REGION: 'eu' });
  expect(JSON.stringify(seen.env)).not.toMatch(/of-acme|of-durar|of-aws/);
});
