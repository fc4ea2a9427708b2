/** The floors of the house: who may import whom. The allow list is empty and stays so. */

/** Floor 2 and 3 rooms, lower first; a room may import the ones before it. */
export const FLOOR_2 = ['core/logging', 'core/manifest', 'core/config', 'core/kernel'] as const;
export const FLOOR_3 = ['core/state', 'core/secrets', 'core/auth', 'core/sessions', 'core/agent', 'core/channels', 'core/install', 'core/gateway'] as const;

/** The one file of a floor-3 room that later rooms may import. */
export const DOORS: Record<(typeof FLOOR_3)[number], string> = {
  'core/state': 'core/state/state.ts',
  'core/secrets': 'core/secrets/activate.ts',
  'core/auth': 'core/auth/credentials.ts',
  'core/sessions': 'core/sessions/service.ts',
  'core/agent': 'core/agent/service.ts',
  'core/channels': 'core/channels/accounts.ts',
  'core/install': 'core/install/installer.ts',
  'core/gateway': 'core/gateway/server.ts',
};

/** The only files that may import a library. `extensions` stands for any extension. */
export const LIBRARY_HOMES: Record<string, string[]> = {
  tapable: ['core/kernel/hooks.ts'],
  jiti: ['core/kernel/import-module.ts'],
  semver: ['core/manifest/compat.ts'],
  json5: ['core/config/parse.ts'],
  pino: ['core/logging'],
  ajv: ['.ci/generate.ts', 'core/manifest/validator.ts'],
  'node:sqlite': ['core/state', 'extensions'],
  ws: ['core/gateway', 'sdk/client/node.ts'],
  execa: ['core/install', 'extensions'],
  marked: ['sdk/markdown.ts'],
  'irc-framework': ['extensions/channels/irc'],
  grammy: ['extensions/channels/telegram'],
  'discord.js': ['extensions/channels/discord'],
  '@discordjs/rest': ['extensions/channels/discord'],
  '@discordjs/ws': ['extensions/channels/discord'],
  '@slack/bolt': ['extensions/channels/slack'],
  '@slack/web-api': ['extensions/channels/slack'],
};

/** Why an import is not allowed, or undefined. Paths are relative to the repository. */
export function violation(from: string, to: string): string | undefined {
  if (from.startsWith('test/') || from.startsWith('.ci/')) return undefined;
  if (from.startsWith('sdk/')) return to.startsWith('sdk/') ? undefined : 'sdk imports nothing of the repository';
  if (from.startsWith('extensions/')) return sameExtension(from, to) ? undefined : 'an extension imports only Durar/plugin-sdk/* and its own files';
  if (to.startsWith('extensions/') || to.startsWith('test/')) return 'core imports no extension';
  if (to.startsWith('sdk/')) return undefined;
  const [source, target] = [roomOf(from), roomOf(to)];
  if (source === target || source === 'core/cli') return undefined;
  if (source === 'core/testing') return target === 'core/cli' || target === 'core/gateway' ? 'the test host stands below the gateway' : undefined;
  const [low, high] = [FLOOR_2.indexOf(target as never), FLOOR_2.indexOf(source as never)];
  if (high >= 0) return low >= 0 && low < high ? undefined : `${source} is on floor 2 and may not import ${target}`;
  if (low >= 0) return undefined;
  const [targetAt, sourceAt] = [FLOOR_3.indexOf(target as never), FLOOR_3.indexOf(source as never)];
  if (targetAt < 0 || sourceAt < 0 || targetAt > sourceAt) return `${source} may not import ${target}`;
  return DOORS[target as keyof typeof DOORS] === to ? undefined : `${source} may import only the door of ${target}`;
}

function roomOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

function sameExtension(from: string, to: string): boolean {
  return roomOf(from) === roomOf(to) && from.split('/')[2] === to.split('/')[2];
}
