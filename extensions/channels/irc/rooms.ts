import type { ChannelAccountContext } from 'Durar/plugin-sdk/core';
import type { Client } from 'irc-framework';
import type { IrcAccount } from './account.ts';

/** Keeps the bot in the channels where it should be. */
export interface Rooms {
  enter(): void;
  joined(): string[];
  stop(): void;
}

export interface RoomsOptions {
  client: Client;
  channels: IrcAccount['channels'];
  log: ChannelAccountContext['log'];
  onChange(): void;
}

/** milliseconds before a channel is entered again: after a kick, and after each refusal twice as long up to the most */
const AGAIN_MS = { first: 5_000, most: 600_000 };

/** Channels in one command; some servers take no more. */
const AT_ONCE = 4;

const REASONS: Record<string, string> = {
  channel_is_full: 'it is full',
  invite_only_channel: 'it is for invited people only',
  banned_from_channel: 'the bot is banned there',
  bad_channel_key: 'the key is wrong or missing (channels.irc.channelKeys)',
  too_many_channels: 'the server lets nobody be in so many channels',
  '477': 'it is for people who are logged in to services (channels.irc.sasl or nickserv)',
  '403': 'the server knows no such channel',
  '476': 'the name is not valid there',
  '489': 'it is for TLS connections only',
  '520': 'it is for operators only',
};

export function createRooms({ client, channels, log, onChange }: RoomsOptions): Rooms {
  const inside = new Map<string, string>();
  const pauses = new Map<string, number>();
  const timers = new Set<NodeJS.Timeout>();

  function join({ name, key }: IrcAccount['channels'][number]): void {
    client.join(name, key);
  }

  function later(name: string): void {
    const channel = channels.find((each) => client.caseCompare(each.name, name));
    if (channel === undefined) return;
    const lower = client.caseLower(name);
    const pause = pauses.get(lower) ?? AGAIN_MS.first;
    pauses.set(lower, Math.min(pause * 2, AGAIN_MS.most));
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!inside.has(lower)) join(channel);
    }, pause);
    timers.add(timer);
  }

  function left(name: string): void {
    if (inside.delete(client.caseLower(name))) onChange();
  }

  function refused(name: string, why: string): void {
    log.warn(`cannot join ${name}: ${why}`);
    later(name);
  }

  const isMe = (nick: string) => client.caseCompare(nick, client.user.nick);
  client.on('join', ({ nick, channel }: { nick: string; channel: string }) => {
    if (!isMe(nick)) return;
    inside.set(client.caseLower(channel), channel);
    pauses.delete(client.caseLower(channel));
    onChange();
  });
  client.on('part', ({ nick, channel }: { nick: string; channel: string }) => {
    if (isMe(nick)) left(channel);
  });
  client.on('kick', ({ kicked, nick, channel, message }: { kicked: string; nick: string; channel: string; message: string }) => {
    if (!isMe(kicked)) return;
    left(channel);
    log.warn(`kicked out of ${channel} by ${nick} (${message}); it is joined again after a pause`);
    later(channel);
  });
  client.on('irc error', ({ error, channel }: { error: string; channel?: string }) => {
    const why = REASONS[error];
    if (channel !== undefined && why !== undefined) refused(channel, why);
  });
  client.on('unknown command', ({ command, params }: { command: string; params: string[] }) => {
    const why = REASONS[command];
    const channel = params[1];
    if (why !== undefined && channel !== undefined && client.network.isChannelName(channel)) refused(channel, why);
  });

  return {
    enter() {
      // many commands at once look like a flood
      const open = channels.filter(({ key }) => key === undefined).map(({ name }) => name);
      for (let at = 0; at < open.length; at += AT_ONCE) client.join(open.slice(at, at + AT_ONCE).join(','));
      for (const channel of channels) if (channel.key !== undefined) join(channel);
    },
    joined: () => [...inside.values()],
    stop() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
