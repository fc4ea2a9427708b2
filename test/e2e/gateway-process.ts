import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BootReport } from '../../core/cli/gateway/boot-report.ts';
import { createGatewayClient, type GatewayClient } from '../../sdk/client/client.ts';
import { loadIdentity, nodeSocketFactory } from '../../sdk/client/node.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const command = join(root, 'core/cli/durar.js');

/** One operator's machine: a home of its own, a gateway process, the command line. */
export interface Machine {
  home: string;
  stateDir: string;
  configFile: string;
  workspace: string;
  env: NodeJS.ProcessEnv;
  /** Runs the command line to its end. */
  cli(args: string[], options?: { input?: string; env?: NodeJS.ProcessEnv; cwd?: string; timeoutMs?: number; killSignal?: NodeJS.Signals }): Promise<CliResult>;
  /** A client of the running gateway with every scope, its device kept in the home. Resolves when it is connected. */
  connect(gateway: Pick<GatewayProcess, 'url'>, onDisconnected?: () => void): Promise<GatewayClient>;
  /** Starts the gateway and resolves when it listens. `configured`: where its configuration says, and its commands find it by themselves. */
  start(options?: { args?: string[]; env?: NodeJS.ProcessEnv; configured?: boolean }): Promise<GatewayProcess>;
  writeConfig(config: object | string): Promise<void>;
  remove(): Promise<void>;
}

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
  json<T = Record<string, unknown>>(): T;
}

export interface GatewayProcess {
  url: string;
  port: number;
  child: ChildProcess;
  /** What it told its operator when it was up. */
  report: BootReport;
  /** Everything it printed. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export async function createMachine(config?: object): Promise<Machine> {
  const home = await mkdtemp(join(tmpdir(), 'durar-e2e-'));
  const stateDir = join(home, '.Durar');
  const workspace = join(stateDir, 'workspace');
  await mkdir(workspace, { recursive: true, mode: 0o700 });
  const running = new Set<ChildProcess>();
  let port: number | undefined;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    HOME: home,
    Durar_HOME: home,
    XDG_CACHE_HOME: join(tmpdir(), 'durar-e2e-cache'),
    NO_COLOR: '1',
  };
  for (const name of ['Durar_STATE_DIR', 'Durar_CONFIG_PATH', 'Durar_GATEWAY_TOKEN', 'NODE_OPTIONS', 'VITEST', 'CI']) delete env[name];

  const machine: Machine = {
    home,
    stateDir,
    configFile: join(stateDir, 'Durar.json'),
    workspace,
    env,
    cli(args, options = {}) {
      return new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [command, ...args], {
          cwd: options.cwd ?? home,
          env: { ...env, ...(port === undefined ? {} : { Durar_GATEWAY_PORT: String(port) }), ...options.env },
          stdio: ['pipe', 'pipe', 'pipe'],
          timeout: options.timeoutMs ?? 60_000,
          killSignal: options.killSignal ?? 'SIGTERM',
        });
        running.add(child);
        let stdout = '';
        let stderr = '';
        child.stdout.on('data', (chunk) => (stdout += String(chunk)));
        child.stderr.on('data', (chunk) => (stderr += String(chunk)));
        child.stdin.end(options.input ?? '');
        child.on('error', reject);
        child.on('close', (code) => {
          running.delete(child);
          resolve({ code, stdout, stderr, json: () => JSON.parse(stdout) });
        });
      });
    },
    async connect({ url }, onDisconnected) {
      const { token } = JSON.parse(await readFile(join(stateDir, 'state/gateway-auth.json'), 'utf8')) as { token: string };
      const client = createGatewayClient({
        url,
        socketFactory: nodeSocketFactory(),
        identity: loadIdentity({ stateDir: join(home, 'client') }),
        auth: { token },
        client: { id: 'test', version: '1', platform: 'test', mode: 'test' },
        scopes: ['operator.admin'],
        ...(onDisconnected === undefined ? {} : { onDisconnected }),
      });
      await client.connect();
      return client;
    },
    async start(options = {}) {
      const anyPort = options.configured === true ? [] : ['--port', '0'];
      const child = spawn(process.execPath, [command, 'gateway', 'run', '--allow-unconfigured', ...anyPort, '--json', ...(options.args ?? [])], {
        cwd: home,
        env: { ...env, ...options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running.add(child);
      child.on('exit', () => running.delete(child));
      let printed = '';
      const report = await new Promise<BootReport>((resolve, reject) => {
        child.stderr.on('data', (chunk) => (printed += String(chunk)));
        let out = '';
        child.stdout.on('data', (chunk) => {
          printed += String(chunk);
          out += String(chunk);
          const document = firstDocument(out);
          if (document !== undefined) resolve(document as BootReport);
        });
        child.on('exit', (code) => reject(new Error(`the gateway ended with ${code}:\n${printed}`)));
      });
      const listening = Number(new URL(report.url).port);
      port = options.configured === true ? undefined : listening;
      return {
        url: report.url,
        port: listening,
        child,
        report,
        output: () => printed,
        stop(signal = 'SIGTERM') {
          if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
          const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
          child.kill(signal);
          return ended;
        },
      };
    },
    async writeConfig(next) {
      await writeFile(machine.configFile, typeof next === 'string' ? next : JSON.stringify(next, null, 2), { mode: 0o600 });
    },
    async remove() {
      for (const child of running) child.kill('SIGKILL');
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  if (config !== undefined) await machine.writeConfig(config);
  return machine;
}

/** The first whole JSON object at the start of the text. */
function firstDocument(text: string): unknown {
  const end = text.indexOf('\n}\n');
  for (const candidate of [text, end < 0 ? '' : text.slice(0, end + 2), text.split('\n')[0] ?? '']) {
    try {
      if (candidate.trim().startsWith('{')) return JSON.parse(candidate);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return undefined;
}

/** Asks until the answer is there; for effects that arrive a little later. */
export async function until<T>(ask: () => Promise<T | undefined | false> | T | undefined | false, what: string, timeoutMs = 20_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  while (Date.now() < end) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not come about within ${timeoutMs} ms`);
}
