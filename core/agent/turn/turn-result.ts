import { errorText, reportError, type SessionPatch, type SessionStatus } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import { withReport } from '../ledger/context-report.ts';
import { createReport } from '../ledger/run-report.ts';
import { usedProfile } from '../models/profile-use.ts';
import type { Run } from '../run.ts';
import type { AcceptedRun, RunResult } from '../run-request.ts';
import { isFirstRun } from './run-prompt.ts';
import type { TurnDeps, TurnState, TurnTotals } from './turn-state.ts';

/** A reply that is exactly this says nothing to anyone. */
const SILENT_REPLIES: ReadonlySet<string> = new Set(['NO_REPLY', 'no_reply']);

export function isSilentReply(text: string): boolean {
  return SILENT_REPLIES.has(text.trim());
}

export interface TurnEnding {
  deps: TurnDeps;
  run: Run;
  state: TurnState;
  failure: unknown;
  startedAt: number;
  generation: Generation;
}

/** Writes the turn's row, tells the hooks and says what came of it. Never rejects. */
export async function turnResult(ending: TurnEnding): Promise<RunResult> {
  const { deps, run, state, failure } = ending;
  const endedAt = deps.now();
  const { runId, sessionKey } = run.accepted;
  try {
    if (state.session !== undefined) await deps.sessions.patch(sessionKey, { ...row(ending, endedAt), ...(await reportField(ending, endedAt)) });
  } catch (error) {
    deps.log.error(`the session row of '${sessionKey}' was not updated: ${errorText(error)}`, { runId });
  }
  await endFirstRun(ending);
  const result = buildResult(ending, endedAt);
  if (result.error !== undefined && !result.meta.aborted) {
    deps.log.error(result.error.message, { runId, sessionKey, code: result.error.code, ...result.error.owner });
  }
  const { generation, hookContext, recorder } = state;
  if (generation?.hooks.has('agent_end') && hookContext !== undefined && recorder !== undefined) {
    try {
      const { messages } = await recorder.history();
      const error = result.error === undefined ? {} : { error: result.error.message };
      generation.hooks.emit('agent_end', { messages, success: failure === undefined, ...error, durationMs: result.meta.durationMs }, hookContext);
    } catch (error) {
      deps.log.error(`agent_end was not sent: ${errorText(error)}`, { runId });
    }
  }
  return result;
}

/** What a new agent does first it does once: in the first run that ends well. */
async function endFirstRun({ deps, run, state, failure }: TurnEnding): Promise<void> {
  if (failure !== undefined || state.prompt === undefined || !isFirstRun(state.prompt.files)) return;
  try {
    await deps.workspaces.markOnboarded(state.prompt.workspaceDir);
  } catch (error) {
    deps.log.error(`the end of the first run was not kept: ${errorText(error)}`, { runId: run.accepted.runId });
  }
}

/** What the last request was made of, for the session's row. */
async function reportField({ deps, run, state }: TurnEnding, now: number): Promise<SessionPatch> {
  const { totals, session, generation, prompt, model, engine } = state;
  const { sent, budget } = totals;
  if (sent === undefined || session === undefined || generation === undefined || prompt === undefined || model === undefined) return {};
  const { provider, id, contextWindow } = model.entry;
  const report = createReport({
    source: 'run',
    session,
    generation,
    prompt,
    sent,
    estimator: deps.estimator,
    provider,
    model: id,
    contextWindow: budget?.window ?? contextWindow,
    factor: budget?.factor ?? 1,
    contextEngine: engine?.id,
    runId: run.accepted.runId,
    now,
  });
  // settings may have changed while the turn ran
  const current = await deps.sessions.get(session.key);
  return { extra: { ...withReport(current?.extra, report), ...usedProfile(current, model) } };
}

/** The result of a run that ended before its turn began: aborted in the queue. */
export function unstartedResult(run: Run, failure: unknown, now: number): RunResult {
  const { runId, sessionKey, sessionId } = run.accepted;
  return {
    runId,
    sessionKey,
    sessionId,
    ...statusOf(run, failure),
    startedAt: now,
    endedAt: now,
    payloads: [],
    meta: {
      durationMs: 0,
      aborted: run.abortOrigin !== undefined,
      ...(run.abortOrigin === undefined ? {} : { stopReason: run.abortOrigin }),
      agentMeta: { sessionId },
    },
  };
}

/** What a run came to whose turn goes on under another run's id. */
export function handedOverResult({ runId, sessionKey, sessionId, acceptedAt }: AcceptedRun, totals: TurnTotals, now: number): RunResult {
  return {
    runId,
    sessionKey,
    sessionId,
    status: 'ok',
    startedAt: acceptedAt,
    endedAt: now,
    payloads: spoken(totals),
    meta: { durationMs: now - acceptedAt, aborted: true, stopReason: 'rpc', agentMeta: { sessionId } },
  };
}

function spoken({ texts }: TurnTotals): RunResult['payloads'] {
  return texts.filter((text) => !isSilentReply(text)).map((text) => ({ text, mediaUrl: null }));
}

function buildResult({ run, state, failure, startedAt, generation }: TurnEnding, endedAt: number): RunResult {
  const { runId, sessionKey, sessionId } = run.accepted;
  const { totals, model, engine } = state;
  const aborted = isAborted(run, failure);
  const ended = statusOf(run, failure);
  const payloads = spoken(totals);
  if (ended.error !== undefined && !aborted) payloads.push({ text: ended.error.message, mediaUrl: null, isError: true });
  const stopReason = aborted ? run.abortOrigin : totals.stopReason;
  return {
    runId,
    sessionKey,
    sessionId: state.session?.sessionId ?? sessionId,
    ...ended,
    startedAt,
    endedAt,
    payloads,
    meta: {
      durationMs: endedAt - startedAt,
      aborted,
      generation: generation.number,
      ...(stopReason === undefined ? {} : { stopReason }),
      ...(engine === undefined ? {} : { contextEngine: engine.id }),
      ...(totals.budget === undefined
        ? {}
        : { context: { estimatedTokens: totals.estimatedTokens, tokenBudget: totals.budget.messages, window: totals.budget.window } }),
      ...(totals.problems.length === 0 ? {} : { problems: totals.problems }),
      agentMeta: {
        sessionId: state.session?.sessionId ?? sessionId,
        usage: totals.usage,
        ...(model === undefined ? {} : { provider: model.entry.provider, model: model.entry.id }),
      },
    },
  };
}

/** An abort that somebody asked for is a good end; a deadline or a shutdown is not. */
function statusOf(run: Run, failure: unknown): Pick<RunResult, 'status' | 'error'> {
  if (failure === undefined) return { status: 'ok' };
  if (isAborted(run, failure) && (run.abortOrigin === 'rpc' || run.abortOrigin === 'stop')) return { status: 'ok' };
  return { status: 'error', error: reportError(failure) };
}

function isAborted(run: Run, failure: unknown): boolean {
  return failure !== undefined && run.signal.aborted;
}

function row({ run, state, failure }: TurnEnding, endedAt: number): SessionPatch {
  const { totals, model, session } = state;
  const { usage, lastUsage } = totals;
  return {
    status: sessionStatus(run, failure),
    endedAt,
    abortedLastRun: isAborted(run, failure),
    ...(model === undefined ? {} : { modelProvider: model.entry.provider, model: model.entry.id, contextTokens: model.entry.contextWindow }),
    ...(lastUsage === undefined
      ? {}
      : {
          inputTokens: usage.input,
          outputTokens: usage.output,
          totalTokens: lastUsage.totalTokens,
          estimatedCostUsd: (session?.estimatedCostUsd ?? 0) + usage.cost.total,
        }),
    ...(totals.compactions === 0 ? {} : { compactionCount: (session?.compactionCount ?? 0) + totals.compactions }),
  };
}

function sessionStatus(run: Run, failure: unknown): SessionStatus {
  if (failure === undefined) return 'done';
  if (!run.signal.aborted) return 'failed';
  return run.abortOrigin === 'timeout' ? 'timeout' : 'killed';
}
