import type { Tool, ToolContext } from 'Durar/plugin-sdk/core';
import { answer, refusable, refusal } from './answer.ts';
import { sessionView } from './list.ts';
import type { Reach } from './reach.ts';

export function createStatusTool(context: ToolContext, reach: Reach): Tool {
  return {
    name: 'session_status',
    label: 'Session status',
    description: 'Shows model, tokens, state and settings of this session or of another that you can look into, and what time it is.',
    parameters: {
      type: 'object',
      additionalProperties: false,
      properties: { sessionKey: { type: 'string', description: 'Absent: this session.' } },
    },
    execute: (_callId, { sessionKey }) =>
      refusable(async () => {
        const session = await reach.find({ sessionKey });
        if (typeof session === 'string') return refusal(session);
        const { thinkingLevel, modelOverride, compactionCount, estimatedCostUsd, inputTokens, outputTokens, createdAt } = session;
        return answer({
          now: new Date().toISOString(),
          timeZone: timeZoneOf(context.config),
          ...sessionView(session),
          createdAt: new Date(createdAt).toISOString(),
          thinkingLevel,
          modelOverride,
          inputTokens,
          outputTokens,
          compactionCount,
          estimatedCostUsd,
        });
      }),
  };
}

function timeZoneOf(config: Record<string, unknown>): string {
  const { agents } = config as { agents?: { defaults?: { userTimezone?: string } } };
  return agents?.defaults?.userTimezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}
