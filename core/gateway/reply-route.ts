import { errorText, type SessionRecord } from '../../sdk/index.ts';
import { INTERNAL_CHANNEL } from '../../sdk/protocol/clients.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { AgentParams } from '../../sdk/protocol/generated/types.ts';
import type { RunResult } from '../agent/service.ts';
import type { GatewayContext } from './context.ts';

/** Where the reply of a run goes beside its session. */
export interface ReplyRoute {
  channel: string;
  to: string;
  accountId?: string;
  threadId?: string;
  /** A failure is only logged. */
  bestEffort: boolean;
}

type Wanted = Pick<AgentParams, 'deliver' | 'bestEffortDeliver' | 'channel' | 'replyChannel' | 'to' | 'replyTo' | 'accountId' | 'replyAccountId' | 'threadId'>;

/**
 * The route that a request asks for, completed by where its session last talked. undefined: the reply stays in the session, as nothing was asked
 * or, with best effort, as there is no way out. Throws INVALID_REQUEST when the caller insists.
 */
export function replyRoute({ channels }: GatewayContext, params: Wanted, session: SessionRecord | undefined, isMain: boolean): ReplyRoute | undefined {
  if (params.deliver !== true) return undefined;
  const bestEffort = params.bestEffortDeliver ?? isMain;
  const configured = channels.configured();
  const lastChannel = session?.lastChannel;
  const named = [params.replyChannel, params.channel, lastChannel].map((name) => name?.trim().toLowerCase()).find((name) => name && name !== 'last');
  const channel = named ?? (configured.length === 1 ? configured[0] : undefined);
  const isLast = channel !== undefined && channel === lastChannel;
  const to = (params.replyTo ?? params.to ?? (isLast ? session?.lastTo : undefined))?.trim();
  const problem = problemOf(channel, to, configured);
  if (problem !== undefined || channel === undefined || !to) {
    if (bestEffort) return undefined;
    throw new ProtocolError('INVALID_REQUEST', `Error: ${problem}`);
  }
  const accountId = params.replyAccountId ?? params.accountId ?? (isLast ? session?.lastAccountId : undefined);
  return { channel, to, bestEffort, ...(accountId ? { accountId } : {}), ...(params.threadId ? { threadId: params.threadId } : {}) };
}

/** Sends what a run said. With best effort it is kept until it is out; else this throws what the channel threw. */
export async function deliverReply({ channels, log }: GatewayContext, route: ReplyRoute, result: RunResult): Promise<void> {
  if (result.status !== 'ok' || result.meta.aborted) return;
  const { bestEffort, ...target } = route;
  try {
    await channels.reply({ ...target, runId: result.runId }, result, { insist: !bestEffort });
  } catch (error) {
    if (!bestEffort) throw error;
    log.warn('the reply of a run was not delivered', { runId: result.runId, channel: route.channel, reason: errorText(error) });
  }
}

function problemOf(channel: string | undefined, to: string | undefined, configured: readonly string[]): string | undefined {
  const known = configured.length === 0 ? 'no configured channels detected' : `configured: ${configured.join(', ')}`;
  if (channel === undefined) return `Channel is required (${known}).`;
  if (channel === INTERNAL_CHANNEL) return `Channel "${channel}" is internal, nothing can be delivered to it; name another one (${known}).`;
  if (!configured.includes(channel)) return `Channel "${channel}" is not available (${known}).`;
  return to ? undefined : `Delivery to "${channel}" needs a target.`;
}
