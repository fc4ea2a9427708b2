import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { Place } from './root.ts';
import { record, texts } from './skill-file.ts';

/** Where a skill comes from, as `skills.status` names it. */
export type SourceName =
  | 'Durar-workspace'
  | 'agents-skills-project'
  | 'agents-skills-personal'
  | 'Durar-managed'
  | 'Durar-bundled'
  | 'Durar-extra'
  | 'Durar-extension';

export interface Source extends Place {
  name: SourceName;
}

export interface SourceParams {
  config: Record<string, unknown>;
  stateDir: string;
  bundledDir: string | undefined;
  extensionDirs: readonly string[];
}

/** The folders of an agent's skills; of two skills with one name that of the earlier folder counts. */
export function skillSources(workspaceDir: string, { config, stateDir, bundledDir, extensionDirs }: SourceParams): Source[] {
  const extra = texts(record(record(config.skills).load).extraDirs).map((dir) => expand(dir, workspaceDir));
  return [
    { name: 'Durar-workspace', dir: join(workspaceDir, 'skills'), within: workspaceDir },
    { name: 'agents-skills-project', dir: join(workspaceDir, '.agents', 'skills'), within: workspaceDir },
    { name: 'agents-skills-personal', dir: join(homedir(), '.agents', 'skills') },
    { name: 'Durar-managed', dir: join(stateDir, 'skills') },
    ...(bundledDir === undefined ? [] : [{ name: 'Durar-bundled' as const, dir: bundledDir }]),
    ...extra.map((dir) => ({ name: 'Durar-extra' as const, dir })),
    ...extensionDirs.map((dir) => ({ name: 'Durar-extension' as const, dir })),
  ];
}

/** The skills that ship with the product lie beside `extensions/`, or beside the `dist/` that holds it. */
export function bundledSkillsDir(extensionRoot: string): string | undefined {
  return [join(extensionRoot, '../../../skills'), join(extensionRoot, '../../../../skills')].find((dir) => existsSync(dir));
}

/** With `~` for the home folder: shorter, and the same on every machine. */
export function shortPath(path: string): string {
  const home = homedir();
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

function expand(dir: string, base: string): string {
  if (dir === '~' || dir.startsWith('~/')) return join(homedir(), dir.slice(1));
  return isAbsolute(dir) ? dir : resolve(base, dir);
}
