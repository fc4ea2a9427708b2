import { type AgentMessage, messageText, type PluginRuntime, type SessionRecord, type Tool } from 'Durar/plugin-sdk/core';
import { answer, refusable } from './answer.ts';
import type { Reach } from './reach.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
const MAX_MESSAGES = 20;
const MESSAGE_CHARS = 500;

export function createListTool(runtime: Pick<PluginRuntime, 'sessions'>, reach: Reach): Tool {
  return {
    name: 'sessions_list',
    label: 'List sessions',
    description: 'Lists the sessions that you can look into, newest first: your own, and those that it started.',
    parameters: {
      type: 'object',
      additionalProperties: false,
      properties: {
        limit: { type: 'integer', minimum: 1, maximum: MAX_LIMIT, description: `Default ${DEFAULT_LIMIT}.` },
        activeMinutes: { type: 'integer', minimum: 1, description: 'Only those active in so many minutes.' },
        messageLimit: { type: 'integer', minimum: 0, maximum: MAX_MESSAGES, description: 'Show so many last messages of each; default 0.' },
      },
    },
    execute: (_callId, { limit = DEFAULT_LIMIT, activeMinutes, messageLimit = 0 }) =>
      refusable(async () => {
        const since = typeof activeMinutes === 'number' ? { activeSince: Date.now() - activeMinutes * 60_000 } : {};
        const found = await reach.list({ limit: Number(limit), ...since });
        const sessions = await Promise.all(
          found.map(async (session) => ({
            ...sessionView(session),
            ...(messageLimit === 0 ? {} : { messages: await lastMessages(session.key, Number(messageLimit)) }),
          })),
        );
        return answer({ count: sessions.length, sessions });
      }),
  };

  async function lastMessages(sessionKey: string, limit: number) {
    const messages = await runtime.sessions.messages({ sessionKey, limit: limit * 4 });
    return messages
      .filter(isTalk)
      .slice(-limit)
      .map(({ role, ...message }) => ({ role, text: messageText({ role, ...message } as AgentMessage).slice(0, MESSAGE_CHARS) }));
  }
}

export function isTalk(message: AgentMessage): boolean {
  return message.role !== 'toolResult' && messageText(message) !== '';
}

/** A session as models are shown it. */
export function sessionView(session: SessionRecord) {
  const { key, agentId, label, displayName, status, updatedAt, spawnedBy, model, totalTokens, contextTokens, lastChannel } = session;
  return { key, agentId, label, displayName, status, updatedAt: new Date(updatedAt).toISOString(), spawnedBy, model, totalTokens, contextTokens, lastChannel };
}
