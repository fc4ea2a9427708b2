import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { createGatewayClient, type GatewayClient } from '../../sdk/client/client.ts';
import { loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const command = join(root, 'dist/core/cli/durar.js');
const TOKEN = 'bench-token-bench-token-bench-token';

/** A home for one gateway of the built package, and a client that is ready before the gateway is. */
export interface BenchMachine {
  home: string;
  stateDir: string;
  port: number;
  env: NodeJS.ProcessEnv;
  /** Spawns the gateway; resolves with the time to the first `hello-ok`. */
  start(): Promise<{ child: ChildProcess; client: GatewayClient; msToHello: number }>;
  remove(): void;
}

export async function createBenchMachine(config: object = {}): Promise<BenchMachine> {
  const home = mkdtempSync(join(tmpdir(), 'durar-bench-'));
  const stateDir = join(home, '.Durar');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(
    join(stateDir, 'Durar.json'),
    JSON.stringify({ gateway: { mode: 'local', auth: { token: TOKEN } }, logging: { file: join(home, 'log.jsonl') }, ...config }),
    { mode: 0o600 },
  );
  const port = await freePort();
  const env = {
    ...process.env,
    HOME: home,
    Durar_HOME: home,
    XDG_CACHE_HOME: join(tmpdir(), 'durar-bench-cache'),
    Durar_GATEWAY_PORT: String(port),
    NO_COLOR: '1',
  };
  const identity = loadIdentity({ stateDir: join(home, 'client') });
  const children = new Set<ChildProcess>();
  // the library is loaded before anything is timed
  await import('ws');
  return {
    home,
    stateDir,
    port,
    env,
    async start() {
      const began = performance.now();
      const child = spawn(process.execPath, [command, 'gateway', 'run'], { env, stdio: 'ignore' });
      children.add(child);
      await portOpens(port, child);
      const client = createGatewayClient({
        url: `ws://127.0.0.1:${port}`,
        socketFactory: nodeSocketFactory(),
        identity,
        auth: { token: TOKEN },
        client: { id: 'test', version: '1', platform: 'bench', mode: 'test' },
        role: 'operator',
        scopes: ['operator.admin'],
        requestTimeoutMs: 120_000,
      });
      await client.connect();
      return { child, client, msToHello: performance.now() - began };
    },
    remove() {
      for (const child of children) child.kill('SIGKILL');
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
}

/** Tries to connect until something listens. */
export async function portOpens(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`the process ended with ${child.exitCode} before it listened`);
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** What a built extension registers, by method; the last argument of each call. */
export async function registered(extension: string, stateDir: string): Promise<Record<string, unknown>> {
  const { default: entry } = (await import(join(root, 'dist/extensions', extension, 'index.js'))) as { default: { register(api: unknown): unknown } };
  const made: Record<string, unknown> = {};
  await entry.register(
    new Proxy(bareApi(stateDir), {
      get: (known, name) => (name in known ? known[String(name)] : (...args: unknown[]) => (made[String(name)] = args.at(-1))),
    }),
  );
  return made;
}

function bareApi(stateDir: string): Record<string, unknown> {
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  return { pluginConfig: {}, config: {}, logger: quiet, runtime: { state: { resolveStateDir: () => stateDir } } };
}
