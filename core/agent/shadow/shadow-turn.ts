import type { AfterTurnParams, AssembleParams, CompactParams, HookContext, RuntimeContext, SessionRecord, StoredEntry } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Engines, EngineTurn } from '../engine/engine.ts';
import type { AssemblyInput, EngineSampler } from './engine-sample.ts';
import type { TranscriptCopies, TranscriptState } from './transcript-copy.ts';

type Given<Params> = Omit<Params, 'sessionId' | 'sessionKey' | 'signal'>;

/** What the active engine was called with, to be repeated. */
export type ShadowStep =
  | { method: 'deliver'; entries: readonly StoredEntry[] }
  | { method: 'assemble'; given: Given<AssembleParams> }
  | { method: 'compact'; given: Omit<CompactParams, 'sessionId' | 'sessionKey'>; transcript: TranscriptState | undefined }
  | { method: 'finish'; given: Given<AfterTurnParams>; transcript: TranscriptState | undefined };

/** One turn of the active engine. */
export interface FollowedTurn {
  session: SessionRecord;
  context: HookContext;
  isHeartbeat: boolean;
  /** Where the session stood when the turn began. */
  history: NonNullable<Parameters<Engines['open']>[0]['history']>;
  transcript: TranscriptState | undefined;
  steps: readonly ShadowStep[];
}

const REFUSAL = 'a shadow engine changes nothing: the host does no work for it';

/** Repeats a turn with the shadow engine. Its failures go to the sampler, and the turn goes on where it can; rejects only when `signal` is aborted. */
export async function repeatTurn(
  engines: Engines,
  turn: FollowedTurn,
  { generation, signal, sampler, copies }: { generation: Generation; signal: AbortSignal; sampler: EngineSampler; copies: TranscriptCopies },
): Promise<void> {
  const { session, context, isHeartbeat, history } = turn;
  const attempt = async <Result>(method: string, work: () => Promise<Result>): Promise<Result | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      sampler.failed(method, error);
      return undefined;
    }
  };
  const { signal: _run, ...plain } = context;
  const opening = { generation, session, context: { ...plain, signal }, signal, isHeartbeat, history, onCall: sampler.onCall };
  const engine = await attempt('open', () => engines.open(opening));
  if (engine === undefined) return;
  for (const step of turn.steps) await attempt(step.method, () => repeatStep(engine, step, { sampler, copies, signal }));
}

async function repeatStep(
  engine: EngineTurn,
  step: ShadowStep,
  { sampler, copies, signal }: { sampler: EngineSampler; copies: TranscriptCopies; signal: AbortSignal },
): Promise<void> {
  switch (step.method) {
    case 'deliver':
      return engine.deliver(step.entries.map(copied));
    case 'assemble':
      await engine.assemble({ ...step.given, messages: [...step.given.messages] });
      return;
    case 'compact': {
      const attempt = sampler.compacting();
      const { sessionFile: _file, runtimeContext, ...given } = step.given;
      const file = await copies.make(step.transcript);
      const { compacted } = await engine.compact({ ...given, ...file, signal, runtimeContext: withoutEffect(runtimeContext) });
      attempt.done(compacted);
      return;
    }
    case 'finish': {
      const { sessionFile: _file, runtimeContext, ...given } = step.given;
      const file = engine.hasAfterTurn ? await copies.make(step.transcript) : {};
      await engine.finish({ ...given, ...file, ...(runtimeContext === undefined ? {} : { runtimeContext: withoutEffect(runtimeContext) }) }, signal);
    }
  }
}

/** What the active engine keeps is not the shadow's to change. */
function copied(entry: StoredEntry): StoredEntry {
  return entry.type === 'message' ? { ...entry, message: JSON.parse(JSON.stringify(entry.message)) } : entry;
}

/** What the host tells an engine, without what it does for one. */
export function withoutEffect(context: RuntimeContext | undefined): RuntimeContext {
  const facts = Object.fromEntries(Object.entries(context ?? {}).filter(([, value]) => typeof value !== 'function'));
  return {
    ...facts,
    compactSession: async () => ({ ok: false, compacted: false, reason: REFUSAL }),
    rewriteTranscriptEntries: async () => ({ changed: false, bytesFreed: 0, rewrittenEntries: 0, reason: REFUSAL }),
  };
}

/** What both were given to assemble last. */
export function lastAssembly(steps: readonly ShadowStep[]): AssemblyInput | undefined {
  const step = steps.findLast((each) => each.method === 'assemble');
  if (step?.method !== 'assemble') return undefined;
  const { messages, entryIds = [], tokenBudget } = step.given;
  return { messages, entryIds, tokenBudget };
}
