import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestHost, userMessage } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;

test('it keeps the contract of a session store', async () => {
  await using host = await createTestHost({ root });
  const report = await host.checkContract('sessionStore');
  assert.equal(report.failed, 0);
});

test('a session that was deleted stays on disk as an archive', async () => {
  await using host = await createTestHost({ root });
  const store = await host.sessionStore();
  const { session } = await store.open({ key: 'agent:main:main', agentId: 'main' });
  const entry = { id: '00000001', timestamp: new Date().toISOString(), type: 'message', message: userMessage('hello') };
  await store.append({ sessionId: session.sessionId, entries: [entry] });
  const { archived } = await store.delete({ key: session.key });
  assert.equal(archived.length, 1);
});
