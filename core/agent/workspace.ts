import { mkdir } from 'node:fs/promises';

/** Makes working folders, private to the user, once per folder and process. */
export interface Workspaces {
  ensure(dir: string): Promise<void>;
}

export function createWorkspaces(): Workspaces {
  const made = new Map<string, Promise<void>>();

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
  };
}
