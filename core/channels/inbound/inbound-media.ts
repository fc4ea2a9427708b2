import { randomUUID } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { durarError, errorText, type InboundMedia } from '../../../sdk/index.ts';
import type { Logger } from '../../logging/logger.ts';

/** What came with a message, in the form that a run takes. */
export interface LoadedMedia {
  images: Array<{ data: string; mimeType: string }>;
  /** A line for each that is no image, or could not be had; the model reads it. */
  notes: string[];
}

export interface MediaOptions {
  /** Of the host alone; files are kept in a folder for each day. */
  dir: string;
  log: Logger;
  signal: AbortSignal;
}

const TIMEOUT_MS = 60_000;
const MB = 1024 * 1024;
/** More of one message are told, not fetched. */
const MAX_ITEMS = 20;

/** Fetches everything once. What cannot be had costs its own content, not the message; rejects when the disk takes nothing. */
export async function loadMedia(media: readonly InboundMedia[], maxMb: number, { dir, log, signal }: MediaOptions): Promise<LoadedMedia> {
  const loaded: LoadedMedia = { images: [], notes: [] };
  for (const [index, item] of media.entries()) {
    const name = labelOf(item);
    let bytes: Uint8Array;
    try {
      if (index >= MAX_ITEMS) throw durarError('DUR_CHANNEL_MEDIA_COUNT', { most: MAX_ITEMS });
      bytes = await fetched(item, name, maxMb, signal);
    } catch (error) {
      if (signal.aborted) throw durarError('DUR_HOST_STOPPED', {}, { cause: error });
      log.warn(`something that came with a message is left out: ${errorText(error)}`);
      loaded.notes.push(`[Attached ${item.kind} '${name}' is not here: ${oneLine(errorText(error))}]`);
      continue;
    }
    const image = imageType(bytes);
    if (image !== undefined) loaded.images.push({ data: Buffer.from(bytes).toString('base64'), mimeType: image });
    else
      loaded.notes.push(`[Attached ${item.kind}: ${await store(dir, name, bytes)} (${oneLine(item.mimeType ?? 'unknown type')}, ${bytes.byteLength} bytes)]`);
  }
  return loaded;
}

async function fetched(item: InboundMedia, name: string, maxMb: number, signal: AbortSignal): Promise<Uint8Array> {
  const tooLarge = () => durarError('DUR_CHANNEL_MEDIA_SIZE', { name, mb: maxMb });
  if (item.size !== undefined && item.size > maxMb * MB) throw tooLarge();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    const giveUp = () => reject(limit.reason);
    if (limit.aborted) return giveUp();
    limit.addEventListener('abort', giveUp, { once: true });
    // a channel that does not mind its signal must not hold the conversation
    item
      .load(limit, { maxBytes: maxMb * MB })
      .then(resolve, reject)
      .finally(() => limit.removeEventListener('abort', giveUp));
  });
  if (bytes.byteLength > maxMb * MB) throw tooLarge();
  return bytes;
}

/** On disk when it resolves. Returns the absolute path. */
async function store(root: string, name: string, bytes: Uint8Array): Promise<string> {
  const dir = join(root, new Date().toISOString().slice(0, 10));
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, `${randomUUID()}-${name}`);
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return path;
}

/** What the bytes are, whatever they are called; of the images that models take. */
function imageType(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'image/gif';
  return head.startsWith('RIFF') && head.endsWith('WEBP') ? 'image/webp' : undefined;
}

/** A file name that leaves no folder and needs no quotes. */
function labelOf({ fileName, kind }: InboundMedia): string {
  const safe = (fileName ?? '').replaceAll(/[^\p{L}\p{N}._-]+/gu, '_').replace(/^[._]+/, '');
  return safe === '' ? kind : safe.slice(-80);
}

function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}[\]]+/gu, ' ').slice(0, 200);
}
