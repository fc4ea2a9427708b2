import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from '../ports/channel.ts';
import { callOf } from './channel-account.ts';
import type { ContractCase, ContractContext, ContractSuite } from './contract.ts';

/** What the suite needs of a channel. Nothing is connected: what needs the service is in `channelFaults`. */
export interface ChannelContractContext extends ContractContext {
  channel: Channel;
}

/** milliseconds that something may take which waits for nobody */
const SOON_MS = 2_000;
const PROBE_MS = 200;
/** Ids and texts from outside; none of them may throw where one is only compared or looked up. */
const ODD_TEXTS = ['', ' ', '\0', 'a\r\nQUIT', '__proto__', 'constructor', '\u202etxet', '\ud800', '\u200b', '@', '#', ':', '/', 'x'.repeat(100_000)];
/** What may stand in place of a block, of its accounts, or of a value in it. */
const ODD_VALUES = [null, undefined, '', 'text', 0, Number.NaN, true, [], [null], {}];

export const channelContract: ContractSuite<ChannelContractContext> = {
  port: 'channel',
  cases: [
    {
      name: 'it has an id, a label and the kinds of chats that it knows',
      async run({ channel }) {
        assert.match(channel.id, /^[a-z][a-z0-9_-]{0,63}$/);
        assert.ok(isText(channel.meta.label), 'meta.label is missing');
        assert.ok(channel.capabilities.chatTypes.length > 0, 'capabilities.chatTypes is empty');
        for (const type of channel.capabilities.chatTypes) assert.ok(['direct', 'group', 'channel', 'thread'].includes(type), `no chat is a '${type}'`);
      },
    },
    {
      name: 'odd configuration is no exception: its accounts have names, and can be looked up',
      async run({ channel }) {
        for (const cfg of oddConfigs(channel.id)) {
          const ids = channel.config.listAccountIds(cfg);
          assert.ok(Array.isArray(ids) && ids.every((id) => typeof id === 'string'), 'listAccountIds gives no list of names');
          assert.equal(new Set(ids).size, ids.length, 'listAccountIds names an account twice');
          assert.ok(['string', 'undefined'].includes(typeof channel.config.defaultAccountId?.(cfg)), 'defaultAccountId gives no name');
          for (const id of [undefined, ...ids, ...ODD_TEXTS]) {
            const account = channel.config.resolveAccount(cfg, id);
            channel.config.isEnabled?.(account, cfg);
            await channel.config.isConfigured?.(account, cfg);
          }
        }
      },
    },
    {
      name: 'looking accounts up changes nothing and asks nobody',
      async run({ channel }) {
        const calls = await connectionsDuring(async () => {
          for (const cfg of oddConfigs(channel.id)) {
            const before = structuredClone(cfg);
            const account = channel.config.resolveAccount(cfg, channel.config.listAccountIds(cfg)[0]);
            assert.ok(!(account instanceof Promise), 'resolveAccount answers later');
            await channel.config.isConfigured?.(account, cfg);
            assert.deepEqual(cfg, before, 'the configuration was changed');
          }
          await sleep(20);
        });
        assert.equal(calls, 0, 'a connection was opened');
      },
    },
    {
      name: 'an account without its settings does not start',
      skip: async ({ channel }) => {
        if (channel.gateway === undefined) return 'it has no accounts to start';
        return (await isConfigured(channel)) ? 'it needs no settings' : undefined;
      },
      async run({ channel }) {
        const { context, controller } = callOf(channel, {});
        const ended = Promise.resolve(channel.gateway?.startAccount(context)).then(
          () => 'it ended as if all were well',
          (error: unknown) => (error instanceof Error && error.message !== '' ? undefined : 'it threw something that is no error with a message'),
        );
        const told = await Promise.race([ended, sleep(SOON_MS, 'it goes on')]);
        controller.abort();
        assert.equal(told, undefined, told);
      },
    },
    {
      name: 'its members are those that its capabilities promise',
      async run({ channel: { capabilities, outbound } }) {
        const has = (member: string) => typeof outbound?.[member] === 'function';
        const pairs = [
          ['edit', 'editText'],
          ['reactions', 'sendReaction'],
          ['polls', 'sendPoll'],
        ] as const;
        for (const [capability, member] of pairs) {
          if (capabilities[capability] === true) assert.ok(has(member), `capabilities.${capability} is true and outbound.${member} is missing`);
          else assert.ok(!has(member), `outbound.${member} is there and capabilities.${capability} is not`);
        }
        if (has('sendMedia')) assert.ok(capabilities.media === true, 'outbound.sendMedia is there and capabilities.media is not');
      },
    },
    {
      name: 'its limits are numbers that the host can count by',
      skip: ({ channel }) => (channel.outbound === undefined ? 'it sends nothing' : undefined),
      async run({ channel: { outbound } }) {
        assert.ok(outbound !== undefined && ['direct', 'gateway', 'hybrid'].includes(outbound.deliveryMode), 'outbound.deliveryMode is unknown');
        for (const limit of ['textChunkLimit', 'textLineLimit', 'pollMaxOptions'] as const) {
          const value = outbound[limit];
          assert.ok(value === undefined || (Number.isInteger(value) && value > 0), `outbound.${limit} is no positive integer`);
        }
      },
    },
    {
      name: 'a probe says what is wrong rather than throw',
      skip: ({ channel }) => (channel.status?.probeAccount === undefined ? 'it cannot be asked' : undefined),
      async run({ channel }) {
        for (const signal of [undefined, AbortSignal.abort(new Error('given up'))]) {
          const account = channel.config.resolveAccount({});
          const asked = channel.status?.probeAccount?.({ account, cfg: {}, timeoutMs: PROBE_MS, ...(signal === undefined ? {} : { signal }) });
          const probe = await Promise.race([asked, sleep(SOON_MS + PROBE_MS, undefined)]);
          assert.ok(probe !== undefined, 'it did not end in the time that it was given');
          assert.equal(typeof probe.ok, 'boolean');
          if (await isConfigured(channel)) continue;
          assert.equal(probe.ok, false, 'an account without its settings is well');
          assert.ok(isText(probe.error), 'it does not say what is wrong');
        }
      },
    },
    {
      name: 'the form of an entry of an allowlist is found once and for all',
      async run({ channel }) {
        const forms = [channel.security?.normalizeAllowEntry, channel.pairing?.normalizeAllowEntry];
        if (channel.pairing !== undefined) assert.ok(isText(channel.pairing.idLabel), 'pairing.idLabel is missing');
        for (const normalize of forms) {
          for (const entry of ['Alice', ` ${channel.id}:Alice `, '12345', '*', ...ODD_TEXTS]) {
            const form = normalize?.(entry) ?? '';
            assert.equal(typeof form, 'string', 'the form of an entry is no text');
            assert.equal(normalize?.(form) ?? '', form, `the form of the entry ${JSON.stringify(entry.slice(0, 40))} has another form`);
          }
        }
      },
    },
    {
      name: 'its setup asks for what it names, and makes plain data of odd answers',
      skip: ({ channel }) => (channel.setup === undefined ? 'it has no setup' : undefined),
      async run({ channel: { setup } }) {
        const { fields = [] } = setup ?? {};
        assert.equal(new Set(fields.map(({ key }) => key)).size, fields.length, 'two fields have one key');
        for (const { key, label } of fields) assert.ok(/^[A-Za-z][\w-]*$/.test(key) && isText(label), `the field '${key}' has no name or no label`);
        const answers = ODD_TEXTS.map((text) => Object.fromEntries(fields.map(({ key }) => [key, text])));
        for (const input of [{}, ...answers]) {
          const problem = setup?.validateInput?.(Object.freeze(input));
          assert.ok(problem === undefined || isText(problem), 'validateInput gives neither a sentence nor undefined');
          if (problem !== undefined) continue;
          const block = setup?.accountConfig(Object.freeze(input));
          assert.deepEqual(JSON.parse(JSON.stringify(block)), block, 'the block of an account is not plain data');
        }
      },
    },
    {
      name: 'what it adds to the message tool is told at once',
      skip: ({ channel }) => (channel.actions?.describeMessageTool === undefined ? 'it adds nothing' : undefined),
      async run({ channel }) {
        for (const cfg of oddConfigs(channel.id)) {
          const told = channel.actions?.describeMessageTool?.({ cfg });
          assert.ok(!(told instanceof Promise), 'it is told later');
          structuredClone(told);
        }
      },
    },
  ] satisfies ContractCase<ChannelContractContext>[],
};

function oddConfigs(id: string): Array<Record<string, unknown>> {
  const blocks = [...ODD_VALUES, ...ODD_VALUES.flatMap((value) => [{ accounts: value }, { accounts: { a: value } }])];
  const reference = { source: 'env', provider: 'default', id: 'X' };
  const keys = ['token', 'botToken', 'appToken', 'password', 'host', 'server', 'allowFrom', 'groups', 'retry', 'channels', 'name', 'enabled'];
  const filled = [...ODD_VALUES, reference, ODD_TEXTS].map((value) => Object.fromEntries(keys.map((key) => [key, value])));
  const prototypes = JSON.parse('[{"__proto__":{"x":1}},{"accounts":{"__proto__":{"x":1},"constructor":{}}}]') as object[];
  return [{}, { channels: null }, { channels: [] }, ...[...blocks, ...filled, ...prototypes].map((block) => ({ channels: { [id]: block } }))];
}

async function isConfigured({ config }: Channel): Promise<boolean> {
  return (await config.isConfigured?.(config.resolveAccount({}), {})) !== false;
}

/** How many connections this process opened meanwhile. */
async function connectionsDuring(work: () => Promise<void>): Promise<number> {
  let count = 0;
  const add = () => {
    count += 1;
  };
  const opened = ['net.client.socket', 'undici:request:create'];
  for (const name of opened) subscribe(name, add);
  try {
    await work();
  } finally {
    for (const name of opened) unsubscribe(name, add);
  }
  return count;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}
