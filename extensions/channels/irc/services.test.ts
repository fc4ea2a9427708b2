import type { InboundMessage } from 'Durar/plugin-sdk/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, bench, isIn } from '../../../test/irc-bench.ts';
import { type Network, noServices, type Person, person, startNetwork } from '../../../test/irc-servers.ts';

const PASSWORD = 'hunter-22-secret';

describe.skipIf(noServices !== '')(`against InspIRCd with Atheme${noServices}`, () => {
  let network: Network;
  const people: Person[] = [];

  beforeAll(async () => {
    network = await startNetwork();
    for (const nick of ['durar', 'alice']) {
      const each = await person(network, nick);
      each.say('NickServ', `REGISTER ${PASSWORD} ${nick}@irc.test`);
      await each.hears(/now registered/);
      each.leave();
    }
  }, 60_000);
  afterAll(async () => {
    for (const each of people) each.leave();
    await network?.remove();
  });

  async function guest(nick: string, ...rooms: string[]): Promise<Person> {
    const each = await person(network, nick, { join: rooms });
    people.push(each);
    return each;
  }
  const at = () => ({ host: network.host, port: network.port });
  const heard = (each: Bench, text: string) => each.inbox.find((message: InboundMessage) => message.text.includes(text));

  it('logs in by SASL PLAIN before it is welcome; wrong credentials end it with a hint', async () => {
    const it = bench({ ...at(), nick: 'saslbot', sasl: { mechanism: 'PLAIN', username: 'durar', password: PASSWORD } });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    expect(it.status()).toMatchObject({ login: 'durar' });
    const probe = await it.irc.status?.probeAccount?.({ account: it.irc.config.resolveAccount(it.cfg), cfg: it.cfg, timeoutMs: 10_000 });
    expect(probe).toMatchObject({ ok: true, identity: { id: 'account:durar' } });
    await run.stop();
    const bad = bench({ ...at(), nick: 'saslbot', sasl: { username: 'durar', password: 'wrong-22' } });
    const error = await bad.start().ended;
    expect(error).toMatchObject({ code: 'IRC_SASL', retryable: false, hint: expect.stringContaining('sasl.username') });
    expect(String(error) + bad.log.join()).not.toContain('wrong-22');
  });

  it('identifies with NickServ, gets its nick back from whoever has it, and shows the password to nobody', async () => {
    const thief = await guest('durar');
    const it = bench({ ...at(), nick: 'durar', nickserv: { password: PASSWORD }, channels: ['#svc'] });
    const run = it.start();
    await it.until(isIn(it, '#svc'));
    await it.until(() => it.status().nick === 'durar', 'the nick');
    await it.until(() => it.status().login === 'durar', 'the login');
    expect(thief.heard.join()).not.toContain(PASSWORD);
    expect(it.log.join()).not.toContain(PASSWORD);
    expect(JSON.stringify(it.status())).not.toContain(PASSWORD);
    await run.stop();
  });

  it('registers a nick when it is told to', async () => {
    const it = bench({ ...at(), nick: 'fresh', nickserv: { password: PASSWORD, register: true, email: 'fresh@irc.test' } });
    const run = it.start();
    await it.until(() => it.status().login === 'fresh', 'the account');
    expect(it.log.join()).not.toContain(PASSWORD);
    await run.stop();
  });

  it('knows people by the account that the server vouches for, not by their nick', async () => {
    const it = bench({ ...at(), nick: 'judge', allowFrom: ['account:alice', '*!*@127.0.0.*', 'alice', 'alice!*@*'] });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    const impostor = await guest('alice');
    impostor.say('judge', 'I am alice');
    await it.until(() => heard(it, 'I am alice') !== undefined);
    expect(heard(it, 'I am alice')?.senderAliases).toBeUndefined();
    const real = await person(network, 'someone', { account: { account: 'alice', password: PASSWORD } });
    people.push(real);
    real.say('judge', 'no, me');
    await it.until(() => heard(it, 'no, me') !== undefined);
    expect(heard(it, 'no, me')).toMatchObject({ senderId: 'someone!someone@127.0.0.1', senderAliases: ['account:alice'] });
    expect(it.log.filter((line) => line.startsWith('warn: allowlist'))).toHaveLength(2);
    await run.stop();
  });

  it('has the ids of messages, answers by name, and is meant by an answer to its own', async () => {
    const bob = await guest('Bob', '#ids');
    const it = bench({ ...at(), nick: 'ident', channels: ['#ids'] });
    const run = it.start();
    await it.until(isIn(it, '#ids'));
    bob.say('#ids', 'ident: what is it?');
    await it.until(() => it.inbox.length === 1);
    const replyToId = it.inbox[0]?.messageId;
    expect(replyToId).toMatch(/./);
    const { messageId } = await it.send('#ids', 'an answer\n\nin two lines', { replyToId });
    expect(messageId).toMatch(/./);
    await bob.hears(/two lines/);
    expect(bob.heard).toEqual(['#ids <ident> Bob: an answer', '#ids <ident> in two lines']);
    expect((await it.send('Bob', 'directly', { replyToId })).messageId).not.toBe(messageId);
    await bob.hears(/> directly/);
    bob.client.say('#ids', 'and this?', { '+draft/reply': messageId ?? '' });
    bob.client.say('#ids', 'not this');
    await it.until(() => it.inbox.length === 3);
    expect(it.inbox.slice(1)).toMatchObject([{ mentioned: true, replyTo: { messageId } }, { mentioned: false }]);
    expect(it.inbox.some(({ senderName }) => senderName === 'ident')).toBe(false);
    await run.stop();
  });

  it('a message that the bot writes to itself does not come back as one from outside', async () => {
    const it = bench({ ...at(), nick: 'narcissus' });
    const run = it.start();
    await it.until(() => it.status().connected === true);
    await it.send('narcissus', 'hello me');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(it.inbox).toEqual([]);
    await run.stop();
  });

  it('marks itself as a bot and hears no other; shows that it types', async () => {
    const it = bench({ ...at(), nick: 'robot', channels: ['#bots'] });
    const run = it.start();
    const other = await guest('otherbot', '#bots');
    await it.until(isIn(it, '#bots'));
    other.say('#bots', 'robot: as a person');
    await it.until(() => it.inbox.length === 1);
    other.client.raw('MODE', 'otherbot', '+B');
    other.say('#bots', 'robot: as a bot');
    other.client.raw('MODE', 'otherbot', '-B');
    other.say('#bots', 'robot: as a person again');
    await it.until(() => it.inbox.length === 2);
    expect(it.inbox.map(({ text }) => text)).toEqual(['as a person', 'as a person again']);
    await it.irc.outbound?.sendTyping?.({ cfg: it.cfg, to: '#bots' });
    await it.until(() => other.raw.some((line) => /\+typing=active.* TAGMSG :?#bots/.test(line)), 'typing');
    other.client.raw('WHOIS', 'robot');
    await it.until(() => other.raw.some((line) => / 335 .*robot/.test(line)), 'the mark of a bot');
    await run.stop();
  });
});
