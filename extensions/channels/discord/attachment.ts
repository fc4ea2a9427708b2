import { errorCode } from 'Durar/plugin-sdk/core';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiscordError } from './failure.ts';
import { tooLarge } from './media.ts';

/** An address that is written into the message and shown by Discord itself, one of Discord's stickers, or a file to upload. */
export type Attachment = { kind: 'link'; url: string } | { kind: 'sticker'; id: string } | { kind: 'file'; name: string; data: Uint8Array };

/** Opens `file:`, `data:` or `https:`. What is at an address is fetched by Discord, never by this machine, which may reach places that others may not. */
export async function openAttachment(mediaUrl: string, maxBytes: number): Promise<Attachment> {
  const [, sticker] = STICKER.exec(mediaUrl) ?? [];
  if (sticker !== undefined) return { kind: 'sticker', id: sticker };
  if (/^https?:/i.test(mediaUrl)) return { kind: 'link', url: mediaUrl };
  const { name, data } = mediaUrl.startsWith('data:') ? readData(mediaUrl) : await readFile(mediaUrl, maxBytes);
  if (data.byteLength > maxBytes) throw tooLarge(name, maxBytes);
  return { kind: 'file', name: name.replaceAll(/["\r\n;]/g, '_'), data };
}

/** The address of a sticker's picture. */
const STICKER = /^https:\/\/(?:cdn\.discordapp\.com|media\.discordapp\.net)\/stickers\/(\d+)\.\w+(?:\?.*)?$/i;

const EXTENSIONS: Record<string, string> = {
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'audio/ogg': 'ogg',
  'audio/mpeg': 'mp3',
  'video/mp4': 'mp4',
  'application/pdf': 'pdf',
  'text/plain': 'txt',
};

function readData(mediaUrl: string): { data: Uint8Array; name: string } {
  const comma = mediaUrl.indexOf(',');
  if (comma < 0) throw unusable('the data address has no content');
  const [type = '', ...parameters] = mediaUrl.slice('data:'.length, comma).split(';');
  const content = mediaUrl.slice(comma + 1);
  try {
    const data = parameters.includes('base64') ? Buffer.from(content, 'base64') : Buffer.from(decodeURIComponent(content));
    return { data, name: `file.${EXTENSIONS[type.toLowerCase()] ?? 'bin'}` };
  } catch (error) {
    if (error instanceof URIError) throw unusable('the data address is not well formed');
    throw error;
  }
}

async function readFile(mediaUrl: string, maxBytes: number): Promise<{ data: Uint8Array; name: string }> {
  if (!mediaUrl.startsWith('file:')) throw unusable(`'${mediaUrl.slice(0, 40)}' is no file:, data: or https: address`);
  const path = fileURLToPath(mediaUrl);
  try {
    const handle = await open(path);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw unusable(`${path} is not a file`);
      if (stats.size > maxBytes) throw tooLarge(basename(path), maxBytes);
      return { data: await handle.readFile(), name: basename(path) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof DiscordError) throw error;
    throw unusable(`${path} cannot be read (${errorCode(error) ?? 'unknown reason'})`);
  }
}

function unusable(what: string): DiscordError {
  return new DiscordError('DISCORD_MEDIA', `the file cannot be sent: ${what}`, { hint: 'Give the path of a readable file or an https address.' });
}
