export interface ChannelSecurityAdapter {
  /** The form in which ids of people are compared: prefix and case taken away. */
  normalizeAllowEntry?(entry: string): string;
  /**
   * Whether an entry of a list of people that is more than an id, such as a mask, names who wrote. Asked when no id of the sender equals it;
   * `entry` has the form in which ids are compared, and is never `*`. False for every entry that it does not understand.
   */
  matchesAllowEntry?(entry: string, message: { senderId: string; senderAliases?: readonly string[] }): boolean;
  /**
   * What the channel's own keys say of conversations, in the host's words, for its one rule of access. `account`: the account's block, with what it
   * takes from its channel. The names are those under which `groups` may name a conversation, or `*`; what is said here goes over `groups`.
   */
  groups?(account: Readonly<Record<string, unknown>>, cfg: Record<string, unknown>): Readonly<Record<string, ChannelGroup>> | undefined;
  [member: string]: unknown;
}

/** One entry of `groups`. */
export interface ChannelGroup {
  /** false: nothing is heard here */
  enabled?: boolean;
  requireMention?: boolean;
  /** Who may speak here. Absent: whom `groupAllowFrom`, else `allowFrom` names. */
  allowFrom?: ReadonlyArray<string | number>;
  systemPrompt?: string;
  skills?: readonly string[];
  tools?: { profile?: 'minimal' | 'coding' | 'messaging' | 'full'; allow?: string[]; deny?: string[] };
}
