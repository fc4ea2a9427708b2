/** What a repeated key is answered with. */
export interface IdempotentCall<Ack, Final> {
  /** Resolves when the first call was accepted; rejects as it did. */
  accepted: Promise<Ack>;
  final?: Final;
}

/** One map for the whole gateway: `agent:<key>`, `chat:<key>`. */
export interface Idempotency {
  get<Ack, Final>(key: string): IdempotentCall<Ack, Final> | undefined;
  /** Remembers a call that begins. A call that is refused is forgotten, so that it may be tried again. */
  begin<Ack, Final>(key: string, accepted: Promise<Ack>): IdempotentCall<Ack, Final>;
  /** Its time to live counts from here. */
  finish<Final>(key: string, final: Final): void;
}

const TTL_MS = 300_000;
const MAX_ENTRIES = 1000;

export function createIdempotency(now: () => number = Date.now): Idempotency {
  // Oldest first: an entry moves to the end when its time changes.
  const entries = new Map<string, { call: IdempotentCall<unknown, unknown>; at: number }>();
  const put = (key: string, call: IdempotentCall<unknown, unknown>) => {
    entries.delete(key);
    entries.set(key, { call, at: now() });
    const expired = now() - TTL_MS;
    for (const [oldest, entry] of entries) {
      if (entries.size <= MAX_ENTRIES && (entry.at >= expired || entry.call.final === undefined)) break;
      entries.delete(oldest);
    }
  };
  return {
    get<Ack, Final>(key: string) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (entry.call.final !== undefined && entry.at < now() - TTL_MS) {
        entries.delete(key);
        return undefined;
      }
      return entry.call as IdempotentCall<Ack, Final>;
    },
    begin<Ack, Final>(key: string, accepted: Promise<Ack>) {
      const call: IdempotentCall<Ack, Final> = { accepted };
      put(key, call as IdempotentCall<unknown, unknown>);
      accepted.catch(() => {
        if (entries.get(key)?.call === call) entries.delete(key);
      });
      return call;
    },
    finish(key, final) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entry.call.final = final;
      put(key, entry.call);
    },
  };
}
