/** What Discord needs to go on with a session after its connection ended, as the library writes it. */
export interface SessionInfo {
  sessionId: string;
  resumeURL: string;
  sequence: number;
  shardId: number;
  shardCount: number;
}

/** Small values that outlive the process. */
export interface SessionStorage {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<void>;
}

/** Remembers how far the events of one bot are dealt with, so that a later connection gets all others again. */
export interface GatewaySession {
  /** The session of a shard, at the last event before which all are dealt with. */
  info(shardId: number): SessionInfo | null;
  /** A new session, or none. The position of a known session is not the caller's to set. */
  begin(shardId: number, info: SessionInfo | null): void;
  /** Notes an event; what it returns is called when the event is dealt with. undefined: it was seen before. */
  take(shardId: number, sequence: number): (() => void) | undefined;
  /** The last message of a channel that the host took. */
  heard(channelId: string, message: HeardMessage): void;
  /** Channels that may have said something between two sessions, each with the last message that was taken there. */
  behind(): Array<[string, HeardMessage]>;
  /** The channel was looked through. */
  caughtUp(channelId: string): void;
  /** Writes what is not written yet. */
  flush(): Promise<void>;
}

export interface HeardMessage {
  id: string;
  guildId?: string;
  isBehind?: boolean;
}

/** Channels that are looked through when a session was lost. */
const PLACES = 200;
/** At most so often is anything written. Events that were dealt with since then come again, and are recognised. */
const WRITE_MS = 250;

interface Shard {
  info: SessionInfo;
  seen: number;
  /** Seen and not dealt with, in order. */
  open: Set<number>;
}

export async function openGatewaySession(storage: SessionStorage, key: string, onError: (error: unknown) => void): Promise<GatewaySession> {
  const stored = readStored(await storage.get(key));
  const shards = new Map(stored.shards.map((info): [number, Shard] => [info.shardId, { info, seen: info.sequence, open: new Set() }]));
  const places = new Map(stored.places);
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();

  function changed(): void {
    timer ??= setTimeout(write, WRITE_MS).unref();
  }

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    const value = { shards: Array.from(shards.values(), current), places: [...places] };
    writing = writing.then(() => storage.set(key, value)).catch(onError);
  }

  return {
    info(shardId) {
      const shard = shards.get(shardId);
      return shard === undefined ? null : current(shard);
    },
    begin(shardId, info) {
      if (info === null) shards.delete(shardId);
      else if (shards.get(shardId)?.info.sessionId === info.sessionId) return;
      else {
        shards.set(shardId, { info, seen: info.sequence, open: new Set() });
        for (const [channelId, heard] of places) places.set(channelId, { ...heard, isBehind: true });
      }
      // a kill before this is on disk would lose the session
      write();
    },
    take(shardId, sequence) {
      const shard = shards.get(shardId);
      if (shard === undefined) return () => undefined;
      if (sequence <= shard.seen) return undefined;
      shard.seen = sequence;
      shard.open.add(sequence);
      return () => {
        shard.open.delete(sequence);
        changed();
      };
    },
    heard(channelId, message) {
      const isBehind = places.get(channelId)?.isBehind === true;
      places.delete(channelId);
      places.set(channelId, isBehind ? { ...message, isBehind } : message);
      const [oldest] = places.keys();
      if (places.size > PLACES && oldest !== undefined) places.delete(oldest);
      changed();
    },
    behind: () => [...places].filter(([, { isBehind }]) => isBehind),
    caughtUp(channelId) {
      const heard = places.get(channelId);
      if (heard === undefined) return;
      const { isBehind: _, ...rest } = heard;
      places.set(channelId, rest);
      changed();
    },
    async flush() {
      if (timer !== undefined) write();
      await writing;
    },
  };
}

function current({ info, seen, open }: Shard): SessionInfo {
  const [first] = open;
  return { ...info, sequence: first === undefined ? seen : first - 1 };
}

function readStored(value: unknown): { shards: SessionInfo[]; places: Array<[string, HeardMessage]> } {
  const { shards, places } = (value ?? {}) as { shards?: unknown; places?: unknown };
  return {
    shards: Array.isArray(shards) ? shards.filter(isSession) : [],
    places: Array.isArray(places) ? (places as Array<[string, HeardMessage]>) : [],
  };
}

function isSession(value: unknown): value is SessionInfo {
  const { sessionId, resumeURL, sequence, shardId, shardCount } = (value ?? {}) as Partial<SessionInfo>;
  return typeof sessionId === 'string' && isSocketUrl(resumeURL) && [sequence, shardId, shardCount].every(Number.isInteger);
}

/** The library bears no other: what it throws while it connects nobody catches. */
export function isSocketUrl(url: unknown): url is string {
  return typeof url === 'string' && /^wss?:/i.test(url) && URL.canParse(url);
}
