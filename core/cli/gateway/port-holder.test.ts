import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { endProcess, findPortHolders } from './port-holder.ts';

it('finds the process that listens on a port and ends it, also when it ignores the first signal (GW-003, AMB-059)', async () => {
  const program = `process.on('SIGTERM', () => {}); const s = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(String(chunk));
  const holders = await findPortHolders(port);
  expect(holders).toEqual([{ pid: child.pid, command: expect.any(String) }]);
  await endProcess(child.pid ?? 0);
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(await findPortHolders(port)).toEqual([]);
});

it('never names this process', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  expect(await findPortHolders(port)).toEqual([]);
  server.close();
});
