import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Makes an address of what the model names. Files outside the working folder are refused: a message may go to anybody. */
export function createMediaReach(workspaceDir: string): (named: string) => Promise<string> {
  return async (named) => {
    if (/^https:\/\//i.test(named)) return named;
    if (/^(?!file:)[a-z][a-z\d+.-]+:/i.test(named)) throw new Error(`'${named}' is neither a file nor an https address`);
    const home = await realpath(workspaceDir);
    const path = /^file:/i.test(named) ? fileURLToPath(named) : resolve(home, named);
    let file: string;
    try {
      file = await realpath(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new Error(`there is no file '${named}'`, { cause: error });
    }
    if (!file.startsWith(home + sep)) throw new Error(`'${named}' is outside the working folder; copy it there to send it`);
    return pathToFileURL(file).href;
  };
}
