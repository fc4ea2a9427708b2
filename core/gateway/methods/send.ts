import { errorCode, errorText, reportError } from '../../../sdk/errors.ts';
import { type AssistantMessage, emptyUsage } from '../../../sdk/index.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { SendParams, SendResult } from '../../../sdk/protocol/generated/types.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';

/** A delivery's end as it is kept for repeats of its key. */
type Outcome = { payload: SendResult } | { error: ProtocolError };

/** What only the caller can put right. */
const CALLER_CODES = new Set(['DUR_CHANNEL_UNKNOWN', 'DUR_CHANNEL_ACCOUNT', 'DUR_CHANNEL_NO_TEXT', 'DUR_CHANNEL_NO_MEDIA']);

const MIRROR = { api: 'openai-responses', provider: 'openclaw', model: 'delivery-mirror' };

export function sendMethods({ channels, idempotency, log, sessions }: GatewayContext): MethodFamily<'send'> {
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

  const deliver = async (params: SendParams, channel: string, media: string[]): Promise<Outcome> => {
    const { idempotencyKey: runId, to, accountId, threadId, message = '' } = params;
    try {
      const { messageId } = await channels.send({
        channel,
        to: to.trim(),
        text: message,
        media,
        ...(accountId ? { accountId } : {}),
        ...(threadId ? { threadId } : {}),
      });
      await mirror(params);
      return { payload: { runId, channel, ...(messageId === undefined ? {} : { messageId }) } };
    } catch (error) {
      const { code, message: text, hint, owner } = reportError(error);
      const isCaller = CALLER_CODES.has(errorCode(error) ?? '');
      const details = code === 'DUR_UNKNOWN' || !code.startsWith('DUR_') ? {} : { details: { code, hint, owner } };
      return { error: new ProtocolError(isCaller ? 'INVALID_REQUEST' : 'UNAVAILABLE', text, { ...(isCaller ? {} : details), cause: error }) };
    }
  };

  return {
    async send(params) {
      const key = `send:${params.idempotencyKey}`;
      const present = idempotency.get<Outcome, Outcome>(key);
      if (present !== undefined) return settle(await present.accepted);
      const media = [params.mediaUrl, ...(params.mediaUrls ?? [])].flatMap((url) => (url?.trim() ? [url.trim()] : []));
      if (params.to.trim() === '') throw new ProtocolError('INVALID_REQUEST', 'invalid send params: to is required');
      if (!params.message?.trim() && media.length === 0) throw new ProtocolError('INVALID_REQUEST', 'invalid send params: text or media is required');
      const { accepted } = idempotency.begin<Outcome, Outcome>(key, deliver(params, channelOf(params.channel), [...new Set(media)]));
      const outcome = await accepted;
      idempotency.finish(key, outcome);
      return settle(outcome);
    },
  };
}

function settle(outcome: Outcome): SendResult {
  if ('error' in outcome) throw outcome.error;
  return outcome.payload;
}
