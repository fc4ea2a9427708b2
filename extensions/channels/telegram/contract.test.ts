import { type ChannelServiceContext, channelFaults } from 'Durar/plugin-sdk/testing';
import { channelContract } from '../../../sdk/contract/channel.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { settings } from '../../../test/fixtures/telegram-account.ts';
import { ANN, ANN_CHAT, createTelegramServer, type Fault, TOKEN } from '../../../test/fixtures/telegram-server.ts';
import { createTelegram } from './channel.ts';

/** More than an account tries. */
const MANY = 40;

async function context(): Promise<ChannelServiceContext> {
  const server = await createTelegramServer();
  const always = (method: string, fault: Fault) => {
    server.fail(method, ...Array.from({ length: MANY }, () => fault));
    return () => server.heal(method);
  };
  return {
    channel: createTelegram(),
    cfg: settings(server.url),
    secrets: [TOKEN],
    service: {
      to: String(ANN.id),
      push: ({ text }) => server.say(text),
      repeat({ text }) {
        const message = { message_id: 4711, date: 1, from: ANN, chat: ANN_CHAT, text };
        server.push({ message });
        server.push({ message });
      },
      sent: () => server.messages.flatMap(({ text }) => text ?? []),
      fault(kind) {
        if (kind === 'slow down')
          return always('sendMessage', { error_code: 429, description: 'Too Many Requests: retry after 0', parameters: { retry_after: 0 } });
        if (kind === 'refuse') return always('sendMessage', { error_code: 403, description: 'Forbidden: bot was blocked by the user' });
        if (kind === 'forbid') return always('getMe', { error_code: 401, description: `Unauthorized: ${TOKEN}` });
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

describeContract(channelContract, () => ({ channel: createTelegram() }));
describeContract(channelFaults, context);
