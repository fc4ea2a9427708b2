import { errorCode } from 'Durar/plugin-sdk/core';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SlackError } from './failure.ts';
import { tooLarge } from './transport.ts';

/** An address that readers follow themselves, or the content. */
export type Attachment = { url: string } | { bytes: Uint8Array; name: string };

/** Opens `file:`, `data:` or `https:`. What is at an address is never fetched by this machine, which may reach places that others may not. */
export async function openAttachment(mediaUrl: string, maxBytes: number): Promise<Attachment> {
  if (/^https?:/i.test(mediaUrl)) return { url: mediaUrl };
  const attachment = mediaUrl.startsWith('data:') ? readData(mediaUrl) : await readFile(mediaUrl, maxBytes);
  if (attachment.bytes.length > maxBytes) throw tooLarge(maxBytes);
  if (attachment.bytes.length === 0) throw unusable('it is empty');
  return attachment;
}

const EXTENSIONS: Record<string, string> = {
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'audio/ogg': 'ogg',
  'audio/mpeg': 'mp3',
  'audio/mp4': 'm4a',
  'video/mp4': 'mp4',
  'application/pdf': 'pdf',
  'text/plain': 'txt',
};

function readData(mediaUrl: string): { bytes: Uint8Array; name: string } {
  const comma = mediaUrl.indexOf(',');
  if (comma < 0) throw unusable('the data address has no content');
  const [type = '', ...parameters] = mediaUrl.slice('data:'.length, comma).split(';');
  const content = mediaUrl.slice(comma + 1);
  try {
    const bytes = parameters.includes('base64') ? Buffer.from(content, 'base64') : Buffer.from(decodeURIComponent(content));
    return { bytes, name: `file.${EXTENSIONS[type.toLowerCase()] ?? 'bin'}` };
  } catch (error) {
    if (error instanceof URIError) throw unusable('the data address is not well formed');
    throw error;
  }
}

async function readFile(mediaUrl: string, maxBytes: number): Promise<{ bytes: Uint8Array; name: string }> {
  if (!mediaUrl.startsWith('file:')) throw unusable(`'${mediaUrl.slice(0, 40)}' is no file:, data: or https: address`);
  const path = fileURLToPath(mediaUrl);
  try {
    const handle = await open(path);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw unusable(`${path} is not a file`);
      if (stats.size > maxBytes) throw tooLarge(maxBytes);
      return { bytes: await handle.readFile(), name: basename(path) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof SlackError) throw error;
    throw unusable(`${path} cannot be read (${errorCode(error) ?? 'unknown reason'})`);
  }
}

function unusable(what: string): SlackError {
  return new SlackError('SLACK_MEDIA', `the file cannot be sent: ${what}`, { hint: 'Give the path of a readable file or an https address.' });
}
