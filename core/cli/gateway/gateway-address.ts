import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../sdk/errors.ts';
import { isRecord } from '../../config/config-path.ts';

/** Where the gateway of a state folder listens now, for the commands of this machine. */
export interface GatewayAddress {
  pid: number;
  url: string;
  /** Of the certificate that it shows. */
  tlsFingerprint?: string;
}

/** Whole or not at all, but not forced to the disk: after a crash it is worth nothing. */
export async function writeGatewayAddress(stateDbDir: string, address: GatewayAddress): Promise<void> {
  const temporary = `${fileIn(stateDbDir)}.tmp`;
  await writeFile(temporary, `${JSON.stringify({ version: 1, ...address }, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, fileIn(stateDbDir));
}

export async function removeGatewayAddress(stateDbDir: string): Promise<void> {
  await rm(fileIn(stateDbDir), { force: true });
}

/** undefined when no gateway runs there; one that was killed left its address, but its process is gone. */
export async function readGatewayAddress(stateDbDir: string): Promise<GatewayAddress | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(fileIn(stateDbDir), 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (!isRecord(value) || typeof value.pid !== 'number' || typeof value.url !== 'string' || !isAlive(value.pid)) return undefined;
  const { pid, url, tlsFingerprint } = value;
  return { pid, url, ...(typeof tlsFingerprint === 'string' ? { tlsFingerprint } : {}) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // gone, or of another user and then no gateway of this folder
    return false;
  }
}

function fileIn(stateDbDir: string): string {
  return join(stateDbDir, 'gateway-address.json');
}
