import { durarError, type SecretRef } from '../../sdk/index.ts';
import { formatPath, isForbiddenKey, isRecord, parsePath, type Segment } from '../config/config-path.ts';
import type { SecretFields } from './fields.ts';
import { isSecretRef, refProblem } from './ref.ts';

/** Which secrets become references, and what is cleaned up with it. Holds no value. Made by `durar secrets configure`, carried out by `apply`. */
export interface SecretsPlan {
  version: 1;
  protocolVersion: 1;
  /** ISO 8601. */
  generatedAt?: string;
  generatedBy?: string;
  /** Blocks of `secrets.providers` that are set, by alias. */
  providerUpserts: Record<string, Record<string, unknown> & { source: string }>;
  /** Aliases that are removed. */
  providerDeletes: string[];
  targets: PlanTarget[];
  options: PlanOptions;
}

/** One field that gets a reference. */
export interface PlanTarget {
  /** A row of the supported surface, or one of `PROFILE_TYPES`, or `other`. */
  type: string;
  path: Segment[];
  /** Of whose `auth-profiles.json`; only for `auth-profiles.*`. */
  agentId?: string;
  /** The provider of a profile; needed for one that is new. */
  authProfileProvider?: string;
  ref: SecretRef;
}

export interface PlanOptions {
  /** Lines of `.env` that hold a moved secret. */
  scrubEnv: boolean;
  /** Copies of a moved secret in the stored credentials of the same model provider. */
  scrubAuthProfilesForProviderTargets: boolean;
  /** Static entries of the legacy `auth.json`. */
  scrubLegacyAuthJson: boolean;
}

/** Fields of stored credentials: the type of the profile, and the key that holds its secret. */
export const PROFILE_TYPES = {
  'auth-profiles.api_key.key': { mode: 'api_key', key: 'key' },
  'auth-profiles.token.token': { mode: 'token', key: 'token' },
} as const;

export type ProfileType = keyof typeof PROFILE_TYPES;

/** For a field that takes a reference by its name, not by a row of the surface. */
export const OTHER_FIELD = 'other';

const ALIAS = /^[a-z][a-z0-9_-]{0,63}$/;
const AGENT_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/i;
const PLAN_KEYS = ['version', 'protocolVersion', 'generatedAt', 'generatedBy', 'providerUpserts', 'providerDeletes', 'targets', 'options'];
const TARGET_KEYS = ['type', 'path', 'pathSegments', 'providerId', 'accountId', 'agentId', 'authProfileProvider', 'ref'];
const OPTION_KEYS = ['scrubEnv', 'scrubAuthProfilesForProviderTargets', 'scrubLegacyAuthJson'];

export function isProfileType(type: string): type is ProfileType {
  return Object.hasOwn(PROFILE_TYPES, type);
}

/** Reads a plan file. Throws `DUR_SECRETS_PLAN` or `DUR_SECRETS_PLAN_TARGET`: whatever it does not know, it refuses. */
export function parsePlan(text: string, fields: SecretFields): SecretsPlan {
  const value = readJson(text);
  if (!isRecord(value)) throw invalid('it is not an object');
  refuseOtherKeys(value, PLAN_KEYS, 'the plan');
  if (value.version !== 1) throw invalid('its version is not 1');
  if (value.protocolVersion !== 1) throw invalid('its protocolVersion is not 1');
  const { targets = [], providerUpserts = {}, providerDeletes = [], options = {}, generatedAt, generatedBy } = value;
  if (!Array.isArray(targets)) throw invalid('targets is not a list');
  if (!isRecord(providerUpserts)) throw invalid('providerUpserts is not an object');
  if (!Array.isArray(providerDeletes) || !providerDeletes.every((alias) => typeof alias === 'string' && ALIAS.test(alias))) {
    throw invalid('providerDeletes is not a list of aliases');
  }
  for (const [alias, block] of Object.entries(providerUpserts)) {
    if (!ALIAS.test(alias) || isForbiddenKey(alias)) throw invalid(`'${alias}' is not an alias of a provider`);
    if (!isRecord(block) || typeof block.source !== 'string') throw invalid(`providerUpserts.${alias} has no source`);
    if (providerDeletes.includes(alias)) throw invalid(`'${alias}' is both set and removed`);
  }
  const read = targets.map((target: unknown) => readTarget(target, fields));
  const places = read.map(({ agentId = '', path }) => `${agentId}\0${formatPath(path)}`);
  const twice = places.findIndex((place, at) => places.indexOf(place) !== at);
  if (twice >= 0) throw invalid(`'${formatPath(read[twice]?.path ?? [])}' is a target twice`);
  return {
    version: 1,
    protocolVersion: 1,
    ...(typeof generatedAt === 'string' ? { generatedAt } : {}),
    ...(typeof generatedBy === 'string' ? { generatedBy } : {}),
    providerUpserts: providerUpserts as SecretsPlan['providerUpserts'],
    providerDeletes: providerDeletes as string[],
    targets: read,
    options: readOptions(options),
  };
}

/** The text of a plan file, as `parsePlan` takes it. */
export function printPlan(plan: SecretsPlan): string {
  const targets = plan.targets.map(({ path, ...target }) => ({ ...target, path: path.join('.'), pathSegments: path.map(String) }));
  return `${JSON.stringify({ ...plan, targets }, null, 2)}\n`;
}

/** Whether a command would run for it. */
export function usesExec({ providerUpserts, targets }: Pick<SecretsPlan, 'providerUpserts' | 'targets'>): boolean {
  return targets.some(({ ref }) => ref.source === 'exec') || Object.values(providerUpserts).some(({ source }) => source === 'exec');
}

/** The type under which a plan names a field of the configuration; undefined for one that takes no reference. */
export function targetType(path: readonly Segment[], fields: SecretFields): string | undefined {
  const row = fields.surface().find(({ segments, takesRef }) => takesRef && fits(segments, path));
  return row?.id ?? (fields.find(path)?.takesRef === true ? OTHER_FIELD : undefined);
}

function readTarget(target: unknown, fields: SecretFields): PlanTarget {
  if (!isRecord(target)) throw invalid('a target is not an object');
  refuseOtherKeys(target, TARGET_KEYS, 'a target');
  const { type, path: shown, agentId, authProfileProvider, ref } = target;
  if (typeof type !== 'string' || typeof shown !== 'string') throw invalid('a target needs a type and a path');
  const wrongPath = () => durarError('DUR_SECRETS_PLAN_TARGET', { type, path: shown });
  const path = readPath(shown, target.pathSegments);
  if (path === undefined || !fitsType(type, path, fields, wrongPath)) throw wrongPath();
  checkNames(target, path, wrongPath);
  if (!isSecretRef(ref)) throw invalid(`the target '${shown}' has no reference {source, provider, id}`);
  const problem = refProblem(ref);
  if (problem !== undefined) throw invalid(`the reference of '${shown}': ${problem}`);
  for (const [name, given] of Object.entries({ agentId, authProfileProvider })) {
    if (given === undefined) continue;
    if (!isProfileType(type)) throw invalid(`${name} does not belong to a target of the type '${type}'`);
    if (typeof given !== 'string' || given === '') throw invalid(`${name} of '${shown}' is not a text`);
  }
  if (isProfileType(type) && (typeof agentId !== 'string' || !AGENT_ID.test(agentId))) throw invalid(`the target '${shown}' needs the agentId of its agent`);
  return {
    type,
    path,
    ...(typeof agentId === 'string' ? { agentId: agentId.toLowerCase() } : {}),
    ...(typeof authProfileProvider === 'string' ? { authProfileProvider } : {}),
    ref,
  };
}

/** The segments of a path; they decide where it is written with dots that belong to a name. undefined: not a path, or not the same one. */
function readPath(shown: string, given: unknown): Segment[] | undefined {
  let path: Segment[] | undefined;
  if (given === undefined) path = shown.includes('[') || shown.includes('\\') ? parsed(shown) : shown.split('.');
  else if (Array.isArray(given) && given.every((segment) => typeof segment === 'string')) {
    path = given.join('.') === shown || formatPath(numbered(given)) === shown ? given : undefined;
  }
  if (path === undefined || path.some((segment) => String(segment).trim() === '' || isForbiddenKey(String(segment)))) return undefined;
  return numbered(path);
}

function parsed(shown: string): Segment[] | undefined {
  try {
    return parsePath(shown);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'DUR_CONFIG_PATH') return undefined;
    throw error;
  }
}

/** `agents.list.0.sandbox`: whether a number is an index shows the file; a name of digits is found either way. */
function numbered(path: readonly Segment[]): Segment[] {
  return path.map((segment, at) => (/^\d{1,6}$/.test(String(segment)) && path[at - 1] === 'list' ? Number(segment) : segment));
}

function fitsType(type: string, path: readonly Segment[], fields: SecretFields, refuse: () => Error): boolean {
  if (isProfileType(type)) return path.length === 3 && path[0] === 'profiles' && path[2] === PROFILE_TYPES[type].key;
  if (type === OTHER_FIELD) return targetType(path, fields) === OTHER_FIELD;
  // the same names without the `*`, as plans of the ancestor have them
  const rows = fields.surface().filter(({ id, segments }) => id === type || segments.filter((name) => name !== '*').join('.') === type);
  if (rows.length === 0) throw invalid(`'${type}' is not a type of target`);
  if (!rows.some(({ takesRef }) => takesRef)) throw refuse();
  return rows.some(({ segments, takesRef }) => takesRef && fits(segments, path));
}

/** `providerId` and `accountId` repeat what the path says. */
function checkNames({ providerId, accountId }: Record<string, unknown>, path: readonly Segment[], refuse: () => Error): void {
  const named = (list: string) => path[path.indexOf(list) + 1];
  if (providerId !== undefined && !(path.includes('providers') && named('providers') === providerId)) throw refuse();
  if (accountId !== undefined && !(path.includes('accounts') && named('accounts') === accountId)) throw refuse();
}

function readOptions(options: unknown): PlanOptions {
  if (!isRecord(options)) throw invalid('options is not an object');
  refuseOtherKeys(options, OPTION_KEYS, 'options');
  const flag = (name: keyof PlanOptions) => {
    const value = options[name] ?? true;
    if (typeof value !== 'boolean') throw invalid(`options.${name} is neither true nor false`);
    return value;
  };
  return {
    scrubEnv: flag('scrubEnv'),
    scrubAuthProfilesForProviderTargets: flag('scrubAuthProfilesForProviderTargets'),
    scrubLegacyAuthJson: flag('scrubLegacyAuthJson'),
  };
}

function refuseOtherKeys(value: Record<string, unknown>, known: readonly string[], place: string): void {
  const other = Object.keys(value).find((key) => !known.includes(key));
  if (other !== undefined) throw invalid(`${place} has the unknown key '${other}'`);
}

function readJson(text: string): unknown {
  try {
    // `__proto__` as a key of its own, so that it is seen and refused
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('it is not JSON');
    throw error;
  }
}

function fits(pattern: readonly string[], path: readonly Segment[]): boolean {
  return pattern.length === path.length && pattern.every((name, at) => name === '*' || name === String(path[at]));
}

function invalid(reason: string) {
  return durarError('DUR_SECRETS_PLAN', { reason });
}
