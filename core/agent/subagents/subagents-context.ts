import type { SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { isSubagentKey, spawnDepthOf, subagentRole } from './subagents-row.ts';

/** A last reply that is exactly this is not announced. */
export const ANNOUNCE_SKIP = 'ANNOUNCE_SKIP';

/** What the prompt of a sub-agent says about its place. It depends on the session alone, so that the prompt stays the same from run to run. */
export function subagentContext(config: Config, session: SessionRecord): string | undefined {
  const role = subagentRole(config, session);
  if (role === undefined || !isSubagentKey(session.key)) return undefined;
  const { spawnedBy, label } = session;
  const name = label === undefined ? 'a sub-agent' : `the sub-agent "${label}"`;
  const lines = [
    `You are ${name}${spawnedBy === undefined ? '' : `, started by the session ${spawnedBy}`}, at depth ${spawnDepthOf(session)} of ${config.agents.defaults.subagents.maxSpawnDepth}.`,
    '- The first message here is your task. Do that and nothing else; you see nothing of the conversation that it came from.',
    '- Nobody answers questions. Where something is unclear, choose what serves the task best and say so.',
    '- Your last reply is the result and is handed to whoever started you: what you found or did, complete and without preamble. It is not sent to a user.',
    `- When there is nothing to report, reply exactly ${ANNOUNCE_SKIP}.`,
    role === 'orchestrator'
      ? '- You may start sub-agents with sessions_spawn. Their results come to you as messages; do not poll for them.'
      : '- You cannot start sub-agents.',
  ];
  return lines.join('\n');
}
