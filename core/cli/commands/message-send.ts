import { randomUUID } from 'node:crypto';
import { durarError } from '../../../sdk/errors.ts';
import type { SendParams, SendResult } from '../../../sdk/protocol/generated/types.ts';
import type { Action } from '../command.ts';
import { openRpc } from '../rpc.ts';

interface Options {
  target?: string;
  message?: string;
  channel?: string;
  account?: string;
  media?: string[];
  threadId?: string;
  dryRun?: true;
}

/** `durar message send`: one message through a channel of the running gateway. */
export const messageSend: Action = async (context) => {
  const { output } = context;
  const { target, message, channel, account, media = [], threadId, dryRun } = context.options as Options;
  if (target === undefined) throw durarError('DUR_CLI_USAGE', { reason: '--target is missing' });
  if (message === undefined && media.length === 0) throw durarError('DUR_CLI_USAGE', { reason: '--message or --media is missing' });
  const params: SendParams = {
    to: target,
    idempotencyKey: randomUUID(),
    ...(message === undefined ? {} : { message }),
    ...(media.length === 0 ? {} : { mediaUrls: media }),
    ...(channel === undefined ? {} : { channel }),
    ...(account === undefined ? {} : { accountId: account }),
    ...(threadId === undefined ? {} : { threadId }),
  };
  if (dryRun === true) {
    output.result({ dryRun: true, params }, () => output.line(JSON.stringify(params, null, 2)));
    return;
  }
  const rpc = await openRpc(context);
  try {
    const sent = (await rpc.call('send', { ...params })) as SendResult;
    output.result(sent, () =>
      output.line(`${output.paint.success('✓')} Sent through ${sent.channel}${sent.messageId === undefined ? '' : ` (${sent.messageId})`}.`),
    );
  } finally {
    rpc.close();
  }
};
