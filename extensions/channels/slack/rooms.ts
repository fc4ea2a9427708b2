import type { ChannelGroup } from 'Durar/plugin-sdk/core';

/** `channels.slack.channels`, by the id or the name of a channel. */
export type Rooms = Readonly<Record<string, RoomRules>>;

export interface RoomRules {
  allow?: boolean;
  requireMention?: boolean;
  users?: readonly (string | number)[];
  skills?: readonly string[];
  systemPrompt?: string;
}

/** The same for the host's rule of access. */
export function groupsOf(rooms: Rooms | undefined): Record<string, ChannelGroup> | undefined {
  if (rooms === undefined) return undefined;
  return Object.fromEntries(Object.entries(rooms).map(([name, room]) => [keyOf(name), groupOf(room)]));
}

function groupOf({ allow, users, ...rest }: RoomRules): ChannelGroup {
  return { ...rest, ...(allow === undefined ? {} : { enabled: allow }), ...(users === undefined ? {} : { allowFrom: users }) };
}

/** An id, or a name with its mark, which no id has. */
function keyOf(name: string): string {
  const bare = name.trim().replace(/^(?:slack:)?(?:channel:)?/i, '');
  return bare === '*' || bare.startsWith('#') || /^[CG](?=[A-Z0-9]*\d)[A-Z0-9]{7,}$/.test(bare) ? bare : `#${bare}`;
}
