import { errorCode } from '../../../sdk/errors.ts';
import type { ThinkingLevel } from '../../../sdk/index.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { AgentParams, AgentResult } from '../../../sdk/protocol/generated/types.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../../agent/service.ts';
import { imagesOf } from '../attachments.ts';
import type { Call, MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

/** The longest delay a timer can have. */
const FOREVER_MS = 2_147_483_647;
const DEFAULT_WAIT_MS = 30_000;

/** A run's end as it is kept for repeats of its key. */
type StoredFinal = { payload: AgentResult } | { error: ProtocolError };

export function agentMethods(context: GatewayContext): MethodFamily<'agent' | 'agent.wait'> {
  const { agent, idempotency, runs } = context;

  const start = async (params: AgentParams, call: Call): Promise<AcceptedRun> => {
    const request = runRequest(context, params, call);
    runs.begin({ runId: request.runId, sessionKey: params.sessionKey ?? '', connection: call.connection });
    try {
      return await agent.accept(request);
    } catch (error) {
      runs.forget(request.runId);
      throw unknownAgent(error, 'agent', params.agentId);
    }
  };

  return {
    async agent(params, call) {
      const key = `agent:${params.idempotencyKey}`;
      const present = idempotency.get<AcceptedRun, StoredFinal>(key);
      if (present !== undefined) return present.final === undefined ? acknowledge(await present.accepted) : replay(present.final);
      const { accepted } = idempotency.begin<AcceptedRun, StoredFinal>(key, start(params, call));
      const run = await accepted;
      call.accepted(acknowledge(run));
      runs.release(run.runId);
      const final = finalOf(await untilEnd(context, run.runId));
      runs.forget(run.runId);
      idempotency.finish(key, final);
      return replay(final);
    },

    async 'agent.wait'({ runId, timeoutMs = DEFAULT_WAIT_MS }, { connection }) {
      const result = await waitFor(context, runId, timeoutMs, connection.signal);
      if (result === undefined) return { runId, status: 'timeout' };
      const { status, startedAt, endedAt, error } = result;
      return { runId, status, startedAt, endedAt, ...(error === undefined ? {} : { error: error.message }) };
    },
  };
}

/** The end of an accepted run, however long it takes. */
export async function untilEnd(context: GatewayContext, runId: string): Promise<RunResult> {
  for (;;) {
    const result = await context.agent.wait(runId, FOREVER_MS);
    if (result !== undefined) return result;
  }
}

/** An unknown run may still be on its way: the whole time is waited before giving up. */
async function waitFor(context: GatewayContext, runId: string, timeoutMs: number, signal: AbortSignal): Promise<RunResult | undefined> {
  const begin = Date.now();
  const coming = context.idempotency.get<AcceptedRun, unknown>(`agent:${runId}`) ?? context.idempotency.get(`chat:${runId}`);
  if (coming !== undefined) await coming.accepted;
  const isUnknown = (error: unknown) => {
    if (errorCode(error) === 'DUR_RUN_UNKNOWN') return undefined;
    throw error;
  };
  const result = await context.agent.wait(runId, Math.min(timeoutMs, FOREVER_MS)).catch(isUnknown);
  const left = timeoutMs - (Date.now() - begin);
  if (result !== undefined || left <= 0) return result;
  await pause(left, signal);
  return await context.agent.wait(runId, 0).catch(isUnknown);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, FOREVER_MS)).unref();
    signal.addEventListener('abort', done);
  });
}

function runRequest({ sessions }: GatewayContext, params: AgentParams, { client }: Call): RunRequest {
  const isAdmin = client.can(ADMIN_SCOPE);
  if ((params.provider !== undefined || params.model !== undefined) && !isAdmin) {
    throw new ProtocolError('INVALID_REQUEST', 'provider/model overrides are not authorized for this caller.');
  }
  if (/^\/(new|reset)\b/i.test(params.message) && params.sessionKey !== undefined && !isAdmin) {
    throw new ProtocolError('INVALID_REQUEST', `missing scope: ${ADMIN_SCOPE}`);
  }
  const isMain = () => sessions.canonicalKey(params.sessionKey, params.agentId) === sessions.canonicalKey(undefined, params.agentId);
  if (params.deliver === true && !(params.bestEffortDeliver ?? isMain())) {
    throw new ProtocolError('INVALID_REQUEST', 'Error: Channel is required (no configured channels detected).');
  }
  const model = params.provider === undefined || params.model?.includes('/') ? params.model : `${params.provider}/${params.model ?? ''}`;
  const images = imagesOf(params.attachments, 'agent');
  return compact({
    runId: params.idempotencyKey,
    message: params.message,
    sessionKey: params.sessionKey,
    sessionId: params.sessionId,
    agentId: params.agentId,
    images: images.length === 0 ? undefined : images,
    model,
    thinking: params.thinking as ThinkingLevel | undefined,
    extraSystemPrompt: params.extraSystemPrompt,
    timeoutSeconds: params.timeout === 0 ? undefined : params.timeout,
    lane: params.lane,
    trigger: 'user' as const,
    channel: params.channel,
    senderId: client.deviceId,
    senderIsOwner: isAdmin,
    provenance: params.inputProvenance,
  });
}

/** The wire's own words for an agent that is not there. */
export function unknownAgent(error: unknown, method: string, agentId: string | undefined): unknown {
  if (errorCode(error) !== 'DUR_AGENT_UNKNOWN' || agentId === undefined) return error;
  return new ProtocolError('INVALID_REQUEST', `invalid ${method} params: unknown agent id "${agentId}"`, { cause: error });
}

type Compacted<Value> = { [Key in keyof Value as undefined extends Value[Key] ? never : Key]: Value[Key] } & {
  [Key in keyof Value as undefined extends Value[Key] ? Key : never]?: Exclude<Value[Key], undefined>;
};

/** The same object without its undefined members. */
export function compact<Value extends object>(value: Value): Compacted<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Compacted<Value>;
}

function acknowledge({ runId, acceptedAt }: AcceptedRun) {
  return { runId, status: 'accepted' as const, acceptedAt };
}

function finalOf(result: RunResult): StoredFinal {
  const { runId, payloads, meta, error } = result;
  if (result.status === 'ok') {
    return { payload: { runId, status: 'ok', summary: 'completed', result: { payloads, meta: { ...meta } } } };
  }
  const message = error?.message ?? 'the run failed';
  const details = error === undefined ? undefined : { code: error.code, hint: error.hint, owner: error.owner };
  return {
    error: new ProtocolError('UNAVAILABLE', message, {
      ...(details === undefined ? {} : { details }),
      ...(error?.retry ? { retryable: true } : {}),
      payload: { runId, status: 'error', summary: message },
    }),
  };
}

function replay(final: StoredFinal): AgentResult {
  if ('error' in final) throw final.error;
  return final.payload;
}
