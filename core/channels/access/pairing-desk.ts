import { durarError, errorText } from '../../../sdk/index.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import type { PairedSender } from '../../state/state.ts';
import { channelConfig } from '../channel-config.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { PairingCodes, PairingRequestView } from './pairing.ts';

/** What the operator does with requests of a running gateway. Throws `DUR_PAIRING_*`. */
export interface PairingDesk extends Omit<PairingCodes, 'approve'> {
  /** `notify`: the person is told. Their being told or not changes nothing of the approval. */
  approve(params: Parameters<PairingCodes['approve']>[0] & { notify?: boolean | undefined }): Promise<{ paired: PairedSender; notified?: boolean }>;
}

export type { PairingRequestView };

export function createPairingDesk({ desk, source, post }: { desk: PairingCodes; source: GenerationSource; post: Outbound['post'] }): PairingDesk {
  async function notify(channelId: string, accountId: string, to: string): Promise<void> {
    const generation = source.current();
    const channel = (await generation.contribution('channel', channelId))?.value;
    if (channel === undefined) throw durarError('DUR_CHANNEL_UNKNOWN', { channel: channelId });
    const { pairing } = channel;
    if (pairing?.notifyApproval !== undefined) await pairing.notifyApproval({ cfg: channelConfig(generation, channelId), to, accountId });
    else await post({ channel: channelId, accountId, to, text: 'You have been let in. Write again, and you will be answered.' });
  }

  return {
    ...desk,
    async approve({ notify: isWanted, ...code }) {
      const { paired, request } = desk.approve(code);
      if (isWanted !== true) return { paired };
      return await notify(paired.channel, paired.accountId, request.conversationId).then(
        () => ({ paired, notified: true }),
        (error: unknown) => ({ paired, notified: false, reason: errorText(error) }),
      );
    },
  };
}
