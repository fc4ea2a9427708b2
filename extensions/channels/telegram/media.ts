import type { InboundMedia } from 'Durar/plugin-sdk/core';
import { basename } from 'node:path';
import type { Message } from 'grammy/types';

/** A file of a message, not fetched yet. */
export type FoundMedia = Omit<InboundMedia, 'load'> & { fileId: string };

/** The files of a message. A photo is there in several sizes; the largest within the limit is taken. */
export function mediaOf(message: Message, maxBytes: number): FoundMedia[] {
  const found: FoundMedia[] = [];
  const add = (kind: InboundMedia['kind'], file: TelegramFile | undefined, mimeType?: string) => {
    if (file === undefined) return;
    const type = file.mime_type ?? mimeType;
    found.push({
      kind,
      fileId: file.file_id,
      ...(type === undefined ? {} : { mimeType: type }),
      ...(file.file_name === undefined ? {} : { fileName: basename(file.file_name) }),
      ...(file.file_size === undefined ? {} : { size: file.file_size }),
    });
  };
  const sizes = (message.photo ?? []).toSorted((one, other) => one.width * one.height - other.width * other.height);
  add('image', sizes.findLast(({ file_size = 0 }) => file_size <= maxBytes) ?? sizes.at(-1), 'image/jpeg');
  // an animation is told a second time as a document, for old clients
  if (message.animation === undefined) add(isImage(message.document) ? 'image' : 'file', message.document);
  add('video', message.animation, 'video/mp4');
  add('audio', message.audio, 'audio/mpeg');
  add('audio', message.voice, 'audio/ogg');
  add('video', message.video, 'video/mp4');
  add('video', message.video_note, 'video/mp4');
  const { sticker } = message;
  if (sticker?.is_video === true) add('video', sticker, 'video/webm');
  else add(sticker?.is_animated === true ? 'file' : 'image', sticker, sticker?.is_animated === true ? 'application/x-tgsticker' : 'image/webp');
  return found;
}

/** What a message holds beside text and files, in words. */
export function describeContent(message: Message): string | undefined {
  const { location, venue, contact, poll, dice, sticker } = message;
  if (venue !== undefined) return `[place: ${venue.title}, ${venue.address} (${venue.location.latitude}, ${venue.location.longitude})]`;
  if (location !== undefined) return `[location: ${location.latitude}, ${location.longitude}]`;
  if (contact !== undefined) return `[contact: ${[contact.first_name, contact.last_name].filter(Boolean).join(' ')}, ${contact.phone_number}]`;
  if (poll !== undefined) return `[poll: ${poll.question} ${poll.options.map((option) => `(${option.text})`).join(' ')}]`;
  if (dice !== undefined) return `[${dice.emoji} ${dice.value}]`;
  if (sticker !== undefined) return `[sticker${sticker.emoji === undefined ? '' : ` ${sticker.emoji}`}]`;
  return undefined;
}

interface TelegramFile {
  file_id: string;
  file_name?: string;
  mime_type?: string;
  file_size?: number;
}

function isImage(file: TelegramFile | undefined): boolean {
  return /^image\/(?:jpeg|png|gif|webp)$/.test(file?.mime_type ?? '');
}
