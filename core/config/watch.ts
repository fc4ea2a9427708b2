import { type FSWatcher, watch } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errorCode } from '../../sdk/errors.ts';

export interface WatchOptions {
  /** Absolute paths. A file need not exist; its folder may come and go. */
  files: readonly string[];
  /** Called when the content of a file differs from the last call (or the start), after it was quiet for `debounceMs`. */
  onChange(file: string): void;
  /** Called with what keeps the watcher from seeing changes at once; it goes on by looking from time to time. */
  onError?(error: unknown): void;
  debounceMs: number;
  /** How often a folder that cannot be watched is looked at. */
  retryMs?: number;
}

export interface FileWatch {
  /** Nothing is reported after this resolved. Twice is harmless. */
  stop(): Promise<void>;
}

/**
 * Watches files by their folders, so that it survives editors that write a new file and rename it over the old one. Where the file is a link,
 * the folder of its target is watched too.
 */
export async function watchFiles(options: WatchOptions): Promise<FileWatch> {
  const watches = await Promise.all([...new Set(options.files)].map((file) => watchFile(file, options)));
  return {
    async stop() {
      await Promise.all(watches.map((watching) => watching.stop()));
    },
  };
}

async function watchFile(file: string, { onChange, onError, debounceMs, retryMs = 2000 }: WatchOptions): Promise<FileWatch> {
  let content = await read(file);
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let retry: NodeJS.Timeout | undefined;
  let checking: Promise<void> = Promise.resolve();
  let watchers: FSWatcher[] = [];

  const check = async () => {
    const next = await read(file);
    if (stopped || next === content) return;
    content = next;
    onChange(file);
  };
  const report = (error: unknown) => {
    if (!stopped) onError?.(error);
  };
  const schedule = () => {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      checking = checking.then(check).catch(report);
    }, debounceMs);
    timer.unref();
  };
  const close = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const lost = (error: unknown) => {
    close();
    if (stopped) return;
    if (errorCode(error) !== 'ENOENT') report(error);
    clearTimeout(retry);
    retry = setTimeout(() => void start(), retryMs);
    retry.unref();
  };
  const start = async () => {
    const targets = new Set([file, await realpath(file).catch(() => file)]);
    if (stopped) return;
    try {
      for (const target of targets) {
        const name = basename(target);
        const folder = dirname(target);
        const watcher = watch(folder, { persistent: false }, (event, changed) => {
          // A folder that is itself removed or renamed reports its own name and then stays silent.
          if (event === 'rename' && changed === basename(folder)) lost({ code: 'ENOENT' });
          if (changed === null || changed === name) schedule();
        });
        watcher.on('error', lost);
        watchers.push(watcher);
      }
    } catch (error) {
      lost(error);
    }
    schedule();
  };

  await start();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(retry);
      close();
      await checking;
    },
  };
}

/** undefined: the file does not exist. */
async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
