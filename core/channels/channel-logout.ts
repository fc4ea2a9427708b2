import { durarError } from '../../sdk/index.ts';
import type { Generation } from '../kernel/generation.ts';
import { channelConfig } from './channel-config.ts';

export interface LogoutParams {
  channel: string;
  /** Absent: the channel's default account. */
  accountId?: string;
}

/** Ends the account by `end`, then lets the channel forget its login. Throws `DUR_CHANNEL_UNKNOWN`, `DUR_CHANNEL_ACCOUNT`, `DUR_CHANNEL_NO_LOGIN`. */
export async function logout(
  generation: Pick<Generation, 'config' | 'resolvedConfig' | 'contribution'>,
  { channel: id, accountId }: LogoutParams,
  end: (accountId: string) => Promise<void>,
): Promise<{ channel: string; accountId: string }> {
  const channel = (await generation.contribution('channel', id))?.value;
  if (channel === undefined) throw durarError('DUR_CHANNEL_UNKNOWN', { channel: id });
  if (channel.auth?.logout === undefined) throw durarError('DUR_CHANNEL_NO_LOGIN', { channel: id, what: 'logout' });
  const cfg = channelConfig(generation, id);
  const ids = channel.config.listAccountIds(cfg);
  const wanted = accountId ?? channel.config.defaultAccountId?.(cfg) ?? ids[0] ?? 'default';
  if (!ids.includes(wanted)) throw durarError('DUR_CHANNEL_ACCOUNT', { channel: id, accountId: wanted });
  await end(wanted);
  await channel.auth.logout({ account: channel.config.resolveAccount(cfg, wanted), cfg });
  return { channel: id, accountId: wanted };
}
