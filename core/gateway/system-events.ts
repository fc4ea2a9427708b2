import type { GatewaySessions, SystemEvent, SystemEvents } from './options.ts';

const MAX_PER_SESSION = 20;
const MAX_CHARS = 2000;

export function createSystemEvents(sessions: Pick<GatewaySessions, 'canonicalKey'>, now: () => number = Date.now): SystemEvents {
  const waiting = new Map<string, SystemEvent[]>();
  return {
    add(sessionKey, text) {
      const events = waiting.get(sessionKey) ?? [];
      const line = text.trim().slice(0, MAX_CHARS);
      if (events.at(-1)?.text !== line) waiting.set(sessionKey, [...events, { ts: now(), text: line }].slice(-MAX_PER_SESSION));
    },
    list: () => [...waiting.values()].flat().sort((a, b) => a.ts - b.ts),
    attach: (agent) => ({
      ...agent,
      async accept(request) {
        // a command is not for the model, which is to be told
        if (waiting.size === 0 || request.sessionId !== undefined || agent.isCommand(request)) return await agent.accept(request);
        const key = sessions.canonicalKey(request.sessionKey, request.agentId);
        const events = waiting.get(key);
        if (events === undefined) return await agent.accept(request);
        waiting.delete(key);
        try {
          return await agent.accept({ ...request, extraSystemPrompt: [request.extraSystemPrompt, describe(events)].filter(Boolean).join('\n\n') });
        } catch (error) {
          waiting.set(key, [...events, ...(waiting.get(key) ?? [])].slice(-MAX_PER_SESSION));
          throw error;
        }
      },
    }),
  };
}

function describe(events: readonly SystemEvent[]): string {
  return `Since the last turn the system reported:\n${events.map(({ ts, text }) => `- ${new Date(ts).toISOString()} ${text}`).join('\n')}`;
}
