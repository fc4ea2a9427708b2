import { openMediaFile } from 'Durar/plugin-sdk/media-file';
import { SlackError } from './failure.ts';
import { tooLarge } from './transport.ts';

/** An address that readers follow themselves, or the content. */
export type Attachment = { url: string } | { bytes: Uint8Array; name: string };

/** Opens `file:`, `data:` or `https:`. What is at an address is never fetched by this machine, which may reach places that others may not. */
export async function openAttachment(mediaUrl: string, maxBytes: number): Promise<Attachment> {
  if (/^https?:/i.test(mediaUrl)) return { url: mediaUrl };
  const attachment = await openMediaFile(mediaUrl, maxBytes, { unusable, tooLarge: () => tooLarge(maxBytes) });
  if (attachment.bytes.length === 0) throw unusable('it is empty');
  return attachment;
}

function unusable(what: string): SlackError {
  return new SlackError('SLACK_MEDIA', `the file cannot be sent: ${what}`, { hint: 'Give the path of a readable file or an https address.' });
}
