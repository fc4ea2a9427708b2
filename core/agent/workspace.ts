import { createHash } from 'node:crypto';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../sdk/index.ts';

/** Makes working folders, private to the user, once per folder and process, and knows those that an agent has got to know. */
export interface Workspaces {
  ensure(dir: string): Promise<void>;
  /** Whether a run has been completed that was told what to do first. */
  isOnboarded(dir: string): Promise<boolean>;
  markOnboarded(dir: string): Promise<void>;
}

export function createWorkspaces({ stateDir }: { stateDir: string }): Workspaces {
  const made = new Map<string, Promise<void>>();
  const onboarded = new Set<string>();
  const marks = join(stateDir, 'state', 'onboarded');
  /** A mark outlives the process and stands outside the folder, which may be shared or under version control. */
  const markOf = (dir: string) => join(marks, createHash('sha256').update(dir).digest('hex').slice(0, 32));

  async function make(dir: string): Promise<void> {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
    } catch (error) {
      made.delete(dir);
      throw error;
    }
  }

  return {
    ensure(dir) {
      let ready = made.get(dir);
      if (ready === undefined) {
        ready = make(dir);
        made.set(dir, ready);
      }
      return ready;
    },

    async isOnboarded(dir) {
      if (onboarded.has(dir)) return true;
      try {
        await access(markOf(dir));
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return false;
        throw error;
      }
      onboarded.add(dir);
      return true;
    },

    async markOnboarded(dir) {
      onboarded.add(dir);
      await mkdir(marks, { recursive: true, mode: 0o700 });
      await writeFile(markOf(dir), `${dir}\n`, { mode: 0o600 });
    },
  };
}
