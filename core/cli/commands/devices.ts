import { durarError } from '../../../sdk/errors.ts';
import type { DevicePairListResult } from '../../../sdk/protocol/generated/types.ts';
import type { Action, CommandContext } from '../command.ts';
import { type DeviceAccess, openDevices } from '../device-access.ts';
import type { Output } from '../output.ts';
import { oneLine } from '../printable.ts';

type Pending = DevicePairListResult['pending'][number];
type Paired = DevicePairListResult['paired'][number];

const NAME_WIDTH = 32;
/** As much of an id as a table shows. */
const ID_WIDTH = 16;

/** `durar devices list` */
export const devicesList: Action = (context) =>
  withDevices(context, async (access) => {
    const { output } = context;
    const found = await access.call('device.pair.list', {});
    output.result(found, () => {
      if (found.pending.length > 0) printPending(found.pending, output);
      if (found.paired.length > 0) printPaired(found.paired, output);
      if (found.pending.length + found.paired.length === 0) output.line('No device is paired, and none waits.');
    });
  });

/** `durar devices approve [requestId] [--latest]` */
export const devicesApprove: Action = (context) =>
  withDevices(context, async (access) => {
    const { output, args, options } = context;
    const requestId = args[0] ?? (await latestRequest(access, options.latest === true));
    const result = await access.call('device.pair.approve', { requestId });
    output.result(result, () => output.line(`Approved ${describe(result.device)}.`));
  });

/** `durar devices reject <requestId>` */
export const devicesReject: Action = (context) =>
  withDevices(context, async (access) => {
    const result = await access.call('device.pair.reject', { requestId: context.args[0] ?? '' });
    context.output.result(result, () => context.output.line(`Refused ${shortId(result.deviceId)}.`));
  });

/** `durar devices remove <deviceId>` */
export const devicesRemove: Action = (context) =>
  withDevices(context, async (access) => {
    const device = await findDevice(access, context.args[0]);
    const result = await access.call('device.pair.remove', { deviceId: device.deviceId });
    context.output.result(result, () => context.output.line(`Removed ${describe(device)}; its connections are closed.`));
  });

/** `durar devices rotate --device <id> --role <role> [--scope <scope>]` */
export const devicesRotate: Action = (context) =>
  withDevices(context, async (access) => {
    const { output, options } = context;
    const device = await findDevice(access, options.device);
    const scopes = options.scope as string[] | undefined;
    const params = { deviceId: device.deviceId, role: roleOf(context), ...(scopes === undefined ? {} : { scopes }) };
    const result = await access.call('device.token.rotate', params);
    output.result(result, () => {
      output.line(result.token);
      output.note(`The new ${result.role} token of ${describe(device)}; it is shown once, and the old one has ended.`);
    });
  });

/** `durar devices revoke --device <id> --role <role>` */
export const devicesRevoke: Action = (context) =>
  withDevices(context, async (access) => {
    const device = await findDevice(access, context.options.device);
    const result = await access.call('device.token.revoke', { deviceId: device.deviceId, role: roleOf(context) });
    context.output.result(result, () => context.output.line(`Ended the ${result.role} token of ${describe(device)}.`));
  });

/** `durar devices clear --yes [--pending]` */
export const devicesClear: Action = async (context) => {
  const { output, options } = context;
  if (options.yes !== true) throw durarError('DUR_CLI_USAGE', { reason: 'it removes every paired device' }, { hint: 'Add --yes to do it.' });
  await withDevices(context, async (access) => {
    const { pending, paired } = await access.call('device.pair.list', {});
    const requests = options.pending === true ? pending : [];
    for (const { requestId } of requests) await access.call('device.pair.reject', { requestId });
    // The device of this command last: with it goes the connection.
    const own = access.deviceId;
    for (const { deviceId } of paired.toSorted((a, b) => Number(a.deviceId === own) - Number(b.deviceId === own))) {
      await access.call('device.pair.remove', { deviceId });
    }
    const result = { removed: paired.map(({ deviceId }) => deviceId), rejected: requests.map(({ requestId }) => requestId) };
    output.result(result, () => output.line(`Removed ${result.removed.length} devices and refused ${result.rejected.length} requests.`));
  });
};

async function withDevices(context: CommandContext, work: (access: DeviceAccess) => Promise<void>): Promise<void> {
  const access = await openDevices(context);
  try {
    await work(access);
  } finally {
    access.close();
  }
}

async function latestRequest(access: DeviceAccess, isWanted: boolean): Promise<string> {
  const { pending } = await access.call('device.pair.list', {});
  const [latest] = pending;
  if (latest === undefined) throw durarError('DUR_CLI_USAGE', { reason: 'no device waits for approval' }, { hint: 'Let the device connect once more.' });
  if (isWanted) return latest.requestId;
  const command = `\`durar devices approve ${latest.requestId}\``;
  throw durarError(
    'DUR_CLI_USAGE',
    { reason: `which of the ${pending.length} requests is meant?` },
    { hint: `Run ${command} for ${describe(latest)}, or add --latest.` },
  );
}

/** By its whole id or an unmistakable beginning. */
async function findDevice(access: DeviceAccess, id: unknown): Promise<Paired> {
  if (typeof id !== 'string' || id === '')
    throw durarError('DUR_CLI_USAGE', { reason: 'no device is named' }, { hint: 'Add --device with an id of `durar devices list`.' });
  const { paired } = await access.call('device.pair.list', {});
  const fitting = paired.filter(({ deviceId }) => deviceId.startsWith(id));
  const [found] = fitting;
  if (found !== undefined && fitting.length === 1) return found;
  const reason = fitting.length === 0 ? `no paired device has the id '${id}'` : `'${id}' fits ${fitting.length} devices`;
  throw durarError('DUR_CLI_USAGE', { reason }, { hint: 'Run `durar devices list` to see the ids.' });
}

function roleOf({ options }: CommandContext): string {
  if (typeof options.role === 'string') return options.role;
  throw durarError('DUR_CLI_USAGE', { reason: 'no role is named' }, { hint: 'Add --role operator or --role node.' });
}

function printPending(pending: readonly Pending[], output: Output): void {
  output.table(
    ['request', 'device', 'name', 'role', 'scopes', 'from', 'asks'],
    pending.map((row) => [
      output.paint.warn(row.requestId),
      shortId(row.deviceId),
      nameOf(row),
      row.roles?.join(', ') ?? '-',
      oneLine(row.scopes?.join(', ') || '-', Number.POSITIVE_INFINITY),
      row.remoteIp ?? 'this machine',
      row.isRepair ? 'for more' : 'to be paired',
    ]),
  );
}

function printPaired(paired: readonly Paired[], output: Output): void {
  output.table(
    ['device', 'name', 'roles', 'scopes', 'last used'],
    paired.map((row) => [
      output.paint.info(shortId(row.deviceId)),
      nameOf(row),
      row.tokens.map(({ role, revokedAtMs }) => (revokedAtMs === undefined ? role : `${role} (ended)`)).join(', '),
      oneLine(row.scopes.join(', ') || '-', Number.POSITIVE_INFINITY),
      lastUsed(row),
    ]),
  );
}

function lastUsed({ tokens }: Paired): string {
  const at = Math.max(0, ...tokens.map(({ lastUsedAtMs }) => lastUsedAtMs ?? 0));
  return at === 0 ? '-' : new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}

function describe(device: { deviceId: string; displayName?: string; clientId?: string; platform?: string }): string {
  return `${nameOf(device)} (${shortId(device.deviceId)})`;
}

/** What a device says of itself may hold anything. */
function nameOf({ displayName, clientId, platform }: { displayName?: string; clientId?: string; platform?: string }): string {
  return oneLine([displayName ?? clientId, platform].filter(Boolean).join(', ') || '-', NAME_WIDTH);
}

function shortId(deviceId: string): string {
  return deviceId.slice(0, ID_WIDTH);
}
