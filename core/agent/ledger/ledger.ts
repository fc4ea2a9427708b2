import { durarError, type Usage } from '../../../sdk/index.ts';
import type { TurnPart, TurnRecord, TurnSummary } from '../../../sdk/protocol/generated/types.ts';
import type { State, StoredTurn } from '../../state/state.ts';

export type { TurnPart, TurnRecord, TurnSummary };

/** One call of the model. */
export interface ModelCall {
  /** from the request to the end of the stream */
  ms: number;
  /** The request by the host's own count. */
  estimated: number;
  /** What that count is multiplied by to say what the provider will count, as was known then. */
  factor: number;
  /** As reported. */
  usage: Usage;
  stopReason: string;
  /** Kind or code of its failure. */
  error?: string;
}

/** One compaction, whatever came of it. */
export interface Compaction {
  trigger: string;
  compacted: boolean;
  tokensBefore?: number;
  tokensAfter?: number;
}

/** What was sent to models, turn by turn: who served it and where each part came from. Ids, sources and sizes; no text. */
export interface Ledger {
  /** One insert. A second record of a run takes the place of its first. */
  write(record: TurnRecord): void;
  /** Newest first. `sessionKey` is canonical. */
  list(sessionKey: string, limit?: number): TurnSummary[];
  /** `turn`: a run id, `last` (so does nothing), or a place counted back from -1. Throws `DUR_TURN_UNKNOWN`. */
  find(params: { sessionKey: string; turn?: string | undefined }): TurnRecord;
  /** The session is gone. */
  forget(sessionKey: string): void;
}

/** A part as it is stored: kind and name, source or entry id, tokens; then, of messages, place and mark where there are any. */
type Packed = [what: string, source: string, tokens: number, seq?: number, mark?: string];

const LISTED = 20;
const PLACE = /^-?(\d{1,4})$/;
const KINDS = { s: 'system', t: 'tool', m: 'message' } as const;
const MARKS = { t: 'trimmed', c: 'cleared', i: 'images' } as const;
const ENTRY = 'entry:';
/** Entries of one group, by their numbers; what has none goes with its neighbours, up to a length. */
const BLOCK = 64;
const MOST = 4 * BLOCK;

export function createLedger(turns: State['turns']): Ledger {
  return {
    write({ parts, ...head }) {
      turns.put(head.sessionKey, head.runId, { head, groups: groupsOf(parts).map((group) => group.map(pack)) });
    },
    list: (sessionKey, limit = LISTED) => turns.heads(sessionKey, limit) as TurnSummary[],
    find({ sessionKey, turn = 'last' }) {
      const place = turn === 'last' ? 1 : Number(PLACE.exec(turn)?.[1] ?? 0);
      const found = place > 0 ? turns.at(sessionKey, place) : turns.get(turn);
      if (found === undefined) throw durarError('DUR_TURN_UNKNOWN', { turn, key: sessionKey });
      return unpack(found);
    },
    forget: (sessionKey) => turns.delete(sessionKey),
  };
}

function unpack({ head, groups }: StoredTurn): TurnRecord {
  return { ...(head as TurnSummary), parts: (groups as Packed[][]).flat().map(unpackPart) };
}

/** Cut where the same entries are cut in every turn: what is unchanged is the same groups again, and they are stored once. */
function groupsOf(parts: readonly TurnPart[]): TurnPart[][] {
  const groups: TurnPart[][] = [];
  let block: number | undefined;
  for (const part of parts) {
    const group = groups.at(-1);
    const own = part.seq === undefined ? block : Math.floor(part.seq / BLOCK);
    if (group !== undefined && group[0]?.kind === part.kind && own === (block ?? own) && group.length < MOST) group.push(part);
    else groups.push([part]);
    block = part.kind === 'message' ? own : undefined;
  }
  return groups;
}

/** An unchanged message goes without the word that says so, and without its id twice. */
function pack({ kind, name, source, tokens, entryId, seq, changed }: TurnPart): Packed {
  const what = `${kind.charAt(0)}${name}`;
  const shown = source === `${ENTRY}${entryId}` ? '' : source;
  const packed: Packed = [what, entryId === undefined ? shown : `${shown}\n${entryId}`, tokens];
  if (seq !== undefined || changed !== undefined) packed.push(seq ?? 0);
  if (changed !== undefined) packed.push(changed.charAt(0));
  return packed;
}

function unpackPart([what, from, tokens, seq = 0, mark]: Packed): TurnPart {
  const [source = '', entryId] = from.split('\n');
  const changed = MARKS[mark as keyof typeof MARKS] as TurnPart['changed'];
  return {
    kind: KINDS[what.charAt(0) as keyof typeof KINDS],
    name: what.slice(1),
    source: source === '' && entryId !== undefined ? ENTRY + entryId : source,
    tokens,
    ...(entryId === undefined ? {} : { entryId }),
    ...(seq === 0 ? {} : { seq }),
    ...(changed === undefined ? {} : { changed }),
  };
}
