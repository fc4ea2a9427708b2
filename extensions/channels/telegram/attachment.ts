import { openMediaFile } from 'Durar/plugin-sdk/media-file';
import { extname } from 'node:path';
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
  const { bytes, name } = await openMediaFile(mediaUrl, maxBytes, { unusable, tooLarge: () => tooLarge(maxBytes) });
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

function unusable(what: string): TelegramError {
  return new TelegramError('TELEGRAM_MEDIA', `the file cannot be sent: ${what}`, { hint: 'Give the path of a readable file or an https address.' });
}
