import type { Client } from 'irc-framework';

/** One answer in so many milliseconds; the rest goes unanswered, so that nobody can make the bot flood. */
const PAUSE_MS = 2_000;

/** Answers VERSION and PING, and nothing else that a client may be asked. */
export function answerCtcp(client: Client): void {
  let next = 0;
  client.on('ctcp request', ({ from_server: isServer, nick, target, type, message }: CtcpRequest) => {
    const now = Date.now();
    if (isServer || now < next || !client.caseCompare(target, client.user.nick)) return;
    const answer = type === 'VERSION' ? 'VERSION Durar' : type === 'PING' ? `PING ${message.slice(5, 69).replace(/[^\x21-\x7e]+/g, ' ')}` : undefined;
    if (answer === undefined) return;
    next = now + PAUSE_MS;
    client.notice(nick, `\x01${answer}\x01`);
  });
}

interface CtcpRequest {
  from_server: boolean;
  nick: string;
  target: string;
  type: string | null;
  message: string;
}
