import type { Injection, Steering } from '../run.ts';
import type { Turn } from '../turn/turn-state.ts';
import { userMessage } from '../turn/user-message.ts';

/** Messages that came while a turn ran and become part of it, between two model calls. */
export interface Injections {
  /** Somebody waits. */
  isWaiting(): boolean;
  /** Writes those that are still wanted. Returns the text of the last one. */
  write(turn: Turn): Promise<string | undefined>;
  /** The turn takes no more; whoever still waits is told. */
  close(): void;
}

interface Waiting {
  message: Injection;
  answer(taken: boolean): void;
}

export function openInjections(steering: Steering): Injections {
  const waiting: Waiting[] = [];
  steering.inject = (message) => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    waiting.push({ message, answer: resolve });
    return promise;
  };

  return {
    isWaiting: () => waiting.length > 0,
    async write({ deps, recorder, engine }) {
      let text: string | undefined;
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        const { message, answer } = next;
        if (message.signal.aborted) {
          waiting.shift();
          answer(false);
          continue;
        }
        message.before();
        const entry = await recorder.message(userMessage(message.request, deps.now(), message.runIds));
        waiting.shift();
        message.taken();
        answer(true);
        text = message.request.message;
        if (entry !== undefined) await engine.deliver([entry]);
      }
      return text;
    },
    close() {
      delete steering.inject;
      for (const { answer } of waiting.splice(0)) answer(false);
    },
  };
}
