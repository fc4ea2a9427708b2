import type { EventFrame } from '../protocol/generated/types.ts';

/** A bounded queue of events with one reader. */
export interface EventQueue {
  push(event: EventFrame): void;
  /** The reader gets what is left, then the end (or the error). */
  end(error?: unknown): void;
  readonly iterator: AsyncIterableIterator<EventFrame>;
}

export function createEventQueue(limit: number, onReturn: () => void): EventQueue {
  const waiting: EventFrame[] = [];
  let reader: { resolve(result: IteratorResult<EventFrame>): void; reject(error: unknown): void } | undefined;
  let ended: { error?: unknown } | undefined;

  const finish = (): Promise<IteratorResult<EventFrame>> => {
    const error = ended?.error;
    if (error === undefined) return Promise.resolve({ done: true, value: undefined });
    ended = {};
    return Promise.reject(error);
  };

  const iterator: AsyncIterableIterator<EventFrame> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      const event = waiting.shift();
      if (event !== undefined) return Promise.resolve({ done: false, value: event });
      if (ended !== undefined) return finish();
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
      });
    },
    return() {
      ended = {};
      waiting.length = 0;
      onReturn();
      return Promise.resolve({ done: true, value: undefined });
    },
  };

  return {
    iterator,
    push(event) {
      if (ended !== undefined) return;
      if (reader !== undefined) {
        const { resolve } = reader;
        reader = undefined;
        resolve({ done: false, value: event });
        return;
      }
      waiting.push(event);
      if (waiting.length > limit) waiting.shift();
    },
    end(error) {
      if (ended !== undefined) return;
      ended = error === undefined ? {} : { error };
      if (reader === undefined) return;
      const { resolve, reject } = reader;
      reader = undefined;
      finish().then(resolve, reject);
    },
  };
}
