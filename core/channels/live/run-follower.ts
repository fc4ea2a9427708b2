import { type AgentEvent, errorText } from '../../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../../sdk/protocol/clients.ts';
import type { AgentService, RunRequest, RunResult } from '../../agent/service.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { Outgoing, State } from '../../state/state.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { comparable, type RunTrace, repliesOf } from '../outbound/reply.ts';
import { acknowledge, type RemoveAck } from './ack-reaction.ts';
import { createReplyStream, type ReplyStream } from './reply-stream.ts';
import { createRunNotices, type NoticeLevels, noticeLevels, type RunNotices } from './run-notices.ts';
import { createTyping, type TypingPlace, type TypingRun, typingIntervalMs, typingModeOf } from './typing.ts';

/** Accompanies runs that a channel's message began: typing, the mark on the message, the reply while it grows. */
export interface RunFollower {
  /** A run was accepted. */
  follow(request: RunRequest, runId: string): void;
  /** The messages that a run's result comes to, without what is out already. Nothing more is shown of the run from here on. */
  replies(request: RunRequest, result: RunResult): Outgoing[];
  /** The run itself sent a text to a conversation. */
  noteSent(runId: string, to: TypingPlace, text: string): void;
  stop(): void;
}

export interface RunFollowerOptions {
  source: GenerationSource;
  agent: Pick<AgentService, 'onEvent' | 'wait'>;
  sessions: Pick<SessionService, 'get'>;
  state: Pick<State, 'kv' | 'outbox'>;
  outbound: Pick<Outbound, 'reach' | 'worker'>;
  log: Logger;
}

interface Followed {
  request: RunRequest;
  place: TypingPlace;
  typing: TypingRun;
  notices: RunNotices;
  stream: ReplyStream | undefined;
  failedTool?: string | undefined;
  removeAck?: RemoveAck | undefined;
}

/** The longest that a timer can wait. */
const LONGEST_WAIT_MS = 2_147_483_647;
/** What went out in runs that are not over, for the process that goes on with them. */
const TRACES = 'channels:runs';

export function createRunFollower({ source, agent, sessions, state, outbound, log }: RunFollowerOptions): RunFollower {
  const { kv, outbox } = state;
  const followed = new Map<string, Followed>();
  /** By the last message of a reply. */
  const marked = new Map<string, RemoveAck>();
  const typing = createTyping({ reach: outbound.reach, intervalMs: () => typingIntervalMs(source.current().config), log });
  const removeListener = agent.onEvent(hear);
  outbound.worker.onEnd(({ id }) => {
    marked.get(id)?.();
    marked.delete(id);
  });

  const traceOf = (runId: string): RunTrace => (kv.get(TRACES, runId) as RunTrace | undefined) ?? { sent: [] };
  const note = (runId: string, more: Partial<RunTrace>): void => kv.set(TRACES, runId, { ...traceOf(runId), ...more });

  function hear(event: AgentEvent): void {
    const { runId, stream, data } = event;
    const run = followed.get(runId);
    if (run === undefined) return;
    run.notices.hear(event);
    if (stream === 'thinking') run.typing.thinks();
    if (stream === 'assistant' && typeof data.text === 'string') {
      run.failedTool = undefined;
      run.typing.says(data.text);
      run.stream?.show(data.text);
    }
    if (stream === 'tool' && data.phase === 'start') run.stream?.pause();
    if (stream === 'tool' && data.phase === 'result' && data.isError === true) run.failedTool = String(data.name);
  }

  function begin(request: RunRequest, runId: string, place: TypingPlace): Followed {
    const { config } = source.current();
    return {
      request,
      place,
      typing: typing.begin(place, typingModeOf(config, request)),
      notices: createRunNotices(levelsOf(request), noticePoster(runId, request, place)),
      removeAck: acknowledge({ reach: outbound.reach, config, log }, place, request),
      stream: createReplyStream({
        request: { ...request, runId },
        place,
        config,
        outbox,
        reach: outbound.reach,
        log,
        trace: () => traceOf(runId),
        note: (more) => note(runId, more),
      }),
    };
  }

  async function levelsOf({ sessionKey, shown }: RunRequest): Promise<NoticeLevels> {
    try {
      return noticeLevels(source.current().config, sessionKey === undefined ? undefined : await sessions.get(sessionKey), shown);
    } catch (error) {
      log.debug(`a session's settings cannot be read: ${errorText(error)}`, { sessionKey });
      return { verbose: 'off', reasoning: 'off' };
    }
  }

  function noticePoster(runId: string, { sessionKey }: RunRequest, place: TypingPlace): (text: string) => void {
    let count = 0;
    return (text) => {
      if (place.accountId === undefined) return;
      outbox.add([{ id: `${runId}:note:${count}`, ...place, accountId: place.accountId, runId, sessionKey, payload: { text } }], Date.now());
      count += 1;
    };
  }

  async function untilEnd(runId: string): Promise<void> {
    try {
      await agent.wait(runId, LONGEST_WAIT_MS);
    } catch (error) {
      log.debug(`the end of a run is not known: ${errorText(error)}`, { runId });
    }
    const run = followed.get(runId);
    followed.delete(runId);
    run?.stream?.close();
    run?.typing.end();
    run?.removeAck?.();
  }

  return {
    follow(request, runId) {
      const { channel, to, accountId, threadId } = request;
      if (channel === undefined || channel === INTERNAL_CHANNEL || to === undefined) return;
      const place = { channel, to, ...(accountId === undefined ? {} : { accountId }), ...(threadId === undefined ? {} : { threadId }) };
      followed.set(runId, begin(request, runId, place));
      void untilEnd(runId);
    },

    replies(request, result) {
      const { runId } = request;
      const run = followed.get(runId);
      run?.stream?.close();
      const trace = { ...traceOf(runId), ...(run?.failedTool === undefined ? {} : { failedTool: run.failedTool }) };
      const replies = repliesOf(request, result, source.current().config, trace);
      const reasoning = run?.notices.reasoning();
      if (replies[0] !== undefined && reasoning !== undefined) replies.unshift({ ...replies[0], id: `${runId}:reasoning`, payload: { text: reasoning } });
      const last = replies.at(-1);
      if (last !== undefined && run?.removeAck !== undefined) {
        marked.set(last.id, run.removeAck);
        run.removeAck = undefined;
      }
      // after the transaction that these are part of
      setImmediate(() => kv.delete(TRACES, runId));
      return replies;
    },

    noteSent(runId, to, text) {
      const run = followed.get(runId);
      const place = run?.place;
      if (place !== undefined && (place.channel !== to.channel || comparable(place.to) !== comparable(to.to))) return;
      note(runId, { sent: [...traceOf(runId).sent, text] });
    },

    stop() {
      removeListener();
      typing.stop();
      for (const { stream } of followed.values()) stream?.close();
    },
  };
}
