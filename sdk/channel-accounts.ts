/** The account of a channel that names none. */
export const DEFAULT_ACCOUNT = 'default';

type Block = Record<string, unknown>;

/** The accounts of one channel as its block of the configuration names them; for `ChannelConfigAdapter`. */
export interface ChannelAccounts {
  /** `channels.<id>`, empty when there is none. */
  block(config: Block): Block;
  /** `channels.<id>.accounts.<name>`, without what it inherits; empty when there is none. */
  own(config: Block, accountId: string): Block;
  /** The names under `channels.<id>.accounts`, else `default`. */
  list(config: Block): string[];
  /** `wanted` (absent: `defaultAccount`) where that is an account, else `default`, else the first. */
  usual(config: Block, wanted?: unknown): string;
}

export function createChannelAccounts(channelId: string): ChannelAccounts {
  const accounts: ChannelAccounts = {
    block: (config) => blockOf(blockOf(config.channels)[channelId]),
    own(config, accountId) {
      const named = blockOf(accounts.block(config).accounts);
      return Object.hasOwn(named, accountId) ? blockOf(named[accountId]) : {};
    },
    list(config) {
      const names = Object.keys(blockOf(accounts.block(config).accounts));
      return names.length === 0 ? [DEFAULT_ACCOUNT] : names;
    },
    usual(config, wanted = accounts.block(config).defaultAccount) {
      const ids = accounts.list(config);
      if (typeof wanted === 'string' && wanted.trim() !== '' && ids.includes(wanted)) return wanted;
      return ids.includes(DEFAULT_ACCOUNT) ? DEFAULT_ACCOUNT : (ids[0] ?? DEFAULT_ACCOUNT);
    },
  };
  return accounts;
}

/** The value when it is an object, else an empty one. */
export function blockOf(value: unknown): Block {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Block) : {};
}
