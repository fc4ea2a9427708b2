import { join } from 'node:path';
import { errorText } from '../../../sdk/index.ts';
import type { GenerationSource } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { State } from '../../state/state.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import { createEngines, type EngineOpening, type Engines, type EngineTimeouts, type EngineTurn } from '../engine/engine.ts';
import { noHooks } from '../engine/no-hooks.ts';
import type { AgentPaths } from '../settings.ts';
import { type ComparedTurn, type Comparison, compareTurns } from './comparison.ts';
import { createEngineSampler, createEntryIndex, type EngineSampler, markDropped } from './engine-sample.ts';
import { createShadowQueue } from './shadow-queue.ts';
import { type FollowedTurn, lastAssembly, repeatTurn, type ShadowStep } from './shadow-turn.ts';
import { createTranscriptCopies, type TranscriptState, transcriptState } from './transcript-copy.ts';

/**
 * The engine of the slot `contextEngineShadow`: it gets what the active engine gets, when the reply is out and off everybody's way, and what it
 * answers is measured and thrown away.
 */
export interface Shadow {
  /** The same engines; each of their turns is repeated with the shadow, where one is selected. */
  beside(active: Engines): Engines;
  /** What was measured, of one session or of all, since a time (epoch ms). */
  compare(filter: { sessionKey?: string | undefined; since?: number | undefined }): Comparison;
  /** Lets what waits end, but not for long. */
  drain(ms: number): Promise<void>;
}

export interface ShadowOptions {
  source: GenerationSource;
  sessions: SessionService;
  cursors: State['cursors'];
  shadowTurns: State['shadow'];
  timeouts: EngineTimeouts;
  estimator: TokenEstimator;
  paths: AgentPaths;
  log: Logger;
  now: () => number;
}

/** Failed turns in a row after which a session's shadow is given up. */
const MOST_FAILURES = 3;
/** A stop waits no longer than this for comparisons, milliseconds. */
const DRAIN_MS = 2_000;

export function createShadow(options: ShadowOptions): Shadow {
  const { source, sessions, cursors, shadowTurns: turns, estimator, log, now } = options;
  const copies = createTranscriptCopies(join(options.paths.stateDir, 'shadow'));
  /** How far the transcript went when the turn began that is repeated now. */
  const transcripts = new Map<string, TranscriptState | undefined>();
  const shadows = createEngines({
    ...options,
    sessions: {
      context: sessions.context,
      read: sessions.read,
      sessionFile: async ({ sessionId }) => (await copies.make(transcripts.get(sessionId))).sessionFile,
    },
    slot: 'contextEngineShadow',
    hooks: noHooks,
  });
  const queue = createShadowQueue({ log });
  /** The engine that works for a session at this moment. */
  const working = new Map<string, string>();
  /** The active engine of a session's turn, while that runs; after a change of slots it may be the shadow of an earlier one. */
  const serving = new Map<string, string>();
  /** Failed turns in a row by session; a new generation may have a repaired engine. */
  const strikes = new Map<string, number>();
  /** Turns not compared yet in sessions that have no compared one. */
  const unwritten = new Map<string, number>();
  source.onSwap(() => strikes.clear());

  /** A turn must not fail over what is only written down beside it. */
  function skip(sessionId: string): void {
    try {
      if (!turns.skip(sessionId)) unwritten.set(sessionId, (unwritten.get(sessionId) ?? 0) + 1);
    } catch (error) {
      log.warn(`a turn that was not compared could not be counted: ${errorText(error)}`, { sessionId });
    }
  }

  /** Nor over a file that only the shadow reads. */
  async function lookAt(file: string | undefined): Promise<TranscriptState | undefined> {
    try {
      return await transcriptState(file);
    } catch (error) {
      log.warn(`the shadow engine gets no transcript: ${errorText(error)}`, { file });
      return undefined;
    }
  }

  /** The turn was taken: the shadow's part, and the row of both. */
  async function repeat(turn: FollowedTurn, active: { id: string; sampler: EngineSampler }, signal: AbortSignal): Promise<void> {
    const { session } = turn;
    const { sessionId } = session;
    if ((strikes.get(sessionId) ?? 0) >= MOST_FAILURES) return skip(sessionId);
    const lease = source.lease();
    try {
      const choice = lease.generation.plan.slots.contextEngineShadow;
      if (!('owner' in choice) || choice.key === active.id || choice.key === serving.get(sessionId)) return;
      if (await isAhead(choice.key, turn)) return;
      working.set(sessionId, choice.key);
      const sampler = createEngineSampler(estimator);
      const ended = AbortSignal.any([signal, lease.expired]);
      transcripts.set(sessionId, turn.transcript);
      await repeatTurn(shadows, turn, { generation: lease.generation, signal: ended, sampler, copies });
      write(turn, active, { id: choice.key, sampler });
    } finally {
      working.delete(sessionId);
      transcripts.delete(sessionId);
      lease.release();
      await copies.remove(turn.transcript);
    }
  }

  /** It has served the session itself since, so it knows all of this. */
  async function isAhead(engine: string, { session, history }: FollowedTurn): Promise<boolean> {
    const seen = cursors.get(engine, session.sessionId);
    return seen > history.lastSeq && seen <= (await sessions.context(session)).lastSeq;
  }

  function write({ session, context, history, steps }: FollowedTurn, ...sides: ReadonlyArray<{ id: string; sampler: EngineSampler }>): void {
    const { sessionId, key: sessionKey } = session;
    const input = lastAssembly(steps);
    const index = createEntryIndex(input?.messages);
    const samples = sides.map(({ id, sampler }) => sampler.sample(id, index, input?.tokenBudget));
    markDropped(samples, input?.entryIds ?? []);
    const shadow = sides.at(-1);
    const problem = shadow?.sampler.problem;
    const count = problem === undefined ? 0 : (strikes.get(sessionId) ?? 0) + 1;
    const disabled = count >= MOST_FAILURES;
    if (problem === undefined) strikes.delete(sessionId);
    else {
      strikes.set(sessionId, count);
      const end = disabled ? '; it is given up in this session until the next reload' : '';
      log.warn(`a turn of the shadow engine failed: ${problem}${end}`, { engine: shadow?.id, sessionKey });
    }
    const row = {
      ...(context.runId === undefined ? {} : { runId: context.runId }),
      ...(input === undefined ? {} : { tokenBudget: input.tokenBudget }),
      history: input?.messages.length ?? history.messages.length,
      engines: samples.map(({ sample }) => sample),
      ...(disabled ? { disabled } : {}),
    };
    turns.add({ sessionId, sessionKey, at: now(), row, skipped: unwritten.get(sessionId) ?? 0 });
    unwritten.delete(sessionId);
  }

  async function follow(active: Engines, opening: EngineOpening): Promise<EngineTurn> {
    const { generation, session, context, isHeartbeat } = opening;
    const { sessionId } = session;
    const { contextEngine, contextEngineShadow } = generation.plan.slots;
    // what was the shadow is the active engine now, and never works for one session twice at once
    if (working.get(sessionId) === contextEngine.key) await queue.end(sessionId);
    if (!('owner' in contextEngineShadow)) return active.open(opening);
    serving.set(sessionId, contextEngine.key);
    const history = await sessions.context(session);
    const transcript = await lookAt(await sessions.sessionFile(session));
    const sampler = createEngineSampler(estimator);
    const turn = await active.open({ ...opening, onCall: sampler.onCall });
    let steps: ShadowStep[] = [];
    const repeatLater = (): void => {
      serving.delete(sessionId);
      const followed = { session, context, isHeartbeat, history, transcript, steps };
      steps = [];
      const taken = queue.add(sessionId, (signal) => repeat(followed, { id: turn.id, sampler }, signal));
      if (!taken) skip(sessionId);
    };
    return {
      ...turn,
      ...(contextEngineShadow.key === turn.id ? {} : { shadow: contextEngineShadow.key }),
      hasAfterTurn: true,
      deliver(entries) {
        steps.push({ method: 'deliver', entries });
        return turn.deliver(entries);
      },
      assemble(given) {
        steps.push({ method: 'assemble', given: { ...given, messages: [...given.messages] } });
        return turn.assemble(given);
      },
      async compact(given, base) {
        steps.push({ method: 'compact', given, transcript: await lookAt(given.sessionFile) });
        const attempt = sampler.compacting();
        try {
          const result = await turn.compact(given, base);
          attempt.done(result.compacted);
          return result;
        } finally {
          // on request there is no turn that would end
          if (given.force === true) repeatLater();
        }
      },
      async finish(given, signal) {
        try {
          await turn.finish(given, signal);
        } finally {
          steps.push({ method: 'finish', given, transcript: await lookAt(given.sessionFile) });
          repeatLater();
        }
      },
    };
  }

  return {
    beside: (active) => ({
      ...active,
      open: (opening) => follow(active, opening),
      async sessionEnded(params, at) {
        await queue.end(params.sessionId);
        serving.delete(params.sessionId);
        strikes.delete(params.sessionId);
        unwritten.delete(params.sessionId);
        if (params.reason === 'deleted') turns.delete(params.sessionId);
        await active.sessionEnded(params, at);
      },
    }),
    compare(filter) {
      const rows = turns.list(filter).map(({ sessionKey, at, row, skipped }) => ({ ...(row as ComparedTurn), sessionKey, at, skipped }));
      return compareTurns(rows);
    },
    drain: (ms) => queue.drain(Math.min(ms, DRAIN_MS)),
  };
}
