import { errorText } from '../../../sdk/index.ts';
import type { RunRequest } from '../../agent/service.ts';
import type { Config } from '../../config/schema.ts';
import type { Logger } from '../../logging/logger.ts';
import { type Opened, targetOf } from '../outbound/delivery.ts';
import { outboundSettings } from '../outbound/outbound-settings.ts';
import { isGroupKey, type TypingPlace } from './typing.ts';

/** Takes the reaction away again, where that is configured. */
export type RemoveAck = () => void;

/** Marks a message that will be answered, where that is configured and the channel has reactions. Its failure is told to nobody. */
export function acknowledge(
  { reach, config, log }: { reach(place: TypingPlace): Promise<Opened>; config: Config; log: Logger },
  place: TypingPlace,
  request: RunRequest,
): RemoveAck | undefined {
  const emoji = ackEmoji(config, request);
  const { replyToId: messageId } = request;
  if (emoji === undefined || messageId === undefined) return undefined;

  const react = async (mark: string): Promise<void> => {
    const { address, release } = await reach(place);
    try {
      await address.served.outbound?.sendReaction?.({ ...targetOf(address, place.to), messageId, emoji: mark });
    } finally {
      release();
    }
  };
  const quietly = (error: unknown) => log.debug(`a message was not marked: ${errorText(error)}`, { channel: place.channel, to: place.to });
  const marked = react(emoji).catch(quietly);
  if (config.messages.removeAckAfterReply !== true) return undefined;
  return () => void marked.then(() => react('')).catch(quietly);
}

function ackEmoji(config: Config, { channel = '', accountId, sessionKey, mentioned, trigger }: RunRequest): string | undefined {
  const { messages } = config;
  const emoji = (outboundSettings(config, channel, accountId).ackReaction ?? messages.ackReaction)?.trim();
  if (!emoji || trigger === 'heartbeat') return undefined;
  const isGroup = isGroupKey(sessionKey);
  switch (messages.ackReactionScope) {
    case 'all':
      return emoji;
    case 'direct':
      return isGroup ? undefined : emoji;
    case 'group-all':
      return isGroup ? emoji : undefined;
    case 'group-mentions':
      return isGroup && mentioned === true ? emoji : undefined;
    default:
      return undefined;
  }
}
