import { errorText } from '../../../sdk/index.ts';
import type { RunResult } from '../run-request.ts';
import type { TurnDeps, TurnState } from '../turn/turn-state.ts';
import type { ModelCall, TurnRecord, TurnSummary } from './ledger.ts';
import { type LedgerRequest, pruningEffect, requestParts } from './ledger-parts.ts';

/** The newest calls of a turn that its record lists. */
const CALLS = 64;

/** Writes the turn's record, whatever the turn came to; a failure is only logged. Call it when the reply is out. */
export function recordTurn(deps: TurnDeps, state: TurnState, result: RunResult): void {
  const { runId, sessionKey } = result;
  if (state.session === undefined) return;
  try {
    deps.ledger.write(turnRecord(deps, state, result));
  } catch (error) {
    deps.log.error(`the turn left no record: ${errorText(error)}`, { runId, sessionKey });
  }
}

function turnRecord(deps: TurnDeps, state: TurnState, result: RunResult): TurnRecord {
  const { runId, sessionKey, sessionId, startedAt, endedAt, error, meta } = result;
  const { totals, engine, model } = state;
  const { budget, usage } = totals;
  const request = requestOf(deps, state);
  const parts = request === undefined ? [] : requestParts(request);
  const pruning = request === undefined ? undefined : pruningEffect(request, parts);
  const { input, output, cacheRead, cacheWrite } = usage;
  return {
    runId,
    sessionKey,
    sessionId,
    startedAt,
    endedAt,
    status: meta.aborted ? 'aborted' : result.status,
    ...(error === undefined ? {} : { error: { code: error.code, ...(error.owner.extension === undefined ? {} : { extension: error.owner.extension }) } }),
    ...(engine === undefined ? {} : { engine: { id: engine.id, owner: engine.owner, ...(engine.version === undefined ? {} : { version: engine.version }) } }),
    ...(engine?.shadow === undefined ? {} : { shadow: engine.shadow }),
    ...(model === undefined ? {} : { model: model.ref }),
    ...(budget === undefined
      ? {}
      : { budget: { window: budget.window, reserve: budget.reserve, overhead: budget.overhead, messages: budget.messages, factor: budget.factor } }),
    ...requestSummary(totals.calls, totals.estimatedTokens),
    usage: { input, output, cacheRead, cacheWrite },
    callCount: totals.calls.length,
    calls: totals.calls.slice(-CALLS).map(callOf),
    compactions: totals.attempts,
    ...(pruning === undefined ? {} : { pruning }),
    parts,
  };
}

function requestOf({ estimator }: TurnDeps, { totals, prompt, tools, engine, generation }: TurnState): LedgerRequest | undefined {
  const { sent } = totals;
  return sent === undefined || prompt === undefined || tools === undefined || engine === undefined || generation === undefined
    ? undefined
    : { sent, prompt, tools, engine: engine.id, estimator, owners: (hook) => generation.hooks.owners(hook) };
}

/** What everybody said of the last request. */
function requestSummary(calls: readonly ModelCall[], engine: number): Pick<TurnSummary, 'request'> {
  const last = calls.at(-1);
  if (last === undefined) return {};
  const { estimated, corrected, reported } = callOf(last);
  return { request: { estimated, corrected, engine: Math.round(engine), ...(reported === 0 ? {} : { reported }) } };
}

function callOf({ ms, estimated, factor, usage, stopReason, error }: ModelCall): TurnSummary['calls'][number] {
  const reported = usage.input + usage.cacheRead + usage.cacheWrite;
  const corrected = Math.ceil(estimated * factor);
  return { ms, estimated, corrected, reported, output: usage.output, stopReason, ...(error === undefined ? {} : { error }) };
}
