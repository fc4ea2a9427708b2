import { errorCode } from 'Durar/plugin-sdk/core';
import { type PathTrust, trustPath } from 'Durar/plugin-sdk/trusted-path';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

export interface SecretFileOptions {
  maxBytes: number;
  trust: PathTrust;
  signal: AbortSignal;
}

/** The text of a file that only its owner may read. No error holds a part of it. */
export async function readSecretFile(path: string, { maxBytes, trust, signal }: SecretFileOptions): Promise<string> {
  const trusted = await trustPath(path, trust);
  signal.throwIfAborted();
  // NONBLOCK: a pipe that takes the place of the file must not hold us
  const handle = await open(trusted.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)).catch((cause: unknown) => {
    throw new Error(`'${path}' cannot be read (${errorCode(cause)})`, { cause });
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.ino !== trusted.stats.ino || stats.dev !== trusted.stats.dev) throw new Error(`'${path}' was replaced while it was checked`);
    const buffer = Buffer.alloc(Math.min(stats.size, maxBytes) + 1);
    let length = 0;
    while (length < buffer.length) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > maxBytes) throw new Error(`'${path}' is larger than ${maxBytes} bytes`);
    if (length === buffer.length) throw new Error(`'${path}' grew while it was read`);
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } catch (error) {
    if (errorCode(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw new Error(`'${path}' is not UTF-8`);
    throw error;
  } finally {
    await handle.close();
  }
}
