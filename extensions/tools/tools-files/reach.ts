import { errorCode, type ToolContext } from 'Durar/plugin-sdk/core';
import { lstat, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';

/** Turns what a model writes as a path into a real one that it may use. */
export interface Reach {
  /** The real path, all links followed; the file itself need not exist. Throws when the path may not be used. */
  locate(path: unknown): Promise<string>;
}

type Fields = { readonly [Name in string]?: unknown };

/**
 * Paths are relative to the workspace and may not leave it, whatever links say, unless `tools.fs.workspaceOnly` is `false`. The state
 * directory is out of reach in any case: it holds credentials and the exec policy. A workspace inside it is not. `forReading`: folders that the
 * prompt points to are in reach too, wherever they lie.
 */
export function createReach(context: ToolContext, stateDir: string, { forReading = false } = {}): Reach {
  const { workspaceDir } = context;
  const isFree = mayLeaveWorkspace(context.runtimeConfig ?? context.config, context.agentId);
  return {
    async locate(path) {
      if (typeof path !== 'string' || path === '' || path.includes('\0')) throw new Error('the path is empty or not a text');
      const wanted = path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(workspaceDir, path);
      const [real, workspace, state] = await Promise.all([realOf(wanted), realOf(workspaceDir), realOf(stateDir)]);
      const inWorkspace = isInside(workspace, real);
      if (!inWorkspace && forReading && (await isPointedTo(real, context))) return real;
      if (!inWorkspace && !isFree) throw new Error(`'${path}' lies outside the workspace`);
      if (isInside(state, real) && !(inWorkspace && workspace !== state && isInside(state, workspace)))
        throw new Error(`'${path}' lies in the state directory of Durar`);
      return real;
    },
  };
}

async function isPointedTo(real: string, { readableDirs }: ToolContext): Promise<boolean> {
  const dirs = await Promise.all(((await readableDirs?.()) ?? []).map(realOf));
  return dirs.some((dir) => isInside(dir, real));
}

function mayLeaveWorkspace(config: Fields, agentId: string): boolean {
  const agents = record(config.agents).list;
  const agent = Array.isArray(agents) ? agents.map(record).find((one) => one.id === agentId) : undefined;
  const fs = { ...record(record(config.tools).fs), ...record(record(agent?.tools).fs) };
  return fs.workspaceOnly === false;
}

/** `realpath` for a file that need not exist: the nearest folder that does is followed. */
async function realOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  if (await isLink(path)) throw new Error(`'${path}' is a link that leads nowhere`);
  const parent = dirname(path);
  return parent === path ? path : join(await realOf(parent), basename(path));
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
