import type { APIChannel, APIThreadChannel, GatewayDispatchPayload } from 'discord.js';
import type { DiscordApi } from './api.ts';
import { DiscordError } from './failure.ts';

/** A channel or thread of a server. */
export interface Place {
  id: string;
  name?: string;
  /** The channel that a thread hangs below. */
  parentId?: string;
  isThread: boolean;
}

/** The servers and channels that the gateway told of; others are asked for. */
export interface Places {
  /** Takes notice of what an event says about them. */
  note(event: GatewayDispatchPayload): void;
  of(channelId: string): Promise<Place>;
  guildName(guildId: string): string | undefined;
}

const THREADS: ReadonlySet<number> = new Set([10, 11, 12]);

export function createPlaces(api: Pick<DiscordApi, 'call'>, signal: AbortSignal): Places {
  const places = new Map<string, Place>();
  const byGuild = new Map<string, Set<string>>();
  const guildNames = new Map<string, string>();

  function add(channel: Pick<APIChannel, 'id' | 'type'> & { name?: string | null; parent_id?: string | null }, guildId: string | undefined): Place {
    const isThread = THREADS.has(channel.type);
    const place: Place = {
      id: channel.id,
      isThread,
      ...(channel.name == null ? {} : { name: channel.name }),
      ...(isThread && channel.parent_id != null ? { parentId: channel.parent_id } : {}),
    };
    places.set(place.id, place);
    if (guildId !== undefined) {
      const known = byGuild.get(guildId) ?? new Set();
      byGuild.set(guildId, known.add(place.id));
    }
    return place;
  }

  return {
    note(event) {
      switch (event.t) {
        case 'GUILD_CREATE': {
          const { id, name, channels = [], threads = [] } = event.d as { id: string; name?: string; channels?: APIChannel[]; threads?: APIThreadChannel[] };
          if (name !== undefined) guildNames.set(id, name);
          for (const channel of [...channels, ...threads]) add(channel, id);
          break;
        }
        case 'GUILD_UPDATE':
          guildNames.set(event.d.id, event.d.name);
          break;
        case 'GUILD_DELETE':
          for (const id of byGuild.get(event.d.id) ?? []) places.delete(id);
          byGuild.delete(event.d.id);
          guildNames.delete(event.d.id);
          break;
        case 'CHANNEL_CREATE':
        case 'CHANNEL_UPDATE':
        case 'THREAD_CREATE':
        case 'THREAD_UPDATE':
          add(event.d, 'guild_id' in event.d ? event.d.guild_id : undefined);
          break;
        case 'THREAD_LIST_SYNC':
          for (const thread of event.d.threads) add(thread as APIThreadChannel, event.d.guild_id);
          break;
        case 'CHANNEL_DELETE':
        case 'THREAD_DELETE':
          places.delete(event.d.id);
          break;
        default:
          break;
      }
    },
    async of(channelId) {
      const known = places.get(channelId);
      if (known !== undefined) return known;
      try {
        const channel = await api.call<APIChannel & { guild_id?: string }>('GET', `/channels/${channelId}`, { signal });
        return add(channel as Parameters<typeof add>[0], channel.guild_id);
      } catch (error) {
        // a channel that the bot may write to and not look at has no name, and is no thread as far as anybody knows
        if (!(error instanceof DiscordError) || (error.status !== 403 && error.status !== 404)) throw error;
        return { id: channelId, isThread: false };
      }
    },
    guildName: (guildId) => guildNames.get(guildId),
  };
}
