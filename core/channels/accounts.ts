import { randomUUID } from 'node:crypto';
import { type Channel, type ChannelAccountContext, errorText, type InboundMessage } from '../../sdk/index.ts';
import type { AgentService, RunRequest, RunResult } from '../agent/service.ts';
import type { Generation, GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import { defaultAgentId } from '../sessions/service.ts';
import type { Outbox, Outgoing } from '../state/state.ts';
import { channelConfig } from './channel-config.ts';
import { createOutbound, type Outbound } from './outbound.ts';
import type { OutboxStatus } from './outbox-worker.ts';
import { repliesOf } from './reply.ts';
import { isAllowed, routeSession } from './routing.ts';

/** The longest that a timer can wait. */
const LONGEST_WAIT_MS = 2_147_483_647;
/** How long a stop waits for messages that are being sent. */
const SEND_LIMIT_MS = 5_000;
const RESTART_MS = { first: 1_000, most: 60_000 };

/** Runs the accounts of the configured channels and carries messages between them and the agent. */
export interface Channels extends Pick<Outbound, 'send' | 'poll' | 'post'> {
  /** Stops what is gone or changed, then starts what is new. Unchanged accounts keep their connection. */
  reconcile(): Promise<void>;
  /** The messages that a run's result comes to. */
  replies(request: RunRequest, result: RunResult): Outgoing[];
  /** What is to go out. */
  outbox(): OutboxStatus;
  /** Configured and not switched off. */
  configured(): string[];
  status(): Array<{ channel: string; accountId: string; running: boolean; lastError?: string }>;
  stop(): Promise<void>;
}

export interface ChannelsOptions {
  source: GenerationSource;
  agent: AgentService;
  outbox: Outbox;
  log: Logger;
}

interface Account {
  channel: Channel;
  accountId: string;
  /** What a change of restarts it: the channel object and its configuration. */
  fingerprint: string;
  controller: AbortController;
  done: Promise<void>;
  running: boolean;
  lastError?: string;
  status: Record<string, unknown>;
}

export function createChannels({ source, agent, outbox, log }: ChannelsOptions): Channels {
  const accounts = new Map<string, Account>();
  const { worker, send, poll, post } = createOutbound({
    source,
    outbox,
    log,
    isRunning(channel, accountId) {
      const account = accounts.get(`${channel}:${accountId}`);
      return account?.running === true && account.status.connected !== false;
    },
  });

  async function wanted(generation: Generation): Promise<Map<string, { channel: Channel; accountId: string; fingerprint: string }>> {
    const found = new Map<string, { channel: Channel; accountId: string; fingerprint: string }>();
    for (const [id] of configuredChannels(generation)) {
      try {
        const channel = (await generation.contribution('channel', id))?.value;
        if (channel?.gateway === undefined) continue;
        const config = channelConfig(generation, id);
        for (const accountId of channel.config.listAccountIds(config)) {
          const account = channel.config.resolveAccount(config, accountId);
          if (channel.config.isEnabled?.(account, config) === false || (await channel.config.isConfigured?.(account, config)) === false) continue;
          found.set(`${id}:${accountId}`, { channel, accountId, fingerprint: JSON.stringify((config.channels as Record<string, unknown>)[id]) });
        }
      } catch (error) {
        log.error(`the channel '${id}' cannot start: ${errorText(error)}`, { channel: id });
      }
    }
    return found;
  }

  function start(id: string, { channel, accountId, fingerprint }: { channel: Channel; accountId: string; fingerprint: string }): void {
    const controller = new AbortController();
    const account: Account = { channel, accountId, fingerprint, controller, running: true, status: {}, done: Promise.resolve() };
    accounts.set(id, account);
    account.done = keepRunning(account);
  }

  /** Runs one account until it is stopped; a lost one is started again after a growing pause. */
  async function keepRunning(account: Account): Promise<void> {
    const { channel, accountId, controller } = account;
    let pause = RESTART_MS.first;
    while (!controller.signal.aborted) {
      const began = Date.now();
      try {
        account.running = true;
        await channel.gateway?.startAccount(contextOf(account));
        if (controller.signal.aborted) break;
        account.lastError = 'the connection ended';
      } catch (error) {
        account.lastError = errorText(error);
      }
      account.running = false;
      if (controller.signal.aborted) break;
      pause = Date.now() - began > RESTART_MS.most ? RESTART_MS.first : Math.min(pause * 2, RESTART_MS.most);
      log.warn(`${channel.id}/${accountId} stopped (${account.lastError}); it starts again in ${pause} ms`, { channel: channel.id, accountId });
      await sleep(pause, controller.signal);
    }
    account.running = false;
  }

  function contextOf(account: Account): ChannelAccountContext {
    const { channel, accountId, controller } = account;
    const config = channelConfig(source.current(), channel.id);
    return {
      cfg: config,
      accountId,
      account: channel.config.resolveAccount(config, accountId),
      abortSignal: controller.signal,
      log: log.child(channel.id),
      deliver: (message) => receive(account, message),
      getStatus: () => account.status,
      setStatus: (status) => {
        account.status = status;
      },
    };
  }

  /** One inbound message: hooks, access, session, run; the reply goes out when the run has ended. */
  async function receive({ channel, accountId }: Account, message: InboundMessage): Promise<{ accepted: boolean; runId?: string; reason?: string }> {
    const generation = source.current();
    const context = { channelId: channel.id, accountId, conversationId: message.conversationId };
    const event = {
      content: message.text,
      channel: channel.id,
      accountId,
      conversationId: message.conversationId,
      senderId: message.senderId,
      isGroup: message.chatType !== 'direct',
    };
    generation.hooks.emit('message_received', { from: message.senderId, content: message.text }, context);
    const claimed = await generation.hooks.call('inbound_claim', event, context);
    if (claimed?.handled === true) return { accepted: true, reason: 'claimed' };
    const inbound = (await generation.hooks.call('channel.inbound', event, context)) ?? event;
    if ('handled' in inbound && inbound.handled === true) return { accepted: true, reason: 'handled' };
    const settings = (generation.config.channels as Record<string, { allowFrom?: unknown }> | undefined)?.[channel.id] ?? {};
    if (!isAllowed(settings, accountId, message.senderId)) return { accepted: false, reason: `the sender is not in channels.${channel.id}.allowFrom` };
    const sessionKey = routeSession(generation.config, channel.id, accountId, message, defaultAgentId(generation.config));
    const request: RunRequest = {
      runId: randomUUID(),
      message: inbound.content,
      sessionKey,
      channel: channel.id,
      accountId,
      to: message.conversationId,
      ...(message.threadId === undefined ? {} : { threadId: message.threadId }),
      senderId: message.senderId,
      // access was decided just above
      senderAllowed: true,
      provenance: { kind: 'external_user', channel: channel.id },
      autoReply: true,
      ...(message.messageId === undefined ? {} : { replyToId: message.messageId }),
    };
    const run = await agent.accept(request);
    void answer(request, run.runId);
    return { accepted: true, runId: run.runId };
  }

  async function answer(request: RunRequest, runId: string): Promise<void> {
    try {
      const result = await agent.wait(runId, LONGEST_WAIT_MS);
      if (result !== undefined) outbox.add(repliesOf(request, result, source.current().config), Date.now());
    } catch (error) {
      log.error(`the reply of run ${runId} is lost: ${errorText(error)}`, { channel: request.channel, runId });
    }
  }

  async function stop(id: string): Promise<void> {
    const account = accounts.get(id);
    if (account === undefined) return;
    accounts.delete(id);
    account.controller.abort();
    try {
      await account.channel.gateway?.stopAccount?.(contextOf(account));
    } catch (error) {
      log.warn(`${id} did not stop cleanly: ${errorText(error)}`);
    }
    await account.done;
  }

  return {
    async reconcile() {
      const next = await wanted(source.current());
      for (const [id, account] of [...accounts]) {
        const same = next.get(id);
        if (same === undefined || same.channel !== account.channel || same.fingerprint !== account.fingerprint) await stop(id);
      }
      for (const [id, account] of next) if (!accounts.has(id)) start(id, account);
      worker.start();
    },
    configured: () => configuredChannels(source.current()).map(([id]) => id),
    ...{ send, poll, post },
    replies: (request, result) => repliesOf(request, result, source.current().config),
    outbox: worker.status,
    status: () =>
      Array.from(accounts.values(), ({ channel, accountId, running, lastError }) => ({
        channel: channel.id,
        accountId,
        running,
        ...(lastError === undefined ? {} : { lastError }),
      })),
    async stop() {
      await worker.stop(SEND_LIMIT_MS);
      await Promise.all(Array.from(accounts.keys(), stop));
    },
  };
}

/** Keys beside the channels under `channels`. */
const SHARED_KEYS = new Set(['defaults', 'modelByChannel']);

function configuredChannels(generation: Generation): Array<[string, unknown]> {
  return Object.entries(generation.config.channels ?? {}).filter(
    ([id, settings]) => !SHARED_KEYS.has(id) && (settings as { enabled?: boolean } | undefined)?.enabled !== false,
  );
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
