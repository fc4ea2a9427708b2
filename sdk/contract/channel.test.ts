import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { describeContract } from '../../test/contract-adapter.ts';
import type { Channel, ChannelAccountContext, InboundMessage, OutboundTarget } from '../ports/channel.ts';
import { channelContract } from './channel.ts';
import { channelFaults } from './channel-faults.ts';
import type { ChannelFault, ChannelServiceContext } from './channel-service.ts';
import { type ContractContext, type ContractSuite, runContractCase } from './contract.ts';

const SECRET = 'the-secret-of-the-account';
const ROOM = 'ann';

/** A service in this process: what is written to it reaches the account that is connected, and the reverse. */
function createPipe() {
  const sent: string[] = [];
  const waiting: InboundMessage[] = [];
  let count = 0;
  const faults = new Set<ChannelFault>();
  let account: { take(): void; lose(): void } | undefined;
  const push = (text: string, messageId?: string) => {
    count += 1;
    waiting.push({
      text: text.toWellFormed().replaceAll('\0', ''),
      senderId: 'ann',
      conversationId: ROOM,
      chatType: 'direct',
      messageId: messageId ?? `m${count}`,
    });
    account?.take();
  };
  return {
    sent,
    waiting,
    faults,
    attach(next: typeof account) {
      account = next;
    },
    service: {
      to: ROOM,
      push: ({ text }: { text: string }) => push(text),
      repeat({ text }: { text: string }) {
        push(text, 'twice');
        push(text, 'twice');
      },
      sent: () => sent,
      fault(kind: ChannelFault) {
        if (kind === 'cut') account?.lose();
        else faults.add(kind);
        return () => void faults.delete(kind);
      },
    },
  };
}

type Pipe = ReturnType<typeof createPipe>;

class PipeError extends Error {
  readonly retryable: boolean;

  constructor(message: string, retryable: boolean) {
    super(message);
    this.retryable = retryable;
  }
}

/** A channel without a fault. */
function soundChannel(pipe: Pipe): Channel {
  const block = (cfg: Record<string, unknown>): Record<string, unknown> => objectOf(objectOf(cfg.channels).pipe);
  const seen = new Set<string>();
  let isConnected = false;
  return {
    id: 'pipe',
    meta: { label: 'Pipe' },
    capabilities: { chatTypes: ['direct'], edit: true },
    config: {
      listAccountIds: () => ['default'],
      resolveAccount: (cfg) => ({ token: block(cfg).token }),
      isConfigured: (account) => (account as { token?: unknown }).token === SECRET,
    },
    gateway: {
      async startAccount(context) {
        const { abortSignal, setStatus, deliver, log } = context;
        if (pipe.faults.has('forbid') || !tokenOf(context)) throw new PipeError('the token is not known there', false);
        if (abortSignal.aborted) return;
        const lost = Promise.withResolvers<void>();
        let isBusy = false;
        const take = async () => {
          if (isBusy) return;
          isBusy = true;
          for (let next = pipe.waiting[0]; next !== undefined && isConnected; next = pipe.waiting[0]) {
            try {
              await deliver(next);
              pipe.waiting.shift();
            } catch {
              log.warn('the host did not take a message; it is brought again');
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          }
          isBusy = false;
        };
        abortSignal.addEventListener('abort', () => lost.resolve(), { once: true });
        pipe.attach({ take: () => void take(), lose: () => lost.reject(new PipeError('the connection broke', true)) });
        isConnected = true;
        setStatus({ connected: true, lastEventAt: Date.now() });
        void take();
        try {
          await lost.promise;
        } finally {
          isConnected = false;
          pipe.attach(undefined);
          setStatus({ connected: false });
        }
      },
    },
    outbound: {
      deliveryMode: 'gateway',
      textChunkLimit: 4000,
      idempotent: true,
      async sendText({ to, text, idempotencyKey, signal }: OutboundTarget & { text: string }) {
        signal?.throwIfAborted();
        if (to !== ROOM) throw new PipeError('there is nobody of that name', false);
        if (!isConnected) throw new PipeError('the account is not connected', true);
        if (pipe.faults.has('refuse')) throw new PipeError('it does not want to hear from us', false);
        if (pipe.faults.has('slow down')) throw new PipeError('it comes too fast', true);
        if (text.length > 4000) throw new PipeError('the text is too long', false);
        if (idempotencyKey === undefined || !seen.has(idempotencyKey)) pipe.sent.push(text);
        if (idempotencyKey !== undefined) seen.add(idempotencyKey);
        return { messageId: String(pipe.sent.length) };
      },
      async editText({ messageId }) {
        if (pipe.sent[Number(messageId) - 1] === undefined) throw new PipeError('there is no such message', false);
        return { messageId };
      },
    },
    status: {
      async probeAccount({ account }) {
        if (pipe.faults.has('forbid') || (account as { token?: unknown }).token !== SECRET) return { ok: false, error: 'the token is not known there' };
        return { ok: true, identity: { name: 'the bot' } };
      },
    },
    security: { normalizeAllowEntry: (entry) => entry.trim().toLowerCase() },
    pairing: { idLabel: 'Pipe name' },
    setup: {
      fields: [{ key: 'token', label: 'Token', secret: true, required: true }],
      validateInput: ({ token = '' }) => (token === '' ? 'a token is needed' : undefined),
      accountConfig: ({ token = '' }) => ({ token }),
    },
    actions: { describeMessageTool: () => null },
  };
}

const tokenOf = ({ account }: Pick<ChannelAccountContext, 'account'>) => (account as { token?: unknown }).token === SECRET;
const objectOf = (value: unknown) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {});

type Break = (channel: Channel, pipe: Pipe) => Channel;

const context =
  (breakIt: Break = (channel) => channel) =>
  (): ChannelServiceContext => {
    const pipe = createPipe();
    return {
      channel: breakIt(soundChannel(pipe), pipe),
      cfg: { channels: { pipe: { token: SECRET } } },
      secrets: [SECRET],
      service: pipe.service,
    };
  };

describeContract(channelContract, context());
describeContract(channelFaults, context());

/** A part in another form. */
const config =
  (change: (config: Channel['config']) => Partial<Channel['config']>): Break =>
  (channel) => ({ ...channel, config: { ...channel.config, ...change(channel.config) } });
const outbound =
  (change: Partial<NonNullable<Channel['outbound']>>): Break =>
  (channel) => ({ ...channel, outbound: { deliveryMode: 'gateway', ...channel.outbound, ...change } });
/** Runs the account with another context. */
const started =
  (change: (context: ChannelAccountContext, pipe: Pipe) => Partial<ChannelAccountContext>, after?: (context: ChannelAccountContext) => void): Break =>
  (channel, pipe) => ({
    ...channel,
    gateway: {
      async startAccount(given) {
        await channel.gateway?.startAccount({ ...given, ...change(given, pipe) });
        after?.(given);
      },
    },
  });
type Send = NonNullable<NonNullable<Channel['outbound']>['sendText']>;
const sending =
  (change: (send: Send, pipe: Pipe) => Send): Break =>
  (channel, pipe) =>
    outbound({ sendText: change(channel.outbound?.sendText as Send, pipe) })(channel, pipe);
const restless: Break = (channel) => ({
  ...channel,
  gateway: {
    async startAccount(given) {
      await channel.gateway?.startAccount({ ...given, abortSignal: new AbortController().signal });
    },
  },
});

/** The rule that a mistake breaks. */
const MISTAKES: Array<[mistake: string, suite: ContractSuite<never>, rule: string, Break]> = [
  ['has no label', channelContract, 'it has an id, a label', (channel) => ({ ...channel, meta: { label: ' ' } })],
  ['trusts its configuration', channelContract, 'odd configuration', config(() => ({ resolveAccount: (cfg) => (cfg.channels as { pipe: object }).pipe }))],
  ['names an account twice', channelContract, 'odd configuration', config(() => ({ listAccountIds: () => ['a', 'a'] }))],
  [
    'fills defaults into its configuration',
    channelContract,
    'looking accounts up',
    config(({ resolveAccount }) => ({
      resolveAccount(cfg, id) {
        cfg.channels ??= {};
        return resolveAccount(cfg, id);
      },
    })),
  ],
  [
    'asks the service whether it is configured',
    channelContract,
    'looking accounts up',
    config(() => ({ isConfigured: () => new Promise((resolve) => connect(9, '127.0.0.1').on('error', () => resolve(false))) })),
  ],
  [
    'starts without a token',
    channelContract,
    'an account without its settings',
    (channel) => ({ ...channel, gateway: { startAccount: async () => undefined } }),
  ],
  [
    'waits for a token',
    channelContract,
    'an account without its settings',
    (channel) => ({ ...channel, gateway: { startAccount: () => new Promise(() => undefined) } }),
  ],
  [
    'promises reactions',
    channelContract,
    'its members are those',
    (channel) => ({ ...channel, capabilities: { chatTypes: ['direct'], edit: true, reactions: true } }),
  ],
  ['edits and does not say so', channelContract, 'its members are those', (channel) => ({ ...channel, capabilities: { chatTypes: ['direct'] } })],
  ['has a limit of nothing', channelContract, 'its limits', outbound({ textChunkLimit: 0 })],
  ['throws at a probe', channelContract, 'a probe says', (channel) => ({ ...channel, status: { probeAccount: () => Promise.reject(new Error('no token')) } })],
  ['is well without a token', channelContract, 'a probe says', (channel) => ({ ...channel, status: { probeAccount: async () => ({ ok: true }) } })],
  [
    'takes a sign off with each look',
    channelContract,
    'the form of an entry',
    (channel) => ({ ...channel, security: { normalizeAllowEntry: (entry) => entry.slice(1) } }),
  ],
  [
    'makes an account of a class',
    channelContract,
    'its setup',
    (channel) => ({ ...channel, setup: { fields: [{ key: 'token', label: 'Token' }], accountConfig: () => ({ made: new Date() }) } }),
  ],
  ['looks its actions up first', channelContract, 'what it adds', (channel) => ({ ...channel, actions: { describeMessageTool: (async () => null) as never } })],

  [
    'cuts what is said',
    channelFaults,
    'a message arrives',
    started(({ deliver }) => ({ deliver: (message) => deliver({ ...message, text: message.text.slice(0, 3) }) })),
  ],
  ['does not know the sender', channelFaults, 'a message arrives', started(({ deliver }) => ({ deliver: (message) => deliver({ ...message, senderId: '' }) }))],
  [
    'stays connected in its status',
    channelFaults,
    'an account says that it is connected',
    started(({ setStatus }) => ({ setStatus: (status) => void (status.connected === true && setStatus(status)) })),
  ],
  ['does not hear that it should stop', channelFaults, 'a stop ends', restless],
  [
    'leaves a connection open',
    channelFaults,
    'a stop ends',
    (channel) => ({
      ...channel,
      gateway: {
        async startAccount(given) {
          const server = createServer().listen(0, '127.0.0.1');
          await once(server, 'listening');
          const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
          await once(socket, 'connect');
          setTimeout(() => {
            socket.destroy();
            server.close();
          }, 5_000);
          await channel.gateway?.startAccount(given);
        },
      },
    }),
  ],
  [
    'ends a stop with an error',
    channelFaults,
    'a stop ends',
    started(
      () => ({}),
      () => {
        throw new Error('stopped');
      },
    ),
  ],
  ['connects although it is stopped', channelFaults, 'an account that is stopped before', restless],
  [
    'starts once',
    channelFaults,
    'an account that was stopped starts again',
    (channel) => {
      let starts = 0;
      const startAccount = async (given: ChannelAccountContext) => {
        starts += 1;
        if (starts === 1) await channel.gateway?.startAccount(given);
      };
      return { ...channel, gateway: { startAccount } };
    },
  ],
  [
    'loses what the host could not keep',
    channelFaults,
    'a message that the host could not keep',
    started(({ deliver }) => ({ deliver: (message) => deliver(message).catch(() => ({ accepted: true })) })),
  ],
  [
    'hands over as it likes',
    channelFaults,
    'messages are handed over in the order',
    started(({ deliver }) => ({
      async deliver(message) {
        setTimeout(() => void deliver(message), message.text.endsWith('0') ? 60 : 0);
        return { accepted: true };
      },
    })),
  ],
  [
    'gives ids of its own',
    channelFaults,
    'a message that the service brings twice',
    started(({ deliver }) => ({ deliver: (message) => deliver({ ...message, messageId: crypto.randomUUID() }) })),
  ],
  [
    'falls over at a text',
    channelFaults,
    'whatever text people write',
    started(({ deliver }, pipe) => ({
      async deliver(message) {
        if (!message.text.includes('\r')) return deliver(message);
        pipe.attach(undefined);
        return new Promise(() => undefined);
      },
    })),
  ],
  [
    'asks for another try of what never goes',
    channelFaults,
    'whatever text it is given',
    sending((send) => (call) => send(call).catch((error: Error) => Promise.reject(new PipeError(error.message, true)))),
  ],
  ['sends to nobody', channelFaults, 'a target that cannot be one', sending((send) => async (call) => (call.to === ROOM ? send(call) : {}))],
  [
    'sends when it comes to it',
    channelFaults,
    'messages go out one after the other',
    sending((send) => async (call) => {
      setTimeout(() => void send(call), call.text.endsWith('0') ? 60 : 0);
      return {};
    }),
  ],
  [
    'has no ear for a signal',
    channelFaults,
    'a message that is given up',
    sending(
      (send) =>
        ({ signal: _signal, ...call }) =>
          send(call),
    ),
  ],
  [
    'forgets the key',
    channelFaults,
    'a second message with the same key',
    sending(
      (send) =>
        ({ idempotencyKey: _key, ...call }) =>
          send(call),
    ),
  ],
  ['tells no id of what it sent', channelFaults, 'what its capabilities promise', sending((send) => (call) => send(call).then(() => ({})))],
  [
    'gives up when it should wait',
    channelFaults,
    'a service that asks to slow down',
    sending(
      (send, { faults }) =>
        (call) =>
          send(call).catch((error: Error) => Promise.reject(faults.has('slow down') ? new PipeError('too fast', false) : error)),
    ),
  ],
  [
    'tries again what is refused',
    channelFaults,
    'what the service refuses for good',
    sending((send) => (call) => send(call).catch((error: Error) => Promise.reject(new PipeError(error.message, true)))),
  ],
  [
    'does not notice that it is cut off',
    channelFaults,
    'a connection that breaks',
    (channel, pipe) => ({
      ...channel,
      gateway: {
        async startAccount(given) {
          await channel.gateway?.startAccount(given).catch(() => {
            pipe.attach(undefined);
            return new Promise((resolve) => given.abortSignal.addEventListener('abort', resolve));
          });
        },
      },
    }),
  ],
  [
    'tells its token in an error',
    channelFaults,
    'an account that the service does not let in',
    (channel) => ({
      ...channel,
      gateway: {
        startAccount: (given) =>
          channel.gateway?.startAccount(given).catch((error: Error) => Promise.reject(new Error('refused', { cause: `${error.message} ${SECRET}` }))) ??
          Promise.resolve(),
      },
    }),
  ],
  [
    'tells its token in its status',
    channelFaults,
    'a message arrives',
    started((given) => {
      given.setStatus({ url: `https://x/${SECRET}` });
      return {};
    }),
  ],
  ['does not know who it is', channelFaults, 'a probe tells who', (channel) => ({ ...channel, status: { probeAccount: async () => ({ ok: true }) } })],
];

/** Rules that count what the whole process does. */
const ALONE = ['looking accounts up', 'a stop ends'];
const alone = MISTAKES.filter(([, , rule]) => ALONE.includes(rule));

describe('a channel that', () => {
  it.each(alone)('%s is found', { timeout: 60_000 }, (_mistake, suite, rule, breakIt) => isFound(suite, rule, breakIt));
  it.concurrent.each(MISTAKES.filter((mistake) => !alone.includes(mistake)))('%s is found', { timeout: 60_000 }, (_mistake, suite, rule, breakIt) =>
    isFound(suite, rule, breakIt),
  );

  it('breaks a rule is there for each rule', () => {
    const unproved = [channelContract, channelFaults]
      .flatMap(({ cases }) => cases as ReadonlyArray<{ name: string }>)
      .filter(({ name }) => !MISTAKES.some(([, , rule]) => name.startsWith(rule)));
    expect(unproved.map(({ name }) => name)).toEqual([]);
  });
});

async function isFound(suite: ContractSuite<never>, rule: string, breakIt: Break): Promise<void> {
  const broken = (suite as ContractSuite<ContractContext>).cases.find(({ name }) => name.startsWith(rule));
  if (broken === undefined) throw new Error(`no rule begins with '${rule}'`);
  const { status, reason } = await runContractCase(broken, context(breakIt));
  expect(status, reason).toBe('failed');
}
