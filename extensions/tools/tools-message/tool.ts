import { type ChannelActions, errorCode, type PluginRuntime, reportError, type Tool, type ToolContext, type ToolResult } from 'Durar/plugin-sdk/core';
import { createMediaReach } from './media.ts';

/** What is done with arguments of this tool alone; other actions are a channel's own. */
const COMMON = ['send', 'reply', 'react', 'edit', 'delete', 'poll'];
/** Arguments that say where, not what. */
const PLACE = ['action', 'channel', 'accountId', 'to', 'threadId'];

/** The shared tool, with what the configured channels can do now; none where there is no channel. */
export function createMessageTool(runtime: Pick<PluginRuntime, 'channels'>, context: ToolContext): Tool | null {
  const channels = runtime.channels.actions().filter(({ actions }) => actions.length > 0);
  if (channels.length === 0) return null;
  const { deliveryContext: current, runId, sessionKey } = context;
  const media = createMediaReach(context.workspaceDir);
  const schema = parameters(channels);
  return {
    name: 'message',
    label: 'Message',
    description: description(channels, current?.channel),
    parameters: schema,
    execute: (callId, given, signal) =>
      told(async () => {
        refuseUnknown(given, Object.keys(schema.properties));
        const { media: wanted, ...params } = Object.fromEntries(Object.entries(given).filter(([key]) => !PLACE.includes(key)));
        const files = wanted === undefined ? undefined : await Promise.all((Array.isArray(wanted) ? wanted : [wanted]).map((one) => media(String(one))));
        const place = Object.fromEntries(Object.entries(given).filter(([key, value]) => PLACE.includes(key) && typeof value === 'string' && value !== ''));
        return runtime.channels.act({
          ...place,
          action: String(given.action),
          params: { ...params, ...(files === undefined ? {} : { media: files }) },
          callId,
          ...(runId === undefined ? {} : { runId }),
          sessionKey,
          ...(current === undefined ? {} : { current }),
          ...(signal === undefined ? {} : { signal }),
        });
      }),
  };
}

function description(channels: readonly ChannelActions[], here: string | undefined): string {
  const list = channels.map(({ channel, actions }) => `${channel}: ${actions.join(', ')}`).join('; ');
  const isHere = channels.some(({ channel }) => channel === here);
  return [
    'Sends a message to somebody in a channel, or changes one that is there.',
    isHere
      ? 'Without channel and to it acts in the conversation that you are in. Your reply goes there by itself: use this only for what a reply cannot do, and do not repeat in your reply what you have sent; when that was all, reply NO_REPLY.'
      : 'Name channel and to.',
    `Actions by channel: ${list}.`,
  ].join(' ');
}

/** A message whose place is named by a word that the tool does not know would go to somebody else. */
function refuseUnknown(given: Record<string, unknown>, known: string[]): void {
  if (!COMMON.includes(String(given.action))) return;
  const unknown = Object.keys(given).find((name) => !known.includes(name) && given[name] !== undefined && given[name] !== null && given[name] !== '');
  if (unknown !== undefined) throw new Error(`nothing is done: '${unknown}' is no argument of this tool, which takes ${known.join(', ')}`);
}

function parameters(channels: readonly ChannelActions[]) {
  const actions = [...new Set(channels.flatMap((one) => one.actions))].sort();
  const has = (...names: string[]): boolean => names.some((name) => actions.includes(name));
  const text = (about: string) => ({ type: 'string', description: about });
  return {
    type: 'object',
    required: ['action'],
    properties: {
      ...Object.assign({}, ...channels.map(({ schema }) => schema)),
      action: { type: 'string', enum: actions },
      channel: { type: 'string', enum: channels.map(({ channel }) => channel), description: 'Default: the one you are in.' },
      to: text('The conversation, as the channel names it. Default: the one you are in.'),
      accountId: text("One of the channel's accounts."),
      threadId: text('A thread or topic of the conversation.'),
      ...(has('send', 'reply', 'edit') ? { message: text('The text, in Markdown.') } : {}),
      ...(has('send', 'reply')
        ? {
            media: { type: 'array', items: { type: 'string' }, description: 'Files of the working folder, or https addresses.' },
            asVoice: { type: 'boolean', description: 'Audio as a voice message.' },
          }
        : {}),
      messageId: text('The message that is answered, marked, changed or deleted. Default for reply and react: the one you are answering.'),
      ...(has('react') ? { emoji: text('The mark.'), remove: { type: 'boolean', description: 'Takes your marks away.' } } : {}),
      ...(has('poll')
        ? {
            question: text('Of a poll.'),
            options: { type: 'array', items: { type: 'string' }, description: 'The answers of a poll.' },
            maxSelections: { type: 'integer', minimum: 1 },
            durationHours: { type: 'integer', minimum: 1 },
          }
        : {}),
    },
  };
}

/** What became of it, for the model: also why not. */
async function told(work: () => Promise<Record<string, unknown>>): Promise<ToolResult> {
  try {
    const done = await work();
    return { content: [{ type: 'text', text: JSON.stringify(done) }], details: done };
  } catch (error) {
    const { message, hint } = reportError(error);
    const isOurs = errorCode(error)?.startsWith('DUR_') === true;
    return { content: [{ type: 'text', text: [message, isOurs ? hint : undefined].filter(Boolean).join('. ') }], isError: true };
  }
}
