import { errorCode } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { ModelAccess } from '../models/model-access.ts';
import type { RunRequest } from '../run-request.ts';
import type { SessionWork } from '../session-work.ts';

/** What is to be run in the new conversation. */
export interface FreshStart extends Pick<RunRequest, 'message' | 'provenance'> {
  reason: 'new' | 'reset';
  sessionKey: string;
}

/** What the agent is told when a session begins without a message. */
const GREETING = 'A new session has begun. Greet the user in one or two sentences, in your own voice, and ask what they want to do.';

/** The word that begins a message and starts its session over; undefined: it is a message like any other. */
export function resetTrigger({ session }: Pick<Config, 'session'>, message: string): string | undefined {
  const text = message.trim();
  return (session?.resetTriggers ?? ['/new', '/reset']).find((word) => {
    const rest = text.slice(word.length);
    return text.toLowerCase().startsWith(word.toLowerCase()) && (rest === '' || /^\s/.test(rest));
  });
}

/** Starts the session over as a message asks for it. What follows the trigger is the new message, or names the session's model. */
export async function startOver(
  deps: { config: Config; sessions: SessionService; models: ModelAccess; reset: SessionWork['reset'] },
  params: { sessionKey: string; message: string; trigger: string },
): Promise<FreshStart> {
  const { sessionKey, trigger } = params;
  const reason = trigger.toLowerCase() === '/reset' ? 'reset' : 'new';
  const session = await deps.reset({ sessionKey, reason });
  let message = params.message.trim().slice(trigger.length).trim();
  const [word = ''] = message.split(/\s/, 1);
  const model = await modelOf(deps, session.agentId, word);
  if (model !== undefined) {
    await deps.sessions.patch(sessionKey, { modelOverride: model });
    message = message.slice(word.length).trim();
  }
  if (message !== '') return { reason, sessionKey, message };
  return { reason, sessionKey, message: GREETING, provenance: { kind: 'internal_system', sourceTool: 'session.reset' } };
}

/** Only a full ref or a configured alias names a model; any other word belongs to the message. */
async function modelOf({ config, models }: { config: Config; models: ModelAccess }, agentId: string, word: string): Promise<string | undefined> {
  const aliases = Object.values(config.agents.defaults.models ?? {}).map(({ alias }) => alias?.toLowerCase());
  if (word === '' || !(/^[\w.-]+\/\S+$/.test(word) || aliases.includes(word.toLowerCase()))) return undefined;
  try {
    const { provider, model } = await models.choose({ agentId, ref: word });
    return `${provider}/${model}`;
  } catch (error) {
    if (errorCode(error) === 'DUR_MODEL_UNKNOWN') return undefined;
    throw error;
  }
}
