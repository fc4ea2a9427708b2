import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { durarError, errorCode, errorText } from '../../sdk/index.ts';
import { getAt, isRecord, type Segment } from '../config/config-path.ts';
import { type IncludedFile, resolveIncludes } from '../config/include.ts';
import { parseText } from '../config/parse.ts';
import { configuredPath, type Paths } from '../config/paths.ts';

/** A text on disk. */
export interface StoredText {
  file: string;
  text: string;
}

export interface StoredJson extends StoredText {
  value: Record<string, unknown>;
}

/** The configuration file, or one that it includes. */
export interface ConfigText extends StoredText {
  /** Its own content. */
  value: unknown;
  /** Where that stands in the whole. */
  at: readonly Segment[];
  exists: boolean;
}

export interface AgentFiles {
  id: string;
  /** `auth-profiles.json`; where it would be when there is none. */
  profiles: { file: string; stored?: StoredJson };
  /** `auth.json` */
  legacy?: StoredJson;
  /** The generated `models.json`. */
  models?: StoredJson;
}

/** Everything on disk in which an operator's secret may stand. */
export interface SecretFiles {
  /** What is merged last comes first: the file itself, then its includes from the last to the first. */
  config: ConfigText[];
  agents: AgentFiles[];
  /** `.env` of the configuration's folder, and of the state folder where that is another one. */
  env: StoredText[];
  /** `credentials/oauth.json` */
  oauth?: StoredJson;
  /** Older texts of the configuration. */
  backups: StoredText[];
}

/** Reads all of them. Throws `DUR_SECRETS_FILE` for one that cannot be read or is broken, and the errors of the configuration's syntax. */
export async function readSecretFiles({ paths, config }: { paths: Paths; config: object }): Promise<SecretFiles> {
  const ids = new Set([...(await list(join(paths.stateDir, 'agents'))), ...configuredAgents(config).keys()]);
  const agents = await Promise.all([...ids].sort().map((id) => readAgent(paths, config, id)));
  const envFiles = new Set([join(dirname(paths.configFile), '.env'), join(paths.stateDir, '.env')]);
  const oauth = await readJson(join(paths.stateDir, 'credentials', 'oauth.json'));
  const folder = dirname(paths.configFile);
  const backups = (await list(folder)).filter((name) => name.startsWith(`${basename(paths.configFile)}.bak`));
  return {
    config: await readConfigTexts(paths.configFile),
    agents,
    env: present(await Promise.all([...envFiles].map(readText))),
    ...(oauth === undefined ? {} : { oauth }),
    backups: present(await Promise.all(backups.map((name) => readText(join(folder, name))))),
  };
}

/** The files of one agent, who need not have any. */
export async function readAgent(paths: Paths, config: object, id: string): Promise<AgentFiles> {
  const own = configuredAgents(config).get(id);
  const dir = own === undefined ? join(paths.stateDir, 'agents', id, 'agent') : configuredPath(own, paths);
  const [stored, legacy, models] = await Promise.all(['auth-profiles.json', 'auth.json', 'models.json'].map((name) => readJson(join(dir, name))));
  return {
    id,
    profiles: { file: join(dir, 'auth-profiles.json'), ...(stored === undefined ? {} : { stored }) },
    ...(legacy === undefined ? {} : { legacy }),
    ...(models === undefined ? {} : { models }),
  };
}

/** The file that a value comes from; the first one for a value that is nowhere. */
export function holderOf(files: readonly ConfigText[], path: readonly Segment[]): ConfigText | undefined {
  return files.find(({ value, at }) => isBelow(path, at) && getAt(value, path.slice(at.length)) !== undefined) ?? files[0];
}

/** Whether a path lies in what stands at `at`. */
export function isBelow(path: readonly Segment[], at: readonly Segment[]): boolean {
  return at.length < path.length && at.every((segment, index) => String(segment) === String(path[index]));
}

/** A static key in the ancestor's `auth.json`. */
export interface LegacyEntry {
  name: string;
  /** What it is called among the stored credentials. */
  profileId: string;
  provider: string;
  key?: string;
  keyRef?: object;
}

/** Reads one entry of it; undefined for a sign-in. */
export function staticEntry(name: string, entry: unknown): LegacyEntry | undefined {
  if (!isRecord(entry) || entry.type !== 'api_key') return undefined;
  const { provider, key, keyRef } = entry;
  return {
    name,
    profileId: name.includes(':') ? name : `${name}:default`,
    provider: typeof provider === 'string' && provider !== '' ? provider : (name.split(':')[0] ?? name),
    ...(typeof key === 'string' && key !== '' ? { key } : {}),
    ...(isRecord(keyRef) ? { keyRef } : {}),
  };
}

async function readConfigTexts(file: string): Promise<ConfigText[]> {
  const main = await readText(file);
  const included = new Map<string, IncludedFile>();
  const value = await parseText(main?.text ?? '', file);
  await resolveIncludes(value, file, included);
  const others = [...included]
    .reverse()
    .map(async ([name, { text, at }]): Promise<ConfigText> => ({ file: name, text, at, exists: true, value: await parseText(text, name) }));
  return [{ file, text: main?.text ?? '', at: [], exists: main !== undefined, value }, ...(await Promise.all(others))];
}

/** Agents with a folder of their own. */
function configuredAgents(config: object): Map<string, string> {
  const entries = getAt(config, ['agents', 'list']);
  const found = new Map<string, string>();
  for (const entry of Array.isArray(entries) ? entries : []) {
    if (isRecord(entry) && typeof entry.id === 'string' && typeof entry.agentDir === 'string') found.set(entry.id.toLowerCase(), entry.agentDir);
  }
  return found;
}

async function readJson(file: string): Promise<StoredJson | undefined> {
  const stored = await readText(file);
  if (stored === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(stored.text);
    if (isRecord(value)) return { ...stored, value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw durarError('DUR_SECRETS_FILE', { file, reason: 'it holds no JSON object' }, { owner: { file } });
}

async function readText(file: string): Promise<StoredText | undefined> {
  try {
    return { file, text: await readFile(file, 'utf8') };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw durarError('DUR_SECRETS_FILE', { file, reason: errorText(error) }, { owner: { file }, cause: error });
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
}

function present<T>(items: ReadonlyArray<T | undefined>): T[] {
  return items.filter((item) => item !== undefined);
}
