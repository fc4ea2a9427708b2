import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../sdk/index.ts';

/** One workspace file as the prompt shows it. */
export interface BootstrapFile {
  name: string;
  path: string;
  /** With the mark of a cut, if it was cut. undefined: the file is not there, or its time is over. */
  text?: string;
  missing: boolean;
  /** characters of the file itself */
  rawChars: number;
  truncated: boolean;
}

/** Workspace files that are part of every prompt. A turn costs one `stat` each; a file is read again only when it changed. */
export interface BootstrapFiles {
  /** In the fixed order, cut to the limits (characters); absent ones too. A sub-agent gets those that say how to work, not who to be. */
  load(dir: string, limits: { perFile: number; total: number }, audience?: 'agent' | 'subagent'): Promise<BootstrapFile[]>;
}

const NAMES = ['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'IDENTITY.md', 'USER.md', 'HEARTBEAT.md', 'BOOTSTRAP.md'] as const;
const SUBAGENT_NAMES: readonly string[] = ['AGENTS.md', 'TOOLS.md'];
/** Only there until the agent has got to know its user, so its absence needs no mark in the prompt. */
export const FIRST_RUN_FILE = 'BOOTSTRAP.md';

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
    async load(dir, limits, audience = 'agent') {
      const names = audience === 'agent' ? NAMES : SUBAGENT_NAMES;
      const texts = await Promise.all(names.map((name) => read(join(dir, name))));
      const files: BootstrapFile[] = [];
      let left = limits.total;
      for (const [index, name] of names.entries()) {
        const raw = texts[index];
        const path = join(dir, name);
        if (raw === undefined) {
          files.push({ name, path, missing: true, rawChars: 0, truncated: false });
          continue;
        }
        const kept = cut(raw, Math.min(limits.perFile, left));
        const truncated = kept.length < raw.length;
        const text = truncated ? `${kept}\n[${name} is cut here: ${raw.length} characters in all]` : raw;
        files.push({ name, path, text, missing: false, rawChars: raw.length, truncated });
        left -= kept.length;
      }
      return files;
    },
  };
}

/** At most so many characters, none of them parted. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
