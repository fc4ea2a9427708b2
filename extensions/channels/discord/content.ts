import type { APIMessage, APIMessageSnapshotFields } from 'discord.js';

/** What mentions in a text are called. */
export interface MentionNames {
  selfId: string;
  channel(id: string): string | undefined;
}

type Spoken = Pick<APIMessage, 'content' | 'mentions'>;

/** The text of a message with names in place of ids; a mention of the bot at its beginning is left out, so that a command stays one. */
export function textOf({ content, mentions }: Spoken, { selfId, channel }: MentionNames): string {
  const people = new Map(mentions.map((user) => [user.id, user.global_name ?? user.username]));
  return content
    .replace(new RegExp(`^\\s*<@!?${selfId}>[\\s,:]*`), '')
    .replace(/<@!?(\d+)>/g, (mention, id: string) => (people.has(id) ? `@${people.get(id)}` : mention))
    .replace(/<#(\d+)>/g, (mention, id: string) => (channel(id) === undefined ? mention : `#${channel(id)}`))
    .replace(/<a?(:\w+:)\d+>/g, '$1')
    .trim();
}

/** What a message holds beside its own text and files, in words. */
export function describeContent(message: APIMessage): string[] {
  const { poll, sticker_items: stickers = [], message_snapshots: snapshots = [], embeds, author } = message;
  return [
    ...snapshots.flatMap(({ message: forwarded }) => (forwarded === undefined ? [] : [forwardText(forwarded)])),
    ...stickers.map(({ name }) => `[sticker: ${name}]`),
    ...(poll === undefined ? [] : [`[poll: ${poll.question.text ?? ''} ${poll.answers.map(({ poll_media }) => `(${poll_media.text ?? ''})`).join(' ')}]`]),
    // a link of a person gets its preview from Discord; a bot may have nothing but the embed to say
    ...(author.bot === true ? embeds.map(({ title, description }) => [title, description].filter(Boolean).join('\n')) : []),
  ].filter((part) => part.trim() !== '');
}

function forwardText({ content, attachments }: APIMessageSnapshotFields): string {
  return ['[forwarded]', content, ...attachments.map(({ filename }) => `[file: ${filename}]`)].filter((part) => part !== '').join(' ');
}
