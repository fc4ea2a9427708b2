import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTestHost } from 'Durar/plugin-sdk/testing';

const root = import.meta.url;

test('it has an account when a folder is configured', async () => {
  await using host = await createTestHost({ root });
  const { config } = host.channel();
  assert.deepEqual(config.listAccountIds({}), []);
  assert.deepEqual(config.listAccountIds({ channels: { [host.channel().id]: { folder: '/tmp/x' } } }), ['default']);
});

test('a file becomes a message, a reply becomes a file', async () => {
  await using host = await createTestHost({ root });
  const channel = host.channel();
  const folder = join(host.stateDir, 'talk');
  const cfg = { channels: { [channel.id]: { folder } } };
  const stop = new AbortController();
  const delivered = [];
  const running = channel.gateway.startAccount({
    cfg,
    accountId: 'default',
    account: channel.config.resolveAccount(cfg),
    abortSignal: stop.signal,
    log: console,
    getStatus: () => ({}),
    setStatus() {},
    async deliver(message) {
      delivered.push(message);
      if (delivered.length === 2) stop.abort();
      return { accepted: true };
    },
  });
  await mkdir(join(folder, 'in'), { recursive: true });
  for (const name of ['1', '2']) {
    await writeFile(join(folder, name), `message ${name}`);
    await rename(join(folder, name), join(folder, 'in', `${name}.txt`));
  }
  await running;
  assert.deepEqual(delivered.map(({ text, conversationId }) => [text, conversationId]), [['message 1', '1'], ['message 2', '2']]);

  await channel.outbound.sendText({ cfg, to: '1', text: 'hello back' });
  const [name] = await readdir(join(folder, 'out'));
  assert.equal(await readFile(join(folder, 'out', name), 'utf8'), 'hello back');
});
