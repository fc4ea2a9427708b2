import { errorText, reportError } from '../../../sdk/errors.ts';
import { type AssistantMessage, emptyUsage } from '../../../sdk/index.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { SendParams } from '../../../sdk/protocol/generated/types.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

/** A delivery's end as it is kept for repeats of its key. */
type Outcome<Result> = { payload: Result } | { error: ProtocolError };

/** What only the caller can put right. */
const CALLER_CODES = new Set([
  'DUR_CHANNEL_UNKNOWN',
  'DUR_CHANNEL_ACCOUNT',
  'DUR_CHANNEL_NO_TEXT',
  'DUR_CHANNEL_NO_MEDIA',
  'DUR_CHANNEL_NO_POLL',
  'DUR_CHANNEL_POLL_OPTIONS',
]);

const MIRROR = { api: 'openai-responses', provider: 'openclaw', model: 'delivery-mirror' };

export function sendMethods({ channels, idempotency, log, sessions }: GatewayContext): MethodFamily<'send' | 'poll'> {
  const channelOf = (wanted: string | undefined): string => {
    const named = wanted?.trim().toLowerCase();
    if (named) return named;
    const configured = channels.configured();
    const [only] = configured;
    if (only !== undefined && configured.length === 1) return only;
    const why = configured.length === 0 ? 'no configured channels detected' : `configured: ${configured.join(', ')}`;
    throw new ProtocolError('INVALID_REQUEST', `Channel is required (${why}).`);
  };

  /** What was said in a session's name is part of its conversation. The message is out, so nothing here fails the call. */
  const mirror = async ({ sessionKey, agentId, message }: SendParams): Promise<void> => {
    if (!sessionKey || !message?.trim()) return;
    try {
      const session = await sessions.get(sessions.canonicalKey(sessionKey, agentId));
      const content: AssistantMessage['content'] = [{ type: 'text', text: message }];
      const note: AssistantMessage = { role: 'assistant', content, timestamp: Date.now(), stopReason: 'stop', usage: emptyUsage(), ...MIRROR };
      if (session !== undefined) await sessions.append(session, [{ type: 'message', message: note }]);
    } catch (error) {
      log.warn('a sent message is not in the transcript of its session', { sessionKey, reason: errorText(error) });
    }
  };

  /** Runs a delivery once per key: repeats get the first one's outcome, be it a failure. */
  const once = async <Result>(key: string, deliver: () => Promise<Result>): Promise<Result> => {
    const present = idempotency.get<Outcome<Result>, Outcome<Result>>(key);
    if (present !== undefined) return settle(await present.accepted);
    const attempt = deliver().then(
      (payload): Outcome<Result> => ({ payload }),
      (error): Outcome<Result> => ({ error: failureOf(error) }),
    );
    const outcome = await idempotency.begin<Outcome<Result>, Outcome<Result>>(key, attempt).accepted;
    idempotency.finish(key, outcome);
    return settle(outcome);
  };

  return {
    send(params) {
      const { idempotencyKey: runId, message = '' } = params;
      const media = [params.mediaUrl, ...(params.mediaUrls ?? [])].flatMap((url) => (url?.trim() ? [url.trim()] : []));
      if (message.trim() === '' && media.length === 0) throw new ProtocolError('INVALID_REQUEST', 'invalid send params: text or media is required');
      const to = recipient(params, 'send');
      const channel = channelOf(params.channel);
      return once(`send:${runId}`, async () => {
        const { messageId } = await channels.send({ id: `send:${runId}`, channel, to, text: message, media: [...new Set(media)], ...place(params) });
        await mirror(params);
        return { runId, channel, ...(messageId === undefined ? {} : { messageId }) };
      });
    },

    poll(params) {
      const { idempotencyKey: runId, to: _to, channel: _channel, accountId: _account, threadId: _thread, ...poll } = params;
      const to = recipient(params, 'poll');
      const channel = channelOf(params.channel);
      if (params.durationSeconds !== undefined && params.durationHours !== undefined) {
        throw new ProtocolError('INVALID_REQUEST', 'invalid poll params: durationSeconds and durationHours exclude each other');
      }
      if ((params.maxSelections ?? 1) > params.options.length) {
        throw new ProtocolError('INVALID_REQUEST', 'invalid poll params: maxSelections exceeds the number of options');
      }
      return once(`poll:${runId}`, async () => {
        const { messageId, pollId, toJid, channelId, conversationId } = await channels.poll({ ...poll, id: `poll:${runId}`, channel, to, ...place(params) });
        const told = Object.entries({ messageId, toJid, channelId, conversationId, pollId }).filter(([, value]) => value !== undefined);
        return { runId, channel, ...Object.fromEntries(told) };
      });
    },
  };
}

function recipient({ to }: { to: string }, method: string): string {
  if (to.trim() === '') throw new ProtocolError('INVALID_REQUEST', `invalid ${method} params: to is required`);
  return to.trim();
}

function place({ accountId, threadId }: { accountId?: string; threadId?: string }): { accountId?: string; threadId?: string } {
  return { ...(accountId ? { accountId } : {}), ...(threadId ? { threadId } : {}) };
}

function failureOf(error: unknown): ProtocolError {
  const { code, message, hint, owner } = reportError(error);
  if (CALLER_CODES.has(code)) return new ProtocolError('INVALID_REQUEST', message, { cause: error });
  const details = code === 'DUR_UNKNOWN' || !code.startsWith('DUR_') ? {} : { details: { code, hint, owner } };
  return new ProtocolError('UNAVAILABLE', message, { ...details, cause: error });
}

function settle<Result>(outcome: Outcome<Result>): Result {
  if ('error' in outcome) throw outcome.error;
  return outcome.payload;
}
