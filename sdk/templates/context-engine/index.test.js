import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assistantMessage, createTestHost, userMessage } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;
const session = { sessionId: 'test', sessionKey: 'agent:main:main' };
const history = [userMessage('one'), assistantMessage('first'), userMessage('two'), assistantMessage('second'), userMessage('three')];

test('it keeps the contract of a context engine', async () => {
  await using host = await createTestHost({ root });
  const report = await host.checkContract('contextEngine');
  assert.equal(report.failed, 0);
});

test('the newest message always stays, older turns as the budget allows', async () => {
  await using host = await createTestHost({ root });
  const engine = await host.contextEngine();
  const all = await engine.assemble({ ...session, messages: history, tokenBudget: 10_000 });
  assert.deepEqual(all.messages, history);
  const newest = await engine.assemble({ ...session, messages: history, tokenBudget: 1 });
  assert.deepEqual(newest.messages, history.slice(-1));
});

test('keepTurns limits what a model sees', async () => {
  await using host = await createTestHost({ root, pluginConfig: { keepTurns: 2 } });
  const engine = await host.contextEngine();
  const { messages } = await engine.assemble({ ...session, messages: history, tokenBudget: 10_000 });
  assert.deepEqual(messages, history.slice(2));
});

test('compact leaves the summary to the host', async () => {
  await using host = await createTestHost({ root });
  const engine = await host.contextEngine();
  const result = await engine.compact({ ...session, force: true, runtimeContext: host.runtimeContext });
  assert.equal(result.compacted, true);
});
