import { type Channel, type ChannelProbe, errorText } from '../../sdk/index.ts';
import type { Generation } from '../kernel/generation.ts';
import type { AccountStatus } from './account-run.ts';
import { channelConfig } from './channel-config.ts';
import { accountBlock, configuredChannels } from './channel-settings.ts';

/** A channel with its accounts, those that do not run included. */
export interface ChannelReport {
  channel: string;
  label: string;
  defaultAccountId: string;
  accounts: AccountReport[];
  /** Why nothing more is known: its extension failed, or is not there. */
  error?: string;
}

export interface AccountReport extends Partial<AccountStatus> {
  accountId: string;
  name?: string;
  enabled: boolean;
  configured: boolean;
  running: boolean;
  /** What the service said, where it was asked. */
  probe?: ChannelProbe;
}

/** `probeMs`: the services are asked, each for so long; absent: nobody is. */
export type ReportChannels = (options?: { probeMs?: number | undefined }) => Promise<ChannelReport[]>;

/** What it reads of a generation; a command line without a gateway makes one of its own. */
export type ReportedChannels = Pick<Generation, 'config' | 'resolvedConfig' | 'contribution' | 'loaded'>;

export function createChannelReport({
  source,
  statusOf,
  isUsable = () => true,
}: {
  source: { current(): ReportedChannels };
  statusOf(channel: string, accountId: string): AccountStatus | undefined;
  /** False for an account whose secrets could not be had: it counts as not configured, and is not asked for. */
  isUsable?(channel: string, accountId: string): boolean;
}): ReportChannels {
  return async ({ probeMs } = {}) => {
    const generation = source.current();
    const ids = new Set([...configuredChannels(generation.config), ...generation.loaded('channel').map(({ key }) => key)]);
    return await Promise.all(Array.from(ids, (id) => reportChannel(generation, id, probeMs)));
  };

  async function reportChannel(generation: ReportedChannels, id: string, probeMs: number | undefined): Promise<ChannelReport> {
    try {
      const channel = (await generation.contribution('channel', id))?.value;
      if (channel === undefined) return { channel: id, label: id, defaultAccountId: '', accounts: [], error: 'no extension offers it' };
      const cfg = channelConfig(generation, id);
      const accountIds = channel.config.listAccountIds(cfg);
      const accounts = await Promise.all(accountIds.map((accountId) => reportAccount(generation, channel, accountId, probeMs)));
      return { channel: id, label: channel.meta.label, defaultAccountId: channel.config.defaultAccountId?.(cfg) ?? accountIds[0] ?? '', accounts };
    } catch (error) {
      return { channel: id, label: id, defaultAccountId: '', accounts: [], error: errorText(error) };
    }
  }

  async function reportAccount(generation: ReportedChannels, channel: Channel, accountId: string, probeMs: number | undefined): Promise<AccountReport> {
    const cfg = channelConfig(generation, channel.id);
    const account = channel.config.resolveAccount(cfg, accountId);
    const enabled = channel.config.isEnabled?.(account, cfg) ?? accountBlock(generation.config, channel.id, accountId).enabled !== false;
    const configured = isUsable(channel.id, accountId) && ((await channel.config.isConfigured?.(account, cfg)) ?? true);
    const { name } = accountBlock(generation.config, channel.id, accountId);
    const asked = probeMs !== undefined && enabled && configured ? await probe(channel, account, cfg, probeMs) : undefined;
    return {
      running: false,
      ...statusOf(channel.id, accountId),
      accountId,
      ...(typeof name === 'string' ? { name } : {}),
      ...{ enabled, configured },
      ...(asked === undefined ? {} : { probe: asked }),
    };
  }
}

/** undefined: the channel cannot ask. */
async function probe(channel: Channel, account: unknown, cfg: Record<string, unknown>, timeoutMs: number): Promise<ChannelProbe | undefined> {
  const { status } = channel;
  if (status?.probeAccount === undefined) return undefined;
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<ChannelProbe>((resolve) => {
    signal.addEventListener('abort', () => resolve({ ok: false, error: `no answer within ${timeoutMs} ms` }), { once: true });
  });
  try {
    return await Promise.race([status.probeAccount({ account, cfg, timeoutMs, signal }), late]);
  } catch (error) {
    return { ok: false, error: errorText(error) };
  }
}
