import type { SessionRecord, StoredEntry } from '../../sdk/index.ts';
import type { GatewaySessions } from './options.ts';

export interface HistoryOptions {
  /** How many messages at most, the newest ones. */
  limit: number;
  /** Longer texts are cut. Absent: the messages as they are stored. */
  maxChars?: number;
}

type WireMessage = Record<string, unknown>;

const MAX_MESSAGE_BYTES = 131_072;
const MAX_TOTAL_BYTES = 6 * 1024 * 1024;
/** Directives to the host, tool calls written as text, and model control tokens; in both widths of the bracket. */
const NOISE = [
  /\[\[\s*(?:reply_to_current|reply_to\s*:[^\]]*|audio_as_voice)\s*\]\]/gi,
  /<(tool_calls?|function_calls?)\b[^>]*>[\s\S]*?(?:<\/\1>|$)/gi,
  /<[|｜][^|｜<>\n]{1,80}[|｜]>/g,
];

/** The newest messages of a session, oldest first, each with its place in the transcript. */
export async function readHistory(sessions: GatewaySessions, session: SessionRecord, options: HistoryOptions): Promise<WireMessage[]> {
  const { limit, maxChars } = options;
  const { lastSeq } = await sessions.read(session, { fromSeq: Number.MAX_SAFE_INTEGER, limit: 1 });
  const messages: WireMessage[] = [];
  let bytes = 0;
  for (let end = lastSeq; end > 0 && messages.length < limit && bytes < MAX_TOTAL_BYTES; ) {
    const size = Math.min(end, limit);
    const { entries } = await sessions.read(session, { fromSeq: end - size + 1, limit: size });
    for (const entry of entries.reverse()) {
      if (entry.seq > end || messages.length >= limit) continue;
      const shown = maxChars === undefined ? stored(entry) : displayed(entry, maxChars);
      if (shown === undefined) continue;
      const length = JSON.stringify(shown).length;
      bytes += length;
      if (bytes > MAX_TOTAL_BYTES) break;
      messages.push(shown);
    }
    end -= size;
  }
  return messages.reverse();
}

function stored(entry: StoredEntry): WireMessage | undefined {
  if (entry.type !== 'message') return undefined;
  return { ...entry.message, __openclaw: { id: entry.id, seq: entry.seq } };
}

/** What a person should see of an entry; undefined: nothing. */
function displayed(entry: StoredEntry, maxChars: number): WireMessage | undefined {
  if (entry.type !== 'message') return undefined;
  const { message } = entry;
  const isAssistant = message.role === 'assistant';
  const clean = (text: string) => cut(isAssistant ? withoutNoise(text) : text, maxChars);
  const content = typeof message.content === 'string' ? clean(message.content) : message.content.map((block) => displayedBlock(block, clean));
  if (isAssistant && isSilentReply(content)) return undefined;
  const { details: _details, ...rest } = message as unknown as WireMessage;
  const shown: WireMessage = { ...rest, content, __openclaw: { id: entry.id, seq: entry.seq } };
  if (JSON.stringify(shown).length <= MAX_MESSAGE_BYTES) return shown;
  return {
    role: message.role,
    timestamp: message.timestamp,
    content: [{ type: 'text', text: '[chat.history omitted: message too large]' }],
    __openclaw: { id: entry.id, seq: entry.seq, truncated: true, reason: 'oversized' },
  };
}

function displayedBlock(block: object & { type: string }, clean: (text: string) => string): WireMessage {
  const { thinkingSignature: _signature, ...rest } = block as unknown as WireMessage & { type: string };
  if (block.type === 'image' && typeof rest.data === 'string') {
    const { data, ...described } = rest;
    return { ...described, omitted: true, bytes: Math.floor((data.length * 3) / 4) };
  }
  return {
    ...rest,
    ...(typeof rest.text === 'string' ? { text: clean(rest.text) } : {}),
    ...(typeof rest.thinking === 'string' ? { thinking: clean(rest.thinking) } : {}),
  };
}

function withoutNoise(text: string): string {
  return NOISE.reduce((rest, pattern) => rest.replace(pattern, ''), text);
}

function cut(text: string, maxChars: number): string {
  return text.length <= maxChars ? text : `${text.slice(0, maxChars)}\n...(truncated)...`;
}

function isSilentReply(content: string | WireMessage[]): boolean {
  const text = typeof content === 'string' ? content : content.length === 1 && typeof content[0]?.text === 'string' ? content[0].text : '';
  return text.trim().toUpperCase() === 'NO_REPLY';
}
