import { durarError } from '../../../sdk/errors.ts';
import type { Action, CommandContext } from '../command.ts';
import type { Output } from '../output.ts';
import { openPairing, type PairingAccess } from '../pairing-access.ts';
import { oneLine } from '../printable.ts';

type Person = { channel: string; accountId: string; senderId: string; senderName?: string };

const NAME_WIDTH = 32;

/** `durar pairing list [channel] [--account]` */
export const pairingList: Action = (context) =>
  withPairing(context, async (access) => {
    const { output, args } = context;
    const found = await access.call('channels.pairing.list', { ...(args[0] === undefined ? {} : { channel: args[0] }), ...accountOf(context) });
    output.result(found, () => {
      const { pending, paired } = found;
      if (pending.length > 0) printRows(output, ['code', 'until'], pending, ({ code, expiresAt }) => [output.paint.warn(code), timeOf(expiresAt)]);
      if (paired.length > 0) printRows(output, ['let in'], paired, ({ approvedAt }) => [timeOf(approvedAt)]);
      if (pending.length + paired.length === 0) output.line('Nobody waits to be let in, and nobody was.');
    });
  });

/** `durar pairing approve [channel] <code> [--account] [--notify]` */
export const pairingApprove: Action = (context) =>
  withPairing(context, async (access) => {
    const { output, options } = context;
    const params = { ...codeOf(context), ...accountOf(context), ...(options.notify === true ? { notify: true } : {}) };
    const result = await access.call('channels.pairing.approve', params);
    output.result(result, () => {
      output.line(`Let in ${describe(result.paired)}.`);
      if (result.notified === false) output.note(`${output.paint.warn('!')} They could not be told: ${oneLine(result.reason ?? 'the channel refused', 200)}.`);
    });
  });

/** `durar pairing reject [channel] <code> [--account]` */
export const pairingReject: Action = (context) =>
  withPairing(context, async (access) => {
    const result = await access.call('channels.pairing.reject', { ...codeOf(context), ...accountOf(context) });
    context.output.result(result, () => context.output.line(`Forgot the request of ${describe(result)}.`));
  });

/** `durar pairing revoke <channel> <sender> [--account]` */
export const pairingRevoke: Action = (context) =>
  withPairing(context, async (access) => {
    const [channel = '', senderId = ''] = context.args;
    const result = await access.call('channels.pairing.revoke', { channel, senderId, ...accountOf(context) });
    context.output.result(result, () => {
      for (const one of result.revoked) context.output.line(`${describe(one)} is let in no more.`);
    });
  });

async function withPairing(context: CommandContext, work: (access: PairingAccess) => Promise<void>): Promise<void> {
  const access = await openPairing(context);
  try {
    await work(access);
  } finally {
    access.close();
  }
}

/** The channel may be left out: a code says which request it is. */
function codeOf({ args }: CommandContext): { channel?: string; code: string } {
  const [first = '', second] = args;
  if (first === '') throw durarError('DUR_CLI_USAGE', { reason: 'no code is given' }, { hint: 'Run `durar pairing list` to see them.' });
  return second === undefined ? { code: first } : { channel: first, code: second };
}

function accountOf({ options }: CommandContext): { accountId?: string } {
  return typeof options.account === 'string' ? { accountId: options.account } : {};
}

function printRows<Row extends Person>(output: Output, own: string[], rows: readonly Row[], cells: (row: Row) => string[]): void {
  output.table(
    ['channel', 'account', 'sender', 'name', ...own],
    rows.map((row) => [row.channel, row.accountId, oneLine(row.senderId, NAME_WIDTH * 2), oneLine(row.senderName ?? '-', NAME_WIDTH), ...cells(row)]),
  );
}

/** What people call themselves may hold anything. */
function describe({ channel, senderId, senderName }: Person): string {
  const name = senderName === undefined ? '' : `${oneLine(senderName, NAME_WIDTH)} `;
  return `${name}(${channel} ${oneLine(senderId, NAME_WIDTH * 2)})`;
}

function timeOf(at: number): string {
  return new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}
