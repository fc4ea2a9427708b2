import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type HostedAccount, hostAccount } from './channel-account.ts';
import {
  arrival,
  type ChannelService,
  type ChannelServiceContext,
  connected,
  HOSTILE_TEXTS,
  isRefusal,
  LIMIT_MS,
  noSecretsIn,
  openSockets,
  send,
  sends,
  until,
  within,
} from './channel-service.ts';
import type { ContractCase, ContractSuite } from './contract.ts';

/** milliseconds within which an account that was told to stop has ended */
const STOP_MS = 3_000;
const MESSAGES = 20;
/** Repeated often enough that no fixed number of tries gets through. */
const LONG = 1_000_000;

/** Targets that no service has; in a line protocol the middle ones would begin a command. */
const NO_TARGETS = ['', ' ', 'a b\r\nQUIT', '\0', '\r\n'];

/** What an account owes its host while its service, and whoever writes by it, does what it likes. */
export const channelFaults: ContractSuite<ChannelServiceContext> = {
  port: 'channel under faults',
  cases: [
    served('a message arrives as it was written, with its sender and its place', async (ctx, { account }) => {
      const text = 'Hello *there*, `durar`.';
      await ctx.service.push({ text });
      const message = await arrival(account, text);
      assert.ok(message.senderId !== '' && message.conversationId !== '', 'the sender or the conversation has no id');
      assert.ok(ctx.channel.capabilities.chatTypes.includes(message.chatType), `capabilities do not name the chat type '${message.chatType}'`);
      assert.ok(message.messageId === undefined || message.messageId !== '', 'the id of the message is empty');
    }),
    served('an account says that it is connected, and that it is not any more', async (_ctx, { account }) => {
      assert.equal(account.status().connected, true);
      assert.equal(typeof account.status().lastEventAt, 'number', 'lastEventAt is missing');
      await account.stop();
      assert.equal(account.status().connected, false, 'a stopped account says that it is connected');
    }),
    faulty('a stop ends the account soon, without an error and with all that it opened; a second stop does no harm', async (ctx) => {
      const before = openSockets();
      const account = await connected(ctx);
      const begin = performance.now();
      const { error } = await within(
        STOP_MS,
        'an account that was stopped',
        account.stop().then(() => account.ended),
      );
      assert.equal(error, undefined, `it ended with an error: ${String(error)}`);
      await account.stop();
      await until(() => openSockets() <= before, 'it left a connection open', STOP_MS);
      assert.ok(performance.now() - begin < 2 * STOP_MS);
    }),
    faulty('an account that is stopped before it began does not connect', async (ctx) => {
      const account = hostAccount(ctx.channel, ctx.cfg, { signal: AbortSignal.abort(new Error('stopped')) });
      await within(STOP_MS, 'an account that was stopped before', account.ended);
      assert.notEqual(account.status().connected, true, 'it says that it is connected');
    }),
    faulty('an account that was stopped starts again', async (ctx) => {
      await (await connected(ctx)).stop();
      const account = await connected(ctx);
      await ctx.service.push({ text: 'once more' });
      await arrival(account, 'once more');
      await account.stop();
    }),
    faulty('a message that the host could not keep comes again, or its loss is told', async (ctx) => {
      let left = 1;
      const account = await connected(ctx, {
        deliver: async () => {
          left -= 1;
          if (left >= 0) throw new Error('the disk is full');
          return { accepted: true };
        },
      });
      const lines = account.log.length;
      await ctx.service.push({ text: 'keep me' });
      const isTold = () => account.log.slice(lines).some((line) => /^(warn|error):/.test(line));
      await until(() => account.delivered.length > 1 || isTold() || account.hasEnded, 'a message was lost without a word', LIMIT_MS);
      await account.stop();
    }),
    faulty('messages are handed over in the order in which the service gave them', async (ctx) => {
      // the later ones would be through before the earlier ones
      const account = await connected(ctx, { deliver: async ({ text }) => sleep(text.endsWith('0') ? 30 : 1, { accepted: true }) });
      const texts = Array.from({ length: MESSAGES }, (_, index) => `number ${index}`);
      for (const text of texts) await ctx.service.push({ text });
      await until(() => account.delivered.length >= MESSAGES, 'not all messages arrived', LIMIT_MS);
      assert.deepEqual(
        account.delivered.map(({ text }) => text),
        texts,
      );
      await account.stop();
    }),
    served(
      'a message that the service brings twice has one id',
      async ({ service }, { account }) => {
        await service.repeat?.({ text: 'said once' });
        await service.push({ text: 'the end' });
        await arrival(account, 'the end');
        const ids = account.delivered.filter(({ text }) => text === 'said once').map(({ messageId }) => messageId);
        assert.ok(ids.length > 0, 'it did not arrive at all');
        assert.ok(ids[0] !== undefined && new Set(ids).size === 1, `its ids are ${JSON.stringify(ids)}`);
      },
      ({ service }) => (service.repeat === undefined ? 'its service brings nothing twice' : undefined),
    ),
    served('whatever text people write, the account takes it and goes on', async ({ service }, { account }) => {
      await service.push({ text: 'plain' });
      const { senderId, conversationId } = await arrival(account, 'plain');
      for (const text of [...HOSTILE_TEXTS, 'x'.repeat(LONG)]) await service.push({ text });
      await service.push({ text: 'the end' });
      await arrival(account, 'the end');
      for (const message of account.delivered) {
        assert.equal(typeof message.text, 'string');
        assert.deepEqual([message.senderId, message.conversationId], [senderId, conversationId], 'a text changed who wrote, or where');
      }
    }),
    served('whatever text it is given, it sends it or refuses it for good, and goes on', async (ctx, { account }) => {
      for (const text of [...HOSTILE_TEXTS, 'x'.repeat(LONG)]) {
        const { error } = await within(LIMIT_MS, 'a send', send(ctx, text));
        if (error !== undefined)
          assert.ok(isRefusal(error), `${JSON.stringify(text.slice(0, 20))} was refused in a way that makes the host try again: ${String(error)}`);
      }
      await sends(ctx, 'the end');
      assert.ok(!account.hasEnded && account.status().connected === true, 'a text ended the connection');
    }),
    served('a target that cannot be one is refused for good', async (ctx) => {
      const before = ctx.service.sent().length;
      for (const to of NO_TARGETS) {
        const { error } = await within(LIMIT_MS, 'a send', send(ctx, 'lost', { to }));
        assert.ok(error !== undefined, `a message to ${JSON.stringify(to)} counts as sent`);
        assert.ok(isRefusal(error), `the refusal of ${JSON.stringify(to)} makes the host try again: ${String(error)}`);
      }
      assert.equal(ctx.service.sent().length, before, 'something was sent');
    }),
    served('messages go out one after the other', async (ctx) => {
      const texts = Array.from({ length: MESSAGES }, (_, index) => `reply ${index}`);
      for (const text of texts) assert.equal((await send(ctx, text)).error, undefined);
      await until(() => ctx.service.sent().length >= MESSAGES, 'not all replies arrived', LIMIT_MS);
      assert.deepEqual(ctx.service.sent().slice(-MESSAGES), texts);
    }),
    served('a message that is given up before it began is not sent', async (ctx) => {
      const { error } = await within(STOP_MS, 'a send', send(ctx, 'given up', { signal: AbortSignal.abort(new Error('given up')) }));
      assert.ok(error !== undefined, 'it counts as sent');
      await sends(ctx, 'the end');
      assert.ok(!ctx.service.sent().includes('given up'), 'it was sent');
    }),
    served(
      'a second message with the same key shows once',
      async (ctx) => {
        for (let count = 2; count > 0; count -= 1) assert.equal((await send(ctx, 'only once', { idempotencyKey: 'key-1' })).error, undefined);
        await sends(ctx, 'the end');
        assert.equal(ctx.service.sent().filter((text) => text === 'only once').length, 1);
      },
      ({ channel }) => (channel.outbound?.idempotent === true ? undefined : 'it does not promise it (outbound.idempotent)'),
    ),
    served('what its capabilities promise can be done with a message that it sent', async (ctx) => {
      const { channel, cfg, service } = ctx;
      const { outbound } = channel;
      const target = { cfg, to: service.to };
      const { value } = await send(ctx, 'first form');
      await outbound?.sendTyping?.(target);
      if (outbound?.editText === undefined && outbound?.sendReaction === undefined && outbound?.deleteMessage === undefined) return;
      const messageId = value?.messageId;
      assert.ok(messageId !== undefined, 'sendText does not tell the id of the message');
      await outbound.editText?.({ ...target, messageId, text: 'second form' });
      await outbound.sendReaction?.({ ...target, messageId, emoji: '👍' });
      await outbound.sendReaction?.({ ...target, messageId, emoji: '' });
      await outbound.deleteMessage?.({ ...target, messageId });
    }),
    underFault('slow down', 'a service that asks to slow down gets the message once, later', async (ctx, heal) => {
      const sending = send(ctx, 'patience');
      await sleep(50);
      await heal();
      const { error } = await within(LIMIT_MS, 'a send', sending);
      if (error !== undefined) {
        assert.ok(!isRefusal(error), `the host does not try again: ${String(error)}`);
        await sends(ctx, 'patience');
      }
      await sends(ctx, 'the end');
      assert.equal(ctx.service.sent().filter((text) => text === 'patience').length, 1);
    }),
    underFault('refuse', 'what the service refuses for good is not tried again', async (ctx) => {
      const { error } = await within(LIMIT_MS, 'a send', send(ctx, 'not for you'));
      assert.ok(error !== undefined, 'it counts as sent');
      assert.ok(isRefusal(error), `the host tries again: ${String(error)}`);
    }),
    underFault('cut', 'a connection that breaks is made again, by the account or by the host', async (ctx, heal, account) => {
      await heal();
      await sleep(50);
      let present = account;
      // what the account does not do, the host does
      const again = async () => {
        if (!present.hasEnded) return;
        assert.ok((await present.ended).error === undefined || present.status().connected === false, 'a lost account says that it is connected');
        present = await connected(ctx);
      };
      const end = Date.now() + LIMIT_MS;
      for (let count = 0; Date.now() < end; count += 1) {
        await again();
        const text = `after the break ${count}`;
        await ctx.service.push({ text });
        for (let left = 20; left > 0 && !present.hasEnded; left -= 1) {
          if (present.delivered.some((message) => message.text === text)) {
            await sends(ctx, 'here again');
            await present.stop();
            return;
          }
          await sleep(50);
        }
      }
      assert.fail('nothing arrived after the connection broke');
    }),
    faulty(
      'an account that the service does not let in says so, and does not say more',
      async (ctx) => {
        const heal = await ctx.service.fault('forbid');
        assert.ok(heal !== undefined);
        const account = hostAccount(ctx.channel, ctx.cfg);
        const told = await within(LIMIT_MS, 'an account that is not let in', account.ended);
        assert.ok(told.error instanceof Error && told.error.message !== '', 'it ended as if all were well');
        assert.notEqual(account.status().connected, true, 'it says that it is connected');
        noSecretsIn(ctx, told.error);
        noSecretsIn(ctx, account.told());
        const { status } = ctx.channel;
        const probe = await status?.probeAccount?.({ account: ctx.channel.config.resolveAccount(ctx.cfg), cfg: ctx.cfg, timeoutMs: STOP_MS });
        if (probe !== undefined) assert.ok(!probe.ok && probe.error !== undefined, 'a probe says that all is well');
        noSecretsIn(ctx, JSON.stringify(probe ?? {}));
        await heal();
      },
      async (ctx) => canFault(ctx, 'forbid'),
    ),
    served(
      'a probe tells who the account is',
      async ({ channel, cfg, ...ctx }) => {
        const probe = await channel.status?.probeAccount?.({ account: channel.config.resolveAccount(cfg), cfg, timeoutMs: LIMIT_MS });
        assert.equal(probe?.ok, true, probe?.error);
        assert.ok(probe.identity?.id !== undefined || probe.identity?.name !== undefined, 'it does not tell who');
        noSecretsIn(ctx, JSON.stringify(probe));
      },
      ({ channel }) => (channel.status?.probeAccount === undefined ? 'it cannot be asked' : undefined),
    ),
  ],
};

type Run = (ctx: ChannelServiceContext) => Promise<void>;
type Skip = NonNullable<ContractCase<ChannelServiceContext>['skip']>;

function faulty(name: string, run: Run, skip?: Skip): ContractCase<ChannelServiceContext> {
  return { name, timeoutMs: 4 * LIMIT_MS, ...(skip === undefined ? {} : { skip }), run };
}

/** With an account that is connected; what it told meanwhile holds no secret. */
function served(name: string, run: (ctx: ChannelServiceContext, running: { account: HostedAccount }) => Promise<void>, skip?: Skip) {
  const wrapped: Run = async (ctx) => {
    const account = await connected(ctx);
    try {
      await run(ctx, { account });
    } finally {
      await account.stop();
    }
    noSecretsIn(ctx, account.told());
  };
  return faulty(name, wrapped, skip);
}

function underFault(
  kind: Parameters<ChannelService['fault']>[0],
  name: string,
  run: (ctx: ChannelServiceContext, heal: () => Promise<void> | void, account: HostedAccount) => Promise<void>,
) {
  const wrapped = async (ctx: ChannelServiceContext, { account }: { account: HostedAccount }) => {
    const heal = await ctx.service.fault(kind);
    assert.ok(heal !== undefined);
    await run(ctx, heal, account);
    await heal();
  };
  return served(name, wrapped, (ctx) => canFault(ctx, kind));
}

async function canFault(ctx: ChannelServiceContext, kind: Parameters<ChannelService['fault']>[0]): Promise<string | undefined> {
  const heal = await ctx.service.fault(kind);
  await heal?.();
  return heal === undefined ? `its service cannot go wrong so (${kind})` : undefined;
}
