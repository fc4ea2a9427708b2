/** One change of a file at a time, whichever run asks for it. */
export type FileLocks = <Result>(path: string, work: () => Promise<Result>) => Promise<Result>;

export function createFileLocks(): FileLocks {
  const last = new Map<string, Promise<unknown>>();
  return async (path, work) => {
    const mine = (last.get(path) ?? Promise.resolve()).then(work);
    const settled = mine.catch(() => undefined);
    last.set(path, settled);
    try {
      return await mine;
    } finally {
      if (last.get(path) === settled) last.delete(path);
    }
  };
}
