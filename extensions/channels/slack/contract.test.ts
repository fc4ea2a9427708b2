import { type ChannelServiceContext, channelFaults } from 'Durar/plugin-sdk/testing';
import { channelContract } from '../../../sdk/contract/channel.ts';
import { describeContract } from '../../../test/contract-adapter.ts';
import { settings } from '../../../test/fixtures/slack-account.ts';
import { ANN, ANN_CHAT, APP_TOKEN, BOT_TOKEN, createSlackServer, type Fault } from '../../../test/fixtures/slack-server.ts';
import { createSlack } from './channel.ts';
import { readMrkdwn } from './dialect.ts';

/** More than an account tries. */
const MANY = 40;

async function context(): Promise<ChannelServiceContext> {
  const server = await createSlackServer({ redeliverMs: 200 });
  const always = (method: string, fault: Fault) => {
    server.fail(method, ...Array.from({ length: MANY }, () => fault));
    return () => server.heal(method);
  };
  /** As Slack brings what people type. */
  const typed = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return {
    channel: createSlack(),
    cfg: settings(server.url),
    secrets: [BOT_TOKEN, APP_TOKEN],
    service: {
      to: ANN_CHAT,
      push: ({ text }) => server.say(typed(text)),
      repeat({ text }) {
        const ts = server.say(typed(text));
        server.emit({ type: 'message', channel: ANN_CHAT, channel_type: 'im', user: ANN, ts, text: typed(text) });
      },
      sent: () => server.messages.map(({ text }) => readMrkdwn(text, () => undefined)),
      fault(kind) {
        if (kind === 'slow down') return always('chat.postMessage', { status: 429, retryAfter: 0 });
        if (kind === 'refuse') return always('chat.postMessage', { error: 'not_in_channel' });
        if (kind === 'forbid') return always('auth.test', { error: 'invalid_auth' });
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

describeContract(channelContract, () => ({ channel: createSlack() }));
describeContract(channelFaults, context);
