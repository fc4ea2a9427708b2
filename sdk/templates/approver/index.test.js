import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestHost } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;
const now = Date.now();
const request = (commandArgv) => ({
  id: 'request-1',
  kind: 'exec',
  title: 'Run a command',
  description: commandArgv.join(' '),
  commandArgv,
  allowedDecisions: ['allow-once', 'deny'],
  createdAtMs: now,
  expiresAtMs: now + 60_000,
});

test('it keeps the contract of an approver', async () => {
  await using host = await createTestHost({ root });
  const report = await host.checkContract('approver');
  assert.equal(report.failed, 0);
});

test('it denies what is listed and leaves the rest to others', async () => {
  await using host = await createTestHost({ root, pluginConfig: { denied: ['dd'] } });
  const approver = host.approver();
  const options = { signal: AbortSignal.timeout(5_000) };
  assert.equal((await approver.decide(request(['/bin/dd', 'if=x']), options)).decision, 'deny');
  assert.equal(await approver.decide(request(['ls']), options), undefined);
});
