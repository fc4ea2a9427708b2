import { type AgentEvent, errorText, type StoredEntry } from '../../sdk/index.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { SessionRow } from '../../sdk/protocol/generated/types.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import type { Connection } from './connection.ts';
import type { EventHub } from './events.ts';
import { displayEntry } from './history.ts';
import type { GatewayAgent, GatewaySessions } from './options.ts';
import { sessionRow, snapshotOf } from './session-row.ts';

/** Tells sockets of the sessions that they follow. Costs nothing while nobody does. */
export interface SessionEvents {
  /** `sessions.changed`, `session.message` and `session.tool` of all sessions, until the socket closes. */
  subscribe(connection: Connection): void;
  unsubscribe(connection: Connection): void;
  /** `session.message` of one. */
  subscribeMessages(connection: Connection, key: string): void;
  unsubscribeMessages(connection: Connection, key: string): void;
  /** Somebody did something to a session. `gone`: there is no row any more. */
  changed(sessionKey: string, reason: string, extra?: { compacted?: boolean; gone?: boolean }): void;
  /** Somebody would hear of a message of this session. */
  isFollowed(sessionKey: string): boolean;
  /** A user's message that will be written when its run starts. */
  announce(sessionKey: string, message: { text: string; timestamp: number; seq: number }): void;
  /** A tool event as sockets get it: with the session's row, and what the tool gave back only where the session asks for all. */
  toolEvent(event: AgentEvent): object;
  /** The session streams what its model thinks. */
  streamsThoughts(sessionKey: string | undefined): boolean;
  close(): void;
}

/** A socket may follow so many single sessions. */
const MAX_KEYS = 1000;
/** Texts in `session.message` are cut only where `chat.history` would not send them either. */
const MAX_CHARS = 500_000;

export function createSessionEvents(params: {
  source: GenerationSource;
  agent: GatewayAgent;
  sessions: GatewaySessions;
  hub: EventHub;
  log: Logger;
}): SessionEvents {
  const { source, agent, sessions, hub, log } = params;
  const followers = new Set<Connection>();
  const followersOf = new Map<string, Set<Connection>>();
  const keysOf = new Map<Connection, Set<string>>();
  /** Rows of sessions in which a run goes on, as they were when it began or when they were last changed. */
  const live = new Map<string, SessionRow>();
  let tail: Promise<void> = Promise.resolve();

  /** One after the other, so that all followers see the same sequence. */
  const enqueue = (job: () => Promise<void>): void => {
    tail = tail.then(job).catch((error) => log.warn('followers of a session were not told', { reason: errorText(error) }));
  };

  const rowOf = async (key: string): Promise<SessionRow | undefined> => {
    const record = await sessions.get(key);
    return record === undefined ? undefined : sessionRow(record, agent.models.defaults());
  };

  /** `start`: what the begin of a run says of it, which goes over the row. */
  const refreshLive = (key: string, start: AgentEvent['data'] = {}): void => {
    rowOf(key).then(
      (row) => row !== undefined && agent.active(key).length > 0 && live.set(key, { ...running(row, start.startedAt), ...shownAs(start) }),
      (error) => log.warn('the row of a session could not be read', { sessionKey: key, reason: errorText(error) }),
    );
  };

  const audience = (key: string): Set<Connection> => {
    const ofKey = followersOf.get(key);
    return ofKey === undefined ? followers : new Set([...followers, ...ofKey]);
  };
  const isFollowed = (key: string) => followers.size > 0 || followersOf.has(key);

  const sendMessage = (key: string, row: SessionRow | undefined, place: { messageId?: string; messageSeq: number }, message: object | undefined): void => {
    const session = row === undefined ? {} : { session: row, ...snapshotOf(row) };
    if (message !== undefined) hub.send(audience(key), 'session.message', { ...session, sessionKey: key, message, ...place });
    hub.send(followers, 'sessions.changed', { ...session, sessionKey: key, phase: 'message', ts: Date.now(), ...place });
  };

  const written = (key: string, entries: readonly StoredEntry[]): void => {
    const messages = entries.filter((entry) => entry.type === 'message');
    if (messages.length === 0 || !isFollowed(key)) return;
    enqueue(async () => {
      const row = await rowOf(key);
      for (const entry of messages) sendMessage(key, row, { messageId: entry.id, messageSeq: entry.seq }, displayEntry(entry, MAX_CHARS));
    });
  };

  const lifecycle = (key: string, { runId, data }: AgentEvent): void => {
    const phase = String(data.phase);
    if (phase === 'start') refreshLive(key, data);
    else if (agent.active(key).every((run) => run.runId === runId)) live.delete(key);
    // a command may have changed how the other runs are shown
    else if (data.reply !== undefined) refreshLive(key);
    if (followers.size === 0) return;
    enqueue(async () => {
      const row = await rowOf(key);
      sendPhase(key, phase, runId, row === undefined || phase !== 'start' ? row : running(row, data.startedAt));
    });
  };

  const withRow = (event: AgentEvent, row: SessionRow | undefined): object => {
    const session = row === undefined ? {} : { session: row, ...snapshotOf(row) };
    const verbose = row?.verboseLevel ?? source.current().config.agents?.defaults?.verboseDefault;
    if (row !== undefined && verbose === 'full') return { ...session, ...event };
    const { result: _result, partialResult: _partial, ...data } = event.data;
    return { ...session, ...event, data };
  };

  const sendPhase = (key: string, phase: string, runId: string, row: SessionRow | undefined): void => {
    const session = row === undefined ? {} : { session: row, ...snapshotOf(row) };
    hub.send(followers, 'sessions.changed', { ...session, sessionKey: key, phase, runId, ts: Date.now() });
  };

  const tool = (key: string, event: AgentEvent): void => {
    if (followers.size === 0) return;
    enqueue(async () => {
      const row = await rowOf(key);
      hub.send(followers, 'session.tool', { ...withRow(event, row), sessionKey: key });
    });
  };

  const stopEvents = agent.onEvent((event) => {
    const key = event.sessionKey;
    if (key === undefined) return;
    if (event.stream === 'tool') tool(key, event);
    else if (event.stream === 'lifecycle' && ['start', 'end', 'error'].includes(String(event.data.phase))) lifecycle(key, event);
  });
  const changed: SessionEvents['changed'] = (sessionKey, reason, { compacted, gone = false } = {}) => {
    if (!gone && live.has(sessionKey)) refreshLive(sessionKey);
    if (followers.size === 0) return;
    const ts = Date.now();
    enqueue(async () => {
      const row = gone ? undefined : await rowOf(sessionKey);
      const snapshot = row === undefined ? {} : snapshotOf(row);
      hub.send(followers, 'sessions.changed', { ...snapshot, sessionKey, reason, ts, ...(compacted === undefined ? {} : { compacted }) });
    });
  };

  const stopUpdates = sessions.onUpdate(({ sessionKey, entries }) => written(sessionKey, entries));

  const stopSubagents = agent.subagents?.onChange(({ sessionKey, reason }) => changed(sessionKey, reason, { gone: reason === 'delete' }));

  const leave = (connection: Connection): void => {
    followers.delete(connection);
    for (const key of keysOf.get(connection) ?? []) drop(connection, key);
    keysOf.delete(connection);
  };
  const drop = (connection: Connection, key: string): void => {
    const ofKey = followersOf.get(key);
    ofKey?.delete(connection);
    if (ofKey?.size === 0) followersOf.delete(key);
  };
  const leaveAtEnd = (connection: Connection): void => {
    if (keysOf.has(connection)) return;
    keysOf.set(connection, new Set());
    connection.signal.addEventListener('abort', () => leave(connection), { once: true });
  };

  return {
    subscribe(connection) {
      if (connection.signal.aborted) return;
      leaveAtEnd(connection);
      followers.add(connection);
    },
    unsubscribe: (connection) => void followers.delete(connection),
    subscribeMessages(connection, key) {
      if (connection.signal.aborted) return;
      leaveAtEnd(connection);
      const keys = keysOf.get(connection);
      if (keys !== undefined && keys.size >= MAX_KEYS && !keys.has(key)) {
        throw new ProtocolError('INVALID_REQUEST', `a client may follow ${MAX_KEYS} sessions at most; use sessions.subscribe for all`);
      }
      keys?.add(key);
      const ofKey = followersOf.get(key);
      if (ofKey === undefined) followersOf.set(key, new Set([connection]));
      else ofKey.add(connection);
    },
    unsubscribeMessages(connection, key) {
      keysOf.get(connection)?.delete(key);
      drop(connection, key);
    },
    changed,
    announce(sessionKey, { text, timestamp, seq }) {
      if (!isFollowed(sessionKey)) return;
      const message = { role: 'user', content: text, timestamp, __openclaw: { seq } };
      enqueue(async () => sendMessage(sessionKey, await rowOf(sessionKey), { messageSeq: seq }, message));
    },
    isFollowed,
    toolEvent: (event) => withRow(event, event.sessionKey === undefined ? undefined : live.get(event.sessionKey)),
    streamsThoughts: (sessionKey) => sessionKey !== undefined && live.get(sessionKey)?.reasoningLevel === 'stream',
    close() {
      stopEvents();
      stopUpdates();
      stopSubagents?.();
      followers.clear();
      followersOf.clear();
      live.clear();
    },
  };
}

/** A message may say how its own run is shown. */
function shownAs({ verboseLevel, reasoningLevel }: AgentEvent['data']): Pick<SessionRow, 'verboseLevel' | 'reasoningLevel'> {
  return { ...(typeof verboseLevel === 'string' ? { verboseLevel } : {}), ...(typeof reasoningLevel === 'string' ? { reasoningLevel } : {}) };
}

/** A run is announced before its row is written. */
function running({ endedAt: _ended, runtimeMs: _runtime, ...row }: SessionRow, startedAt: unknown): SessionRow {
  return { ...row, status: 'running', abortedLastRun: false, ...(typeof startedAt === 'number' ? { startedAt } : {}) };
}
