import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { Attachment } from '../../sdk/protocol/generated/types.ts';

const MAX_IMAGE_BYTES = 5_000_000;

/** The pictures of a request, as a run takes them. Throws INVALID_REQUEST for anything else. */
export function imagesOf(attachments: readonly Attachment[] | undefined, method: string): Array<{ data: string; mimeType: string }> {
  return (attachments ?? []).map((attachment, index) => {
    const refuse = (reason: string) => new ProtocolError('INVALID_REQUEST', `invalid ${method} params: attachment ${index + 1} ${reason}`);
    const given = attachment.source?.data ?? attachment.content;
    if (given === undefined || given === '') throw refuse('has no content');
    const url = /^data:([^;,]+);base64,/.exec(given);
    const data = (url === null ? given : given.slice(url[0].length)).replace(/\s+/g, '');
    const mimeType = url?.[1] ?? attachment.source?.media_type ?? attachment.mimeType ?? '';
    if (!mimeType.startsWith('image/')) throw refuse('is not an image');
    if (!/^[\w+/-]+={0,2}$/.test(data)) throw refuse('is not base64');
    if (Math.floor((data.length * 3) / 4) > MAX_IMAGE_BYTES) throw refuse(`is larger than ${MAX_IMAGE_BYTES} bytes`);
    return { data, mimeType };
  });
}
