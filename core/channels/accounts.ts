import { join } from 'node:path';
import { connectionPart } from '../../sdk/channel-fields.ts';
import { type Channel, errorText } from '../../sdk/index.ts';
import type { AgentService, RunRequest, RunResult } from '../agent/service.ts';
import type { Generation, GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import type { SessionService } from '../sessions/service.ts';
import type { Outgoing, State } from '../state/state.ts';
import { createPairing } from './access/pairing.ts';
import { createPairingDesk, type PairingDesk } from './access/pairing-desk.ts';
import { type AccountRun, type AccountStatus, runAccount } from './account-run.ts';
import { channelConfig } from './channel-config.ts';
import { type LogoutParams, logout } from './channel-logout.ts';
import { createChannelReport, type ReportChannels } from './channel-report.ts';
import { accountBlock, configuredChannels } from './channel-settings.ts';
import { createHealthMonitor } from './health-monitor.ts';
import { createInbound, type InboundOptions } from './inbound/inbound.ts';
import { createRunFollower } from './live/run-follower.ts';
import { createMessageActions, type MessageActions } from './outbound/message-actions.ts';
import { createOutbound, type Outbound } from './outbound/outbound.ts';
import type { OutboxStatus } from './outbound/outbox-worker.ts';

export type { PairingDesk } from './access/pairing-desk.ts';
export { isSendable } from './access/send-policy.ts';
export type { ChannelReport, ReportChannels } from './channel-report.ts';

/** How long a stop waits for messages that are being sent. */
const SEND_LIMIT_MS = 5_000;

/** Runs the accounts of the configured channels and carries messages between them and the agent. */
export interface Channels extends Pick<Outbound, 'send' | 'poll' | 'post' | 'reply'> {
  /** Stops what is gone or changed, then starts what is new. Unchanged accounts keep their connection. */
  reconcile(): Promise<void>;
  /** What runs do in conversations beside answering. */
  readonly actions: MessageActions;
  /** The messages that a run's result comes to. */
  replies(request: RunRequest, result: RunResult): Outgoing[];
  /** What is to go out. */
  outbox(): OutboxStatus;
  /** Configured and not switched off. */
  configured(): string[];
  /** Of those that run, or are about to. */
  status(): AccountStatus[];
  /** Ends an account and forgets what it was logged in with; it starts again with the next change of the configuration. */
  logout(params: LogoutParams): Promise<{ channel: string; accountId: string }>;
  /** Every channel that is configured or loaded, and all of its accounts. */
  readonly report: ReportChannels;
  /** Who was let in by a code, and who asks. */
  readonly pairing: PairingDesk;
  stop(): Promise<void>;
}

export interface ChannelsOptions {
  source: GenerationSource;
  agent: Pick<AgentService, 'accept' | 'isCommand' | 'onEvent' | 'session' | 'wait'>;
  sessions: Pick<SessionService, 'get'>;
  state: Pick<State, 'inbox' | 'outbox' | 'held' | 'kv' | 'pairing'>;
  events: InboundOptions['events'];
  paths: { stateDir: string };
  log: Logger;
}

interface Wanted {
  channel: Channel;
  accountId: string;
  fingerprint: string;
}

export function createChannels({ source, agent, sessions, state, events, paths, log }: ChannelsOptions): Channels {
  const { outbox } = state;
  const accounts = new Map<string, AccountRun>();
  const outbound = createOutbound({
    source,
    outbox,
    log,
    isRunning(channel, accountId) {
      const status = accounts.get(`${channel}:${accountId}`)?.status();
      return status?.running === true && status.connected !== false;
    },
  });
  const { worker, send, poll, post, reply } = outbound;
  const follower = createRunFollower({ source, agent, sessions, state, outbound, log });
  const pairing = createPairing(state);
  const inbound = createInbound({
    source,
    agent,
    sessions,
    state,
    pairing,
    events,
    mediaDir: join(paths.stateDir, 'media', 'inbound'),
    log,
    say: ({ channel, accountId }, { conversationId, threadId }, text) =>
      post({ channel: channel.id, accountId, to: conversationId, text, ...(threadId === undefined ? {} : { threadId }) }),
    accepted: ({ request, runId }) => follower.follow(request, runId),
  });
  const health = createHealthMonitor({ accounts: () => accounts.values(), config: () => source.current().config, log });
  let isResumed = false;

  async function wanted(generation: Generation): Promise<Map<string, Wanted>> {
    const found = new Map<string, Wanted>();
    for (const id of configuredChannels(generation.config)) {
      try {
        const channel = (await generation.contribution('channel', id))?.value;
        if (channel?.gateway === undefined) continue;
        const config = channelConfig(generation, id);
        for (const accountId of channel.config.listAccountIds(config)) {
          const account = channel.config.resolveAccount(config, accountId);
          if (channel.config.isEnabled?.(account, config) === false || (await channel.config.isConfigured?.(account, config)) === false) continue;
          found.set(`${id}:${accountId}`, { channel, accountId, fingerprint: fingerprintOf(config, id, accountId) });
        }
      } catch (error) {
        log.error(`the channel '${id}' cannot start: ${errorText(error)}`, { channel: id });
      }
    }
    return found;
  }

  async function stop(id: string): Promise<void> {
    const account = accounts.get(id);
    accounts.delete(id);
    await account?.stop();
  }

  return {
    async reconcile() {
      if (!isResumed) await inbound.resume();
      isResumed = true;
      const next = await wanted(source.current());
      const gone = [...accounts].filter(([id, { channel, fingerprint, status }]) => {
        const same = next.get(id);
        return same === undefined || same.channel !== channel || same.fingerprint !== fingerprint || status().gaveUp === true;
      });
      await Promise.all(gone.map(([id]) => stop(id)));
      for (const [id, account] of next) {
        if (accounts.has(id)) continue;
        const deliver: Parameters<typeof runAccount>[0]['deliver'] = (message) => inbound.receive(account, message);
        accounts.set(id, runAccount({ ...account, source, deliver, log }));
      }
      worker.start();
      health.refresh();
    },
    configured: () => configuredChannels(source.current().config),
    ...{ send, poll, post, reply },
    replies: follower.replies,
    actions: createMessageActions({ source, outbound, follower }),
    outbox: worker.status,
    status: () => Array.from(accounts.values(), (account) => account.status()),
    logout: (params) => logout(source.current(), params, (accountId) => stop(`${params.channel}:${accountId}`)),
    report: createChannelReport({ source, statusOf: (channel, accountId) => accounts.get(`${channel}:${accountId}`)?.status() }),
    pairing: createPairingDesk({ desk: pairing.desk, source, post }),
    async stop() {
      health.stop();
      inbound.stop();
      follower.stop();
      await worker.stop(SEND_LIMIT_MS);
      await Promise.all(Array.from(accounts.keys(), stop));
    },
  };
}

/** What a new connection is needed for when it changes: the account's own block over that of its channel, secrets included. */
function fingerprintOf(config: Record<string, unknown>, channel: string, accountId: string): string {
  const block = accountBlock(config as Parameters<typeof accountBlock>[0], channel, accountId);
  return JSON.stringify(connectionPart(block));
}
