import { type Channel, type ChannelAccountContext, errorText } from 'Durar/plugin-sdk/core';
import type { UserFromGetMe } from 'grammy/types';
import { DEFAULT_ACCOUNT, defaultAccountId, isConfigured, listAccountIds, resolveAccount, type TelegramAccount } from './account.ts';
import { type Bot, createBots } from './bot.ts';
import { TelegramError } from './failure.ts';
import { menuOf } from './menu.ts';
import { createOutbound } from './outbound.ts';
import { pollUpdates } from './polling.ts';
import { createReceiver } from './receive.ts';
import { setup } from './setup.ts';
import { normalizeSender } from './target.ts';
import { createListeners, type Listeners, serveWebhook } from './webhook.ts';

/** Telegram as a channel: each account is a bot. */
export function createTelegram(): Channel {
  const bots = createBots();
  const listeners = createListeners();
  /** Which account runs a bot. */
  const running = new Map<string, string>();
  const outbound = createOutbound(bots);

  return {
    id: 'telegram',
    meta: { label: 'Telegram', blurb: 'A bot from @BotFather, in direct chats and groups.', order: 10, aliases: ['tg'] },
    capabilities: {
      chatTypes: ['direct', 'group', 'channel', 'thread'],
      media: true,
      threads: true,
      topics: true,
      edit: true,
      reactions: true,
      polls: true,
      mentions: true,
    },
    config: {
      listAccountIds,
      defaultAccountId,
      resolveAccount,
      isConfigured: (account) => isConfigured(account as TelegramAccount),
      isEnabled: (account) => (account as TelegramAccount).enabled,
    },
    gateway: {
      async startAccount(context) {
        const bot = await bots.fresh(context.cfg, context.accountId);
        const other = running.get(bot.fingerprint);
        if (other !== undefined) {
          throw new TelegramError('TELEGRAM_TOKEN_SHARED', `the accounts '${other}' and '${context.accountId}' have the same bot token`, {
            hint: 'Give each account a bot of its own; one that sets no token takes that of channels.telegram.',
          });
        }
        running.set(bot.fingerprint, context.accountId);
        try {
          await runBot(bot, context, listeners);
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
          const bot = await bots.of(cfg, (account as TelegramAccount).accountId);
          const me = await bot.api.call('getMe', {}, { signal, timeoutMs, once: true });
          return { ok: true, identity: { id: String(me.id), name: `@${me.username}` }, ...abilities(me) };
        } catch (error) {
          return { ok: false, error: errorText(error) };
        }
      },
    },
    security: { normalizeAllowEntry: normalizeSender },
    pairing: {
      idLabel: 'Telegram user id',
      normalizeAllowEntry: normalizeSender,
      notifyApproval: async (target) => void (await outbound.sendText?.({ ...target, text: 'You may write to this bot now.' })),
    },
    setup,
  };
}

/** Says who the bot is, puts its menu in place and receives until the account is stopped or lost. */
async function runBot(bot: Bot, context: ChannelAccountContext, listeners: Listeners): Promise<void> {
  const { abortSignal: signal, log } = context;
  const { account, api } = bot;
  bot.onRetry = (error, delayMs) => {
    log.warn(`${error.message}; tried again in ${delayMs} ms`);
    // it counts as connected until the tries are used up: the host sends nothing through an account that is not
    context.setStatus({ lastProblem: error.message });
  };
  try {
    const me = await api.call('getMe', {}, { signal });
    await setMenu(bot, context);
    const receive = createReceiver({ bot, me, deliver: context.deliver, log, signal });
    const name = account.accountId === DEFAULT_ACCOUNT ? '' : ` (account ${account.accountId})`;
    const mode = account.webhook === undefined ? 'polling' : 'webhook';
    const facts = { mode, bot: `@${me.username}`, ...abilities(me) };
    const onAlive = (more: object = {}) => context.setStatus({ connected: true, lastEventAt: Date.now(), lastProblem: undefined, ...facts, ...more });
    log.info(`@${me.username}${name} is connected by ${mode}`);
    if (account.webhook !== undefined) {
      await serveWebhook({ bot, settings: account.webhook, listeners, receive, signal, log, onAlive });
      return;
    }
    // as long as a webhook is set, Telegram refuses to be polled
    await api.call('deleteWebhook', { drop_pending_updates: false }, { signal });
    onAlive();
    await pollUpdates({ bot, receive, signal, log, onAlive });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    bot.onRetry = undefined;
  }
}

/** A menu that cannot be set is no reason to be away. */
async function setMenu({ account, api }: Bot, { abortSignal: signal, log }: ChannelAccountContext): Promise<void> {
  try {
    await api.call('setMyCommands', { commands: menuOf(account) }, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    log.warn(`the menu of commands was not set: ${errorText(error)}`);
  }
}

function abilities({ can_join_groups, can_read_all_group_messages }: UserFromGetMe): { canJoinGroups: boolean; readsAllGroupMessages: boolean } {
  return { canJoinGroups: can_join_groups, readsAllGroupMessages: can_read_all_group_messages };
}
