import { existsSync } from 'node:fs';
import type { AgentMessage } from '../messages.ts';
import type { AfterTurnParams, BootstrapParams, ContextEngine, IngestBatchParams } from '../ports/context-engine.ts';

const CHARS_PER_TOKEN = 4;
/** A factory that returns one object several times gets one engine of ours for it each time, so that the host sees that it is shared. */
const ADAPTED = Symbol('adapted engine');

/**
 * An engine written for that line, as an engine of our port, under the id it was registered with. Its own rules differ in five places:
 *
 * - `info.id` may be any text.
 * - It gets a turn's messages when the turn is over, and once: by `afterTurn` if it has that, else by `ingestBatch`, else by `ingest` for each.
 * - `assemble` is about the history before the turn; what was said since is put behind its result.
 * - `bootstrap` is called only when there is a transcript with something in it. When turns went by that the engine did not see, it is called again.
 * - `model` is the model's id without its provider.
 *
 * An object that is no engine is returned as it is, for the check of its shape to refuse.
 */
export function adaptEngine(engine: ContextEngine, id: string): ContextEngine {
  if (typeof engine?.info?.name !== 'string' || [engine.ingest, engine.assemble, engine.compact].some((member) => typeof member !== 'function')) return engine;
  const mark = engine as ContextEngine & { [ADAPTED]?: Map<string, ContextEngine> };
  const made = mark[ADAPTED]?.get(id);
  if (made !== undefined) return made;
  /** Sessions whose transcript the engine has read again since it last served them. */
  const caughtUp = new Set<string>();
  const transcripts = new Map<string, string>();

  async function bootstrap(params: BootstrapParams) {
    const { sessionId, sessionFile, messages } = params;
    if (sessionFile !== undefined) transcripts.set(sessionId, sessionFile);
    if (sessionFile === undefined || messages?.length === 0 || !existsSync(sessionFile)) return { bootstrapped: false, reason: 'there is no history yet' };
    return (await engine.bootstrap?.(params)) ?? { bootstrapped: false, reason: 'it has no bootstrap' };
  }

  async function ingestEach({ messages, entries, ...rest }: IngestBatchParams) {
    let ingestedCount = 0;
    for (const [index, message] of messages.entries()) {
      const { ingested } = await engine.ingest({ ...rest, ...entries?.[index], message });
      if (ingested) ingestedCount += 1;
    }
    return { ingestedCount };
  }

  const { ingestBatch, afterTurn, maintain, prepareSubagentSpawn, onSubagentEnded, dispose } = engine;
  const adapted: ContextEngine = {
    get info() {
      return { ...engine.info, id };
    },
    ...(engine.bootstrap === undefined ? {} : { bootstrap }),
    // Whoever takes its messages by `afterTurn` reads those of other turns in the transcript, before the next one is written to it.
    async ingest({ sessionId, sessionKey, replay }) {
      const sessionFile = transcripts.get(sessionId);
      if (replay === true && sessionFile !== undefined && !caughtUp.has(sessionId)) {
        caughtUp.add(sessionId);
        await bootstrap({ sessionId, sessionFile, ...(sessionKey === undefined ? {} : { sessionKey }) });
      }
      return { ingested: false };
    },
    ...(afterTurn === undefined ? { ingestBatch: ingestBatch?.bind(engine) ?? ingestEach } : {}),
    async assemble({ messages, tokenBudget, model, ...rest }) {
      caughtUp.delete(rest.sessionId);
      const start = Math.max(
        0,
        messages.findLastIndex(({ role }) => role === 'user'),
      );
      const turn = messages.slice(start);
      const own = estimate(turn);
      const result = await engine.assemble({
        ...rest,
        messages: messages.slice(0, start),
        tokenBudget: Math.max(1, tokenBudget - own),
        ...(model === undefined ? {} : { model: model.slice(model.indexOf('/') + 1) }),
      });
      if (!Array.isArray(result?.messages)) return result;
      return { ...result, messages: [...result.messages, ...turn], estimatedTokens: result.estimatedTokens + own };
    },
    compact: (params) => engine.compact(params),
    ...(afterTurn === undefined ? {} : { afterTurn: (params: AfterTurnParams) => afterTurn.call(engine, params) }),
    ...(maintain === undefined ? {} : { maintain: maintain.bind(engine) }),
    ...(prepareSubagentSpawn === undefined ? {} : { prepareSubagentSpawn: prepareSubagentSpawn.bind(engine) }),
    ...(onSubagentEnded === undefined ? {} : { onSubagentEnded: onSubagentEnded.bind(engine) }),
    ...(dispose === undefined ? {} : { dispose: dispose.bind(engine) }),
  };
  if (Object.isExtensible(engine)) mark[ADAPTED] = (mark[ADAPTED] ?? new Map()).set(id, adapted);
  return adapted;
}

function estimate(messages: readonly AgentMessage[]): number {
  return Math.ceil(messages.reduce((sum, { content }) => sum + JSON.stringify(content).length, 0) / CHARS_PER_TOKEN);
}
