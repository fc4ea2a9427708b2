/**
 * Port: channel. Brings messages of a chat service in and takes replies out. This is the core of the shape that the wider ecosystem uses;
 * the many optional adapters (setup, directory, actions, ...) are open keys and are read by the surfaces that know them.
 */
export interface Channel {
  readonly id: string;
  readonly meta: { label: string; blurb?: string; docsPath?: string; order?: number; aliases?: string[]; [key: string]: unknown };
  readonly capabilities: {
    chatTypes: Array<'direct' | 'group' | 'channel' | 'thread'>;
    media?: boolean;
    threads?: boolean;
    edit?: boolean;
    reactions?: boolean;
    [key: string]: unknown;
  };
  readonly config: ChannelConfigAdapter;
  readonly gateway?: ChannelGatewayAdapter;
  readonly outbound?: ChannelOutboundAdapter;
  [adapter: string]: unknown;
}

export interface ChannelConfigAdapter {
  listAccountIds(config: Record<string, unknown>): string[];
  resolveAccount(config: Record<string, unknown>, accountId?: string): unknown;
  isConfigured?(account: unknown, config: Record<string, unknown>): boolean | Promise<boolean>;
  isEnabled?(account: unknown, config: Record<string, unknown>): boolean;
  [member: string]: unknown;
}

export interface ChannelAccountContext {
  cfg: Record<string, unknown>;
  accountId: string;
  account: unknown;
  abortSignal: AbortSignal;
  log: { debug(text: string): void; info(text: string): void; warn(text: string): void; error(text: string): void };
  /** Hands a message to the host; resolves when it is safe with the host. */
  deliver(message: InboundMessage): Promise<{ accepted: boolean; runId?: string; reason?: string }>;
  getStatus(): Record<string, unknown>;
  setStatus(status: Record<string, unknown>): void;
}

export interface ChannelGatewayAdapter {
  /** Runs until `abortSignal` is aborted or the account is lost. */
  startAccount(context: ChannelAccountContext): Promise<void>;
  stopAccount?(context: ChannelAccountContext): Promise<void>;
}

export interface InboundMessage {
  text: string;
  senderId: string;
  senderName?: string;
  conversationId: string;
  chatType: 'direct' | 'group' | 'channel';
  messageId?: string;
  threadId?: string;
  timestamp?: number;
  accountId?: string;
}

export interface ChannelOutboundAdapter {
  deliveryMode: 'direct' | 'gateway' | 'hybrid';
  textChunkLimit?: number;
  sendText?(params: {
    cfg: Record<string, unknown>;
    to: string;
    text: string;
    accountId?: string;
    threadId?: string;
    replyToId?: string;
  }): Promise<{ messageId?: string }>;
  [member: string]: unknown;
}
