import type { SessionRecord } from '../../../sdk/index.ts';
import type { RunResult } from '../run-request.ts';
import { chosenModel, modelLine } from './model-setting.ts';
import { effectiveLevels, effectiveQueue } from './session-settings.ts';
import type { SettingContext } from './setting.ts';

/** What the last run of a session said about its context. */
export type LastContext = NonNullable<RunResult['meta']['context']>;

export interface StatusFacts extends SettingContext {
  version: string;
  /** What serves the slot, by the plan; the engine of the last run may be another. */
  engine: string;
  /** undefined: no run of this process. */
  last: LastContext | undefined;
  /** The host's own count of the history. */
  historyTokens: number;
  /** Other runs of the session that run or wait. */
  active: number;
}

/** The card of a session. */
export async function statusText(facts: StatusFacts): Promise<string> {
  const { version, session, config, engine, active } = facts;
  const levels = effectiveLevels(config, session);
  const queue = effectiveQueue(config, session);
  const usage = session.extra?.responseUsage;
  const model = await chosenModel(facts);
  const window = Math.min(model.contextWindow ?? session.contextTokens ?? 0, config.agents.defaults.contextTokens ?? Number.POSITIVE_INFINITY);
  return [
    `Durar ${version}`,
    `${modelLine(model, session)} · thinking ${levels.think}`,
    `Context engine: ${engine}`,
    contextLine(facts, window),
    tokenLine(session),
    `Queue: ${queue.mode} (${active} active)`,
    `Session: ${session.key} · verbose ${levels.verbose} · reasoning ${levels.reasoning} · usage ${typeof usage === 'string' ? usage : 'off'} · compactions ${session.compactionCount ?? 0}`,
  ].join('\n');
}

/** The provider's own figure where there is one, since it counts what the host cannot see. */
function contextLine({ session, last, historyTokens }: StatusFacts, window: number): string {
  const used = session.totalTokens ?? last?.estimatedTokens ?? historyTokens;
  const share = window === 0 ? '' : ` / ${grouped(window)} (${Math.round((used / window) * 100)}%)`;
  const estimate = last === undefined ? `estimatedTokens ${grouped(historyTokens)} (history)` : `estimatedTokens ${grouped(last.estimatedTokens)}`;
  return `Context: ${grouped(used)}${share} tokens · ${estimate}`;
}

function tokenLine({ inputTokens, outputTokens, estimatedCostUsd }: SessionRecord): string {
  const cost = estimatedCostUsd === undefined || estimatedCostUsd === 0 ? '' : ` · session cost $${estimatedCostUsd.toFixed(4)}`;
  return `Last run: ${grouped(inputTokens ?? 0)} in / ${grouped(outputTokens ?? 0)} out${cost}`;
}

export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
