/**
 * `npm run fuzz [-- --minutes 10] [-- --seed <n>]`: hostile clients against a real gateway process, with its memory beside the time. Ends with 1
 * when the gateway dies, an answer is not the documented one, something was thrown past the gateway, or its memory grows.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { connectRequest } from '../../sdk/client/connect-request.ts';
import { loadIdentity } from '../../sdk/client/node.ts';
import { OPERATOR_SCOPES } from '../../sdk/protocol/scopes.ts';
import { frame, OPCODE, openRaw } from '../conformance/raw-socket.ts';
import { createMachine } from '../e2e/gateway-process.ts';
import { attachHeapProbe } from './heap.ts';
import { answeredAs, brokenUtf8, bytes, faultOf, texts } from './hostile.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
const firstSeed = values.seed === undefined ? Date.now() & 0xff_ffff : Number(values.seed);
const TOKEN = 'fuzz-token-fuzz-token-fuzz-token';
const ANSWER_MS = 60_000;
const LANES = 4;
/** Growth between the middle and the end of the time that counts as a leak, in MB. */
const ALLOWED_MB = 10;

const machine = await createMachine();
// the refusals of hours make a large log: it goes with the machine, and rolls early
const logging = { file: join(machine.home, 'gateway.log'), maxFileBytes: 50_000_000 };
await machine.writeConfig({ gateway: { auth: { token: TOKEN } }, logging });
const gateway = await machine.start({ env: { NODE_OPTIONS: '--inspect=127.0.0.1:0' } });
const inspector = /ws:\/\/\S+/.exec(gateway.output().replaceAll(gateway.url, ''))?.[0];
if (inspector === undefined) throw new Error('the gateway has no inspector');
const heap = await attachHeapProbe(inspector);
const identity = loadIdentity({ stateDir: machine.home });
const faults: string[] = [];
/** What lived after a collection, in MB. */
const samples: number[] = [];
const began = Date.now();
const ends = began + minutes * 60_000;
let cases = 0;
let seed = firstSeed;

console.log(`fuzzing ${gateway.url} for ${minutes} min, seed ${firstSeed}`);
await Promise.all([...Array.from({ length: LANES }, lane), watch()]);
await sample();
heap.close();
const isAlive = gateway.child.exitCode === null && gateway.child.signalCode === null;
const strays = gateway.output().match(/^.*(outside any call|uncaught|unhandled).*$/gim) ?? [];
await gateway.stop();
await machine.remove();
report();

async function watch(): Promise<void> {
  while (Date.now() < ends && faults.length === 0) {
    await sample();
    await new Promise((resolve) => setTimeout(resolve, Math.max(1000, (minutes * 60_000) / 40)));
  }
}

/** One client after the other, each with a batch of its own. */
async function lane(): Promise<void> {
  while (Date.now() < ends && faults.length === 0) {
    seed += 1;
    const batch = seed;
    try {
      if (batch % 8 === 0) await beforeHandshake(batch);
      else if (batch % 8 === 1) await brokenBytes(batch);
      else await conversation(batch);
    } catch (error) {
      faults.push(`seed ${batch}: ${String(error)}`);
    }
  }
}

async function conversation(batch: number): Promise<void> {
  const socket = await accepted();
  const waiting = new Map<string, (answer: unknown) => void>();
  let closed: string | undefined;
  socket.on('message', (data) => {
    const answer = JSON.parse(String(data)) as { type: string; id: string };
    if (answer.type === 'res') waiting.get(answer.id)?.(answer);
  });
  socket.on('close', (code, reason) => {
    closed = `${code} ${reason}`;
    for (const resolve of waiting.values()) resolve(undefined);
  });
  const answerTo = (id: string) =>
    new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${id.slice(0, 40)} within ${ANSWER_MS} ms`)), ANSWER_MS);
      waiting.set(id, (answer) => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(answer);
      });
    });
  for (const text of fc.sample(texts(), { numRuns: 200, seed: batch })) {
    if (closed !== undefined) {
      faults.push(`seed ${batch}: closed ${closed}`);
      break;
    }
    const expected = answeredAs(text);
    const answer = expected === undefined ? undefined : answerTo(expected.id);
    const sentinel = answerTo('sentinel');
    socket.send(text);
    socket.send('{"type":"req","id":"sentinel","method":"health"}');
    const fault = expected === undefined ? undefined : faultOf((await answer) as never, expected);
    await sentinel;
    cases += 1;
    if (fault !== undefined) faults.push(`seed ${batch}: ${fault}; sent ${text.slice(0, 300)}`);
  }
  socket.terminate();
}

async function beforeHandshake(batch: number): Promise<void> {
  for (const text of fc.sample(texts(), { numRuns: 30, seed: batch })) {
    const socket = newSocket();
    await once(socket, 'open');
    socket.send(text);
    const [code] = (await once(socket, 'close')) as [number];
    cases += 1;
    if (![1000, 1002, 1008, 1009].includes(code)) faults.push(`seed ${batch}: closed ${code} before the handshake; sent ${text.slice(0, 300)}`);
  }
}

async function brokenBytes(batch: number): Promise<void> {
  const both = fc.oneof(
    bytes(),
    brokenUtf8().map((text) => frame(text)),
  );
  for (const data of fc.sample(both, { numRuns: 30, seed: batch })) {
    const raw = await openRaw(gateway.port);
    await raw.write(data);
    await raw.write(frame(Buffer.from([0x03, 0xe8]), { opcode: OPCODE.close }));
    raw.tcp.end();
    await raw.ended;
    cases += 1;
  }
}

function newSocket(): WebSocket {
  const socket = new WebSocket(gateway.url, { perMessageDeflate: false });
  socket.on('error', () => socket.terminate());
  return socket;
}

async function accepted(): Promise<WebSocket> {
  const socket = newSocket();
  // it may come together with the answer to the upgrade
  const [challenge] = (await once(socket, 'message')) as [Buffer];
  const { payload } = JSON.parse(String(challenge)) as { payload: { nonce: string } };
  const client = { id: 'test', version: '1', platform: 'fuzz', mode: 'test' };
  const params = await connectRequest({ client, identity, auth: { token: TOKEN }, scopes: OPERATOR_SCOPES }, payload.nonce, false);
  socket.send(JSON.stringify({ type: 'req', id: 'connect', method: 'connect', params }));
  const [answer] = (await once(socket, 'message')) as [Buffer];
  if ((JSON.parse(String(answer)) as { ok: boolean }).ok !== true) throw new Error(`refused: ${answer}`);
  return socket;
}

async function sample(): Promise<void> {
  const { live, outside, resident } = await heap.measure();
  samples.push(live + outside);
  const cells = [`${live.toFixed(1)} MB live`, `${outside.toFixed(1)} MB outside`, `${resident.toFixed(0)} MB resident`, `${cases} cases`];
  console.log(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s${cells.map((cell) => cell.padStart(18)).join('')}`);
}

function report(): void {
  const quarter = Math.max(1, samples.length >> 2);
  const mean = (list: number[]) => list.reduce((sum, mb) => sum + mb, 0) / Math.max(1, list.length);
  const middle = mean(samples.slice(quarter, 2 * quarter));
  const last = mean(samples.slice(-quarter));
  const growth = last - middle;
  if (!isAlive) faults.push('the gateway ended');
  faults.push(...strays.slice(0, 5));
  if (minutes >= 5 && growth > ALLOWED_MB) faults.push(`the memory grew by ${growth.toFixed(1)} MB between the second quarter of the time and the last`);
  console.log(`\n${cases} cases, memory ${middle.toFixed(1)} MB then ${last.toFixed(1)} MB, ${faults.length} faults`);
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
