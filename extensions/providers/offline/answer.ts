import { type AgentMessage, messageText, type ProviderRequest, type ToolResultMessage } from 'Durar/plugin-sdk/core';
import type { Conversation } from './conversation.ts';
import type { ToolStep } from './instruction.ts';

const REPORT_LIMIT = 4000;
const SUMMARY_LINES = 20;
const SUMMARY_WIDTH = 120;

/** The echo model's reply to plain words. */
export function echo({ said, images, isFirst }: Conversation): string {
  const seen = images === 0 ? '' : ` You sent ${images === 1 ? 'an image' : `${images} images`}, which I cannot look at.`;
  const answer = said === '' ? 'This is the offline model. You said nothing.' : `This is the offline model. You said: "${said}"`;
  if (!isFirst) return answer + seen;
  return `${answer}${seen}\n\nI need no account and no network, and I understand little: try "read README.md" or "run ls". For a real model set its key, for example OPENAI_API_KEY, then choose it with \`durar config set agents.defaults.model <provider>/<model>\`.`;
}

/** Plain requests that the echo model serves with a tool. */
export function wantedTool(said: string): ToolStep | undefined {
  const line = said.split('\n').at(-1)?.trim() ?? '';
  const read = /^(?:please )?(?:read|show|open)(?: the file)? [`"']?([^\s`"']+?)[`"']?[.!?]?$/i.exec(line);
  if (read?.[1] !== undefined) return { do: 'tool', name: 'read', args: { path: read[1] } };
  const run = /^(?:please )?(?:run|execute)(?: the command)? (?:`([^`]+)`[.!?]?|(.+))$/i.exec(line);
  const command = run?.[1] ?? run?.[2];
  if (command !== undefined) return { do: 'tool', name: 'exec', args: { command } };
  const write = /^(?:please )?write ([^\s:]+): (.+)$/i.exec(line);
  if (write?.[1] !== undefined && write[2] !== undefined) return { do: 'tool', name: 'write', args: { path: write[1], content: `${write[2]}\n` } };
  return undefined;
}

/** Tells the user what the tools returned. */
export function report(results: readonly ToolResultMessage[]): string {
  return results
    .map((result) => {
      const text = messageText(result).trim();
      const shown = text.length > REPORT_LIMIT ? `${text.slice(0, REPORT_LIMIT)}\n[${text.length - REPORT_LIMIT} more characters]` : text;
      return `The tool \`${result.toolName}\` ${result.isError ? 'failed' : 'returned'}:\n\n${shown === '' ? '(nothing)' : shown}`;
    })
    .join('\n\n');
}

/** A summary is wanted when the user's words begin so, or when a call without tools has a system prompt that says so. */
export function wantsSummary(request: ProviderRequest, said: string): boolean {
  return SUMMARY.test(said.slice(0, 200)) || (request.tools.length === 0 && SUMMARY.test(request.systemPrompt ?? ''));
}

const SUMMARY = /\bsummar(?:y|i[sz]e[sd]?|i[sz]ing)\b/i;

/** The first words of each message (of each line, when there is one message only), the latest of them. */
export function summarise(messages: readonly AgentMessage[]): string {
  const lines =
    messages.length > 1
      ? messages.map((message) => `${message.role}: ${messageText(message).trim().split('\n', 1)[0]}`)
      : messages.flatMap((message) => messageText(message).split('\n'));
  const filled = lines.map((line) => line.trim().slice(0, SUMMARY_WIDTH)).filter((line) => line !== '');
  const kept = filled.slice(-SUMMARY_LINES).map((line) => `- ${line}`);
  return [`Summary by the offline model (${filled.length} parts, the last ${kept.length} shown):`, ...kept].join('\n');
}
