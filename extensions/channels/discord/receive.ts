import { type DeliveryReceipt, errorText, type InboundMessage } from 'Durar/plugin-sdk/core';
import { createSerial } from 'Durar/plugin-sdk/serial';
import type { APIMessage, GatewayDispatchPayload, GatewayMessageReactionAddDispatchData } from 'discord.js';
import type { Bot } from './bot.ts';
import { DiscordError } from './failure.ts';
import type { GatewaySession } from './gateway-session.ts';
import { groupNames } from './guild-rules.ts';
import { event, guildRules, type MessageContext, type Person, readEdit, readMessage, type Setting, type Told } from './messages.ts';
import { createPlaces } from './places.ts';

export interface ReceiverOptions {
  bot: Bot;
  selfId: string;
  session: GatewaySession;
  deliver(message: InboundMessage): Promise<DeliveryReceipt>;
  log: { debug(text: string): void; warn(text: string): void };
  signal: AbortSignal;
  /** Told when an event could not be kept; all that are not done come again with the next connection. */
  onFailure(error: unknown): void;
}

/** Hands the events of the gateway to the host: one after the other in each channel, channels side by side. */
export interface Receiver {
  receive(payload: GatewayDispatchPayload, done: () => void): void;
}

/** What was written while the bot was away for longer than Discord keeps a session, is answered up to this age. */
const MISSED_MS = 86_400_000;
const PAGE = 100;
const DISCORD_EPOCH = 1_420_070_400_000n;

export function createReceiver({ bot, selfId, session, deliver, log, signal, onFailure }: ReceiverOptions): Receiver {
  const { account, api } = bot;
  const { run: inOrder } = createSerial();
  const places = createPlaces(api, signal);
  const channelNames = new Map<string, string>();
  const context: MessageContext = { account, selfId, signal, channelName: (id) => channelNames.get(id) };

  async function hand(incoming: InboundMessage): Promise<DeliveryReceipt> {
    try {
      return await deliver(incoming);
    } catch (error) {
      throw new NotKept('the host could not keep a message', { cause: error });
    }
  }

  async function settingOf(channelId: string, guildId: string | undefined): Promise<Setting> {
    if (guildId === undefined) return { channelId };
    const place = await places.of(channelId);
    const parent = place.parentId === undefined ? undefined : await places.of(place.parentId);
    for (const each of [place, parent]) if (each?.name !== undefined) channelNames.set(each.id, each.name);
    const names = account.guilds === undefined ? {} : { names: groupNames({ guildId, place, parent }) };
    return { channelId, guildId, guildName: places.guildName(guildId), place, parent, ...names };
  }

  async function message(told: Told, guildId = told.guild_id): Promise<void> {
    const { author, channel_id: channelId } = told;
    bot.authors.set(told.id, author.id);
    bot.people.set(author.id, author);
    if (guildId === undefined && author.id !== selfId) bot.directChannels.set(author.id, channelId);
    const incoming = readMessage(told, await settingOf(channelId, guildId), context);
    if (incoming === undefined) return;
    const receipt = await hand(incoming);
    if (receipt.accepted && incoming.kind !== 'event') session.heard(channelId, { id: told.id, ...(guildId === undefined ? {} : { guildId }) });
  }

  function personOf(userId: string | undefined): Person | undefined {
    return userId === undefined ? undefined : bot.people.get(userId);
  }

  async function removed({ id, channel_id: channelId, guild_id: guildId }: { id: string; channel_id: string; guild_id?: string }): Promise<void> {
    const person = personOf(bot.authors.get(id));
    if (person === undefined || person.id === selfId || person.bot === true) return;
    const setting = await settingOf(channelId, guildId);
    if (guildRules(account, setting)?.isHeard === false) return;
    await hand(event(setting, person, `had message ${id} deleted`, `delete:${id}`));
  }

  async function reaction(data: GatewayMessageReactionAddDispatchData, isNew: boolean): Promise<void> {
    const { user_id: userId, message_id: messageId, emoji, member } = data;
    if (userId === selfId || member?.user?.bot === true) return;
    const setting = await settingOf(data.channel_id, data.guild_id);
    const rules = guildRules(account, setting);
    const wanted = rules?.reactionNotifications ?? account.reactionNotifications;
    const author = data.message_author_id ?? bot.authors.get(messageId);
    if (wanted === 'off' || (wanted === 'own' && author !== selfId) || rules?.isHeard === false) return;
    const person = member?.user ?? personOf(userId) ?? { id: userId, username: userId };
    const what = `${isNew ? 'reacted with' : 'took back'} ${emoji.id == null ? emoji.name : `:${emoji.name}:`} ${isNew ? 'to' : 'from'} message ${messageId}`;
    await hand(event(setting, person, what, `reaction:${messageId}:${userId}:${emoji.id ?? emoji.name}:${isNew}`, member));
  }

  async function handle(payload: GatewayDispatchPayload): Promise<void> {
    switch (payload.t) {
      case 'MESSAGE_CREATE':
        return message(payload.d);
      case 'MESSAGE_UPDATE': {
        const edited = readEdit(payload.d, await settingOf(payload.d.channel_id, payload.d.guild_id), context);
        if (edited !== undefined) await hand(edited);
        return;
      }
      case 'MESSAGE_DELETE':
        return removed(payload.d);
      case 'MESSAGE_REACTION_ADD':
        return reaction(payload.d, true);
      case 'MESSAGE_REACTION_REMOVE':
        return reaction(payload.d as GatewayMessageReactionAddDispatchData, false);
      default:
        return;
    }
  }

  /** Discord tells a new session nothing of what came before it. */
  function catchUp(): void {
    for (const [channelId] of session.behind()) work(channelId, () => missed(channelId));
  }

  async function missed(channelId: string): Promise<void> {
    const heard = session.behind().find(([id]) => id === channelId)?.[1];
    if (heard === undefined) return;
    let after = heard.id;
    const members = new Map<string, Told['member']>();
    try {
      for (;;) {
        const found = await api.call<APIMessage[]>('GET', `/channels/${channelId}/messages`, { query: { after, limit: String(PAGE) }, signal });
        for (const told of found.toSorted((one, other) => (BigInt(one.id) < BigInt(other.id) ? -1 : 1))) {
          after = told.id;
          if (Date.now() - timeOf(told.id) < MISSED_MS) await message(await withMember(told, heard.guildId, members), heard.guildId);
        }
        if (found.length < PAGE) break;
      }
    } catch (error) {
      if (!(error instanceof DiscordError) || error.retryable) throw error;
      log.debug(`channel ${channelId} cannot be looked through for missed messages: ${errorText(error)}`);
    }
    session.caughtUp(channelId);
  }

  /** A message that was asked for does not tell what its author is on the server. */
  async function withMember(told: APIMessage, guildId: string | undefined, members: Map<string, Told['member']>): Promise<Told> {
    const { id, bot: isBot } = told.author;
    if (guildId === undefined || isBot === true) return told;
    if (!members.has(id)) {
      try {
        members.set(id, await api.call('GET', `/guilds/${guildId}/members/${id}`, { signal }));
      } catch (error) {
        // who has left is a member no more
        if (!(error instanceof DiscordError) || error.status !== 404) throw error;
        members.set(id, undefined);
      }
    }
    const member = members.get(id);
    return member === undefined ? told : { ...told, member };
  }

  function work(channelId: string, run: () => Promise<void>, done?: () => void): void {
    const task = async () => {
      // what follows a message that could not be kept must not overtake it
      if (signal.aborted) return;
      await run();
      done?.();
    };
    inOrder(channelId, task).catch((error: unknown) => {
      if (!signal.aborted) onFailure(error);
    });
  }

  return {
    receive(payload, done) {
      if (payload.t === 'READY' || payload.t === 'RESUMED') catchUp();
      places.note(payload);
      const channelId = CHANNEL_EVENTS.has(payload.t) ? (payload.d as { channel_id?: string }).channel_id : undefined;
      if (channelId === undefined) return done();
      work(channelId, () => readable(payload), done);
    },
  };

  /** An event that makes no sense would make none the next time either, and stand before all later ones. */
  async function readable(payload: GatewayDispatchPayload): Promise<void> {
    try {
      await handle(payload);
    } catch (error) {
      if (error instanceof NotKept || error instanceof DiscordError) throw error;
      log.warn(`an event of Discord is left out, as it cannot be read: ${payload.t}: ${errorText(error)}`);
    }
  }
}

class NotKept extends Error {}

const CHANNEL_EVENTS: ReadonlySet<string> = new Set(['MESSAGE_CREATE', 'MESSAGE_UPDATE', 'MESSAGE_DELETE', 'MESSAGE_REACTION_ADD', 'MESSAGE_REACTION_REMOVE']);

/** An id tells when it was made. */
function timeOf(id: string): number {
  return Number((BigInt(id) >> 22n) + DISCORD_EPOCH);
}
