import type { SessionRecord, ToolSchema } from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import { storedReport } from '../ledger/context-report.ts';
import { type BootstrapFile, type BootstrapFiles, FIRST_RUN_FILE } from '../prompt/bootstrap-files.ts';
import { buildSystemPrompt, type SystemPrompt } from '../prompt/system-prompt.ts';
import { type TruncationWarning, truncationWarning } from '../prompt/truncation-warning.ts';
import { agentEntry } from '../settings.ts';
import { subagentContext } from '../subagents/subagents-context.ts';
import { isSubagentKey } from '../subagents/subagents-row.ts';
import type { Workspaces } from '../workspace.ts';

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
  /** The only ones of the conversation. */
  skills?: readonly string[] | undefined;
}

/** Builds the prompt of a session's next run. */
export async function buildRunPrompt(
  deps: { bootstrapFiles: BootstrapFiles; workspaces: Workspaces; now: () => number; version: string; log: Logger },
  { tools: pending, ...params }: RunPromptParams,
): Promise<RunPrompt> {
  const { generation, session, agentId, workspaceDir } = params;
  const { defaults } = generation.config.agents;
  const limits = { perFile: defaults.bootstrapMaxChars, total: defaults.bootstrapTotalMaxChars };
  const audience = isSubagentKey(session.key) ? 'subagent' : 'agent';
  const [tools, loaded] = await Promise.all([pending, defaults.skipBootstrap ? [] : deps.bootstrapFiles.load(workspaceDir, limits, audience)]);
  const files =
    isFirstRun(loaded) && (await deps.workspaces.isOnboarded(workspaceDir))
      ? loaded.map((file) => (file.name === FIRST_RUN_FILE ? withheld(file) : file))
      : loaded;
  const warning = truncationWarning(defaults.bootstrapPromptTruncationWarning, files, storedReport(session)?.bootstrapTruncation.shownFor ?? []);
  const agent = agentEntry(generation.config, agentId);
  const built = await buildSystemPrompt({
    ...params,
    tools,
    files,
    truncationWarning: warning.text,
    extra: [subagentContext(generation.config, session), params.extra].filter(Boolean).join('\n\n') || undefined,
    mode: audience === 'subagent' ? 'minimal' : 'full',
    agentName: agent?.identity?.name ?? agent?.name,
    sessionKey: session.key,
    timeZone: defaults.userTimezone,
    modelAliases: Object.entries(defaults.models ?? {}).flatMap(([ref, { alias }]) => (alias === undefined ? [] : [{ alias, ref }])),
    now: deps.now(),
    version: deps.version,
    log: deps.log,
  });
  return { ...built, workspaceDir, files, warning };
}

/** Whether the prompt tells a new agent what to do first. */
export function isFirstRun(files: readonly BootstrapFile[]): boolean {
  return files.some(({ name, text }) => name === FIRST_RUN_FILE && text !== undefined);
}

/** The file for the first run stays out of later ones. */
function withheld({ text: _text, ...file }: BootstrapFile): BootstrapFile {
  return { ...file, truncated: false };
}
