import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../agent/service.ts';
import type { Call } from './call.ts';
import type { GatewayContext } from './context.ts';
import { deliverReply, type ReplyRoute } from './reply-route.ts';
import { acceptedBefore, untilEnd } from './run-end.ts';

/** How a message got into a session, for the caller. */
export interface ChatStart {
  runId: string;
  status: 'started' | 'in_flight' | 'ok' | 'error';
  summary?: string;
  /** The place that the message gets in the transcript, when no other run comes before it. */
  messageSeq?: number;
  interruptedActiveRun?: true;
}

/** What a message asks for. */
export interface ChatRequest {
  request: RunRequest;
  /** Where the reply goes beside its session. */
  route?: ReplyRoute | undefined;
}

interface Accepted extends AcceptedRun {
  route?: ReplyRoute | undefined;
  messageSeq?: number;
  interrupted: boolean;
}

/**
 * Starts a run for a client that follows it by events: answers at once, and a repeat of the key tells how it goes. `prepare` decides on the
 * request and may refuse it; it runs once for each key. `placed`: the answer tells the message's place. `steer`: into the running turn, or in its place.
 */
export async function startChat(
  context: GatewayContext,
  call: Call,
  params: { key: string; sentKey: string; prepare(): Promise<ChatRequest>; placed?: boolean; steer?: boolean },
): Promise<ChatStart> {
  const { agent, idempotency, runs } = context;
  const key = `chat:${params.key}`;
  const present = idempotency.get<Accepted, RunResult>(key);
  if (present !== undefined) {
    const { runId } = await present.accepted;
    return repeated(runId, present.final);
  }
  const before = acceptedBefore(context, params.key);
  if (before !== undefined) return repeated(before.run.runId, await before.result);

  const start = async (): Promise<Accepted> => {
    const { request: asked, route } = await params.prepare();
    const request: RunRequest = route === undefined ? asked : { ...asked, route };
    const placed = await place(context, request, params.placed === true);
    const isOwn = runs.begin({ runId: request.runId, sessionKey: params.sentKey, connection: call.connection });
    try {
      const { run, interrupted } = params.steer === true ? await agent.steer(request) : { run: await agent.accept(request), interrupted: false };
      return { ...run, ...placed, route, interrupted };
    } catch (error) {
      if (isOwn) runs.forget(request.runId);
      throw error;
    }
  };
  const { accepted } = idempotency.begin<Accepted, RunResult>(key, start());
  const { runId, messageSeq, route, interrupted } = await accepted;
  // After the response of this call, which is written when the method has returned.
  setImmediate(() => {
    runs.release(runId);
    follow(context, key, runId, route).catch((error) => context.log.error('the end of a chat run could not be read', { runId, reason: String(error) }));
  });
  return {
    runId,
    status: 'started',
    ...(params.placed === true && messageSeq !== undefined ? { messageSeq } : {}),
    ...(interrupted ? { interruptedActiveRun: true } : {}),
  };
}

function repeated(runId: string, result: RunResult | undefined): ChatStart {
  if (result === undefined) return { runId, status: 'in_flight' };
  return result.status === 'ok' ? { runId, status: 'ok' } : { runId, status: 'error', summary: result.error?.message ?? 'the run failed' };
}

/** The deadline of a run in whole seconds; 0 means none. */
export function secondsOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.ceil(ms / 1000);
}

/** Throws INVALID_REQUEST when there is nothing in it. */
export function assertContent(message: string, images: readonly unknown[]): void {
  if (message.trim() === '' && images.length === 0) throw new ProtocolError('INVALID_REQUEST', 'message or attachment required');
}

async function follow(context: GatewayContext, key: string, runId: string, route: ReplyRoute | undefined): Promise<void> {
  const result = await untilEnd(context, runId);
  context.idempotency.finish(key, result);
  context.runs.forget(runId);
  if (route !== undefined) await deliverReply(context, route, result);
}

/** Opens the session and tells its followers what is coming; nothing to do where nobody wants to know. */
async function place({ agent, sessions, sessionEvents }: GatewayContext, request: RunRequest, wanted: boolean): Promise<{ messageSeq?: number }> {
  const { sessionKey, agentId, message } = request;
  // a message for the gateway itself gets no place
  if (agent.isCommand(request)) return {};
  if (!wanted && !sessionEvents.isFollowed(sessions.canonicalKey(sessionKey, agentId))) return {};
  const { session, created } = await agent.session({ sessionKey, agentId });
  const { lastSeq } = await sessions.read(session, { fromSeq: Number.MAX_SAFE_INTEGER, limit: 1 });
  const messageSeq = lastSeq + 1;
  if (created) sessionEvents.changed(session.key, 'create');
  sessionEvents.announce(session.key, { text: message, timestamp: Date.now(), seq: messageSeq });
  return { messageSeq };
}
