import type { InboundMessage } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';

export interface EnvelopeParams {
  /** What the channel is called. */
  label: string;
  message: Pick<InboundMessage, 'chatType' | 'senderName' | 'senderId' | 'conversationName' | 'conversationId' | 'timestamp'>;
  /** epoch ms */
  now: number;
  /** When the session was last used, epoch ms. */
  lastAt?: number | undefined;
  config: Config;
}

/** Writes who says something, where and when, before what is said. */
export interface Envelopes {
  /** `[IRC #ops +5m 2026-01-05 16:26 UTC] Ada: ` in a group, `[IRC Ada +5m 2026-01-05 16:26 UTC] ` in private. */
  before(params: EnvelopeParams): string;
}

const MAX_NAME = 80;

export function createEnvelopes(): Envelopes {
  const formats = new Map<string, Intl.DateTimeFormat>();

  function stamp(at: number, zone: string | undefined): string {
    const key = zone ?? '';
    let format = formats.get(key);
    if (format === undefined) {
      format = formatOf(zone);
      formats.set(key, format);
    }
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute} ${part.timeZoneName}`;
  }

  return {
    before({ label, message, now, lastAt, config }) {
      const { defaults } = config.agents;
      const at = isTime(message.timestamp) ? message.timestamp : now;
      const isDirect = message.chatType === 'direct';
      const sender = nameOf(message);
      const place = isDirect ? sender : plain(message.conversationName ?? message.conversationId);
      const elapsed = defaults.envelopeElapsed === 'on' && lastAt !== undefined ? elapsedText(at - lastAt) : undefined;
      const time = defaults.envelopeTimestamp === 'on' ? stamp(at, zoneOf(defaults.envelopeTimezone, defaults.userTimezone)) : undefined;
      const head = `[${[plain(label), place, elapsed, time].filter(Boolean).join(' ')}] `;
      return isDirect ? head : `${head}${sender}: `;
    },
  };
}

/** `[Replying to …]`, behind the message that quotes. */
export function quotation(replyTo: InboundMessage['replyTo']): string {
  if (replyTo?.text === undefined || replyTo.text.trim() === '') return '';
  const who = plain(replyTo.senderName ?? replyTo.senderId ?? 'a message');
  return `\n\n[Replying to ${who} id:${plain(replyTo.messageId)}]\n${replyTo.text}\n[/Replying]`;
}

export function nameOf({ senderName, senderId }: Pick<InboundMessage, 'senderName' | 'senderId'>): string {
  return plain(senderName ?? senderId) || plain(senderId);
}

/** Services send what no calendar holds. */
function isTime(at: number | undefined): at is number {
  return at !== undefined && !Number.isNaN(new Date(at).getTime());
}

/** A name may hold anything; it must not look like the end of the envelope. */
function plain(name: string): string {
  return name
    .replaceAll(/[[\]\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_NAME);
}

function elapsedText(ms: number): string | undefined {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return undefined;
  if (minutes < 60) return `+${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `+${hours}h` : `+${Math.floor(hours / 24)}d`;
}

/** undefined: of this machine. */
function zoneOf(wanted: string, user: string | undefined): string | undefined {
  if (wanted === 'local') return undefined;
  return wanted === 'user' ? user : wanted;
}

function formatOf(timeZone: string | undefined): Intl.DateTimeFormat {
  const shape = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZoneName: 'short' } as const;
  try {
    return new Intl.DateTimeFormat('en-CA', { ...shape, timeZone });
  } catch (error) {
    // a name that no time zone has
    if (error instanceof RangeError) return new Intl.DateTimeFormat('en-CA', shape);
    throw error;
  }
}
