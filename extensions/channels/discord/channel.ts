import { type Channel, type ChannelAccountContext, errorText } from 'Durar/plugin-sdk/core';
import type { APIApplication, APIUser } from 'discord.js';
import { DEFAULT_ACCOUNT, type DiscordAccount, defaultAccountId, isConfigured, listAccountIds, resolveAccount } from './account.ts';
import { type Bot, createBots } from './bot.ts';
import { keepConnected } from './connection.ts';
import { DiscordError } from './failure.ts';
import { openGatewaySession, type SessionStorage } from './gateway-session.ts';
import { groupsOf } from './guild-rules.ts';
import { createOutbound } from './outbound.ts';
import { createReceiver } from './receive.ts';
import { setup } from './setup.ts';
import { normalizeSender } from './target.ts';

/** Discord as a channel: each account is a bot. `storage`: where a bot's place in the stream of events is kept. */
export function createDiscord(storage: () => SessionStorage): Channel {
  const bots = createBots();
  /** Which account runs a bot. */
  const running = new Map<string, string>();
  const outbound = createOutbound(bots);

  return {
    id: 'discord',
    meta: { label: 'Discord', blurb: 'A bot in direct messages and on servers.', order: 20, docsPath: 'extensions/channels/discord/README.md' },
    capabilities: { chatTypes: ['direct', 'channel', 'thread'], media: true, threads: true, edit: true, reactions: true, polls: true, mentions: true },
    config: {
      listAccountIds,
      defaultAccountId,
      resolveAccount,
      isConfigured: (account) => isConfigured(account as DiscordAccount),
      isEnabled: (account) => (account as DiscordAccount).enabled,
    },
    gateway: {
      async startAccount(context) {
        const bot = bots.of(context.cfg, context.accountId);
        const other = running.get(bot.fingerprint);
        if (other !== undefined) {
          throw new DiscordError('DISCORD_TOKEN_SHARED', `the accounts '${other}' and '${context.accountId}' have the same bot token`, {
            hint: 'Give each account a bot of its own; one that sets no token takes that of channels.discord.',
          });
        }
        running.set(bot.fingerprint, context.accountId);
        try {
          await runBot(bot, context, storage());
        } finally {
          running.delete(bot.fingerprint);
          context.setStatus({ connected: false });
        }
      },
    },
    outbound,
    status: {
      async probeAccount({ account, cfg, timeoutMs, signal }) {
        try {
          const { api } = bots.of(cfg, (account as DiscordAccount).accountId);
          const options = { signal, timeoutMs, once: true };
          const me = await api.call<APIUser>('GET', '/users/@me', options);
          const { flags = 0 } = await api.call<Partial<APIApplication>>('GET', '/applications/@me', options);
          return { ok: true, identity: { id: me.id, name: me.username }, messageContentIntent: (flags & CONTENT_FLAGS) !== 0 };
        } catch (error) {
          return { ok: false, error: errorText(error) };
        }
      },
    },
    security: {
      normalizeAllowEntry: normalizeSender,
      groups: ({ guilds }) => groupsOf(guilds as DiscordAccount['guilds']),
    },
    pairing: {
      idLabel: 'Discord user id',
      normalizeAllowEntry: normalizeSender,
      notifyApproval: async (target) => void (await outbound.sendText?.({ ...target, text: 'You may write to this bot now.' })),
    },
    setup,
  };
}

/** What an application may have switched on: for bots on many servers, and on few. */
const CONTENT_FLAGS = (1 << 18) | (1 << 19);

/** Says who the bot is and receives until the account is stopped or lost. */
async function runBot(bot: Bot, { abortSignal, log, deliver, setStatus }: ChannelAccountContext, storage: SessionStorage): Promise<void> {
  const { account, api } = bot;
  const broken = new AbortController();
  const signal = AbortSignal.any([abortSignal, broken.signal]);
  bot.log = (text) => log.warn(text);
  try {
    const me = await api.call<APIUser>('GET', '/users/@me', { signal });
    const onWriteError = (error: unknown) => log.warn(`the place in the stream of events is not kept: ${errorText(error)}`);
    const session = await openGatewaySession(storage, `gateway:${bot.fingerprint}`, onWriteError);
    const onFailure = (error: unknown) => broken.abort(error);
    const receiver = createReceiver({ bot, selfId: me.id, session, deliver, log, signal, onFailure });
    const name = account.accountId === DEFAULT_ACCOUNT ? '' : ` (account ${account.accountId})`;
    try {
      await keepConnected({
        bot,
        session,
        signal,
        log,
        onEvent: receiver.receive,
        onAlive: () => setStatus({ lastEventAt: Date.now() }),
        onState(state) {
          setStatus({ ...state, bot: me.username, lastEventAt: Date.now() });
          if (state.connected) log.info(`${me.username}${name} is connected`);
        },
      });
    } finally {
      await session.flush();
    }
    if (broken.signal.aborted) throw broken.signal.reason;
  } catch (error) {
    if (!abortSignal.aborted) throw error;
  } finally {
    bot.log = undefined;
  }
}
