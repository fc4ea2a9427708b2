import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from './errors.ts';

/** A file that is to be sent: what `mediaUrl` of `sendMedia` holds. */
export interface MediaFile {
  /** The file's own name, or `file.<extension>` for a `data:` address. */
  name: string;
  bytes: Uint8Array;
}

/** How a channel refuses what it cannot send. */
export interface MediaRefusals {
  /** `what`: half a sentence that says what is wrong with it. */
  unusable(what: string): Error;
  tooLarge(name: string): Error;
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'audio/ogg': 'ogg',
  'audio/opus': 'opus',
  'audio/mpeg': 'mp3',
  'audio/mp4': 'm4a',
  'video/mp4': 'mp4',
  'application/pdf': 'pdf',
  'text/plain': 'txt',
};

/** Reads a `file:` or `data:` address of at most `maxBytes`. Throws what `refusals` make. An `https:` address is for the service to fetch, never for this machine. */
export async function openMediaFile(mediaUrl: string, maxBytes: number, refusals: MediaRefusals): Promise<MediaFile> {
  const found = mediaUrl.startsWith('data:') ? readData(mediaUrl) : await readFile(mediaUrl, maxBytes);
  if ('problem' in found) throw refusals.unusable(found.problem);
  if (found.bytes === undefined || found.bytes.byteLength > maxBytes) throw refusals.tooLarge(found.name);
  return { name: found.name, bytes: found.bytes };
}

/** Without `bytes` it is too large to be read. */
type Found = { name: string; bytes?: Uint8Array } | { problem: string };

function readData(mediaUrl: string): Found {
  const comma = mediaUrl.indexOf(',');
  if (comma < 0) return { problem: 'the data address has no content' };
  const [type = '', ...parameters] = mediaUrl.slice('data:'.length, comma).split(';');
  const content = mediaUrl.slice(comma + 1);
  try {
    const bytes = parameters.includes('base64') ? Buffer.from(content, 'base64') : Buffer.from(decodeURIComponent(content));
    return { bytes, name: `file.${EXTENSIONS[type.toLowerCase()] ?? 'bin'}` };
  } catch (error) {
    if (error instanceof URIError) return { problem: 'the data address is not well formed' };
    throw error;
  }
}

async function readFile(mediaUrl: string, maxBytes: number): Promise<Found> {
  if (!mediaUrl.startsWith('file:')) return { problem: `'${mediaUrl.slice(0, 40)}' is no file:, data: or https: address` };
  const path = fileURLToPath(mediaUrl);
  const name = basename(path);
  try {
    const handle = await open(path);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) return { problem: `${path} is not a file` };
      return stats.size > maxBytes ? { name } : { name, bytes: await handle.readFile() };
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { problem: `${path} cannot be read (${errorCode(error) ?? 'unknown reason'})` };
  }
}
