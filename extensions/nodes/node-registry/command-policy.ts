import type { GatewayConnection } from 'Durar/plugin-sdk/core';

type Platform = 'ios' | 'android' | 'macos' | 'windows' | 'linux' | 'unknown';
type Fields = { readonly [Name in string]?: unknown };

const words = (text: string): readonly string[] => text.split(' ');

const CANVAS = words(
  'canvas.present canvas.hide canvas.navigate canvas.eval canvas.snapshot canvas.a2ui.push canvas.a2ui.pushJSONL canvas.a2ui.reset camera.list location.get',
);
const PERSONAL = words('contacts.search calendar.events reminders.list photos.latest motion.activity motion.pedometer');
const HOST = words('system.run.prepare system.run system.which system.notify browser.proxy');

/** What each kind of device may be asked for unless the configuration says otherwise. */
const ALLOWED: Readonly<Record<Platform, readonly string[]>> = {
  ios: [...CANVAS, ...PERSONAL, ...words('device.info device.status system.notify')],
  android: [
    ...CANVAS,
    ...PERSONAL,
    ...words('notifications.list notifications.actions system.notify device.info device.status device.permissions device.health callLog.search'),
  ],
  macos: [...CANVAS, ...PERSONAL, ...words('device.info device.status'), ...HOST],
  windows: HOST,
  linux: HOST,
  unknown: [...CANVAS, 'system.notify'],
};

const BY_PREFIX: ReadonlyArray<readonly [string, Platform]> = [
  ['ios', 'ios'],
  ['android', 'android'],
  ['mac', 'macos'],
  ['darwin', 'macos'],
  ['win', 'windows'],
  ['linux', 'linux'],
];
const BY_FAMILY: ReadonlyArray<readonly [RegExp, Platform]> = [
  [/iphone|ipad|ios/, 'ios'],
  [/android/, 'android'],
  [/mac/, 'macos'],
  [/windows/, 'windows'],
  [/linux/, 'linux'],
];

export function platformOf({ platform, deviceFamily }: { platform?: string; deviceFamily?: string }): Platform {
  const name = platform?.trim().toLowerCase() ?? '';
  const family = deviceFamily?.toLowerCase() ?? '';
  return BY_PREFIX.find(([prefix]) => name.startsWith(prefix))?.[1] ?? BY_FAMILY.find(([token]) => token.test(family))?.[1] ?? 'unknown';
}

/** The platform's list with `gateway.nodes.allowCommands` added and `denyCommands` taken away; exact names. */
export function isAllowed(config: Fields, device: Pick<GatewayConnection, 'platform' | 'deviceFamily'>, command: string): boolean {
  const nodes = record(record(config.gateway).nodes);
  if (strings(nodes.denyCommands).includes(command)) return false;
  return ALLOWED[platformOf(device)].includes(command) || strings(nodes.allowCommands).includes(command);
}

/** Permissions that are not named like the commands that need them. */
const NEEDED_FOR: Readonly<Record<string, string>> = { 'camera.snap': 'camera.capture', 'camera.clip': 'camera.capture' };

/** True when the owner of the node switched off what the command needs. What nobody speaks of is on. */
export function isSwitchedOff(permissions: Readonly<Record<string, boolean>> | undefined, command: string): boolean {
  const names = [command, ...(Object.hasOwn(NEEDED_FOR, command) ? [NEEDED_FOR[command]] : [])];
  return names.some((name) => name !== undefined && permissions !== undefined && Object.hasOwn(permissions, name) && permissions[name] === false);
}

/** Commands by which whoever may invoke them runs or finds programs. */
const EXEC_COMMANDS: readonly string[] = ['system.run', 'system.run.prepare', 'system.which'];

/** The scope that approving these commands needs beside pairing. */
export function approvalScope(commands: readonly string[]): string | undefined {
  if (commands.some((command) => EXEC_COMMANDS.includes(command))) return 'operator.admin';
  return commands.length > 0 ? 'operator.write' : undefined;
}

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function strings(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
