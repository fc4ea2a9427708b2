/** Directives to the host inside a reply. These look only so far ahead that a hostile text costs no more than its length. */
const TAGS = /\[\[\s{0,8}(?:(reply_to_current)|reply_to\s{0,8}:([^\]]{0,200})|(audio_as_voice))\s{0,8}\]\]/gi;

export interface TaggedText {
  /** Without the directives. */
  text: string;
  /** The message that the reply answers; `current`: the one that began the run. */
  replyTo?: 'current' | { id: string };
  asVoice: boolean;
}

/** Takes the directives out of a reply; of several targets the last one counts. */
export function readReplyTags(text: string): TaggedText {
  if (!text.includes('[[')) return { text, asVoice: false };
  let replyTo: TaggedText['replyTo'];
  let asVoice = false;
  const visible = text.replace(TAGS, (_tag, current: string | undefined, id: string | undefined, voice: string | undefined) => {
    const named = id?.trim();
    if (current !== undefined) replyTo = 'current';
    else if (named) replyTo = { id: named };
    if (voice !== undefined) asVoice = true;
    return '';
  });
  return { text: visible === text ? text : visible.trim(), asVoice, ...(replyTo === undefined ? {} : { replyTo }) };
}
