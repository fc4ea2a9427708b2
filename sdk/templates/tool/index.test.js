import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestHost } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;

test('it keeps the contract of a tool', async () => {
  await using host = await createTestHost({ root });
  const report = await host.checkContract('tool', {
    context: { goodCall: () => ({ timeZone: 'UTC' }), badCall: () => ({ timeZone: 'Nowhere/At-All' }) },
  });
  assert.equal(report.failed, 0);
});

test('it tells the time in the zone that is asked for, else in the configured one', async () => {
  await using host = await createTestHost({ root, pluginConfig: { timeZone: 'Asia/Tokyo' } });
  const tool = host.tool();
  const tokyo = await tool.execute('call-1', {});
  assert.match(tokyo.content[0].text, /GMT\+9/);
  const utc = await tool.execute('call-2', { timeZone: 'UTC' });
  assert.match(utc.content[0].text, /UTC/);
});

test('an unknown zone is an error', async () => {
  await using host = await createTestHost({ root });
  await assert.rejects(host.tool().execute('call-1', { timeZone: 'Nowhere/At-All' }), RangeError);
});
