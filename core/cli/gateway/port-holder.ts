import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errorCode } from '../../../sdk/errors.ts';

/** A process that listens on a port. */
export interface PortHolder {
  pid: number;
  /** Its command, as far as the system tells. */
  command: string;
}

/** How long it may take to end by itself. */
const GRACE_MS = 3000;
const POLL_MS = 50;
/** `0A` in the state column of /proc/net/tcp. */
const LISTEN = '0A';

/** The processes that listen on a TCP port of this machine, as far as this user may see them. */
export async function findPortHolders(port: number): Promise<PortHolder[]> {
  const pids =
    process.platform === 'linux' ? await listenersOfProc(port) : process.platform === 'win32' ? await listenersOfNetstat(port) : await listenersOfLsof(port);
  return Promise.all([...new Set(pids)].filter((pid) => pid !== process.pid).map(async (pid) => ({ pid, command: await commandOf(pid) })));
}

/** Ends a process: asks first, then forces. Returns when it is gone. */
export async function endProcess(pid: number): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!send(pid, signal)) return;
    for (const deadline = Date.now() + GRACE_MS; Date.now() < deadline; await sleep(POLL_MS)) if (!send(pid, 0)) return;
  }
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

async function listenersOfProc(port: number): Promise<number[]> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(ignoreGone)));
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = tables.flatMap((table) => (table ?? '').split('\n').map((line) => line.trim().split(/\s+/)));
  const sockets = new Set(rows.filter((row) => row[1]?.endsWith(wanted) && row[3] === LISTEN).map((row) => `socket:[${row[9]}]`));
  if (sockets.size === 0) return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const holds = await Promise.all(pids.map((pid) => hasSocket(pid, sockets)));
  return pids.filter((_, i) => holds[i]);
}

async function hasSocket(pid: number, sockets: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  const handles = (await readdir(folder).catch(ignoreGone)) ?? [];
  const targets = await Promise.all(handles.map((handle) => readlink(`${folder}/${handle}`).catch(ignoreGone)));
  return targets.some((target) => target !== undefined && sockets.has(target));
}

async function listenersOfLsof(port: number): Promise<number[]> {
  // lsof ends with 1 when nothing listens.
  const { stdout } = await promisify(execFile)('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t']).catch((error: { stdout?: string }) => ({
    stdout: error.stdout ?? '',
  }));
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function listenersOfNetstat(port: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('netstat', ['-ano', '-p', 'TCP']);
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row[1]?.endsWith(`:${port}`) && row[3] === 'LISTENING').map((row) => Number(row[4]));
}

async function commandOf(pid: number): Promise<string> {
  const text = process.platform === 'linux' ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(ignoreGone) : undefined;
  return text?.replaceAll('\0', ' ').trim() || 'unknown';
}

/** Processes end while they are looked at, and those of other users stay closed. */
function ignoreGone(error: unknown): undefined {
  if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return undefined;
  throw error;
}
