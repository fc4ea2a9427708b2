import type { SessionRecord, ToolSchema } from '../../sdk/index.ts';
import type { Generation } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
import { storedReport } from './context-report.ts';
import type { BootstrapFile, BootstrapFiles } from './prompt/bootstrap-files.ts';
import { buildSystemPrompt, type SystemPrompt } from './prompt/system-prompt.ts';
import { type TruncationWarning, truncationWarning } from './prompt/truncation-warning.ts';
import { agentEntry } from './settings.ts';

/** The host's own part of a system prompt and what it was made of. */
export interface RunPrompt extends SystemPrompt {
  workspaceDir: string;
  files: BootstrapFile[];
  warning: TruncationWarning;
}

export interface RunPromptParams {
  generation: Generation;
  session: SessionRecord;
  agentId: string;
  workspaceDir: string;
  modelRef: string;
  thinking?: string | undefined;
  /** Awaited beside the files. */
  tools: Promise<readonly ToolSchema[]>;
  extra?: string | undefined;
}

const SUBAGENT_KEY = /^agent:[^:]+:subagent:/;

/** Builds the prompt of a session's next run. */
export async function buildRunPrompt(
  deps: { bootstrapFiles: BootstrapFiles; now: () => number; version: string; log: Logger },
  { tools: pending, ...params }: RunPromptParams,
): Promise<RunPrompt> {
  const { generation, session, agentId, workspaceDir } = params;
  const { defaults } = generation.config.agents;
  const limits = { perFile: defaults.bootstrapMaxChars, total: defaults.bootstrapTotalMaxChars };
  const audience = SUBAGENT_KEY.test(session.key) ? 'subagent' : 'agent';
  const [tools, files] = await Promise.all([pending, defaults.skipBootstrap ? [] : deps.bootstrapFiles.load(workspaceDir, limits, audience)]);
  const warning = truncationWarning(defaults.bootstrapPromptTruncationWarning, files, storedReport(session)?.bootstrapTruncation.shownFor ?? []);
  const agent = agentEntry(generation.config, agentId);
  const built = await buildSystemPrompt({
    ...params,
    tools,
    files,
    truncationWarning: warning.text,
    agentName: agent?.identity?.name ?? agent?.name,
    sessionKey: session.key,
    timeZone: defaults.userTimezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    now: deps.now(),
    version: deps.version,
    log: deps.log,
  });
  return { ...built, workspaceDir, files, warning };
}
