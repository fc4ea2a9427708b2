import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestHost, userMessage } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;

test('it keeps the contract of a provider', async () => {
  await using host = await createTestHost({ root });
  const report = await host.checkContract('provider');
  assert.equal(report.failed, 0);
});

test('it streams what the user said last', async () => {
  await using host = await createTestHost({ root });
  const provider = host.provider();
  const [model] = await provider.models({});
  const events = [];
  const request = { model, messages: [userMessage('one'), userMessage('hello there')], tools: [] };
  for await (const event of provider.stream(request, { signal: AbortSignal.timeout(5_000) })) events.push(event);
  const done = events.at(-1);
  assert.equal(done.type, 'done');
  assert.equal(done.message.content[0].text, 'You said: hello there');
  assert.equal(events.filter((event) => event.type === 'text_delta').map((event) => event.delta).join(''), 'You said: hello there');
});
