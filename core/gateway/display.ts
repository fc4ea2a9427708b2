import type { AgentMessage } from '../../sdk/index.ts';

/** How a message of the transcript is shown to people: nothing that was meant for the host, the model or the provider. Pure text work. */

type WireMessage = Record<string, unknown>;
type WireBlock = Record<string, unknown> & { type: string };

/** Directives to the host. All of these look only so far ahead that a hostile text costs no more than its length. */
const DIRECTIVES = /\[\[\s{0,8}(?:reply_to_current|reply_to\s{0,8}:[^\]]{0,200}|audio_as_voice)\s{0,8}\]\]/gi;
/** Tool calls written as text, whole, left open, or cut within the tag itself. */
const TOOL_CALLS = /<(tool_calls?|function_calls?)(?:\s[^>]*)?(?:>[\s\S]*?(?:<\/\1\s{0,8}>|$)|$)/gi;
const CUT_TAG = /<\/?(?:tool_call|function_call)[^<>]*$/i;
const STRAY_END = /<\/(?:tool_calls?|function_calls?)\s{0,8}>/gi;
/** Control tokens of models, in both widths of bracket and bar. */
const CONTROL_TOKENS = /[<＜][|｜][^|｜<>＜＞\n]{1,80}[|｜][>＞]/g;
const SILENT_REPLY = 'NO_REPLY';

/** undefined: there is nothing to show. Texts longer than `maxChars` are cut. */
export function displayMessage(message: AgentMessage, maxChars: number): WireMessage | undefined {
  const isAssistant = message.role === 'assistant';
  const clean = (text: string) => cut(isAssistant ? plainText(text) : text.replace(DIRECTIVES, ''), maxChars);
  const content = typeof message.content === 'string' ? clean(message.content) : message.content.map((block) => displayBlock(block, clean));
  if (isAssistant && isSilent(message.content)) return undefined;
  const { details: _details, usage, ...rest } = message as unknown as WireMessage;
  return { ...rest, ...(isAssistant && usage !== undefined ? { usage } : {}), content };
}

/** The silent token alone, whatever was thought before it. */
export function isSilent(content: AgentMessage['content']): boolean {
  if (typeof content === 'string') return content.trim().toUpperCase() === SILENT_REPLY;
  if (content.some(({ type }) => type !== 'text' && type !== 'thinking')) return false;
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return text.trim().toUpperCase() === SILENT_REPLY;
}

function plainText(text: string): string {
  if (!/[<＜[]/.test(text)) return text;
  return text.replace(DIRECTIVES, '').replace(TOOL_CALLS, '').replace(CUT_TAG, '').replace(STRAY_END, '').replace(CONTROL_TOKENS, '');
}

function displayBlock(block: object & { type: string }, clean: (text: string) => string): WireBlock {
  const { thinkingSignature: _thinking, textSignature: _text, thoughtSignature: _thought, ...rest } = block as WireBlock;
  if (block.type === 'image' && typeof rest.data === 'string') {
    const { data, ...described } = rest;
    return { ...described, type: 'image', omitted: true, bytes: Math.floor((String(data).length * 3) / 4) };
  }
  return {
    ...rest,
    type: block.type,
    ...(typeof rest.text === 'string' ? { text: clean(rest.text) } : {}),
    ...(typeof rest.thinking === 'string' ? { thinking: clean(rest.thinking) } : {}),
  };
}

/** Never in the middle of a character. */
function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const code = text.charCodeAt(maxChars - 1);
  const end = code >= 0xd800 && code <= 0xdbff ? maxChars - 1 : maxChars;
  return `${text.slice(0, end)}\n...(truncated)...`;
}
