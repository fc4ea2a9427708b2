import { SlackError } from './failure.ts';

/** A conversation, or a person whose direct conversation is meant. */
export type Target = { channelId: string } | { userId: string };

const TARGET = /^(?:(channel|group|user):)?[#@]?<?[#@]?([CDGUW][A-Z0-9]{2,30})(?:\|[^>]*)?>?$/i;

/** Reads `C012...`, `channel:C012...`, `user:U012...`, `<@U012...>`, each with or without `slack:` in front. */
export function parseTarget(to: string): Target {
  const [, kind = '', id] = TARGET.exec(to.trim().replace(/^slack:/i, '')) ?? [];
  const isUser = /^[UW]/i.test(id ?? '');
  // `general` is a name; an id has digits, or capitals only
  const isName = id !== undefined && id !== id.toUpperCase() && !/\d/.test(id);
  if (id === undefined || isName || (kind !== '' && isUser !== (kind.toLowerCase() === 'user'))) {
    throw new SlackError('SLACK_TARGET', `'${to}' names no Slack conversation`, {
      hint: 'Use the id of a conversation (C0123456789) or user:<id> of a person; both stand in their details in Slack.',
    });
  }
  return isUser ? { userId: id.toUpperCase() } : { channelId: id.toUpperCase() };
}

/** The form in which people are compared: their id. */
export function normalizeSender(entry: string): string {
  return entry
    .trim()
    .toLowerCase()
    .replace(/^slack:/, '')
    .replace(/^user:/, '')
    .replace(/^<?@/, '')
    .replace(/>$/, '');
}

/** Slack names a message by the second in which it was written: `1700000000.000100`. */
export function isMessageId(id: string | undefined): id is string {
  return id !== undefined && /^\d{1,12}\.\d{1,8}$/.test(id);
}
