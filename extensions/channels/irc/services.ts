import type { ChannelAccountContext } from 'Durar/plugin-sdk/core';
import type { IrcAccount } from './account.ts';
import type { Link } from './link.ts';

/** milliseconds until a login that the services did not confirm counts as done */
const LOGIN_MS = 5_000;
/** milliseconds between two attempts to get the wanted nick back */
const REGAIN_MS = 60_000;

/** Identifies with the services by a message, or registers. Resolves when they confirmed it, or after a while. */
export async function identify(link: Link, { nickserv, nick }: IrcAccount, log: ChannelAccountContext['log']): Promise<void> {
  if (nickserv === undefined || link.account !== undefined) return;
  const { service, password, register, email } = nickserv;
  const { client } = link;
  const { promise, resolve } = Promise.withResolvers<void>();
  client.on('loggedin', () => resolve());
  client.on('notice', (event: { nick: string; message: string }) => {
    if (!client.caseCompare(event.nick, service.split('@')[0] ?? service)) return;
    // services greet with a request first; what follows the command is the answer
    log.info(`${service}: ${event.message.replaceAll(password, '***').replace(/\p{Cc}/gu, '')}`);
    if (/identified|logged in|recognized|accepted|now registered|is registered|invalid password|incorrect|not (?:a )?registered/i.test(event.message))
      resolve();
  });
  if (register && email !== undefined) client.say(service, `REGISTER ${password} ${email}`);
  // with a nick that is not the wanted one, services need the account's name
  else client.say(service, client.caseCompare(client.user.nick, nick) ? `IDENTIFY ${password}` : `IDENTIFY ${nick} ${password}`);
  const timer = setTimeout(resolve, LOGIN_MS);
  await Promise.race([promise, link.lost]);
  clearTimeout(timer);
}

/** Takes the wanted nick as soon as it is free. Returns what stops it. */
export function regainNick(link: Link, { nick, nickserv }: IrcAccount, onChange: () => void): () => void {
  const { client } = link;
  const has = () => client.caseCompare(client.user.nick, nick);
  const ask = () => {
    if (!has()) client.changeNick(nick);
  };
  client.on('quit', (event: { nick: string }) => {
    if (client.caseCompare(event.nick, nick)) ask();
  });
  client.on('nick', (event: { nick: string; new_nick: string }) => {
    if (client.caseCompare(event.nick, nick) && !client.caseCompare(event.new_nick, nick)) ask();
    // the library changes its own record after its listeners
    queueMicrotask(onChange);
  });
  if (!has() && nickserv !== undefined) {
    // the answer comes when the other one is gone
    client.on('notice', (event: { nick: string }) => {
      if (client.caseCompare(event.nick, nickserv.service.split('@')[0] ?? '')) ask();
    });
    client.say(nickserv.service, `GHOST ${nick} ${nickserv.password}`);
    ask();
  }
  const timer = setInterval(ask, REGAIN_MS);
  return () => clearInterval(timer);
}
