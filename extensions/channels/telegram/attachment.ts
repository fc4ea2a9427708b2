import { errorCode } from 'Durar/plugin-sdk/core';
import { open } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tooLarge } from './api.ts';
import { TelegramError } from './failure.ts';

/** The ways in which Telegram shows a file. */
export type AttachmentKind = 'photo' | 'animation' | 'sticker' | 'voice' | 'audio' | 'video' | 'document';

export interface Attachment {
  kind: AttachmentKind;
  /** An address that Telegram fetches itself, or the content. */
  source: string | { bytes: Uint8Array; name: string };
}

export interface AttachmentOptions {
  maxBytes: number;
  hasCaption: boolean;
  /** Audio as a voice message. */
  asVoice: boolean;
}

/** Telegram makes no photo of a larger image. */
const PHOTO_BYTES = 10 * 1024 * 1024;

/** Opens `file:`, `data:` or `https:`. What is at an address is fetched by Telegram, never by this machine, which may reach places that others may not. */
export async function openAttachment(mediaUrl: string, { maxBytes, ...shown }: AttachmentOptions): Promise<Attachment> {
  if (/^https?:/i.test(mediaUrl)) return { kind: kindOf(extname(new URL(mediaUrl).pathname), shown), source: mediaUrl };
  const { bytes, name } = mediaUrl.startsWith('data:') ? readData(mediaUrl) : await readFile(mediaUrl, maxBytes);
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  const kind = kindOf(extname(name), shown);
  return { kind: kind === 'photo' && bytes.length > PHOTO_BYTES ? 'document' : kind, source: { bytes, name } };
}

function kindOf(extension: string, { hasCaption, asVoice }: Omit<AttachmentOptions, 'maxBytes'>): AttachmentKind {
  const kind = KINDS[extension.toLowerCase()] ?? 'document';
  if (kind === 'audio' && asVoice) return 'voice';
  // a sticker has no caption
  return kind === 'sticker' && hasCaption ? 'photo' : kind;
}

const KINDS: Record<string, AttachmentKind> = {
  '.jpg': 'photo',
  '.jpeg': 'photo',
  '.png': 'photo',
  '.webp': 'sticker',
  '.gif': 'animation',
  '.ogg': 'voice',
  '.oga': 'voice',
  '.opus': 'voice',
  '.mp3': 'audio',
  '.m4a': 'audio',
  '.mp4': 'video',
};

const EXTENSIONS: Record<string, string> = {
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

function readData(mediaUrl: string): { bytes: Uint8Array; name: string } {
  const comma = mediaUrl.indexOf(',');
  const [type = '', ...parameters] = mediaUrl.slice('data:'.length, Math.max(comma, 0)).split(';');
  if (comma < 0) throw unusable('the data address has no content');
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
    if (error instanceof TelegramError) throw error;
    throw unusable(`${path} cannot be read (${errorCode(error) ?? 'unknown reason'})`);
  }
}

function unusable(what: string): TelegramError {
  return new TelegramError('TELEGRAM_MEDIA', `the file cannot be sent: ${what}`, { hint: 'Give the path of a readable file or an https address.' });
}
