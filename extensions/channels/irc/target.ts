import { IrcError } from './failure.ts';

/** Where a message goes, checked: a channel or a nick. `nick!user@host` is taken for the nick. Throws an `IrcError`. */
export function parseTarget(to: string, { channelTypes = '#&', service }: { channelTypes?: string; service?: string | undefined } = {}): string {
  const bare = to
    .trim()
    .replace(/^irc:/i, '')
    .replace(/^(?:channel|user):/i, '');
  const isChannel = channelTypes.includes(bare[0] ?? ' ');
  const target = isChannel ? bare : (bare.split('!')[0] ?? '');
  if (!isWord(target) || !(isChannel ? target.length > 1 : isNick(target))) {
    throw new IrcError('IRC_TARGET', `'${printable(to)}' is neither a channel nor a nick`, { hint: 'Name a channel such as #durar, or a nick.' });
  }
  if (!isChannel && isService(target, service)) {
    throw new IrcError('IRC_TARGET', `'${target}' is a service of the network; messages to it are commands`, {
      hint: 'Talk to services from a client of your own.',
    });
  }
  return target;
}

/** Services take commands by message: neither may the agent give them any, nor do they start a conversation. */
export function isService(nick: string, service = 'NickServ'): boolean {
  const name = nick.split('@')[0]?.toLowerCase() ?? '';
  return name === service.split('@')[0]?.toLowerCase() || /^(?:nick|chan|memo|oper|host|bot|group|user|sasl|auth|info|stat)serv$/.test(name);
}

/** One word of a command: no blank space, no control character, no list, no colon at its start. */
function isWord(word: string): boolean {
  return word !== '' && Buffer.byteLength(word) <= 200 && !/[\s,\p{Cc}]/u.test(word) && !word.startsWith(':');
}

/** `$` addresses whole servers, `@` and the like the operators of a channel. */
function isNick(word: string): boolean {
  return /^[^\d\-$#&+!@%~:*?.,][^!@*?$:.,]*$/u.test(word);
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ').slice(0, 80);
}
