import { durarError } from '../../sdk/errors.ts';
import type { Channel } from '../../sdk/index.ts';
import { isForbiddenKey } from '../config/config-path.ts';
import type { CommandContext } from './command.ts';

/** The channel of a command: `--channel`, else its first word, which is taken away. Throws `DUR_CLI_USAGE`. */
export function channelOf({ args, options }: CommandContext): string {
  const id = (typeof options.channel === 'string' ? options.channel : (args.shift() ?? '')).trim().toLowerCase();
  if (!/^[a-z][a-z0-9_-]*$/.test(id) || isForbiddenKey(id))
    throw durarError('DUR_CLI_USAGE', { reason: 'name a channel' }, { hint: '`durar channels list` shows those that are configured.' });
  return id;
}

/** `--account`, which must be one of the channel's, else its default one. Throws `DUR_CHANNEL_ACCOUNT`. */
export function accountOf({ options }: CommandContext, config: Channel['config'], cfg: Record<string, unknown>, channel: string): string {
  const ids = config.listAccountIds(cfg);
  if (typeof options.account !== 'string') return config.defaultAccountId?.(cfg) ?? ids[0] ?? 'default';
  if (!ids.includes(options.account)) throw durarError('DUR_CHANNEL_ACCOUNT', { channel, accountId: options.account });
  return options.account;
}
