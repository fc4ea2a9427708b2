import { durarError } from '../../sdk/errors.ts';
import type { Channel } from '../../sdk/index.ts';
import { suggest } from '../../sdk/suggest.ts';
import { channelConfig } from '../channels/channel-config.ts';
import { createChannelReport, type ReportChannels, type ReportedChannels } from '../channels/channel-report.ts';
import { formatPath, parsePath, type Segment } from '../config/config-path.ts';
import type { Config } from '../config/schema.ts';
import { createTrial, type Trial } from '../install/trial.ts';
import { silentLogger } from '../logging/logger.ts';
import type { PlannedExtension } from '../manifest/catalog.ts';
import { createSecretFields, targetedUses } from '../secrets/activate.ts';
import type { CommandContext } from './command.ts';
import { type Outlook, readOutlook } from './planning.ts';
import { lookUpSecrets, type SecretState } from './secrets/secret-lookup.ts';
import { isServed } from './served.ts';
import { readHostVersion } from './version.ts';

/** The channels of this machine in this process: their extensions are loaded when they are first asked for, and nothing is connected. */
export interface LocalChannels {
  outlook: Outlook;
  /** Secrets of channels that cannot be had here; what needs them counts as not configured. */
  unavailable: SecretState[];
  /** Throws `DUR_CHANNEL_NOT_OFFERED`, `DUR_CHANNEL_EXTENSION_OFF`, and what keeps its extension from loading. */
  channel(id: string): Promise<Channel>;
  /** The configuration as that channel sees it. */
  configOf(id: string): Record<string, unknown>;
  report: ReportChannels;
  /** The same in the form of a generation. */
  generation: ReportedChannels;
  close(): Promise<void>;
}

/** `command`: named to a gateway that is asked for secrets; absent: none are looked up. */
export async function openLocalChannels(context: CommandContext, command?: string): Promise<LocalChannels> {
  const outlook = await readOutlook(context);
  const { config } = outlook.loaded;
  const channels = structuredClone({ ...config.channels, ...outlook.plan.channels }) as NonNullable<Config['channels']>;
  const unavailable = command === undefined ? [] : await fillSecrets(context, outlook, command, channels);
  const trials = new Map<string, Promise<Trial>>();

  async function channel(id: string): Promise<Channel> {
    const { entry, config: pluginConfig } = await ownerOf(context, outlook, id);
    const started =
      trials.get(entry.id) ??
      createTrial({
        entry,
        pluginConfig,
        config: { ...config, channels },
        stateDir: context.paths.stateDir,
        hostVersion: readHostVersion(),
        log: silentLogger,
      });
    trials.set(entry.id, started);
    const found = (await started).contributions('channel').find(({ key }) => key === id);
    if (found === undefined)
      throw durarError('DUR_CHANNEL_NOT_OFFERED', { channel: id, hint: `The extension '${entry.id}' declares it and did not register it.` });
    return found.value;
  }

  const reported = {
    config,
    resolvedConfig: { ...config, channels },
    contribution: async (_kind: string, id: string) => ({ value: await channel(id) }),
    loaded: () => [],
  } as unknown as ReportedChannels;
  return {
    outlook,
    unavailable,
    channel,
    configOf: (id) => channelConfig(reported, id),
    generation: reported,
    report: createChannelReport({
      source: { current: () => reported },
      statusOf: () => undefined,
      isUsable: (id, accountId) => !unavailable.some(({ path }) => isOf(parsePath(path), id, accountId)),
    }),
    async close() {
      const started = await Promise.allSettled(trials.values());
      await Promise.all(started.map((trial) => (trial.status === 'fulfilled' ? trial.value.dispose() : undefined)));
    },
  };
}

/** Whether the account uses what stands there: in its own block, or in that of its channel. */
function isOf([, channel, key, name]: readonly Segment[], id: string, accountId: string): boolean {
  return channel === id && (key !== 'accounts' || name === accountId);
}

/** Who serves the channel, or would if it were configured. An extension that may not run is not loaded. */
async function ownerOf(context: CommandContext, { loaded, records, plan, catalog }: Outlook, id: string): Promise<PlannedExtension> {
  const usable = (from: Outlook['plan']) => {
    const owner = from.owners.get(`channel:${id}`)?.[0];
    return owner === undefined ? undefined : from.extensions.get(owner);
  };
  const present = usable(plan);
  if (present !== undefined) return present;
  const owners = [...catalog.entries.values()].filter(({ declares }) => declares.channel?.includes(id));
  if (owners[0] === undefined) throw unknownChannel(id, catalog);
  const { config } = loaded;
  const block = { ...(config.channels?.[id] as object | undefined), enabled: true };
  const next = await readOutlook(context, { loaded: { ...loaded, config: { ...config, channels: { ...config.channels, [id]: block } } }, records });
  const planned = usable(next.plan);
  if (planned !== undefined) return planned;
  const off = next.plan.extensions.get(owners[0].id);
  throw durarError('DUR_CHANNEL_EXTENSION_OFF', { channel: id, id: owners[0].id, reason: off?.reason ?? 'not enabled' });
}

function unknownChannel(id: string, { entries }: Outlook['catalog']) {
  const known = [...new Set([...entries.values()].flatMap(({ declares }) => declares.channel ?? []))].sort();
  const near = suggest(id, known);
  const hint =
    near === undefined ? `These are there: ${known.join(', ')}. Another one comes with its extension (\`durar plugins install\`).` : `Did you mean '${near}'?`;
  return durarError('DUR_CHANNEL_NOT_OFFERED', { channel: id, hint });
}

/** Puts the secrets of the channels in; gives those that could not be had. */
async function fillSecrets(context: CommandContext, outlook: Outlook, command: string, channels: Record<string, unknown>): Promise<SecretState[]> {
  const { loaded, catalog, plan } = outlook;
  const facts = { env: context.env, isServed: isServed(plan) };
  const uses = targetedUses({ config: loaded.config, fields: createSecretFields(catalog.entries), facts, targets: undefined });
  const targets = uses.filter(({ path }) => path[0] === 'channels').map(({ path }) => formatPath(path));
  if (targets.length === 0) return [];
  const lookup = await lookUpSecrets(context, { command, targets, outlook });
  for (const { path } of lookup.states) {
    const value = lookup.value(path);
    if (value !== undefined) put(channels, parsePath(path).slice(1), value);
  }
  return lookup.states.filter(({ state }) => state === 'unavailable');
}

function put(root: unknown, path: readonly Segment[], value: string): void {
  const [last] = path.slice(-1);
  const holder = path.slice(0, -1).reduce((at, key) => (at as Record<Segment, unknown> | undefined)?.[key], root);
  if (last !== undefined && typeof holder === 'object' && holder !== null) (holder as Record<Segment, unknown>)[last] = value;
}
