import { openMediaFile } from 'Durar/plugin-sdk/media-file';
import { DiscordError } from './failure.ts';
import { tooLarge } from './media.ts';

/** An address that is written into the message and shown by Discord itself, one of Discord's stickers, or a file to upload. */
export type Attachment = { kind: 'link'; url: string } | { kind: 'sticker'; id: string } | { kind: 'file'; name: string; data: Uint8Array };

/** Opens `file:`, `data:` or `https:`. What is at an address is fetched by Discord, never by this machine, which may reach places that others may not. */
export async function openAttachment(mediaUrl: string, maxBytes: number): Promise<Attachment> {
  const [, sticker] = STICKER.exec(mediaUrl) ?? [];
  if (sticker !== undefined) return { kind: 'sticker', id: sticker };
  if (/^https?:/i.test(mediaUrl)) return { kind: 'link', url: mediaUrl };
  const { name, bytes } = await openMediaFile(mediaUrl, maxBytes, { unusable, tooLarge: (file) => tooLarge(file, maxBytes) });
  return { kind: 'file', name: name.replaceAll(/["\r\n;]/g, '_'), data: bytes };
}

/** The address of a sticker's picture. */
const STICKER = /^https:\/\/(?:cdn\.discordapp\.com|media\.discordapp\.net)\/stickers\/(\d+)\.\w+(?:\?.*)?$/i;

function unusable(what: string): DiscordError {
  return new DiscordError('DISCORD_MEDIA', `the file cannot be sent: ${what}`, { hint: 'Give the path of a readable file or an https address.' });
}
