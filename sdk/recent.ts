/** Remembers so many and forgets the oldest. */
export interface Recent<Value> {
  get(key: string): Value | undefined;
  /** Makes it the newest. */
  set(key: string, value: Value): void;
  delete(key: string): void;
}

export function createRecent<Value>(most: number): Recent<Value> {
  const held = new Map<string, Value>();
  return {
    get: (key) => held.get(key),
    delete: (key) => void held.delete(key),
    set(key, value) {
      held.delete(key);
      held.set(key, value);
      const [oldest] = held.keys();
      if (held.size > most && oldest !== undefined) held.delete(oldest);
    },
  };
}
