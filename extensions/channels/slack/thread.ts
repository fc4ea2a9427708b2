import type { InboundMessage } from 'Durar/plugin-sdk/core';
import { createRecent } from 'Durar/plugin-sdk/recent';
import { readMrkdwn } from './dialect.ts';
import type { Directory, ThreadMessage } from './directory.ts';

/** Characters of a thread that the agent is told. */
const MOST_CHARS = 8000;

/** What stood in a thread before the bot was asked into it; told once, as later messages find it in their session. */
export type ThreadBefore = (place: { channel: string; thread: string; ts: string }) => Promise<InboundMessage['replyTo']>;

export function createThreadBefore({ directory, limit, userId }: { directory: Directory; limit: number; userId: string }): ThreadBefore {
  const known = createRecent<true>(2000);

  async function lineOf({ user, username, text = '' }: ThreadMessage): Promise<string> {
    return `${(user === undefined ? username : await directory.userName(user)) ?? user ?? 'somebody'}: ${readMrkdwn(text, () => undefined)}`;
  }

  return async ({ channel, thread, ts }) => {
    const key = `${channel}:${thread}`;
    if (limit === 0 || known.get(key) === true) return undefined;
    known.set(key, true);
    const messages = await directory.thread(channel, thread, ts);
    const root = messages.find((message) => message.ts === thread);
    const earlier = messages.filter((message) => message !== root && Number(message.ts) < Number(ts));
    // where the bot has answered, the session knows
    if (root === undefined || earlier.some(({ user }) => user === userId)) return undefined;
    const shown = limit > 1 ? earlier.slice(1 - limit) : [];
    const lines = await Promise.all(shown.map(lineOf));
    const text = [readMrkdwn(root.text ?? '', () => undefined), ...lines].join('\n').slice(0, MOST_CHARS);
    const senderName = root.user === undefined ? root.username : await directory.userName(root.user);
    return { messageId: thread, text, ...(root.user === undefined ? {} : { senderId: root.user }), ...(senderName === undefined ? {} : { senderName }) };
  };
}
