/** The socket of the gateway beside a bare `ws` server: round trips, their tail, and one event for a thousand sockets. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface, type Interface } from 'node:readline';
import { WebSocket } from 'ws';
import { connectRequest } from '../../sdk/client/connect-request.ts';
import { loadIdentity } from '../../sdk/client/node.ts';
import { createBenchMachine, ended, freePort, portOpens, root } from './machine.ts';
import { median, type Row, row } from './measure.ts';

const ROUNDS = 7;
const SOCKETS = 1000;
const REQUEST = { type: 'req', method: 'health', params: {} };

export async function socketRows(quick: boolean): Promise<Row[]> {
  return [...(await roundTrips(quick)), ...(await fanOut(quick))];
}

/** Both servers run all the time and are asked in turns, so that a drift of the machine touches both alike. */
async function roundTrips(quick: boolean): Promise<Row[]> {
  const bench = await createBenchMachine();
  const { child, client, token } = await startGateway(bench);
  const echoPort = await freePort();
  const echo = spawn(process.execPath, [join(root, 'test/bench/least-gateway.js'), String(echoPort)], { stdio: 'ignore' });
  await portOpens(echoPort, echo);
  const gatewaySocket = await signedSocket(bench.port, join(bench.home, 'client'), token);
  const echoSocket = await openSocket(echoPort);

  const count = quick ? 3_000 : 20_000;
  const rates: { gateway: number; echo: number }[] = [];
  const tails: { gateway: number; echo: number }[] = [];
  for (let round = -1; round < (quick ? 3 : ROUNDS); round += 1) {
    const rate = { gateway: await pipelined(gatewaySocket, count), echo: await pipelined(echoSocket, count) };
    const tail = { gateway: await tailOf(gatewaySocket, count / 5), echo: await tailOf(echoSocket, count / 5) };
    // the first round warms both up
    if (round >= 0) rates.push(rate);
    if (round >= 0) tails.push(tail);
  }
  for (const socket of [gatewaySocket, echoSocket]) socket.terminate();
  client.close();
  for (const each of [child, echo]) {
    each.kill();
    await ended(each);
  }
  bench.remove();
  const of = (list: { gateway: number; echo: number }[], which: 'gateway' | 'echo') => median(list.map((each) => each[which]));
  return [
    row(
      'round trips of a read, 64 in flight',
      '/s',
      of(rates, 'gateway'),
      { name: 'bare ws echo, /s', value: of(rates, 'echo') },
      { at: 'least', value: 0.6, of: 'ratio' },
    ),
    row(
      'p99 of a read, one after the other',
      'ms',
      of(tails, 'gateway'),
      { name: 'p99 of the echo, ms', value: of(tails, 'echo') },
      { at: 'most', value: 4, of: 'ratio' },
    ),
  ];
}

async function fanOut(quick: boolean): Promise<Row[]> {
  const child = spawn(process.execPath, [join(root, 'test/bench/fan-out.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const ports = (await nextLine(lines)) as { gateway: number; bare: number };
  const sockets = { gateway: await crowd(ports.gateway, true), bare: await crowd(ports.bare, false) };
  const times = { gateway: [] as number[], bare: [] as number[] };
  const sending = { gateway: [] as number[], bare: [] as number[] };
  for (let round = -3; round < (quick ? 10 : 40); round += 1) {
    for (const way of ['gateway', 'bare'] as const) {
      const began = performance.now();
      const all = heardByAll(sockets[way]);
      const line = nextLine(lines);
      child.stdin.write(`${way}\n`);
      const { ms } = (await line) as { ms: number };
      await all;
      if (round < 0) continue;
      times[way].push(performance.now() - began);
      sending[way].push(ms);
    }
  }
  for (const socket of [...sockets.gateway, ...sockets.bare]) socket.terminate();
  child.kill();
  await ended(child);
  const limit = { name: 'bare loop of send, ms', value: median(times.bare) };
  const note = `the sending alone: ${median(sending.gateway).toFixed(2)} ms, bare ${median(sending.bare).toFixed(2)} ms`;
  return [
    row(
      `one event to ${SOCKETS.toLocaleString('en')} sockets, until all have it`,
      'ms',
      median(times.gateway),
      limit,
      { at: 'most', value: 3, of: 'ratio' },
      note,
    ),
  ];
}

async function startGateway(bench: Awaited<ReturnType<typeof createBenchMachine>>) {
  const { child, client } = await bench.start();
  const { token } = (JSON.parse(await readText(join(bench.stateDir, 'Durar.json'))) as { gateway: { auth: { token: string } } }).gateway.auth;
  return { child, client, token };
}

async function readText(file: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(file, 'utf8');
}

async function openSocket(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await once(socket, 'open');
  return socket;
}

/** A bare socket that shook hands: what is measured is the gateway, not a client. */
async function signedSocket(port: number, stateDir: string, token: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  const [challenge] = (await once(socket, 'message')) as [Buffer];
  const { payload } = JSON.parse(String(challenge)) as { payload: { nonce: string } };
  const client = { id: 'test', version: '1', platform: 'bench', mode: 'test' };
  const params = await connectRequest({ client, identity: loadIdentity({ stateDir }), auth: { token }, scopes: ['operator.admin'] }, payload.nonce, false);
  socket.send(JSON.stringify({ type: 'req', id: 'connect', method: 'connect', params }));
  await once(socket, 'message');
  return socket;
}

/** Round trips a second with 64 under way. Events in between are not counted. */
async function pipelined(socket: WebSocket, count: number): Promise<number> {
  return await new Promise((resolve) => {
    let sent = 0;
    let answered = 0;
    const ask = () => socket.send(JSON.stringify({ ...REQUEST, id: String(++sent) }));
    const began = performance.now();
    const take = (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string };
      if (frame.type === 'event') return;
      answered += 1;
      if (sent < count) ask();
      if (answered < count) return;
      socket.off('message', take);
      resolve((count / (performance.now() - began)) * 1000);
    };
    socket.on('message', take);
    while (sent < 64) ask();
  });
}

/** The 99th percentile of calls made one after the other, in ms. */
async function tailOf(socket: WebSocket, count: number): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const began = performance.now();
    await new Promise<void>((resolve) => {
      const take = (data: Buffer) => {
        if ((JSON.parse(data.toString()) as { type: string }).type === 'event') return;
        socket.off('message', take);
        resolve();
      };
      socket.on('message', take);
      socket.send(JSON.stringify({ ...REQUEST, id: String(at) }));
    });
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
}

async function crowd(port: number, connects: boolean): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  const params = { minProtocol: 3, maxProtocol: 3, client: { id: 'test', version: '1', platform: 'bench', mode: 'test' } };
  for (let at = 0; at < SOCKETS; at += 1) {
    const socket = await openSocket(port);
    if (connects) socket.send(JSON.stringify({ type: 'req', id: 'connect', method: 'connect', params }));
    sockets.push(socket);
  }
  // the challenges are read, the connects are taken
  await new Promise((resolve) => setTimeout(resolve, 500));
  return sockets;
}

function heardByAll(sockets: readonly WebSocket[]): Promise<unknown> {
  return Promise.all(sockets.map((socket) => once(socket, 'message')));
}

async function nextLine(lines: Interface): Promise<unknown> {
  const [line] = (await once(lines, 'line')) as [string];
  return JSON.parse(line);
}
