import type { InboundMedia } from 'Durar/plugin-sdk/core';
import { basename } from 'node:path';
import type { APIAttachment } from 'discord.js';
import { DiscordError } from './failure.ts';

/** The files of a message; each is fetched when the host asks. */
export function mediaOf(attachments: readonly APIAttachment[], maxBytes: number, signal: AbortSignal): InboundMedia[] {
  return attachments.map(({ url, filename, content_type, size }): InboundMedia => {
    const mimeType = content_type?.split(';')[0];
    return {
      kind: kindOf(mimeType),
      ...(mimeType === undefined ? {} : { mimeType }),
      fileName: basename(filename),
      size,
      load: (limit, limits = { maxBytes }) => download(url, filename, size, limits.maxBytes, AbortSignal.any([limit, signal])),
    };
  });
}

function kindOf(mimeType = ''): InboundMedia['kind'] {
  const [kind] = mimeType.split('/');
  return kind === 'image' || kind === 'audio' || kind === 'video' ? kind : 'file';
}

/** The address is Discord's own and needs no token. */
async function download(url: string, name: string, size: number, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  if (size > maxBytes) throw tooLarge(name, maxBytes);
  const answer = await fetch(url, { signal, redirect: 'error' });
  if (!answer.ok || answer.body === null) {
    await answer.body?.cancel();
    throw new DiscordError('DISCORD_FILE', `'${name}' cannot be fetched (${answer.status})`, { hint: 'Send the file again.' });
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
    length += part.byteLength;
    // leaving the loop ends the connection
    if (length > maxBytes) throw tooLarge(name, maxBytes);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

export function tooLarge(name: string, maxBytes: number): DiscordError {
  return new DiscordError('DISCORD_FILE_SIZE', `'${name}' is larger than ${Math.round((maxBytes / 1024 / 1024) * 10) / 10} MB`, {
    hint: 'Raise channels.discord.mediaMaxMb, or send a smaller file.',
  });
}
