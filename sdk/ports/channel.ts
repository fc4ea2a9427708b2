import type { ChannelSecurityAdapter } from './channel-security.ts';

export type { ChannelGroup, ChannelSecurityAdapter } from './channel-security.ts';

/**
 * Port: channel. Brings messages of a chat service in and takes replies out.
 *
 * What the host does, so that no channel does it again: access (who may talk), pairing, mention rules, routing, the durable inbox with
 * its deduplication, queueing, chunking, retries between whole messages, the durable outbox, restarts of a lost account. What a channel does: its connection, its
 * wire format, its identities, its dialect of Markdown, and the retry of one request (`Durar/plugin-sdk/retry`).
 *
 * The shape is that of the wider ecosystem; adapters that the host does not know are open keys.
 */
export interface Channel {
  readonly id: string;
  readonly meta: { label: string; blurb?: string; docsPath?: string; order?: number; aliases?: string[]; [key: string]: unknown };
  readonly capabilities: ChannelCapabilities;
  readonly config: ChannelConfigAdapter;
  readonly gateway?: ChannelGatewayAdapter;
  readonly outbound?: ChannelOutboundAdapter;
  readonly status?: ChannelStatusAdapter;
  readonly security?: ChannelSecurityAdapter;
  readonly pairing?: ChannelPairingAdapter;
  readonly setup?: ChannelSetupAdapter;
  readonly auth?: ChannelAuthAdapter;
  readonly actions?: ChannelActionsAdapter;
  readonly resolver?: ChannelResolverAdapter;
  [adapter: string]: unknown;
}

export interface ChannelCapabilities {
  chatTypes: Array<'direct' | 'group' | 'channel' | 'thread'>;
  media?: boolean;
  threads?: boolean;
  edit?: boolean;
  reactions?: boolean;
  polls?: boolean;
  /** Whether the service can tell that a group message is meant for the bot. Without it a mention rule is not enforced. */
  mentions?: boolean;
  /** `threadId` names a topic of a group, which stays one conversation of its own, rather than a thread below a message. */
  topics?: boolean;
  [key: string]: unknown;
}

export interface ChannelConfigAdapter {
  listAccountIds(config: Record<string, unknown>): string[];
  resolveAccount(config: Record<string, unknown>, accountId?: string): unknown;
  defaultAccountId?(config: Record<string, unknown>): string;
  isConfigured?(account: unknown, config: Record<string, unknown>): boolean | Promise<boolean>;
  isEnabled?(account: unknown, config: Record<string, unknown>): boolean;
  [member: string]: unknown;
}

/** What an account has while it runs. */
export interface ChannelAccountContext {
  cfg: Record<string, unknown>;
  accountId: string;
  account: unknown;
  abortSignal: AbortSignal;
  log: { debug(text: string): void; info(text: string): void; warn(text: string): void; error(text: string): void };
  /**
   * Hands a message to the host. Resolves when it is on disk, or refused; only then acknowledge it to the service. Rejects when it could
   * not be kept: do not acknowledge, the service will bring it again. A message seen before (account and message id) is accepted once.
   */
  deliver(message: InboundMessage): Promise<DeliveryReceipt>;
  getStatus(): Record<string, unknown>;
  /**
   * Merged into what `channels.status` shows. `connected` and `lastEventAt` (epoch ms) feed the health monitor; while `connected` is false,
   * nothing is sent through the account and messages wait. Never a secret.
   */
  setStatus(status: ChannelAccountStatus): void;
}

export interface ChannelAccountStatus {
  connected?: boolean;
  /** epoch ms of the last sign of life from the service */
  lastEventAt?: number;
  [key: string]: unknown;
}

export interface DeliveryReceipt {
  accepted: boolean;
  /** The run that answers it; absent while it waits among others, or when nothing will answer. */
  runId?: string;
  /** Why it was refused, or what became of it: `duplicate`, `pairing`, `mention`, `claimed`, ... */
  reason?: string;
}

export interface ChannelGatewayAdapter {
  /**
   * Runs until `abortSignal` is aborted or the account is lost; the host starts a lost account again after a growing pause. An error with
   * `retryable: false` says that no further start can help (a token that is not known): after the second in a row the account stays down until the
   * configuration changes, and `channels status` shows the error's `hint`.
   */
  startAccount(context: ChannelAccountContext): Promise<void>;
  stopAccount?(context: ChannelAccountContext): Promise<void>;
}

export interface InboundMessage {
  text: string;
  /** The stable id of the sender, as allowlists name it. */
  senderId: string;
  senderName?: string;
  /** Other forms under which allowlists may name the sender (`nick!user@host`, a user name); never a display name that anybody may choose. */
  senderAliases?: string[];
  /** Where an answer goes: what `sendText` takes as `to`. */
  conversationId: string;
  conversationName?: string;
  /** Further ids under which `groups` may name this conversation (its guild, its name, its topic). */
  conversationAliases?: string[];
  /** The conversation that a thread hangs below, where it has an id of its own. */
  parentConversationId?: string;
  /** For bindings: the server or workspace that the conversation is part of, and what the sender is there. */
  guildId?: string;
  teamId?: string;
  senderRoles?: string[];
  /** For `toolsBySender`: a user name that the service keeps unique, and a telephone number. */
  senderUsername?: string;
  senderE164?: string;
  chatType: 'direct' | 'group' | 'channel';
  /** Unique in the account; without it nothing can be recognised as a repetition. */
  messageId?: string;
  threadId?: string;
  /** epoch ms */
  timestamp?: number;
  accountId?: string;
  /** In a group: the bot was named or answered. Absent when the service cannot tell. */
  mentioned?: boolean;
  replyTo?: { messageId: string; text?: string; senderId?: string; senderName?: string };
  media?: InboundMedia[];
  /** `event`: something that happened (an edit, a reaction, somebody joined), told to the session's next turn without starting one. */
  kind?: 'message' | 'event';
}

export interface InboundMedia {
  kind: 'image' | 'audio' | 'video' | 'file';
  mimeType?: string;
  fileName?: string;
  /** bytes */
  size?: number;
  /** Fetches the content; called once, before the message is acknowledged. More than `maxBytes` is not taken: stop reading and throw. */
  load(signal: AbortSignal, limits?: { maxBytes: number }): Promise<Uint8Array>;
}

/** What every outbound call carries. */
export interface OutboundTarget {
  cfg: Record<string, unknown>;
  /** A conversation as `InboundMessage.conversationId` names it. */
  to: string;
  accountId?: string;
  threadId?: string;
  /** The message it answers. */
  replyToId?: string;
  /** The same for every try of one message. */
  idempotencyKey?: string;
  /** A crash came while this was sent before: it may have gone out. A channel that can find its own messages by the key looks before it sends. */
  uncertain?: true;
  /** To be called when a request failed and may have been carried out all the same, before it is tried again: the host flags the message. */
  onUncertain?(): void;
  signal?: AbortSignal;
}

export interface OutboundResult {
  messageId?: string;
}

export interface ChannelOutboundAdapter {
  deliveryMode: 'direct' | 'gateway' | 'hybrid';
  /** characters of Markdown in one message */
  textChunkLimit?: number;
  /** lines in one message */
  textLineLimit?: number;
  pollMaxOptions?: number;
  /** The service drops a second message with the same `idempotencyKey`, so that a repeated delivery shows once. */
  idempotent?: boolean;
  /** Sends Markdown, put into the service's own dialect. Throws an error with `retryable: false` when no further try can help. */
  sendText?(params: OutboundTarget & { text: string }): Promise<OutboundResult>;
  /** `mediaUrl`: `file:`, `https:` or `data:`; `text` is its caption. `asVoice`: audio as a voice message, where the service has them. */
  sendMedia?(params: OutboundTarget & { text: string; mediaUrl: string; asVoice?: boolean }): Promise<OutboundResult>;
  sendPoll?(
    params: OutboundTarget & { poll: OutboundPollQuestion; silent?: boolean; isAnonymous?: boolean },
  ): Promise<OutboundResult & Record<string, unknown>>;
  editText?(params: OutboundTarget & { messageId: string; text: string }): Promise<OutboundResult>;
  deleteMessage?(params: OutboundTarget & { messageId: string }): Promise<void>;
  /** An empty `emoji` takes the bot's reactions away. */
  sendReaction?(params: OutboundTarget & { messageId: string; emoji: string }): Promise<void>;
  /** Shows that an answer is being made; repeated by the host while it lasts. Its failure is never told to anybody. */
  sendTyping?(params: OutboundTarget): Promise<void>;
  [member: string]: unknown;
}

export interface OutboundPollQuestion {
  question: string;
  options: readonly string[];
  maxSelections: number;
  durationSeconds?: number;
  durationHours?: number;
}

export interface ChannelStatusAdapter {
  /** Asks the service who the account is. Resolves with `ok: false` rather than throw. */
  probeAccount?(params: { account: unknown; cfg: Record<string, unknown>; timeoutMs: number; signal?: AbortSignal }): Promise<ChannelProbe>;
  [member: string]: unknown;
}

export interface ChannelProbe {
  ok: boolean;
  error?: string;
  /** Who the account is at the service. */
  identity?: { id?: string; name?: string };
  [detail: string]: unknown;
}

export interface ChannelPairingAdapter {
  /** What an id is called here, for the text of a request: `Telegram user id`. */
  idLabel: string;
  normalizeAllowEntry?(entry: string): string;
  /** Tells the person that the request was approved. */
  notifyApproval?(params: OutboundTarget): Promise<void>;
  [member: string]: unknown;
}

/** `durar channels add` and the wizard. */
export interface ChannelSetupAdapter {
  /** What can be asked for, in order. A secret is read without echo and never from argv. */
  fields: ReadonlyArray<{ key: string; label: string; required?: boolean; secret?: boolean; env?: string; help?: string }>;
  /** A sentence that says what is wrong, or undefined. */
  validateInput?(input: Readonly<Record<string, string>>): string | undefined;
  /** The account's block of the configuration. */
  accountConfig(input: Readonly<Record<string, string>>): Record<string, unknown>;
  [member: string]: unknown;
}

/** Services that are logged in to rather than configured. */
export interface ChannelAuthAdapter {
  login?(params: { account: unknown; cfg: Record<string, unknown>; print(text: string): void; signal: AbortSignal }): Promise<void>;
  logout?(params: { account: unknown; cfg: Record<string, unknown> }): Promise<void>;
  [member: string]: unknown;
}

/** What a channel adds to the shared `message` tool, beside what its outbound members are good for. */
export interface ChannelActionsAdapter {
  /** Asked when a run begins: answer at once. `schema`: further arguments, as properties of a JSON Schema. */
  describeMessageTool?(params: {
    cfg: Record<string, unknown>;
    accountId?: string;
  }): { actions?: readonly string[]; schema?: Readonly<Record<string, unknown>> } | null | undefined;
  /** Carries out an action that the host does not know. What it resolves to is told to the model; throws say why not. */
  handleAction?(params: {
    action: string;
    channel: string;
    cfg: Record<string, unknown>;
    /** The tool's arguments. */
    params: Record<string, unknown>;
    accountId?: string;
    to?: string;
    threadId?: string;
    signal?: AbortSignal;
  }): Promise<unknown>;
  [member: string]: unknown;
}

/** `durar channels resolve`: what people call each other and their rooms, in ids that the configuration and `sendText` take. */
export interface ChannelResolverAdapter {
  /** One answer for each input, in their order. `kind` absent: either. */
  resolveTargets(params: {
    cfg: Record<string, unknown>;
    accountId?: string;
    inputs: readonly string[];
    kind?: 'user' | 'group';
    signal?: AbortSignal;
  }): Promise<ResolvedTarget[]>;
  [member: string]: unknown;
}

export interface ResolvedTarget {
  input: string;
  resolved: boolean;
  id?: string;
  /** What it is called at the service. */
  name?: string;
  /** Why it was not found, or that others have the name too. */
  note?: string;
}
