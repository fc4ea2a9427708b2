import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../sdk/index.ts';

/** One workspace file as the prompt shows it. */
export interface BootstrapFile {
  name: string;
  /** undefined: the file is not there */
  text?: string;
}

/** Workspace files that are part of every prompt. A turn costs one `stat` each; a file is read again only when it changed. */
export interface BootstrapFiles {
  /** In the fixed order, cut to the limits (characters). */
  load(dir: string, limits: { perFile: number; total: number }): Promise<BootstrapFile[]>;
}

const NAMES = ['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'IDENTITY.md', 'USER.md', 'HEARTBEAT.md', 'BOOTSTRAP.md'] as const;
/** Only there until the agent has got to know its user, so its absence needs no mark. */
const FIRST_RUN_FILE = 'BOOTSTRAP.md';

interface Kept {
  mtimeMs: number;
  size: number;
  ino: number;
  text: string;
}

export function createBootstrapFiles(): BootstrapFiles {
  const kept = new Map<string, Kept>();

  async function read(path: string): Promise<string | undefined> {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const known = kept.get(path);
      if (known !== undefined && known.mtimeMs === mtimeMs && known.size === size && known.ino === ino) return known.text;
      const text = await readFile(path, 'utf8');
      kept.set(path, { mtimeMs, size, ino, text });
      return text;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
      kept.delete(path);
      return undefined;
    }
  }

  return {
    async load(dir, limits) {
      const texts = await Promise.all(NAMES.map((name) => read(join(dir, name))));
      const files: BootstrapFile[] = [];
      let left = limits.total;
      for (const [index, name] of NAMES.entries()) {
        const raw = texts[index];
        if (raw === undefined) {
          if (name !== FIRST_RUN_FILE) files.push({ name });
          continue;
        }
        const room = Math.min(limits.perFile, left);
        files.push({ name, text: raw.length <= room ? raw : `${raw.slice(0, room)}\n[${name} is cut here: ${raw.length} characters in all]` });
        left -= Math.min(raw.length, room);
      }
      return files;
    },
  };
}
