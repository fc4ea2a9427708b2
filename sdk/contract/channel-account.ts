import type { Channel, ChannelAccountContext, DeliveryReceipt, InboundMessage } from '../ports/channel.ts';

/** Stands for the host in what it promises a channel. */
export interface HostedAccount {
  /** In the order in which they were handed over. */
  readonly delivered: InboundMessage[];
  /** Lines that an operator would see, with their level. */
  readonly log: string[];
  status(): Record<string, unknown>;
  /** Everything that was ever told, as text: what must hold no secret. */
  told(): string;
  /** Resolves with what it ended with; undefined: it resolved. */
  readonly ended: Promise<{ error?: unknown }>;
  readonly hasEnded: boolean;
  /** As the host does it; twice does no harm. */
  stop(): Promise<void>;
}

export interface CallOptions {
  accountId?: string;
  deliver?(message: InboundMessage): Promise<DeliveryReceipt>;
  signal?: AbortSignal;
}

/** What `startAccount` is called with. */
export function callOf(channel: Channel, cfg: Record<string, unknown>, options: CallOptions = {}) {
  const accountId = options.accountId ?? channel.config.defaultAccountId?.(cfg) ?? channel.config.listAccountIds(cfg)[0] ?? 'default';
  const controller = new AbortController();
  const log: string[] = [];
  const told: string[] = [];
  let status: Record<string, unknown> = {};
  const note = (level: string) => (text: string) => void log.push(`${level}: ${text}`);
  const context: ChannelAccountContext = {
    cfg,
    accountId,
    account: channel.config.resolveAccount(cfg, accountId),
    abortSignal: options.signal ?? controller.signal,
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
    deliver: options.deliver ?? (async () => ({ accepted: true })),
    getStatus: () => status,
    setStatus(change) {
      status = { ...status, ...change };
      told.push(JSON.stringify(change));
    },
  };
  return { context, controller, log, told, status: () => status };
}

/** Runs an account until it ends or is stopped. */
export function hostAccount(channel: Channel, cfg: Record<string, unknown>, options: CallOptions = {}): HostedAccount {
  const delivered: InboundMessage[] = [];
  const call = callOf(channel, cfg, {
    ...options,
    async deliver(message) {
      delivered.push(message);
      return (await options.deliver?.(message)) ?? { accepted: true };
    },
  });
  const { context, controller, log, told, status } = call;
  let hasEnded = false;
  const start = async () => channel.gateway?.startAccount(context);
  const ended = start().then(
    () => ({}),
    (error: unknown) => ({ error }),
  );
  void ended.then(() => {
    hasEnded = true;
  });
  return {
    delivered,
    log,
    status,
    told: () => [...log, ...told].join('\n'),
    ended,
    get hasEnded() {
      return hasEnded;
    },
    async stop() {
      controller.abort();
      await channel.gateway?.stopAccount?.(context);
      await ended;
    },
  };
}
