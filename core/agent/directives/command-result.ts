import type { CommandReply } from '../../../sdk/index.ts';
import type { Run } from '../run.ts';
import type { RunResult } from '../run-request.ts';

/** Ends a run that asked no model: one event with the whole answer, and a result like any other. `before`: called with it before anybody hears of it. */
export function endCommand(run: Run, reply: CommandReply | undefined, endedAt: number, before: (result: RunResult) => void): RunResult {
  const { runId, sessionKey, sessionId, acceptedAt: startedAt } = run.accepted;
  const { text, mediaUrl, isError } = reply ?? {};
  const payload = { ...(text === undefined ? {} : { text }), mediaUrl: mediaUrl ?? null, ...(isError ? { isError } : {}) };
  const result: RunResult = {
    runId,
    status: 'ok',
    sessionKey,
    sessionId,
    startedAt,
    endedAt,
    payloads: text === undefined && mediaUrl === undefined ? [] : [payload],
    meta: { durationMs: endedAt - startedAt, aborted: false, stopReason: 'command', agentMeta: { sessionId } },
  };
  before(result);
  run.emit('lifecycle', { phase: 'end', startedAt, endedAt, reply: text ?? '' });
  return result;
}
