import { type AssistantMessage, durarError, INJECTED_MODEL, messageText, reportError, type SessionRecord, type UserMessage } from '../../../sdk/index.ts';
import { INTERRUPTED, type SessionService } from '../../sessions/service.ts';
import type { KeptRun } from '../queue/run-book.ts';
import type { RunResult } from '../run-request.ts';
import { isSilentReply } from './turn-result.ts';

/** What a transcript says of a turn that an earlier process began. */
export interface TurnTrace {
  /** The messages of the inbox that the turn holds. */
  runIds: string[];
  texts: string[];
  /** Tool calls with a result of their own, not one that stands for a restart: what a turn does again and again is no progress. */
  done: number;
  /** The last reply, when it asks for nothing more: the turn had come to its end. */
  last?: AssistantMessage;
  /** Other turns came after it, so that it cannot go on from where it was. */
  isPast?: true;
}

const PAGE = 200;
/** Clocks may have been set back a little between a message and its entry. */
const SKEW_MS = 60_000;

type Sessions = Pick<SessionService, 'read'>;

/** Where the entries of these messages are, of those written since `since`, epoch ms. */
export async function findWritten(
  sessions: Sessions,
  session: SessionRecord,
  params: { ids: ReadonlySet<string>; since: number },
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  let { entries } = await sessions.read(session, { limit: PAGE });
  for (;;) {
    for (const entry of entries) {
      if (entry.type !== 'message' || entry.message.role !== 'user') continue;
      for (const id of entry.message.runIds ?? []) if (params.ids.has(id)) found.set(id, Math.min(entry.seq, found.get(id) ?? entry.seq));
    }
    const first = entries[0];
    if (first === undefined || first.seq <= 1 || Date.parse(first.timestamp) < params.since - SKEW_MS) return found;
    const fromSeq = Math.max(1, first.seq - PAGE);
    ({ entries } = await sessions.read(session, { fromSeq, limit: first.seq - fromSeq }));
  }
}

/** Reads the turn that begins with the entry at `fromSeq`. `isOpen`: a message is still to be answered; one that is not belongs to another turn. */
export async function traceTurn(sessions: Sessions, session: SessionRecord, fromSeq: number, isOpen: (id: string) => boolean): Promise<TurnTrace> {
  const trace: TurnTrace = { runIds: [], texts: [], done: 0 };
  for (let next = fromSeq; ; ) {
    const { entries } = await sessions.read(session, { fromSeq: next, limit: PAGE });
    for (const entry of entries) {
      if (entry.type !== 'message') continue;
      const { message } = entry;
      if (message.role === 'assistant' && message.model === INJECTED_MODEL) continue;
      if (message.role === 'user' && entry.seq > fromSeq && isOther(message, isOpen)) return { ...trace, isPast: true };
      delete trace.last;
      if (message.role === 'user') trace.runIds.push(...(message.runIds ?? []));
      if (message.role === 'toolResult' && messageText(message) !== INTERRUPTED) trace.done += 1;
      if (message.role !== 'assistant') continue;
      const text = messageText(message);
      if (text !== '' && !isSilentReply(text)) trace.texts.push(text);
      if (!message.content.some(({ type }) => type === 'toolCall')) trace.last = message;
    }
    const end = entries.at(-1);
    if (end === undefined || entries.length < PAGE) return trace;
    next = end.seq + 1;
  }
}

function isOther({ runIds, provenance }: UserMessage, isOpen: (id: string) => boolean): boolean {
  return runIds === undefined ? provenance?.kind === 'inter_session' : !runIds.some(isOpen);
}

/** The result of a turn that had come to its end when its process died. */
export function tracedResult({ request, accepted }: KeptRun, { texts, last }: TurnTrace, now: number): RunResult {
  const { runId, sessionKey, sessionId, acceptedAt } = accepted;
  const isAborted = last?.openclawAbort !== undefined;
  const failure =
    last?.stopReason === 'error' && !isAborted
      ? durarError('DUR_PROVIDER_FAILED', { provider: last.provider, reason: last.errorMessage ?? 'it gave no reason' })
      : undefined;
  const payloads = [...(request.preface ?? []), ...texts].map((text) => ({ text, mediaUrl: null }));
  const told = failure === undefined ? payloads : [...payloads, { text: failure.message, mediaUrl: null, isError: true }];
  const { provider, model, usage, stopReason } = last ?? {};
  return {
    runId,
    sessionKey,
    sessionId,
    status: failure === undefined ? 'ok' : 'error',
    startedAt: acceptedAt,
    endedAt: now,
    payloads: told,
    meta: {
      durationMs: now - acceptedAt,
      aborted: isAborted,
      ...(stopReason === undefined ? {} : { stopReason: isAborted ? (last?.openclawAbort?.origin ?? 'rpc') : stopReason }),
      agentMeta: {
        sessionId,
        ...(provider === undefined ? {} : { provider }),
        ...(model === undefined ? {} : { model }),
        ...(usage === undefined ? {} : { usage }),
      },
    },
    ...(failure === undefined ? {} : { error: reportError(failure) }),
  };
}
