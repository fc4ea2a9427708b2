import type { PluginRuntime, Tool, ToolContext } from 'Durar/plugin-sdk/core';
import { answer, refusable, refusal } from './answer.ts';
import type { Exchanges } from './exchange.ts';
import type { Reach } from './reach.ts';

const DEFAULT_WAIT_SECONDS = 30;
const MAX_WAIT_SECONDS = 3_600;
const DEFAULT_TURNS = 5;

export function createSendTool(params: { runtime: Pick<PluginRuntime, 'sessions'>; context: ToolContext; reach: Reach; exchanges: Exchanges }): Tool {
  const { runtime, context, reach, exchanges } = params;
  const turns = turnsOf(context.config);
  return {
    name: 'sessions_send',
    label: 'Send to a session',
    description: 'Sends a message to another session and waits for its answer. Answers that come later, and further ones, arrive here as messages.',
    parameters: {
      type: 'object',
      additionalProperties: false,
      required: ['message'],
      properties: {
        sessionKey: { type: 'string', minLength: 1, description: 'As sessions_list gave it.' },
        label: { type: 'string', minLength: 1, description: 'In place of the key.' },
        message: { type: 'string', minLength: 1 },
        timeoutSeconds: {
          type: 'integer',
          minimum: 0,
          maximum: MAX_WAIT_SECONDS,
          description: `How long to wait; default ${DEFAULT_WAIT_SECONDS}, 0: not at all.`,
        },
      },
    },
    execute: (_callId, { sessionKey, label, message, timeoutSeconds = DEFAULT_WAIT_SECONDS }, signal) =>
      refusable(async () => {
        if (sessionKey === undefined && label === undefined) return refusal('give the sessionKey or the label of a session; sessions_list shows them');
        const target = await reach.find({ sessionKey, label });
        if (typeof target === 'string') return refusal(target);
        if (target.key === reach.own) return refusal('that is this session; just say it');
        const { runId } = await runtime.sessions.send({ sessionKey: target.key, message: String(message), fromSessionKey: reach.own });
        const sent = { runId, sessionKey: target.key };
        if (turns > 0) exchanges({ from: reach.own, to: target.key, runId, turns });
        if (timeoutSeconds === 0) return answer({ status: 'accepted', ...sent });
        const { status, text, error } = await awaited(runtime.sessions.reply({ runId, timeoutMs: Number(timeoutSeconds) * 1000 }), signal);
        if (status === 'timeout') {
          const note =
            turns > 0 ? 'It has not answered yet. Its answer will come to this session as a message.' : 'It has not answered yet. Read sessions_history later.';
          return answer({ status, ...sent, note });
        }
        return status === 'error'
          ? refusal(`the session ${target.key} failed: ${error ?? 'it gave no reason'}`)
          : answer({ status, ...sent, reply: text ?? '' });
      }),
  };
}

/** The other session goes on when this run is aborted. */
function awaited<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

function turnsOf(config: Record<string, unknown>): number {
  const { session } = config as { session?: { agentToAgent?: { maxPingPongTurns?: number } } };
  return session?.agentToAgent?.maxPingPongTurns ?? DEFAULT_TURNS;
}
