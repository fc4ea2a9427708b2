import { errorCode, errorText, type SessionRecord } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../run-request.ts';
import type { SubagentBook } from './subagents-book.ts';
import { isSubagentKey, type SubagentRow } from './subagents-row.ts';

/** Sends what a run that nobody waits for has said to where its session talks; a message of one id once. Resolves when it is kept for that. */
export type DeliverReply = (message: {
  id: string;
  channel: string;
  to: string;
  accountId?: string;
  threadId?: string;
  text: string;
  runId: string;
  sessionKey: string;
}) => Promise<unknown>;

type Origin = Pick<RunRequest, 'channel' | 'to' | 'accountId' | 'threadId'>;

/** Brings the announcement of a row into its requester's session, once. Resolves when it is queued there, or when there is nobody to tell. */
export type Announce = (row: SubagentRow) => Promise<void>;

export function createAnnouncer(deps: {
  source: GenerationSource;
  sessions: SessionService;
  book: SubagentBook;
  log: Logger;
  begin(request: RunRequest): Promise<AcceptedRun>;
  untilEnd(runId: string): Promise<RunResult>;
  track(task: Promise<void>): void;
  /** A run was begun in that session; it is part of what a sub-agent's end waits for. */
  joined(sessionKey: string, runId: string): void;
  /** The announcement is in the requester's transcript, or will never be. */
  done(row: SubagentRow): Promise<void>;
  deliver?: DeliverReply | undefined;
}): Announce {
  const { source, sessions, book, log } = deps;

  /** Whoever started the sub-agent, else whoever started that one. */
  async function listener(requester: string): Promise<SessionRecord | undefined> {
    for (let key: string | undefined = requester; key !== undefined; key = book.get(key)?.requester) {
      const session = await sessions.get(key);
      if (session !== undefined) return session;
    }
    return undefined;
  }

  async function isWritten(session: SessionRecord, { id, fromSeq }: NonNullable<SubagentRow['announcement']>): Promise<boolean> {
    if (fromSeq === undefined) return false;
    const { entries } = await sessions.read(session, { fromSeq, limit: 1_000 });
    return entries.some((entry) => entry.type === 'message' && entry.message.role === 'user' && entry.message.provenance?.announceId === id);
  }

  /** Where the reply goes: as a hook says, else where the session last talked. */
  async function originOf(row: SubagentRow, session: SessionRecord): Promise<Origin> {
    const { lastChannel: channel, lastTo: to, lastAccountId: accountId, extra } = session;
    const threadId = extra?.lastThreadId;
    const own: Origin = {
      ...(channel === undefined ? {} : { channel }),
      ...(to === undefined ? {} : { to }),
      ...(accountId === undefined ? {} : { accountId }),
      ...(typeof threadId === 'string' ? { threadId } : {}),
    };
    const { hooks } = source.current();
    if (!hooks.has('subagent_delivery_target')) return own;
    const event = {
      childSessionKey: row.child,
      requesterSessionKey: session.key,
      requesterOrigin: own,
      childRunId: row.runId,
      spawnMode: row.mode,
      expectsCompletionMessage: true,
    };
    const answer = await hooks.call('subagent_delivery_target', event, { agentId: session.agentId, sessionKey: session.key });
    return originFrom(answer?.origin) ?? own;
  }

  async function deliver({ channel, to, accountId, threadId }: Origin, { payloads, runId, sessionKey }: RunResult): Promise<void> {
    if (deps.deliver === undefined || channel === undefined || to === undefined || channel === INTERNAL_CHANNEL) return;
    for (const [index, { text, isError, isReasoning }] of payloads.entries()) {
      if (text === undefined || isError === true || isReasoning === true) continue;
      const place = { ...(accountId === undefined ? {} : { accountId }), ...(threadId === undefined ? {} : { threadId }) };
      await deps.deliver({ id: `${runId}:${index}`, channel, to, ...place, text, runId, sessionKey });
    }
  }

  async function done(row: SubagentRow): Promise<void> {
    delete row.announcement;
    book.save(row);
    await deps.done(row);
  }

  return async (row) => {
    const { announcement } = row;
    if (announcement === undefined) return;
    const session = await listener(row.requester);
    if (session === undefined) return done(row);
    if (announcement.requester === session.key && (await isWritten(session, announcement))) return done(row);
    const { lastSeq } = await sessions.read(session, { limit: 1 });
    Object.assign(announcement, { requester: session.key, fromSeq: lastSeq + 1 });
    book.save(row);
    const origin = await originOf(row, session);
    let runId: string;
    try {
      const provenance = { kind: 'inter_session' as const, sourceSessionKey: row.child, sourceTool: 'sessions_spawn', announceId: announcement.id };
      const lane = isSubagentKey(session.key) ? { lane: 'subagent' } : {};
      ({ runId } = await deps.begin({ runId: announcement.id, sessionKey: session.key, message: announcement.text, provenance, ...lane, ...origin }));
    } catch (error) {
      // the next start goes on with it
      if (errorCode(error) === 'DUR_HOST_STOPPED') return;
      log.error(`the result of a sub-agent could not be announced: ${errorText(error)}`, { sessionKey: row.child });
      return done(row);
    }
    deps.joined(session.key, runId);
    const ending = async () => {
      const result = await deps.untilEnd(runId);
      if (result.meta.stopReason === 'shutdown' && !(await isWritten(session, announcement))) return;
      // kept for delivery before the announcement counts as done
      try {
        await deliver(origin, result);
      } finally {
        await done(row);
      }
    };
    deps.track(
      ending().catch((error: unknown) => log.error(`the answer to a sub-agent's result was not delivered: ${errorText(error)}`, { sessionKey: session.key })),
    );
  };
}

function originFrom(given: unknown): Origin | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  const found: Origin = {};
  for (const name of ['channel', 'to', 'accountId', 'threadId'] as const) {
    const value = (given as Record<string, unknown>)[name];
    if (typeof value === 'string' && value !== '') found[name] = value;
    else if (typeof value === 'number') found[name] = String(value);
  }
  return found.channel === undefined ? undefined : found;
}
