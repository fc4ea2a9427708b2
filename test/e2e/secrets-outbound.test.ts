/** A channel whose token comes from a command: deliveries read the active secret and never ask the command. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTelegramServer, type TelegramServer, TOKEN } from '../fixtures/telegram-server.ts';
import { createMachine, type Machine, until } from './gateway-process.ts';

let machine: Machine;
let server: TelegramServer;
beforeEach(async () => {
  [machine, server] = await Promise.all([createMachine(), createTelegramServer()]);
});
afterEach(async () => {
  await machine.remove();
  await server.close();
});

it('replies and sent messages ask no source, also when it is gone; a reload does (SEC-010, SEC-011)', async () => {
  const calls = join(machine.home, 'calls');
  const command = join(machine.home, 'resolver');
  await writeFile(command, `#!/bin/sh\necho asked >> '${calls}'\nprintf %s '${TOKEN}'\n`, { mode: 0o700 });
  const asked = async () => (await readFile(calls, 'utf8')).trim().split('\n').length;
  const botToken = { source: 'exec', provider: 'cmd', id: 'value' };
  await machine.writeConfig({
    gateway: { mode: 'local' },
    agents: { defaults: { model: 'offline/echo' } },
    secrets: { providers: { cmd: { source: 'exec', command, jsonOnly: false } } },
    channels: { telegram: { botToken, apiRoot: server.url, allowFrom: ['tg:7001'] } },
  });
  await machine.start();
  const before = await asked();
  const sent = (text: string) => until(() => server.messages.some((message) => message.text?.includes(text)), `'${text}'`, 30_000);
  server.say('a first message');
  await sent('a first message');
  await writeFile(command, '#!/bin/sh\nexit 1\n', { mode: 0o700 });
  server.say('a second message');
  await sent('a second message');
  const send = await machine.cli(['message', 'send', '--channel', 'telegram', '--target', '7001', '--message', 'from the command line']);
  expect(send.code, send.stderr).toBe(0);
  await sent('from the command line');
  expect(await asked()).toBe(before);
  await writeFile(command, `#!/bin/sh\necho asked >> '${calls}'\nprintf %s '${TOKEN}'\n`, { mode: 0o700 });
  expect((await machine.cli(['secrets', 'reload'])).code).toBe(0);
  expect(await asked()).toBe(before + 1);
});
