/** Runs work of one key one after the other, in the order of the calls; keys do not wait for each other. */
export interface Serial {
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result>;
}

export function createSerial(): Serial {
  const lanes = new Map<string, Promise<unknown>>();
  return {
    run(key, work) {
      const before = lanes.get(key);
      const result = before === undefined ? work() : before.then(work, work);
      lanes.set(key, result);
      const leave = () => {
        if (lanes.get(key) === result) lanes.delete(key);
      };
      result.then(leave, leave);
      return result;
    },
  };
}
