import type { DiscordAccount, GuildRules, ReactionNotifications, RoomRules } from './account.ts';
import type { Place } from './places.ts';
import { normalizeSender } from './target.ts';

export interface GuildPlace {
  guildId: string;
  place: Place;
  /** The channel of a thread. */
  parent: Place | undefined;
}

/** What `guilds` says about one place: a channel's word stands before its server's, and a thread has its channel's. */
export interface PlaceRules {
  /** Whether anything is heard here at all. */
  isHeard: boolean;
  requireMention: boolean | undefined;
  ignoreOtherMentions: boolean;
  reactionNotifications: ReactionNotifications;
  /** Whether the rules let this person be heard. */
  hears(person: { ids: readonly string[]; roles: readonly string[] }): boolean;
}

export function rulesOf({ guilds, reactionNotifications }: DiscordAccount, at: GuildPlace): PlaceRules {
  const silent = { isHeard: false, requireMention: undefined, ignoreOtherMentions: false, reactionNotifications: 'off', hears: () => false } as const;
  if (guilds === undefined) return { ...silent, isHeard: true, reactionNotifications, hears: () => true };
  const guild: GuildRules | undefined = pick(guilds, [at.guildId]);
  if (guild === undefined || guild.allow === false) return silent;
  // anybody may name a thread, so that its name says nothing
  const names = [at.place, at.parent].flatMap((each) => (each === undefined ? [] : [each.id, ...(each.isThread ? [] : namesOf(each.name))]));
  const room: RoomRules | undefined = guild.channels === undefined ? {} : pick(guild.channels, names);
  if (room === undefined || room.allow === false) return silent;
  const users = room.users ?? guild.users;
  const roles = room.roles ?? guild.roles;
  return {
    isHeard: true,
    requireMention: room.requireMention ?? guild.requireMention,
    ignoreOtherMentions: room.ignoreOtherMentions ?? guild.ignoreOtherMentions ?? false,
    reactionNotifications: guild.reactionNotifications ?? reactionNotifications,
    hears: (person) => (users === undefined && roles === undefined) || isNamed(users, person.ids) || isNamed(roles, person.roles),
  };
}

function isNamed(list: readonly (string | number)[] | undefined, ids: readonly string[]): boolean {
  return (list ?? []).some((entry) => {
    const wanted = normalizeSender(String(entry)).replace(/^role:/, '');
    return wanted === '*' || ids.some((id) => normalizeSender(id) === wanted);
  });
}

function pick<Rules>(rules: Readonly<Record<string, Rules>>, names: readonly string[]): Rules | undefined {
  const entries = Object.entries(rules).map(([key, value]): [string, Rules] => [key.trim().toLowerCase().replace(/^#/, ''), value]);
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
