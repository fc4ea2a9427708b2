import { type ChannelServiceContext, channelFaults } from 'Durar/plugin-sdk/testing';
import { channelContract } from '../../../sdk/contract/channel.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { newDiscord, settings } from '../../../test/fixtures/discord-account.ts';
import { ANN, BOT, createDiscordServer, type Fault, TOKEN } from '../../../test/fixtures/discord-server.ts';

/** More than an account tries. */
const MANY = 40;

async function context(): Promise<ChannelServiceContext> {
  const server = await createDiscordServer();
  const always = (kind: string, fault: Fault) => {
    server.fail(kind, ...Array.from({ length: MANY }, () => fault));
    return () => server.heal(kind);
  };
  return {
    channel: newDiscord(),
    cfg: settings(server.url),
    secrets: [TOKEN],
    service: {
      to: `user:${ANN.id}`,
      push: ({ text }) => server.say(text),
      repeat({ text }) {
        server.say(text);
        server.dispatch('MESSAGE_CREATE', server.messages.at(-1) ?? {});
        server.repeat();
      },
      sent: () => server.messages.filter(({ author }) => author.id === BOT.id).map(({ content }) => content.replace(/\\([^\w\s])/g, '$1')),
      fault(kind) {
        if (kind === 'slow down')
          return always('POST messages', { status: 429, body: { message: 'You are being rate limited.', retry_after: 0, global: false } });
        if (kind === 'refuse') return always('POST messages', { status: 403, body: { message: 'Cannot send messages to this user', code: 50_007 } });
        if (kind === 'forbid') return always('GET me', { status: 401, body: { message: `401: Unauthorized ${TOKEN}`, code: 0 } });
        return server.down().then(() => async () => {
          await server.up().catch((error: { code?: string }) => {
            if (error.code !== 'ERR_SERVER_ALREADY_LISTEN') throw error;
          });
        });
      },
    },
    dispose: () => server.close(),
  };
}

describeContract(channelContract, () => ({ channel: newDiscord() }));
describeContract(channelFaults, context);
