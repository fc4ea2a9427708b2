import { errorCode } from '../../sdk/errors.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import { ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { RunRequest } from '../agent/service.ts';
import type { Call } from './call.ts';
import type { GatewayContext } from './context.ts';

/** What the agent is told when a session begins without a message. */
const GREETING = 'A new session has begun. Greet the user in one or two sentences, in your own voice, and ask what they want to do.';

/**
 * A message that begins with `/new` or `/reset` starts its session over (administrators only). What follows is the new message, or names
 * the session's model; returns what to run then. undefined: it is a message like any other.
 */
export async function resetByMessage(
  context: GatewayContext,
  { client }: Call,
  params: { sessionKey: string; agentId?: string | undefined; message: string },
): Promise<Pick<RunRequest, 'message' | 'provenance'> | undefined> {
  const { agent, sessions, source, sessionEvents } = context;
  const { config } = source.current();
  const text = params.message.trim();
  const trigger = (config.session?.resetTriggers ?? ['/new', '/reset']).find((word) => {
    const rest = text.slice(word.length);
    return text.toLowerCase().startsWith(word.toLowerCase()) && (rest === '' || /^\s/.test(rest));
  });
  if (trigger === undefined) return undefined;
  if (!client.can(ADMIN_SCOPE)) throw new ProtocolError('INVALID_REQUEST', `missing scope: ${ADMIN_SCOPE}`);
  const key = sessions.canonicalKey(params.sessionKey, params.agentId);
  const reason = trigger.toLowerCase() === '/reset' ? 'reset' : 'new';
  const session = await agent.reset({ sessionKey: key, reason });
  let message = text.slice(trigger.length).trim();
  const [word = ''] = message.split(/\s/, 1);
  const model = await modelOf(context, session.agentId, word);
  if (model !== undefined) {
    await sessions.patch(key, { modelOverride: model });
    message = message.slice(word.length).trim();
  }
  sessionEvents.changed(key, reason);
  if (message !== '') return { message };
  return { message: GREETING, provenance: { kind: 'internal_system', sourceTool: 'session.reset' } };
}

/** Only a full ref or a configured alias names a model; any other word belongs to the message. */
async function modelOf({ agent, source }: GatewayContext, agentId: string, word: string): Promise<string | undefined> {
  const aliases = Object.values(source.current().config.agents?.defaults?.models ?? {}).map(({ alias }) => alias?.toLowerCase());
  if (word === '' || !(/^[\w.-]+\/\S+$/.test(word) || aliases.includes(word.toLowerCase()))) return undefined;
  try {
    const { provider, model } = await agent.models.choose({ agentId, ref: word });
    return `${provider}/${model}`;
  } catch (error) {
    if (errorCode(error) === 'DUR_MODEL_UNKNOWN') return undefined;
    throw error;
  }
}
