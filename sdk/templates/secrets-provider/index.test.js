import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTestHost } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;

test('it keeps the contract of a secrets provider', async () => {
  await using host = await createTestHost({ root });
  const known = { 'api-key': 'value-1', 'db-password': 'value-2' };
  for (const [name, value] of Object.entries(known)) await writeFile(join(host.stateDir, name), value);
  const report = await host.checkContract('secretsProvider', { context: { config: { path: host.stateDir }, known, unknown: 'missing' } });
  assert.equal(report.failed, 0);
});

test('it reads each secret from its file and names what it cannot read', async () => {
  await using host = await createTestHost({ root });
  await writeFile(join(host.stateDir, 'api-key'), 'value-1\n');
  const result = await host.secretsProvider().resolve({ provider: 'mounted', config: { path: host.stateDir }, ids: ['api-key', 'missing', '../escape'] });
  assert.deepEqual(result.values, { 'api-key': 'value-1' });
  assert.deepEqual(Object.keys(result.errors).sort(), ['../escape', 'missing']);
  assert.doesNotMatch(JSON.stringify(result.errors), /value-1/);
});
