import { DiscordError } from './failure.ts';

/** A channel (or thread), or a person to write to directly. */
export type Target = { kind: 'channel'; id: string } | { kind: 'user'; id: string };

const TARGET = /^(?:discord:)?(user|channel|thread):(\d{1,20})$/i;

/** Reads `channel:<id>` and `user:<id>`. A bare number is refused: nothing tells a person from a channel. `threadId` goes before the channel. */
export function parseTarget(to: string, threadId?: string): Target {
  const [, kind, id = ''] = TARGET.exec(to.trim()) ?? [];
  if (kind === undefined) {
    throw new DiscordError('DISCORD_TARGET', `'${to}' names no place on Discord`, {
      hint: 'Write user:<id> for a person or channel:<id> for a channel or thread.',
    });
  }
  if (kind.toLowerCase() === 'user') return { kind: 'user', id };
  return { kind: 'channel', id: threadId !== undefined && /^\d+$/.test(threadId) ? threadId : id };
}

/** The form in which people are compared: a numeric id, `role:<id>`, or a user name in lower case. */
export function normalizeSender(entry: string): string {
  return entry
    .trim()
    .toLowerCase()
    .replace(/^discord:/, '')
    .replace(/^<@!?(\d+)>$/, '$1')
    .replace(/^user:/, '')
    .replace(/^@/, '');
}
