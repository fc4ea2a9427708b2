import { type AgentMessage, type CompactResult, type ContextEngine, messageText, type UserMessage } from 'Durar/plugin-sdk/core';
import { type Ledger, textTokens } from './ledger.ts';
import { composeNote, findPassages } from './passages.ts';
import { searchTerms } from './query.ts';
import type { Note, SessionRow, Store, StoredMessage } from './store.ts';
import { recentTurns, shrinkTurn, type Turn } from './window.ts';

export interface RecallSettings {
  recentTurns: number;
  recallShare: number;
  maxPassages: number;
}

/** The window grows to so many times what a cut leaves, so that cuts (which cost the provider's cache) are rare. */
const GROWTH = 2;
/** A smaller budget has no room for the announcement of the tools. */
const LEAST_ANNOUNCED = 1_000;
/** Below this a turn is not cut further. */
const LEAST_CAP = 256;
const OUTLINE_LINES = 12;
const OUTLINE_CHARS = 100;

export const ANNOUNCEMENT =
  'Only the recent part of this conversation is shown to you. All earlier messages are kept and can be searched: call recall_search with a few telling words ' +
  'before you say that you do not know or remember something from earlier, and recall_read to read a message that was found whole.';

/**
 * Sends the recent turns as they are, and before the newest user message a note with earlier passages that match it.
 *
 * The view only grows at its end until the window is cut: a turn keeps its note for as long as it is shown, and a cut leaves half, so that a
 * provider's prompt cache stays warm in between. The note is part of the user message: a change of the system prompt would cost the whole
 * cache, and not every provider takes two user messages in a row.
 *
 * It has no `bootstrap`: the host then gives the whole log to `ingest`, by id and number, also what stands before a compaction.
 */
export function createRecallEngine(options: { store: Store; ledger: Ledger; settings: RecallSettings }): ContextEngine {
  const { store, ledger, settings } = options;
  /** Sessions whose history was compared with the store, in this process. */
  const compared = new Set<string>();
  let renewals = store.renewals;

  /** What the log did not give, such as a summary by another engine, or all of it after the database was lost. */
  function compare(sessionId: string, session: SessionRow, messages: readonly AgentMessage[]): void {
    if (store.renewals !== renewals) {
      compared.clear();
      renewals = store.renewals;
    }
    if (compared.has(sessionId)) return;
    store.adopt(session, messages);
    compared.add(sessionId);
  }

  /** The turns to show; a new start is written down, so that it stays. */
  function chooseTurns(session: SessionRow, messages: readonly AgentMessage[], maxTokens: number): Turn[] {
    const noteCosts = new Map(store.notes(session).map((note) => [note.stamp, textTokens(note.text)]));
    const maxTurns = settings.recentTurns * GROWTH;
    const { turns, isComplete } = recentTurns(messages, ledger, { startStamp: session.startStamp, maxTurns, maxTokens });
    const withNotes = turns.reduce((sum, turn) => sum + turn.tokens + (noteCosts.get(turn.stamp) ?? 0), 0);
    if (isComplete && (withNotes <= maxTokens || turns.length === 1)) return turns;
    const kept: Turn[] = [];
    let tokens = 0;
    for (const turn of turns.toReversed()) {
      tokens += turn.tokens + (noteCosts.get(turn.stamp) ?? 0);
      if (kept.length > 0 && (kept.length >= settings.recentTurns || tokens > maxTokens / GROWTH)) break;
      kept.unshift(turn);
    }
    const first = kept[0];
    if (first !== undefined) store.setStart(session, first.stamp, store.placeOf(session, first.stamp) ?? session.startPlace);
    return kept;
  }

  /** The note of the newest user message, made once. */
  function noteFor(
    session: SessionRow,
    turns: readonly Turn[],
    notes: readonly Note[],
    { prompt, before, room }: { prompt: string; before: number; room: number },
  ): Note | undefined {
    const newest = turns.at(-1);
    if (newest?.messages[0]?.role !== 'user') return undefined;
    const known = notes.find(({ stamp }) => stamp === newest.stamp);
    if (known !== undefined) return known;
    const place = store.placeOf(session, newest.stamp);
    if (place === undefined) return undefined;
    const shown = new Set(notes.flatMap(({ refs }) => refs));
    const search = { terms: searchTerms(prompt), before, maxPassages: settings.maxPassages, shown };
    const note = composeNote(newest.stamp, findPassages(store, session, search), room);
    store.addNote(session, note, place);
    return note;
  }

  return {
    info: { id: 'recall', name: 'Recall context engine', version: '1.0.0', ownsCompaction: true },

    async ingest({ sessionId, message, entryId, seq }) {
      return { ingested: store.add(store.session(sessionId), message, { entryId, seq }) };
    },

    async assemble({ sessionId, messages, tokenBudget, prompt }) {
      if (messages.length === 0) return { messages: [], estimatedTokens: 0 };
      let session = store.session(sessionId);
      compare(sessionId, session, messages);
      const newestUser = messages.findLast((message) => message.role === 'user');
      const capped = newestUser !== undefined && session.capStamp === ledger.stamp(newestUser) ? session.cap : undefined;
      const whole = Math.min(tokenBudget, capped ?? tokenBudget);
      const announced = capped === undefined && whole >= LEAST_ANNOUNCED ? ANNOUNCEMENT : undefined;
      const budget = whole - (announced === undefined ? 0 : textTokens(announced) + 1);

      const turns = chooseTurns(session, messages, capped === undefined ? Math.floor(budget * (1 - settings.recallShare)) : budget);
      session = store.session(sessionId);
      const notes = store.notes(session);
      const tokensOf = (turn: Turn) => turn.tokens + textTokens(notes.find(({ stamp }) => stamp === turn.stamp)?.text ?? '') + 1;
      const first = turns[0] === undefined ? undefined : store.placeOf(session, turns[0].stamp);
      const isCut = first !== undefined && store.hasEarlier(session, first);
      const used = turns.reduce((sum, turn) => sum + tokensOf(turn), 0);
      const room = Math.min(Math.floor(budget * settings.recallShare), budget - used);
      const question = prompt ?? (newestUser === undefined ? '' : messageText(newestUser));
      const note = isCut && room > 0 ? noteFor(session, turns, notes, { prompt: question, before: first, room }) : undefined;
      const texts = new Map([...notes, ...(note === undefined ? [] : [note])].map(({ stamp, text }) => [stamp, text]));

      let shown = turns.flatMap((turn) => withNote(turn.messages, texts.get(turn.stamp)));
      let estimatedTokens = cost(shown);
      if (estimatedTokens > budget) {
        // only the newest turn is left by now, and it does not fit; its note goes first
        shown = shrinkTurn(turns.at(-1)?.messages ?? [], ledger, budget);
        estimatedTokens = cost(shown);
      }
      if (!isCut || announced === undefined) return { messages: shown, estimatedTokens };
      return { messages: shown, estimatedTokens: estimatedTokens + textTokens(announced), systemPromptAddition: announced };
    },

    /** Moves the start of the window to the half of what it holds. Nothing is summarised: all of it stays in the store. */
    async compact({ sessionId, tokenBudget, force, compactionTarget }): Promise<CompactResult> {
      const session = store.session(sessionId);
      const turns = storedTurns(store, session);
      const newest = turns.at(-1);
      const active = newest !== undefined && session.capStamp === newest.start.stamp ? session.cap : undefined;
      const ofNotes = store.notes(session).reduce((total, { text }) => total + textTokens(text), 0);
      const tokensBefore = Math.min(sum(turns) + ofNotes, active ?? Number.POSITIVE_INFINITY);
      if (newest === undefined) return { ok: true, compacted: false, reason: 'the session has no messages yet', result: { tokensBefore: 0 } };
      const target = Math.floor(Math.min(tokensBefore, tokenBudget ?? tokensBefore) / GROWTH);
      const kept = [newest];
      let tokensAfter = newest.tokens;
      for (const turn of turns.slice(0, -1).toReversed()) {
        if (tokensAfter + turn.tokens > target) break;
        tokensAfter += turn.tokens;
        kept.unshift(turn);
      }
      const dropped = turns.slice(0, turns.length - kept.length);
      const isRefused = force !== true && compactionTarget !== 'threshold';
      const cap = target < LEAST_CAP ? tokensAfter : target;
      if (dropped.length === 0 && (!isRefused || cap >= tokensBefore)) {
        return { ok: true, compacted: false, reason: 'only the newest turn is left in the window', result: { tokensBefore } };
      }
      // the model has refused what was sent: all that is sent instead, notes and the newest turn included, must be smaller
      if (isRefused) {
        store.setCap(session, newest.start.stamp, cap);
        tokensAfter = Math.min(tokensAfter, cap);
      }
      const start = (kept[0] ?? newest).start;
      if (dropped.length > 0) store.setStart(session, start.stamp, start.place);
      const id = start.entryId === undefined ? {} : { firstKeptEntryId: start.entryId };
      return { ok: true, compacted: true, result: { ...id, ...outline(dropped), tokensBefore, tokensAfter } };
    },

    async onSessionEnded({ sessionId }) {
      store.remove(sessionId);
      compared.delete(sessionId);
    },

    async dispose() {
      store.close();
    },
  };

  function cost(messages: readonly AgentMessage[]): number {
    return messages.reduce((total, message) => total + ledger.tokens(message), 0);
  }
}

/** A turn as the store knows it. */
interface StoredTurn {
  start: StoredMessage;
  tokens: number;
}

const PAGE = 500;

/** What the window holds now, oldest first. */
function storedTurns(store: Store, session: SessionRow): StoredTurn[] {
  const turns: StoredTurn[] = [];
  for (let from = session.startPlace; ; ) {
    const page = store.neighbours(session, from, false, PAGE);
    for (const message of page) {
      const turn = turns.at(-1);
      if (turn === undefined || message.role === 'user') turns.push({ start: message, tokens: message.tokens });
      else turn.tokens += message.tokens;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return turns;
    from = nextAfter(last.place);
  }
}

/** The least place behind another one, for all that this store counts. */
function nextAfter(place: number): number {
  return place + Number.EPSILON * Math.max(1, place);
}

function sum(turns: readonly StoredTurn[]): number {
  return turns.reduce((total, { tokens }) => total + tokens, 0);
}

/** For people: how what left the window began, message by message; the newest of it. */
function outline(dropped: readonly StoredTurn[]): { summary?: string } {
  if (dropped.length === 0) return {};
  const lines = dropped.slice(-OUTLINE_LINES).map(({ start }) => `- ${start.text.trim().split('\n', 1)[0]?.slice(0, OUTLINE_CHARS)}`);
  return { summary: [`${dropped.length} earlier turns left the window and can still be searched. The latest of them:`, ...lines].join('\n') };
}

/** The note as a part of the user message it belongs to. The message itself is not changed. */
function withNote(messages: readonly AgentMessage[], note: string | undefined): readonly AgentMessage[] {
  const [first, ...rest] = messages;
  if (note === undefined || note === '' || first?.role !== 'user') return messages;
  const own = typeof first.content === 'string' ? [{ type: 'text' as const, text: first.content }] : first.content;
  const message: UserMessage = { ...first, content: [{ type: 'text', text: `${note}\n` }, ...own] };
  return [message, ...rest];
}
