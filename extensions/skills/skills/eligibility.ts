import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Skill } from './root.ts';
import { type Requirements, record, texts } from './skill-file.ts';
import type { SourceName } from './sources.ts';

/** Whether a skill can be used here and now, and what is wanting. */
export interface Eligibility {
  disabled: boolean;
  /** It ships with the product and `skills.allowBundled` does not name it. */
  blockedByAllowlist: boolean;
  /** `agents.list[].skills` does not name it. */
  blockedForAgent: boolean;
  missing: Requirements;
  eligible: boolean;
}

/** Tells whether a program can be started here. */
export type FindProgram = (name: string) => Promise<boolean>;

/** How long what was found on the path is believed, milliseconds. */
const BELIEVED_MS = 30_000;

/** Looks through PATH, each program at most twice a minute. */
export function createProgramFinder(now: () => number = Date.now): FindProgram {
  const known = new Map<string, { at: number; path: string; found: Promise<boolean> }>();
  return (name) => {
    const path = process.env.PATH ?? '';
    const last = known.get(name);
    if (last !== undefined && last.path === path && now() - last.at < BELIEVED_MS) return last.found;
    const found = isOnPath(name, path);
    known.set(name, { at: now(), path, found });
    return found;
  };
}

export async function judge(
  skill: Skill,
  { source, config, agentId, find }: { source: SourceName; config: Record<string, unknown>; agentId: string; find: FindProgram },
): Promise<Eligibility> {
  const { entries, allowBundled } = record(config.skills);
  const names = [skill.name, skill.skillKey];
  const disabled = record(record(entries)[skill.skillKey]).enabled === false;
  const blockedByAllowlist = source === 'Durar-bundled' && Array.isArray(allowBundled) && !texts(allowBundled).some((name) => names.includes(name));
  const allowed = agentSkills(config, agentId);
  const blockedForAgent = allowed !== undefined && !allowed.some((name) => names.includes(name));
  const missing = await wanting(skill, config, find);
  const isComplete = skill.always || Object.values(missing).every((list) => list.length === 0);
  return { disabled, blockedByAllowlist, blockedForAgent, missing, eligible: isComplete && !disabled && !blockedByAllowlist && !blockedForAgent };
}

async function wanting({ requires }: Skill, config: Record<string, unknown>, find: FindProgram): Promise<Requirements> {
  const absent = async (names: readonly string[]) => {
    const found = await Promise.all(names.map(find));
    return names.filter((_name, index) => found[index] !== true);
  };
  const [bins, anyBins] = await Promise.all([absent(requires.bins), absent(requires.anyBins)]);
  return {
    bins,
    anyBins: anyBins.length < requires.anyBins.length ? [] : anyBins,
    // what a command of the agent will really find
    env: requires.env.filter((name) => (process.env[name] ?? '') === ''),
    config: requires.config.filter((path) => !isSet(config, path)),
    os: requires.os.length === 0 || requires.os.includes(process.platform) ? [] : requires.os,
  };
}

/** Whether something is configured there: neither nothing, nor off. */
export function isSet(config: Record<string, unknown>, path: string): boolean {
  const value = path.split('.').reduce<unknown>((at, key) => (Object.hasOwn(record(at), key) ? record(at)[key] : undefined), config);
  return Boolean(value) && !(Array.isArray(value) && value.length === 0);
}

function agentSkills(config: Record<string, unknown>, agentId: string): string[] | undefined {
  const { list } = record(config.agents);
  const entry = Array.isArray(list) ? list.map(record).find(({ id }) => typeof id === 'string' && id.toLowerCase() === agentId.toLowerCase()) : undefined;
  return Array.isArray(entry?.skills) ? texts(entry.skills) : undefined;
}

async function isOnPath(name: string, path: string): Promise<boolean> {
  for (const dir of path.split(delimiter)) {
    if (dir !== '' && (await isProgram(join(dir, name)))) return true;
  }
  return false;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    // absent and not allowed are the same to who wants to run it
    return false;
  }
}
