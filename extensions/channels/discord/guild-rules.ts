import type { ChannelGroup } from 'Durar/plugin-sdk/core';
import type { DiscordAccount, GuildRules, ReactionNotifications, RoomRules } from './account.ts';
import type { Place } from './places.ts';

export interface GuildPlace {
  guildId: string;
  place: Place;
  /** The channel of a thread. */
  parent: Place | undefined;
}

/** What `guilds` says about one place, people aside: a channel's word stands before its server's, and a thread has its channel's. */
export interface PlaceRules {
  /** Whether anything is heard here at all. */
  isHeard: boolean;
  ignoreOtherMentions: boolean;
  reactionNotifications: ReactionNotifications;
}

export function rulesOf({ guilds, reactionNotifications }: DiscordAccount, at: GuildPlace): PlaceRules {
  const silent = { isHeard: false, ignoreOtherMentions: false, reactionNotifications: 'off' } as const;
  if (guilds === undefined) return { ...silent, isHeard: true, reactionNotifications };
  const guild: GuildRules | undefined = pick(guilds, [at.guildId]);
  if (guild === undefined || guild.allow === false) return silent;
  const room: RoomRules | undefined = guild.channels === undefined ? {} : pick(guild.channels, roomNames(at));
  if (room === undefined || room.allow === false) return silent;
  return {
    isHeard: true,
    ignoreOtherMentions: room.ignoreOtherMentions ?? guild.ignoreOtherMentions ?? false,
    reactionNotifications: guild.reactionNotifications ?? reactionNotifications,
  };
}

/** `guilds` as the host's rule of access reads it: a channel goes by its server's id and its own id or name, with a slash between. */
export function groupsOf(guilds: DiscordAccount['guilds']): Record<string, ChannelGroup> | undefined {
  if (guilds === undefined) return undefined;
  const groups = Object.entries(guilds).flatMap(([id, guild]): Array<[string, ChannelGroup]> => {
    const guildId = keyOf(id);
    const rooms = Object.entries(guild.allow === false ? {} : (guild.channels ?? {})).map(([name, room]): [string, ChannelGroup] => {
      const key = keyOf(name);
      return [key === '*' ? guildId : `${guildId}/${key}`, groupOf(guild, room)];
    });
    // with channels it hears no others
    const whole = groupOf(guild, guild.allow === false || guild.channels !== undefined ? { allow: false } : {});
    return [[guildId, whole], ...rooms];
  });
  return Object.fromEntries(groups);
}

/** The names under which `groupsOf` may speak of a place, those that count most first. */
export function groupNames({ guildId, place, parent }: GuildPlace): string[] {
  const rooms = roomNames({ place, parent });
  return [...rooms.map((name) => `${guildId}/${name}`), guildId, ...rooms.map((name) => `*/${name}`)];
}

function groupOf(guild: GuildRules, room: RoomRules): ChannelGroup {
  const users = room.users ?? guild.users;
  const roles = room.roles ?? guild.roles;
  const requireMention = room.requireMention ?? guild.requireMention;
  return {
    enabled: room.allow !== false,
    ...(users === undefined && roles === undefined ? {} : { allowFrom: [...(users ?? []), ...(roles ?? []).map(roleOf)] }),
    ...(requireMention === undefined ? {} : { requireMention }),
    ...(room.systemPrompt === undefined ? {} : { systemPrompt: room.systemPrompt }),
    ...(room.skills === undefined ? {} : { skills: room.skills }),
  };
}

/** How lists of people name a role. */
function roleOf(role: string | number): string {
  const id = String(role)
    .trim()
    .toLowerCase()
    .replace(/^role:/, '')
    .replace(/^<@&(\d+)>$/, '$1');
  return id === '*' ? id : `role:${id}`;
}

/** Anybody may name a thread, so that its name says nothing. */
function roomNames({ place, parent }: Pick<GuildPlace, 'place' | 'parent'>): string[] {
  return [place, parent].flatMap((each) => (each === undefined ? [] : [each.id, ...(each.isThread ? [] : namesOf(each.name))]));
}

const keyOf = (name: string): string => name.trim().toLowerCase().replace(/^#/, '');

function pick<Rules>(rules: Readonly<Record<string, Rules>>, names: readonly string[]): Rules | undefined {
  const entries = Object.entries(rules).map(([key, value]): [string, Rules] => [keyOf(key), value]);
  for (const name of [...names, '*']) {
    const found = entries.find(([key]) => key === name);
    if (found !== undefined) return found[1];
  }
  return undefined;
}

/** A name as it is, and as it stands in an address. */
function namesOf(name: string | undefined): string[] {
  if (name === undefined) return [];
  const lower = name.trim().toLowerCase();
  const slug = lower.replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '');
  return slug === lower || slug === '' ? [lower] : [lower, slug];
}
