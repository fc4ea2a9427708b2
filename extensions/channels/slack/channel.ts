import type { Channel, ChannelAccountContext } from 'Durar/plugin-sdk/core';
import { appTokenOf, DEFAULT_ACCOUNT, defaultAccountId, isConfigured, listAccountIds, resolveAccount, type SlackAccount, signingSecretOf } from './account.ts';
import { type Bot, createBots } from './bot.ts';
import { explain, SlackError } from './failure.ts';
import { createOutbound } from './outbound.ts';
import { createReceiver } from './receive.ts';
import { groupsOf, type Rooms } from './rooms.ts';
import { setup } from './setup.ts';
import { runSocket } from './socket.ts';
import { normalizeSender } from './target.ts';
import { createListeners, type Listeners, serveWebhook } from './webhook.ts';

/** While the socket is open the library pings Slack; this often the host is told. */
const ALIVE_MS = 30_000;

/** Slack as a channel: each account is an app in a workspace. */
export function createSlack(): Channel {
  const bots = createBots();
  const listeners = createListeners();
  /** Which account runs an app. */
  const running = new Map<string, string>();
  const outbound = createOutbound(bots);

  return {
    id: 'slack',
    meta: { label: 'Slack', blurb: 'An app in your workspace, in direct messages and channels.', order: 30, docsPath: 'extensions/channels/slack/README.md' },
    capabilities: { chatTypes: ['direct', 'group', 'channel', 'thread'], media: true, threads: true, edit: true, reactions: true, mentions: true },
    threading: { allowExplicitReplyTagsWhenOff: false },
    config: {
      listAccountIds,
      defaultAccountId,
      resolveAccount,
      isConfigured: (account) => isConfigured(account as SlackAccount),
      isEnabled: (account) => (account as SlackAccount).enabled,
    },
    gateway: {
      async startAccount(context) {
        const bot = bots.of(context.cfg, context.accountId);
        const other = running.get(bot.fingerprint);
        if (other !== undefined) {
          throw new SlackError('SLACK_TOKEN_SHARED', `the accounts '${other}' and '${context.accountId}' have the same bot token`, {
            hint: 'Give each account an app of its own; one that sets no token takes that of channels.slack.',
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
          const bot = bots.of(cfg, (account as SlackAccount).accountId);
          const { userId, name, team, teamId, scopes } = await bot.identify({ signal, timeoutMs, once: true });
          return { ok: true, identity: { id: userId, name }, team, teamId, scopes };
        } catch (error) {
          return { ok: false, error: explain(error) };
        }
      },
    },
    security: { normalizeAllowEntry: normalizeSender, groups: ({ channels }) => groupsOf(channels as Rooms | undefined) },
    pairing: {
      idLabel: 'Slack user id',
      normalizeAllowEntry: normalizeSender,
      notifyApproval: async (target) => void (await outbound.sendText?.({ ...target, text: 'You may write to this bot now.' })),
    },
    setup,
  };
}

/** Says who the bot is and receives until the account is stopped or lost. */
async function runBot(bot: Bot, context: ChannelAccountContext, listeners: Listeners): Promise<void> {
  const { abortSignal, log } = context;
  const { account } = bot;
  const revoked = new AbortController();
  const signal = AbortSignal.any([abortSignal, revoked.signal]);
  let alive: NodeJS.Timeout | undefined;
  bot.onRetry = (error, delayMs) => {
    log.warn(`${error.message}; tried again in ${delayMs} ms`);
    // a limit on messages is no loss of the connection
    if (error.code !== 'SLACK_RATE_LIMIT') context.setStatus({ lastProblem: error.message });
  };
  try {
    if (account.mode === 'socket') appTokenOf(account);
    else signingSecretOf(account);
    const me = await bot.identify({ signal });
    if (me.scopes.length > 0 && !me.scopes.includes('chat:write')) {
      throw new SlackError('SLACK_SCOPE', 'the app may not write', { hint: 'Give it the scope chat:write under OAuth & Permissions and install it again.' });
    }
    const receive = createReceiver({ bot, me, deliver: context.deliver, log, signal, onRevoked: (error) => revoked.abort(error) });
    const facts = { mode: account.mode, bot: `@${me.name}`, team: me.team };
    const onAlive = (more: object = {}) => context.setStatus({ connected: true, lastEventAt: Date.now(), lastProblem: undefined, ...facts, ...more });
    const name = account.accountId === DEFAULT_ACCOUNT ? '' : ` (account ${account.accountId})`;
    if (account.mode === 'http') {
      log.info(`@${me.name}${name} of ${me.team} takes events by HTTP`);
      await serveWebhook({ account, bot, listeners, receive, signal, log, onAlive });
    } else {
      await runSocket({
        account,
        receive,
        signal,
        log,
        onConnected() {
          log.info(`@${me.name}${name} of ${me.team} is connected`);
          onAlive();
          clearInterval(alive);
          alive = setInterval(onAlive, ALIVE_MS).unref();
        },
        onDisconnected(reason) {
          clearInterval(alive);
          context.setStatus({ connected: false, lastProblem: `the socket ended (${reason})` });
        },
      });
    }
    if (revoked.signal.aborted) throw revoked.signal.reason;
  } catch (error) {
    if (!abortSignal.aborted) throw revoked.signal.aborted ? revoked.signal.reason : error;
  } finally {
    clearInterval(alive);
    bot.onRetry = undefined;
  }
}
