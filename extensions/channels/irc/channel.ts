import { type Channel, errorText, type OutboundResult, type OutboundTarget } from 'Durar/plugin-sdk/core';
import { renderMarkdown } from 'Durar/plugin-sdk/markdown';
import { withRetry } from 'Durar/plugin-sdk/retry';
import { defaultAccountId, type IrcAccount, isConfigured, listAccountIds, resolveAccount } from './account.ts';
import { IrcError, judge, notConnected } from './failure.ts';
import { ircDialect, plain } from './formatting.ts';
import { type Connection, runAccount } from './gateway.ts';
import { textBytes, toLines } from './lines.ts';
import { alternativeNick, createClient, openLink } from './link.ts';
import { matchesEntry, normalizeEntry } from './sender.ts';
import { setup } from './setup.ts';
import { parseTarget } from './target.ts';

/** characters of Markdown that are handed over at once: two or three lines of IRC */
const TEXT_CHUNK = 1_200;

export function createIrc(): Channel {
  const connections = new Map<string, Connection>();
  /** What is left of messages whose delivery broke off, by account. */
  const left = new Map<string, Map<string, readonly string[]>>();

  async function sendText({
    cfg,
    to,
    text,
    accountId = defaultAccountId(cfg),
    replyToId,
    idempotencyKey,
    onUncertain,
    signal,
  }: OutboundTarget & { text: string }): Promise<OutboundResult> {
    const account = resolveAccount(cfg, accountId);
    return withRetry(
      async () => {
        const connection = connections.get(accountId);
        if (connection === undefined) throw notConnected(accountId);
        const { outbox } = connection;
        const target = targetOf(connection, account, to);
        const asker =
          replyToId === undefined || !account.replyPrefix || !connection.client.network.isChannelName(target) ? undefined : connection.authorOf(replyToId);
        const said = renderMarkdown(text, ircDialect(account.tables));
        const lines = toLines(asker === undefined ? said : `${plain(asker)}: ${said}`, roomFor(connection, target));
        if (lines.length === 0) throw new IrcError('IRC_EMPTY', 'the message has no text that IRC can show');
        const shipment = {
          target,
          lines,
          onUncertain,
          ...(idempotencyKey === undefined ? {} : { key: idempotencyKey }),
          ...(signal === undefined ? {} : { signal }),
        };
        const shipped = await outbox.send(shipment);
        if (shipped.messageId !== undefined) connection.remember(shipped.messageId);
        return shipped;
      },
      { policy: account.retry, judge, signal },
    );
  }

  return {
    id: 'irc',
    meta: { label: 'IRC', blurb: 'Networks such as Libera.Chat, or a server of your own.', order: 60, docsPath: 'extensions/channels/irc/README.md' },
    capabilities: { chatTypes: ['direct', 'group'], mentions: true },
    config: {
      listAccountIds,
      defaultAccountId,
      resolveAccount: (config, accountId) => resolveAccount(config, accountId),
      isConfigured: (account) => isConfigured(account as IrcAccount),
      isEnabled: (account) => (account as IrcAccount).enabled,
    },
    gateway: {
      startAccount(context) {
        const { accountId } = context;
        const rest = left.get(accountId) ?? new Map<string, readonly string[]>();
        left.set(accountId, rest);
        return runAccount({
          context,
          left: rest,
          onConnection(connection) {
            if (connection === undefined) connections.delete(accountId);
            else connections.set(accountId, connection);
          },
        });
      },
    },
    outbound: {
      deliveryMode: 'gateway',
      textChunkLimit: TEXT_CHUNK,
      sendText,
      async sendTyping({ cfg, to, accountId = defaultAccountId(cfg) }) {
        const connection = connections.get(accountId);
        if (connection?.client.network.supportsTag('typing') !== true) return;
        connection.client.tagmsg(targetOf(connection, resolveAccount(cfg, accountId), to), { '+typing': 'active' });
      },
    },
    status: {
      async probeAccount({ account, timeoutMs, signal }) {
        const probed = account as IrcAccount;
        const limit = AbortSignal.timeout(timeoutMs);
        try {
          // under another nick: the account itself may be connected
          const link = await openLink({
            client: await createClient(),
            account: probed,
            nick: alternativeNick(probed.nick, 2),
            signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
          });
          const { nick } = link.client.user;
          const { server } = link.client.network;
          const { account: login } = link;
          await link.quit('probe');
          return { ok: true, identity: { id: login === undefined ? nick : `account:${login}`, name: probed.nick }, server };
        } catch (error) {
          const hint = error instanceof IrcError && error.hint !== '' ? ` ${error.hint}` : '';
          return { ok: false, error: `${limit.aborted ? `no answer from ${probed.host}:${probed.port} within ${timeoutMs} ms` : errorText(error)}.${hint}` };
        }
      },
    },
    security: { normalizeAllowEntry: normalizeEntry, matchesAllowEntry: (entry, { senderId }) => matchesEntry(entry, senderId) },
    pairing: {
      idLabel: 'IRC nick!user@host',
      normalizeAllowEntry: normalizeEntry,
      async notifyApproval(target) {
        await sendText({ ...target, text: 'You may write to me now.' });
      },
    },
    setup,
  };
}

function targetOf({ client }: Connection, { nickserv }: IrcAccount, to: string): string {
  const channelTypes = [client.network.supports('CHANTYPES') ?? '#&'].flat().join('');
  return parseTarget(to, { channelTypes, service: nickserv?.service });
}

/** Bytes of text in one line to that target. */
function roomFor({ client }: Connection, target: string): number {
  const limit = (name: string, otherwise: number) => Number(client.network.supports(name)) || otherwise;
  const { nick, username, host } = client.user;
  return textBytes({
    nick,
    user: username,
    host,
    target,
    limits: { line: Math.min(limit('LINELEN', 512), 512), user: limit('USERLEN', 10), host: limit('HOSTLEN', 63) },
  });
}
