import type { CommandReply } from '../../../sdk/index.ts';
import type { Run } from '../run.ts';
import type { RunResult } from '../run-request.ts';

/** Ends a run that asked no model: one event with the whole answer, and a result like any other. */
export function endCommand(run: Run, reply: CommandReply | undefined, endedAt: number): RunResult {
  const { runId, sessionKey, sessionId, acceptedAt: startedAt } = run.accepted;
  const { text, mediaUrl, isError } = reply ?? {};
  run.emit('lifecycle', { phase: 'end', startedAt, endedAt, reply: text ?? '' });
  const payload = { ...(text === undefined ? {} : { text }), mediaUrl: mediaUrl ?? null, ...(isError ? { isError } : {}) };
  return {
    runId,
    status: 'ok',
    sessionKey,
    sessionId,
    startedAt,
    endedAt,
    payloads: text === undefined && mediaUrl === undefined ? [] : [payload],
    meta: { durationMs: endedAt - startedAt, aborted: false, stopReason: 'command', agentMeta: { sessionId } },
  };
}
