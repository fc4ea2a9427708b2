/** `npm run bench [-- --json] [-- --quick]`: each performance claim beside its physical limit, measured in the same run on the built package. */
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { GatewayClient } from '../../sdk/client/client.ts';
import type { Provider, SessionStoreFactory } from '../../sdk/index.ts';
import { contextRows } from './context-rows.ts';
import { socketRows } from './gateway-rows.ts';
import { type BenchMachine, command, createBenchMachine, ended, freePort, portOpens, registered, root } from './machine.ts';
import { bareNodeMb, median, print, type Row, residentMb, row, time, timeCommands } from './measure.ts';
import { queueRows } from './queue-rows.ts';

const asJson = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const rows: Row[] = [];

if (!process.argv.includes('--no-build') || !existsSync(command))
  execFileSync(process.execPath, [join(root, '.ci/build.ts')], { stdio: asJson ? 'ignore' : 'inherit' });

await commandRows();
await startRows();
await gatewayRows();
rows.push(...(await contextRows(quick)));
rows.push(...(await socketRows(quick)));
rows.push(...(await queueRows(quick)));
await sessionRows();
await parallelRow();
installRow();

const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model ?? '', memoryGb: Math.round(totalmem() / 2 ** 30) };
if (asJson) console.log(JSON.stringify({ machine, rows }, null, 2));
else console.log(`\n${machine.cpu}, ${machine.cpus} processors, Node ${machine.node}\n\n${print(rows)}`);

/** Short commands against `node -e 0`; `health` against a gateway that is up. */
async function commandRows(): Promise<void> {
  const bench = await createBenchMachine();
  const { child } = await bench.start();
  const runs = quick ? 5 : 15;
  const [bare = 1, version = 0, list = 0, health = 0] = timeCommands(
    [{ args: ['-e', '0'] }, ...[['--version'], ['plugins', 'list'], ['health']].map((words) => ({ args: [command, ...words], env: bench.env }))],
    runs,
  );
  const limit = { name: 'node -e 0, ms', value: bare };
  rows.push(row('durar --version', 'ms', version, limit, { at: 'most', value: 1.6, of: 'ratio' }));
  rows.push(row('durar plugins list', 'ms', list, limit, { at: 'most', value: 5, of: 'ratio' }));
  rows.push(row('durar health', 'ms', health, limit, { at: 'most', value: 5, of: 'ratio' }));
  child.kill();
  await ended(child);
  bench.remove();
}

/** Spawn to first hello-ok: warm code cache, cold one, and with 500 idle extensions. */
async function startRows(): Promise<void> {
  const [bare = 1] = timeCommands([{ args: ['-e', '0'] }], quick ? 5 : 15);
  const least = median(await repeat(quick ? 3 : 9, startLeast));
  const plain = await createBenchMachine();
  await startOnce(plain);
  const warm = median(await repeat(quick ? 3 : 9, () => startOnce(plain)));
  rows.push(
    row(
      'spawn to first hello-ok',
      'ms',
      warm,
      { name: 'node -e 0, ms', value: bare },
      { at: 'most', value: 6, of: 'ratio' },
      `least gateway of Node and ws: ${least.toFixed(0)} ms`,
    ),
  );
  const cold = median(await repeat(quick ? 3 : 9, () => startOnce(plain, { NODE_DISABLE_COMPILE_CACHE: '1' })));
  rows.push(row('the same with a cold code cache', 'ms', cold, { name: 'warm, ms', value: warm }));
  const crowded = await createBenchMachine();
  addIdleExtensions(crowded, 500);
  await startOnce(crowded);
  const pairs = await repeat(quick ? 3 : 9, async () => ({ none: await startOnce(plain), many: await startOnce(crowded) }));
  rows.push(
    row(
      'boot with 500 idle extensions',
      'ms',
      median(pairs.map(({ many }) => many)),
      { name: 'with none, ms', value: median(pairs.map(({ none }) => none)) },
      { at: 'most', value: 1.2, of: 'ratio' },
    ),
  );
  plain.remove();
  crowded.remove();
}

/** Memory, round trips, turns. */
async function gatewayRows(): Promise<void> {
  const bench = await createBenchMachine();
  const { child, client } = await bench.start();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  rows.push(
    row('idle memory', 'MB', await residentMb(child.pid ?? 0), { name: 'bare node, MB', value: await bareNodeMb() }, { at: 'most', value: 90, of: 'measured' }),
  );

  const count = quick ? 2_000 : 20_000;
  const echo = await echoRate(count);
  const rpc = await rate(count, () => client.request('health', {}));
  rows.push(row('RPC round trips, 64 in flight', '/s', rpc, { name: 'bare ws echo, /s', value: echo }, { at: 'least', value: 0.4, of: 'ratio' }));

  await turn(client, 'warm up');
  const direct = await directModel();
  const turns: number[] = [];
  const firstTokens: number[] = [];
  for (let at = 0; at < 300; at += 1) {
    const began = performance.now();
    let first = 0;
    const off = client.on('agent', (payload: unknown) => {
      if (first === 0 && (payload as { stream: string }).stream === 'assistant') first = performance.now() - began;
    });
    turns.push(await turn(client, `turn ${at}`));
    firstTokens.push(first);
    off();
  }
  rows.push(
    row(
      'a turn, zero-latency model (median of 300)',
      'ms',
      median(turns),
      { name: 'the model alone, ms', value: direct },
      { at: 'most', value: 5 + direct, of: 'measured' },
    ),
  );
  rows.push(row('first streamed token', 'ms', median(firstTokens), { name: 'the model alone, ms', value: direct }));
  rows.push(
    row(
      'the last 20 of 300 turns',
      'ms',
      median(turns.slice(-20)),
      { name: 'turns 2 to 21, ms', value: median(turns.slice(1, 21)) },
      { at: 'most', value: 1.1, of: 'ratio' },
    ),
  );
  client.close();
  child.kill();
  await ended(child);
  bench.remove();
}

/** The same turn beside 10, 10,000 and 100,000 stored sessions. */
async function sessionRows(): Promise<void> {
  const medians: number[] = [];
  const sizes = quick ? [10, 1_000] : [10, 10_000, 100_000];
  for (const size of sizes) {
    const bench = await createBenchMachine();
    await storeSessions(bench, size);
    const { child, client } = await bench.start();
    await turn(client, 'warm up');
    const times: number[] = [];
    for (let at = 0; at < 50; at += 1) times.push(await turn(client, `turn ${at}`));
    medians.push(median(times));
    const listing = median(await repeat(20, () => time(() => client.request('sessions.list', { limit: 50 }))));
    rows.push(
      row(
        `a turn beside ${size.toLocaleString('en')} sessions`,
        'ms',
        median(times),
        { name: `beside ${sizes[0]}, ms`, value: medians[0] ?? 1 },
        { at: 'most', value: 5, of: 'measured' },
        `list 50: ${listing.toFixed(2)} ms`,
      ),
    );
    client.close();
    child.kill();
    await ended(child);
    bench.remove();
  }
}

/** 50 first turns at once on a fresh workspace, a model that takes 200 ms. */
async function parallelRow(): Promise<void> {
  const bench = await createBenchMachine({ agents: { defaults: { maxConcurrent: 50 } }, plugins: { entries: { offline: { config: { latencyMs: 200 } } } } });
  const { child, client } = await bench.start();
  let failed = 0;
  const all = await time(() =>
    Promise.all(
      Array.from({ length: 50 }, async (_item, at) => {
        const result = (await client.request(
          'agent',
          { message: `hello ${at}`, sessionKey: `agent:main:p${at}`, idempotencyKey: randomUUID() },
          { expectFinal: true },
        )) as { status: string };
        if (result.status !== 'ok') failed += 1;
      }),
    ),
  );
  rows.push(
    row(
      '50 first turns at once, 200 ms model',
      'ms',
      all,
      { name: 'the model alone, ms', value: 200 },
      { at: 'most', value: 1000, of: 'measured' },
      `${failed} failed`,
    ),
  );
  client.close();
  child.kill();
  await ended(child);
  bench.remove();
}

/** What an operator downloads. */
function installRow(): void {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean; optional?: boolean }> };
  const names = Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true && entry.optional !== true)
    .map(([path]) => path);
  const kilobytes = execFileSync('du', ['-skc', 'dist', ...names.filter((path) => existsSync(join(root, path)))], { cwd: root, encoding: 'utf8' });
  const total = Number(/(\d+)\s+total/.exec(kilobytes)?.[1] ?? 0) / 1024;
  rows.push(row('installed size', 'MB', total, { name: 'packages', value: names.length }));
}

async function turn(client: GatewayClient, message: string): Promise<number> {
  return time(async () => {
    const result = (await client.request('agent', { message, idempotencyKey: randomUUID() }, { expectFinal: true })) as { status: string };
    if (result.status !== 'ok') throw new Error(`the turn ended with ${result.status}`);
  });
}

async function startOnce(bench: BenchMachine, env: NodeJS.ProcessEnv = {}): Promise<number> {
  Object.assign(bench.env, env);
  const { child, client, msToHello } = await bench.start();
  for (const name of Object.keys(env)) delete bench.env[name];
  // the code cache is written a little after the start
  await new Promise((resolve) => setTimeout(resolve, existsSync(join(bench.home, 'warm')) ? 50 : 3000));
  writeFileSync(join(bench.home, 'warm'), '');
  client.close();
  child.kill();
  await ended(child);
  return msToHello;
}

async function startLeast(): Promise<number> {
  const port = await freePort();
  const began = performance.now();
  const child = spawn(process.execPath, [join(root, 'test/bench/least-gateway.js'), String(port)], { stdio: 'ignore' });
  await portOpens(port, child);
  await echoOnce(port);
  const ms = performance.now() - began;
  child.kill();
  await ended(child);
  return ms;
}

async function echoOnce(port: number): Promise<void> {
  const { WebSocket } = await import('ws');
  await new Promise<void>((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    socket.on('open', () => socket.send('{}'));
    socket.on('message', () => {
      socket.close();
      resolve();
    });
    socket.on('error', reject);
  });
}

/** Round trips a second of a bare echo that parses and prints each frame, as any RPC must. */
async function echoRate(count: number): Promise<number> {
  const { WebSocket } = await import('ws');
  const port = await freePort();
  const child = spawn(process.execPath, [join(root, 'test/bench/least-gateway.js'), String(port)], { stdio: 'ignore' });
  await portOpens(port, child);
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await new Promise((resolve) => socket.on('open', resolve));
  const waiting = new Map<number, () => void>();
  socket.on('message', (data) => {
    const { id } = JSON.parse(String(data)) as { id: number };
    waiting.get(id)?.();
    waiting.delete(id);
  });
  let next = 0;
  const result = await rate(count, () => {
    const id = next++;
    return new Promise<void>((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ type: 'req', id, method: 'health', params: {} }));
    });
  });
  socket.close();
  child.kill();
  await ended(child);
  return result;
}

async function rate(count: number, call: () => Promise<unknown>): Promise<number> {
  let left = count;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  for (let at = 0; at < Math.min(500, count / 10); at += 1) await call();
  const ms = await time(() => Promise.all(Array.from({ length: 64 }, lane)));
  return (count / ms) * 1000;
}

/** The embedded model called without anything around it. */
async function directModel(): Promise<number> {
  const provider = (await registered('providers/offline', '')).registerProvider as Provider;
  const [model] = (await provider.models?.({})) ?? [];
  if (model === undefined || provider.stream === undefined) throw new Error('the embedded model is gone');
  const call = async () => {
    for await (const event of provider.stream?.(
      { model, messages: [{ role: 'user', content: 'hello', timestamp: 0 }], tools: [] },
      { signal: new AbortController().signal },
    ) ?? [])
      if (event.type === 'done') return;
  };
  return median(await repeat(50, () => time(call)));
}

async function storeSessions(bench: BenchMachine, count: number): Promise<void> {
  const store = await ((await registered('session-stores/local', bench.stateDir)).registerSessionStore as SessionStoreFactory)();
  for (let at = 0; at < count; at += 1) await store.open({ key: `agent:main:stored-${at}`, agentId: 'main' });
  await store.close();
}

function addIdleExtensions(bench: BenchMachine, count: number): void {
  for (let at = 0; at < count; at += 1) {
    const folder = join(bench.stateDir, 'extensions', `idle-${at}`);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    writeFileSync(
      join(folder, 'Durar.plugin.json'),
      JSON.stringify({ id: `idle-${at}`, configSchema: { type: 'object', additionalProperties: false }, providers: [`idle-${at}`] }),
    );
    writeFileSync(join(folder, 'index.js'), `export default { id: 'idle-${at}', register(api) { api.registerProvider({ id: 'idle-${at}' }); } };\n`);
  }
}

async function repeat<T>(count: number, task: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let at = 0; at < count; at += 1) results.push(await task());
  return results;
}
