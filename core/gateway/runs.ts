import type { AgentEvent } from '../../sdk/index.ts';
import type { Connection } from './connection.ts';
import type { EventHub } from './events.ts';
import type { GatewayAgent } from './options.ts';
import type { SessionEvents } from './session-events.ts';

/** Follows the runs: sends their `agent` events, derives `chat` events, and remembers who started which. */
export interface Runs {
  /**
   * A client asks for a run: until `release`, its events wait, so that the acknowledgement comes first. False: there is such a run already, and
   * it stays with whoever started it.
   */
  begin(params: { runId: string; sessionKey: string; connection: Connection }): boolean;
  release(runId: string): void;
  /** The run was refused, or is over. */
  forget(runId: string): void;
  /** Who started it; undefined for a run that no client of this process started, or that is over. */
  owner(runId: string): { sessionKey: string; connId: string; deviceId?: string } | undefined;
  close(): void;
}

interface Run {
  runId: string;
  /** As the caller sent it. */
  sentKey?: string;
  connId?: string;
  deviceId?: string;
  canonicalKey?: string;
  /** Sockets that get its tool events. */
  watchers: Set<Connection>;
  held?: AgentEvent[];
  /** The whole text so far, and the event that brought it. */
  text: string;
  textSeq: number;
  sentSeq: number;
  sentAt: number;
  timer?: NodeJS.Timeout;
}

/** At most one `chat` delta per run in this time. */
const DELTA_MS = 150;
const SILENT_REPLY = 'NO_REPLY';
const ABORT_ORIGINS = new Set(['rpc', 'stop', 'timeout', 'shutdown']);

export function createRuns(params: {
  agent: Pick<GatewayAgent, 'active' | 'isActive' | 'onEvent'>;
  hub: EventHub;
  sessionEvents: Pick<SessionEvents, 'toolEvent' | 'streamsThoughts'>;
  now?: () => number;
}): Runs {
  const { agent, hub, sessionEvents } = params;
  const now = params.now ?? Date.now;
  const runs = new Map<string, Run>();
  const isActive = agent.isActive ?? ((runId: string) => agent.active().some((run) => run.runId === runId));

  const find = (runId: string): Run => {
    const present = runs.get(runId);
    if (present !== undefined) return present;
    const run: Run = { runId, watchers: new Set(), text: '', textSeq: 0, sentSeq: 0, sentAt: Number.NEGATIVE_INFINITY };
    runs.set(runId, run);
    return run;
  };

  const chat = (run: Run, seq: number, state: string, extra: Record<string, unknown>, key = run.canonicalKey) => {
    if (key !== undefined) hub.broadcast('chat', { runId: run.runId, sessionKey: key, seq, state, ...extra }, { dropIfSlow: state === 'delta' });
  };

  const flush = (run: Run) => {
    clearTimeout(run.timer);
    delete run.timer;
    if (run.textSeq <= run.sentSeq || isSilent(run.text)) return;
    run.sentSeq = run.textSeq;
    run.sentAt = now();
    chat(run, run.textSeq, 'delta', { message: messageOf(run.text, run.sentAt) });
  };

  const end = (run: Run, event: AgentEvent) => {
    const { data, seq } = event;
    if (data.phase === 'error') {
      flush(run);
      chat(run, seq, 'error', { errorMessage: String(data.error ?? 'the run failed') });
    } else if (data.aborted === true) {
      clearTimeout(run.timer);
      const stopReason = ABORT_ORIGINS.has(String(data.stopReason)) ? data.stopReason : 'rpc';
      chat(run, seq, 'aborted', { stopReason, ...reply(run) }, run.sentKey ?? run.canonicalKey);
    } else {
      flush(run);
      chat(run, seq, 'final', reply(run));
    }
    runs.delete(run.runId);
  };

  const reply = (run: Run) => (run.text === '' || isSilent(run.text) ? {} : { message: messageOf(run.text, now()) });

  /** What the model thinks is streamed only where the session asks for it. */
  const tell = (event: AgentEvent) => {
    if (event.stream === 'thinking' && !sessionEvents.streamsThoughts(event.sessionKey)) return;
    hub.broadcast('agent', event);
  };

  const take = (run: Run, event: AgentEvent) => {
    if (event.sessionKey !== undefined) run.canonicalKey ??= event.sessionKey;
    if (event.stream === 'tool') {
      if (event.data.phase === 'start') flush(run);
      const watchers = watchersOf(runs, run);
      if (watchers.size > 0) hub.send(watchers, 'agent', sessionEvents.toolEvent(event));
      return;
    }
    tell(event);
    if (event.stream === 'assistant' && typeof event.data.text === 'string') {
      run.text = event.data.text;
      run.textSeq = event.seq;
      const wait = run.sentAt + DELTA_MS - now();
      if (wait <= 0) flush(run);
      else run.timer ??= setTimeout(() => flush(run), wait).unref();
    } else if (event.stream === 'lifecycle' && (event.data.phase === 'end' || event.data.phase === 'error')) {
      // a command's whole answer comes with its end
      if (typeof event.data.reply === 'string') run.text = event.data.reply;
      end(run, event);
    }
  };

  const stop = agent.onEvent((event) => {
    // clients hear of a run when it begins
    if (event.data.phase === 'queued') return;
    const isStart = event.stream === 'lifecycle' && (event.data.phase === 'start' || event.data.reply !== undefined);
    const run = runs.get(event.runId) ?? (isStart ? find(event.runId) : undefined);
    // What comes after a run's end belongs to nobody's chat any more.
    if (run === undefined) {
      if (event.stream !== 'tool') tell(event);
    } else if (run.held === undefined) take(run, event);
    else run.held.push(event);
  });

  return {
    begin({ runId, sessionKey, connection }) {
      if (runs.has(runId) || isActive(runId)) return false;
      const run = find(runId);
      run.sentKey = sessionKey;
      run.connId = connection.id;
      if (connection.client?.deviceId !== undefined) run.deviceId = connection.client.deviceId;
      if (connection.client?.caps.has('tool-events')) run.watchers.add(connection);
      run.held = [];
      return true;
    },
    release(runId) {
      const run = runs.get(runId);
      const held = run?.held;
      if (run === undefined || held === undefined) return;
      delete run.held;
      for (const event of held) take(run, event);
    },
    forget(runId) {
      clearTimeout(runs.get(runId)?.timer);
      runs.delete(runId);
    },
    owner(runId) {
      const run = runs.get(runId);
      if (run?.sentKey === undefined || run.connId === undefined) return undefined;
      return { sessionKey: run.sentKey, connId: run.connId, ...(run.deviceId === undefined ? {} : { deviceId: run.deviceId }) };
    },
    close() {
      stop();
      for (const run of runs.values()) clearTimeout(run.timer);
      runs.clear();
    },
  };
}

/** Those of the run, and of every other run that is going on in its session. */
function watchersOf(runs: ReadonlyMap<string, Run>, run: Run): Set<Connection> {
  if (run.canonicalKey === undefined) return run.watchers;
  const all = new Set(run.watchers);
  for (const other of runs.values()) {
    if (other.canonicalKey === run.canonicalKey) for (const connection of other.watchers) all.add(connection);
  }
  return all;
}

/** The silent token, or a beginning of it that may still become one. */
function isSilent(text: string): boolean {
  const plain = text.trim().toUpperCase();
  return plain !== '' && SILENT_REPLY.startsWith(plain);
}

function messageOf(text: string, timestamp: number) {
  return { role: 'assistant', content: [{ type: 'text', text }], timestamp };
}
