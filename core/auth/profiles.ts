import { mkdir, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { durarError, errorText, type SecretRef } from '../../sdk/index.ts';
import { writePrivateFile } from '../../sdk/private-file.ts';
import { formatPath, isForbiddenKey, isRecord, type Segment, toPointer } from '../config/config-path.ts';
import { configuredPath, type Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { withWriteLock } from '../config/write-lock.ts';

/** What stands where a static secret is: the text, a template or a reference. */
export type StoredSecret = string | SecretRef;

interface ProfileBase {
  provider: string;
  email?: string;
}

export interface ApiKeyProfile extends ProfileBase {
  type: 'api_key';
  key?: StoredSecret;
  keyRef?: StoredSecret;
  metadata?: Record<string, unknown>;
}

export interface TokenProfile extends ProfileBase {
  type: 'token';
  token?: StoredSecret;
  tokenRef?: StoredSecret;
  /** epoch ms; absent: it does not expire */
  expires?: unknown;
}

/** What a sign-in left; it is renewed, so it takes no reference. */
export interface OAuthProfile extends ProfileBase {
  type: 'oauth';
  access?: string;
  refresh?: string;
  /** epoch ms */
  expires?: unknown;
  accountId?: string;
  projectId?: string;
  enterpriseUrl?: string;
}

export type AuthProfile = ApiKeyProfile | TokenProfile | OAuthProfile;

/** How a profile has served. Times are epoch ms. */
export interface ProfileUsage {
  lastUsed?: number;
  /** Not tried before, unless there is no other. */
  cooldownUntil?: number;
  cooldownReason?: string;
  /** Failures in a row. */
  errorCount?: number;
  failureCounts?: Record<string, number>;
  lastFailureAt?: number;
  disabledUntil?: number;
  disabledReason?: string;
}

/** The content of one `auth-profiles.json`. Profiles of a type that this version does not know, and other keys, stay as they are. */
export interface ProfileStore {
  version: 1;
  profiles: Record<string, AuthProfile>;
  /** Profile ids by provider, best first; goes before `auth.order` of the configuration. */
  order?: Record<string, string[]>;
  /** The profile that worked last, by provider. */
  lastGood?: Record<string, string>;
  usageStats?: Record<string, ProfileUsage>;
}

export const PROFILE_MODES = ['api_key', 'token', 'oauth'] as const;

/** Keys of each shape that are texts, and those that may be references as well. */
const TEXTS: Readonly<Record<AuthProfile['type'], readonly string[]>> = {
  api_key: ['email'],
  token: ['email'],
  oauth: ['access', 'refresh', 'email', 'accountId', 'projectId', 'enterpriseUrl'],
};
const SECRETS: Readonly<Record<AuthProfile['type'], readonly string[]>> = { api_key: ['key', 'keyRef'], token: ['token', 'tokenRef'], oauth: [] };
const USAGE_NUMBERS = ['lastUsed', 'cooldownUntil', 'errorCount', 'lastFailureAt', 'disabledUntil'];

/** The agents that can run: the main one and those of the configuration. */
export function agentIds(config: Pick<Config, 'agents'>): string[] {
  return [...new Set(['main', ...(config.agents.list ?? []).map(({ id }) => id.toLowerCase())])];
}

/** The folder of an agent's own files. */
export function agentDir({ config, paths, agentId }: { config: Pick<Config, 'agents'>; paths: Paths; agentId: string }): string {
  const id = agentId.toLowerCase();
  const own = config.agents.list?.find((agent) => agent.id.toLowerCase() === id)?.agentDir;
  return own === undefined ? join(paths.stateDir, 'agents', id, 'agent') : configuredPath(own, paths);
}

/** Where an agent's credentials are. */
export function profilesFile(place: { config: Pick<Config, 'agents'>; paths: Paths; agentId: string }): string {
  return join(agentDir(place), 'auth-profiles.json');
}

export function emptyStore(): ProfileStore {
  return { version: 1, profiles: {} };
}

/** True for a profile of a type that this version knows; others are kept and not used. */
export function isKnownProfile(profile: unknown): profile is AuthProfile {
  return isRecord(profile) && PROFILE_MODES.some((mode) => mode === profile.type);
}

/** Reads one file; undefined when there is none. Throws `DUR_AUTH_STORE` with the place of what is wrong, never with a value. */
export async function readProfiles(file: string): Promise<ProfileStore | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw broken(file, errorText(error), [], error);
  });
  return text === undefined ? undefined : parseProfiles(text, file);
}

/** Checks the text of one file. `file` is named in errors. */
export function parseProfiles(text: string, file: string): ProfileStore {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // the parser's message quotes the text around the place, and that may be a secret
    throw broken(file, 'it is not JSON');
  }
  if (!isRecord(value)) throw broken(file, 'it is not an object');
  const { version = 1, profiles = {}, order, lastGood, usageStats } = value;
  if (version !== 1) throw broken(file, 'only version 1 is known here', ['version']);
  for (const [id, profile] of entriesOf(file, profiles, ['profiles'])) checkProfile(file, id, profile);
  if (order !== undefined) for (const [provider, ids] of entriesOf(file, order, ['order'])) checkList(file, ids, ['order', provider]);
  if (lastGood !== undefined) for (const [provider, id] of entriesOf(file, lastGood, ['lastGood'])) checkText(file, id, ['lastGood', provider]);
  if (usageStats !== undefined) for (const [id, usage] of entriesOf(file, usageStats, ['usageStats'])) checkUsage(file, id, usage);
  return { ...value, version, profiles } as ProfileStore;
}

/**
 * Changes one file: reads it, lets `change` edit what is there and writes it in one step, alone among all processes that do the same. Without a
 * file the edit begins with an empty store. `false` from `change`: nothing is written. Throws `DUR_AUTH_STORE`, `DUR_AUTH_STORE_WRITE`, and what
 * `change` throws.
 */
export async function updateProfiles(named: string, change: (store: ProfileStore) => boolean | void): Promise<ProfileStore> {
  // a link to the file (dotfiles) stays a link
  const file = await realpath(named).catch((error: unknown) => {
    if (isAbsent(error)) return named;
    throw error;
  });
  const failed = (error: unknown) => durarError('DUR_AUTH_STORE_WRITE', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  await mkdir(dirname(file), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw failed(error);
  });
  return await withWriteLock(file, async () => {
    const store = (await readProfiles(file)) ?? emptyStore();
    if (change(store) === false) return store;
    const text = `${JSON.stringify(store, null, 2)}\n`;
    // what would not be read is not written
    parseProfiles(text, file);
    try {
      await removeLeftovers(file);
      await writePrivateFile(file, text);
    } catch (error) {
      throw failed(error);
    }
    return store;
  });
}

/** What a killed writer has left holds credentials too. Only under the lock. */
async function removeLeftovers(file: string): Promise<void> {
  const names = (await readdir(dirname(file))).filter((name) => name.startsWith(`${basename(file)}.`) && name.endsWith('.tmp'));
  await Promise.all(names.map((name) => rm(join(dirname(file), name), { force: true })));
}

function checkProfile(file: string, id: string, profile: unknown): void {
  const at = ['profiles', id];
  if (!isRecord(profile)) throw broken(file, 'it is not an object', at);
  if (typeof profile.type !== 'string') throw broken(file, 'it has no type', at);
  if (!isKnownProfile(profile)) return;
  if (typeof profile.provider !== 'string' || profile.provider === '') throw broken(file, 'it names no provider', [...at, 'provider']);
  const fields: Record<string, unknown> = { ...profile };
  for (const key of TEXTS[profile.type]) {
    // a reference is refused with the secrets, where its own code says why
    if (fields[key] !== undefined && !isReference(fields[key])) checkText(file, fields[key], [...at, key]);
  }
  for (const key of SECRETS[profile.type]) {
    if (fields[key] !== undefined && !isRecord(fields[key])) checkText(file, fields[key], [...at, key]);
  }
}

function checkUsage(file: string, id: string, usage: unknown): void {
  const at = ['usageStats', id];
  if (!isRecord(usage)) throw broken(file, 'it is not an object', at);
  for (const key of USAGE_NUMBERS) {
    if (usage[key] !== undefined && !Number.isFinite(usage[key])) throw broken(file, 'it is not a number', [...at, key]);
  }
  if (usage.failureCounts === undefined) return;
  for (const [kind, count] of entriesOf(file, usage.failureCounts, [...at, 'failureCounts'])) {
    if (!Number.isFinite(count)) throw broken(file, 'it is not a number', [...at, 'failureCounts', kind]);
  }
}

function checkList(file: string, value: unknown, at: readonly Segment[]): void {
  if (!Array.isArray(value)) throw broken(file, 'it is not a list', at);
  for (const [index, item] of value.entries()) checkText(file, item, [...at, index]);
}

function checkText(file: string, value: unknown, at: readonly Segment[]): void {
  if (typeof value !== 'string') throw broken(file, 'it is not a text', at);
}

function entriesOf(file: string, value: unknown, at: readonly Segment[]): Array<[string, unknown]> {
  if (!isRecord(value)) throw broken(file, 'it is not an object', at);
  const entries = Object.entries(value);
  const forbidden = entries.find(([key]) => isForbiddenKey(key));
  if (forbidden !== undefined) throw broken(file, 'that name cannot be used', [...at, forbidden[0]]);
  return entries;
}

function isReference(value: unknown): boolean {
  return isRecord(value) && typeof value.source === 'string' && typeof value.id === 'string';
}

function isAbsent(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function broken(file: string, reason: string, at: readonly Segment[] = [], cause?: unknown) {
  const place = at.length === 0 ? reason : `at ${formatPath(at)}: ${reason}`;
  const pointer = at.length === 0 ? {} : { pointer: toPointer(at) };
  return durarError('DUR_AUTH_STORE', { file, reason: place }, { owner: { file, ...pointer }, ...(cause === undefined ? {} : { cause }) });
}
