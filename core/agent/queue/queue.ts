import type { Config } from '../../config/schema.ts';

type QueueConfig = Config['messages']['queue'];

/** How messages wait while their session is busy. */
export interface QueueSettings {
  mode: QueueConfig['mode'];
  /** milliseconds of quiet before the next turn */
  debounceMs: number;
  /** most messages that wait in one session */
  cap: number;
  drop: QueueConfig['drop'];
}

export interface QueueItem {
  id: string;
  text: string;
  /** Where the answer goes; only messages of one route share a turn. */
  route: string;
}

/** What one turn answers. */
export interface Batch<Item> {
  /** In the order of arrival; never empty, unless only dropped messages are left to be told. */
  items: Item[];
  /** Ids of messages that were dropped for a summary, which the first turn after them tells. */
  dropped: string[];
  /** Of `dropped`, one bullet a message, newest last. */
  summary?: string;
}

/** Why a message gets no turn. */
export type DropReason = 'full' | 'superseded';

/** Messages of people, by session: one turn at a time, and what happens to those that come meanwhile. Nothing is kept here that is not also in the inbox. */
export interface Queue<Item extends QueueItem> {
  /** Resolves when it is decided what becomes of the message: it began, steers, waits, or was dropped. */
  offer(sessionKey: string, item: Item, settings: QueueSettings): Promise<void>;
  /** Takes a waiting message out. False when it does not wait here. */
  remove(sessionKey: string, id: string): boolean;
  /** Nothing runs or waits in the session: a message would begin at once. */
  isIdle(sessionKey: string): boolean;
  waiting(sessionKey: string): readonly Item[];
  counts(): { sessions: number; waiting: number };
  /** Forgets what was dropped for a summary, and returns the ids. */
  forget(sessionKey: string): string[];
}

export interface QueueOptions<Item extends QueueItem> {
  /** A turn runs in the session, or is about to. */
  isBusy(sessionKey: string): boolean;
  /** Resolves when no turn runs there. */
  idle(sessionKey: string): Promise<void>;
  /** Puts the message into the running turn, after its present tool; false when it cannot take one. `keeps`: it waits for a turn of its own as well. */
  steer(sessionKey: string, item: Item, keeps: boolean): Promise<boolean>;
  /** Aborts what runs in the session. */
  interrupt(sessionKey: string): void;
  /** Begins a turn; from here on the session is busy. */
  begin(sessionKey: string, batch: Batch<Item>): void;
  dropped(sessionKey: string, item: Item, reason: DropReason): void;
  /** Its place was taken; a later turn tells it in short, and has its id among the dropped. */
  summarized?(sessionKey: string, item: Item): void;
  /** epoch ms */
  now?: () => number;
}

interface Backlog<Item> {
  items: Item[];
  /** Ids of what was dropped for a summary, and the newest bullets of it. */
  dropped: string[];
  bullets: string[];
  settings: QueueSettings;
  /** epoch ms of the last arrival */
  lastAt: number;
}

/** A summary names no more than these, the newest; the others are counted. */
const BULLETS = 40;
const BULLET_CHARS = 160;

export function createQueue<Item extends QueueItem>(options: QueueOptions<Item>): Queue<Item> {
  const { now = Date.now } = options;
  const backlogs = new Map<string, Backlog<Item>>();

  function push(sessionKey: string, item: Item, settings: QueueSettings): void {
    const present = backlogs.get(sessionKey);
    const backlog = present ?? { items: [], dropped: [], bullets: [], settings, lastAt: 0 };
    backlog.settings = settings;
    backlog.lastAt = now();
    const dropped = admit(backlog, item);
    if (dropped !== undefined) {
      if (backlog.dropped.at(-1) === dropped.id) options.summarized?.(sessionKey, dropped);
      else options.dropped(sessionKey, dropped, 'full');
    }
    if (present !== undefined) return;
    backlogs.set(sessionKey, backlog);
    void drain(sessionKey, backlog);
  }

  /** One turn after the other, each when the session is idle and its people are quiet, until nobody waits. */
  async function drain(sessionKey: string, backlog: Backlog<Item>): Promise<void> {
    while (backlog.items.length + backlog.dropped.length > 0) {
      await options.idle(sessionKey);
      const quietIn = backlog.lastAt + backlog.settings.debounceMs - now();
      if (quietIn > 0) await sleep(quietIn);
      else if (!options.isBusy(sessionKey)) options.begin(sessionKey, take(backlog));
    }
    backlogs.delete(sessionKey);
  }

  const isIdle = (sessionKey: string) => !backlogs.has(sessionKey) && !options.isBusy(sessionKey);

  return {
    isIdle,

    async offer(sessionKey, item, settings) {
      const { mode } = settings;
      if (isIdle(sessionKey)) return options.begin(sessionKey, { items: [item], dropped: [] });
      if (mode === 'interrupt') {
        for (const older of backlogs.get(sessionKey)?.items.splice(0) ?? []) options.dropped(sessionKey, older, 'superseded');
        options.interrupt(sessionKey);
        return push(sessionKey, item, { ...settings, debounceMs: 0 });
      }
      const keeps = mode === 'steer-backlog' || mode === 'steer+backlog';
      // nobody gets ahead of those who wait already
      const steers = keeps || ((mode === 'steer' || mode === 'queue') && !backlogs.has(sessionKey));
      const steered = steers && (await options.steer(sessionKey, item, keeps));
      if (keeps || !steered) push(sessionKey, item, settings);
    },

    remove(sessionKey, id) {
      const items = backlogs.get(sessionKey)?.items ?? [];
      const at = items.findIndex((item) => item.id === id);
      if (at >= 0) items.splice(at, 1);
      return at >= 0;
    },

    forget(sessionKey) {
      const backlog = backlogs.get(sessionKey);
      backlog?.bullets.splice(0);
      return backlog?.dropped.splice(0) ?? [];
    },

    waiting: (sessionKey) => backlogs.get(sessionKey)?.items ?? [],

    counts() {
      let waiting = 0;
      for (const { items } of backlogs.values()) waiting += items.length;
      return { sessions: backlogs.size, waiting };
    },
  };
}

/** Takes the message in and returns the one that had to go; a summary takes the oldest over. */
function admit<Item extends QueueItem>(backlog: Backlog<Item>, item: Item): Item | undefined {
  const { items, settings } = backlog;
  if (items.length < settings.cap) {
    items.push(item);
    return undefined;
  }
  if (settings.drop === 'new') return item;
  const oldest = items.shift();
  items.push(item);
  if (settings.drop === 'old' || oldest === undefined) return oldest;
  backlog.dropped.push(oldest.id);
  backlog.bullets.push(`- ${brief(oldest.text)}`);
  if (backlog.bullets.length > BULLETS) backlog.bullets.shift();
  return oldest;
}

/** What the next turn answers: everything of the first one's route when messages are collected, else the first alone. */
function take<Item extends QueueItem>({ items, dropped: ids, bullets, settings }: Backlog<Item>): Batch<Item> {
  const dropped = ids.splice(0);
  const route = items[0]?.route;
  const others = settings.mode === 'collect' ? items.findIndex((item) => item.route !== route) : 1;
  const batch = { items: items.splice(0, others < 0 ? items.length : others), dropped };
  return dropped.length === 0 ? batch : { ...batch, summary: summarize(dropped.length, bullets.splice(0)) };
}

function summarize(dropped: number, bullets: readonly string[]): string {
  const head = `[${dropped} earlier ${dropped === 1 ? 'message was' : 'messages were'} dropped because the queue was full]`;
  return [head, ...(bullets.length < dropped ? [`(the newest ${bullets.length} of them)`] : []), ...bullets].join('\n');
}

function brief(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= BULLET_CHARS ? line : `${line.slice(0, BULLET_CHARS - 1)}…`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
