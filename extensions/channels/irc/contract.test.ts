import { type ChannelServiceContext, channelFaults } from 'Durar/plugin-sdk/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { channelContract } from '../../../sdk/contract/channel.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { type IrcServer, noNgircd, person, startNgircd } from '../../../test/irc-servers.ts';
import { createIrc } from './channel.ts';

const PASSWORD = 'the-password-of-the-server';

describeContract(channelContract, () => ({ channel: createIrc() }));

describe.skipIf(noNgircd !== '')(`against ngircd${noNgircd}`, () => {
  let server: IrcServer;
  let count = 0;
  beforeAll(async () => {
    server = await startNgircd({ password: PASSWORD });
  }, 60_000);
  afterAll(() => server?.remove());

  describeContract(channelFaults, async (): Promise<ChannelServiceContext> => {
    count += 1;
    const nick = `durar${count}`;
    const irc = {
      host: server.host,
      port: server.port,
      tls: false,
      nick,
      password: PASSWORD,
      messagesPerSecond: 2_000,
      messageBurst: 2_000,
      retry: { attempts: 1 },
    };
    const cfg: Record<string, unknown> = { channels: { irc } };
    const enter = () => person(server, `ann${count}`, { password: PASSWORD });
    let ann = await enter();
    const heard: string[] = [];
    return {
      channel: createIrc(),
      cfg,
      secrets: [PASSWORD],
      service: {
        to: `ann${count}`,
        // what a client can put into a line
        push: ({ text }) => ann.say(nick, text.replaceAll(/[\0\r\n]+/g, ' ').slice(0, 300)),
        sent: () => [...heard, ...ann.heard].map((line) => line.replace(/^\S+ <[^>]*> /, '')),
        async fault(kind) {
          if (kind === 'forbid') {
            irc.password = `${PASSWORD}-of-old`;
            return () => {
              irc.password = PASSWORD;
            };
          }
          if (kind === 'refuse') {
            ann.leave();
            return () => undefined;
          }
          if (kind !== 'cut') return undefined;
          await server.kill();
          await server.start();
          heard.push(...ann.heard);
          ann = await enter();
          return () => undefined;
        },
      },
      dispose: () => ann.leave(),
    };
  });
});
