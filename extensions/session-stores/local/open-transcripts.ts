import type { Transcript } from './transcript.ts';

const MAX_OPEN = 64;
/** Over all open transcripts; an entry's place costs about 100 bytes of memory. */
const MAX_ENTRIES = 500_000;

interface Slot {
  loading: Promise<Transcript>;
  transcript?: Transcript;
  /** Uses under way; a slot in use is not closed. */
  users: number;
  dropped: boolean;
}

/** The transcripts that are open now, each at most once; those not used for longest are closed first. */
export interface OpenTranscripts {
  /** Opens the transcript when it is not open and keeps it open while `work` runs. */
  use<Result>(sessionId: string, open: () => Promise<Transcript>, work: (transcript: Transcript) => Promise<Result> | Result): Promise<Result>;
  /** Forgets it; its file is closed when its last use ends. */
  drop(sessionId: string): void;
  dropAll(): void;
}

export function createOpenTranscripts(): OpenTranscripts {
  const slots = new Map<string, Slot>();

  const closeIdle = (slot: Slot) => {
    if (slot.dropped && slot.users === 0) slot.transcript?.close();
  };

  const drop = (sessionId: string) => {
    const slot = slots.get(sessionId);
    if (slot === undefined) return;
    slots.delete(sessionId);
    slot.dropped = true;
    closeIdle(slot);
  };

  const trim = () => {
    let entries = 0;
    for (const slot of slots.values()) entries += slot.transcript?.lastSeq ?? 0;
    for (const [sessionId, slot] of slots) {
      if (slots.size <= MAX_OPEN && entries <= MAX_ENTRIES) return;
      if (slot.users > 0) continue;
      entries -= slot.transcript?.lastSeq ?? 0;
      drop(sessionId);
    }
  };

  const take = (sessionId: string, open: () => Promise<Transcript>): Slot => {
    const present = slots.get(sessionId);
    const slot = present ?? { loading: open(), users: 0, dropped: false };
    if (present !== undefined) slots.delete(sessionId);
    slots.set(sessionId, slot);
    return slot;
  };

  const load = async (sessionId: string, slot: Slot): Promise<Transcript> => {
    try {
      slot.transcript = await slot.loading;
    } catch (error) {
      if (slots.get(sessionId) === slot) slots.delete(sessionId);
      throw error;
    }
    trim();
    return slot.transcript;
  };

  const use: OpenTranscripts['use'] = async (sessionId, open, work) => {
    const slot = take(sessionId, open);
    slot.users++;
    try {
      const transcript = slot.transcript ?? (await load(sessionId, slot));
      if (!slot.dropped) return await work(transcript);
    } finally {
      slot.users--;
      closeIdle(slot);
    }
    // Dropped while it was being opened: what is there now decides.
    return use(sessionId, open, work);
  };

  return {
    use,
    drop,
    dropAll() {
      for (const sessionId of [...slots.keys()]) drop(sessionId);
    },
  };
}
