import { durarError } from '../../../sdk/errors.ts';
import type { ChannelsLogoutResult } from '../../../sdk/protocol/generated/types.ts';
import { logout } from '../../channels/channel-logout.ts';
import { accountOf, channelOf } from '../channel-options.ts';
import { isDown } from '../channels-view.ts';
import type { Action } from '../command.ts';
import { openLocalChannels } from '../local-channels.ts';
import { printable } from '../printable.ts';
import { printApplied, reloadGateway } from '../reload.ts';
import { openRpc } from '../rpc.ts';

/** `durar channels login <channel>`: for services that are logged in to rather than configured. */
export const channelsLogin: Action = async (context) => {
  const { output } = context;
  const id = channelOf(context);
  const local = await openLocalChannels(context, 'channels login');
  const controller = new AbortController();
  const leave = () => controller.abort(durarError('DUR_CLI_CANCELLED'));
  process.once('SIGINT', leave);
  try {
    const { auth, config } = await local.channel(id);
    if (auth?.login === undefined) throw durarError('DUR_CHANNEL_NO_LOGIN', { channel: id, what: 'login' });
    const cfg = local.configOf(id);
    const accountId = accountOf(context, config, cfg, id);
    await auth.login({ account: config.resolveAccount(cfg, accountId), cfg, print: (text) => output.note(printable(text)), signal: controller.signal });
    const applied = await reloadGateway(context);
    output.result({ ok: true, channel: id, accountId, applied }, () => {
      output.line(`${output.paint.success('✓')} ${id}/${accountId} is logged in.`);
      printApplied(applied, context);
    });
  } finally {
    process.off('SIGINT', leave);
    await local.close();
  }
};

/** `durar channels logout <channel>`: by the gateway, which ends the account first; without one, here. */
export const channelsLogout: Action = async (context) => {
  const { output, options } = context;
  const channel = channelOf(context);
  const params = { channel, ...(typeof options.account === 'string' ? { accountId: options.account } : {}) };
  const done = (await isDown(context)) ? await here() : await there();
  output.result(done, () => output.line(`${output.paint.success('✓')} ${done.channel}/${done.accountId} is logged out.`));

  async function there(): Promise<ChannelsLogoutResult> {
    const rpc = await openRpc(context);
    try {
      return (await rpc.call('channels.logout', params)) as ChannelsLogoutResult;
    } finally {
      rpc.close();
    }
  }

  async function here(): Promise<ChannelsLogoutResult> {
    const local = await openLocalChannels(context, 'channels logout');
    try {
      return { ...(await logout(local.generation, params, async () => undefined)), cleared: true, loggedOut: true };
    } finally {
      await local.close();
    }
  }
};
