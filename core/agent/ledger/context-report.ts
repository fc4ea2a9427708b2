import type { SessionRecord } from '../../../sdk/index.ts';
import type { ContextInspection, ContextReport } from '../../../sdk/protocol/generated/types.ts';

export type { ContextInspection };

/** A size in characters and, by the host's count, in tokens. */
export interface Size {
  chars: number;
  tokens: number;
}

/** What one request to a model was made of: sizes and names, no text. Bounded, so that it fits a session's row. */
export type RunContextReport = ContextReport;

const CHARS_PER_TOKEN = 4;
const TOP = 10;
/** A line of tool names is cut after this many characters. */
const NAMES_CHARS = 200;
const STORED_AS = 'contextReport';

export function tokensOf(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN);
}

/** The report of the session's last run. One that was made before a reset is not of this session any more. */
export function storedReport({ extra, sessionId }: Pick<SessionRecord, 'extra' | 'sessionId'>): RunContextReport | undefined {
  const report = extra?.[STORED_AS] as RunContextReport | undefined;
  return report?.sessionId === sessionId ? report : undefined;
}

/** A row's `extra` that carries a new report. */
export function withReport(extra: Record<string, unknown> | undefined, report: RunContextReport): Record<string, unknown> {
  return { ...extra, [STORED_AS]: report };
}

/** A row's `extra` as everybody else sees it. */
export function withoutReport(extra: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (extra === undefined || !(STORED_AS in extra)) return extra;
  const { [STORED_AS]: _report, ...rest } = extra;
  return rest;
}

/** What `/context list` says. */
export function formatContextList(inspection: ContextInspection): string {
  return ['🧠 Context breakdown', ...overview(inspection), '', sessionLine(inspection)].join('\n');
}

/** What `/context detail` says. */
export function formatContextDetail(inspection: ContextInspection): string {
  const { systemPrompt, messages, skills, tools, contextEngine, request } = inspection.report;
  const lines = ['🧠 Context breakdown (detailed)', ...overview(inspection)];
  const skillSizes = skills.entries.map(({ name, blockChars }) => ({ name, chars: blockChars }));
  if (skills.count > 0) lines.push('', 'Top skills (prompt entry size):', ...top(skillSizes, skills.count, 'skills'));
  const toolSizes = tools.entries.map(({ name, schemaChars }) => ({ name, chars: schemaChars }));
  if (tools.count > 0) lines.push('', 'Top tools (schema size):', ...top(toolSizes, tools.count, 'tools'));
  lines.push('', 'System prompt parts:', ...systemPrompt.parts.map(({ name, source, ...part }) => `- ${name} (${source}): ${size(part)}`));
  const by = contextEngine === undefined ? '' : ` by ${contextEngine}`;
  lines.push('', `Messages${by}: ${number(messages.count)}, ${size(messages)}`);
  lines.push(...messages.bySource.map(({ source, count, ...part }) => `- ${source}: ${number(count)}, ${size(part)}`));
  if (request !== undefined) {
    const { tokens, corrected, factor } = request;
    lines.push('', `Whole request: ~${number(corrected)} tok as the provider counts (~${number(tokens)} tok x ${factor.toFixed(2)})`);
  }
  return [...lines, '', sessionLine(inspection)].join('\n');
}

/** What `/context json` says. */
export function formatContextJson(inspection: ContextInspection): string {
  return JSON.stringify(inspection, null, 2);
}

function overview({ report }: ContextInspection): string[] {
  const { systemPrompt, skills, tools, sandbox } = report;
  const projectContext = `(Project Context ${sized(systemPrompt.projectContextChars)})`;
  return [
    `Workspace: ${report.workspaceDir}`,
    `Bootstrap max/file: ${number(report.bootstrapMaxChars)} chars`,
    `Sandbox: mode=${sandbox.mode} sandboxed=${sandbox.sandboxed}`,
    `System prompt (${report.source}): ${size(systemPrompt)} ${projectContext}`,
    '',
    'Injected workspace files:',
    ...report.injectedWorkspaceFiles.map(fileLine),
    '',
    `Skills list (system prompt text): ${sized(skills.promptChars)} (${number(skills.count)} skills)`,
    toolNames(tools),
    `Tool list (system prompt text): ${sized(tools.listChars)}`,
    `Tool schemas (JSON): ${sized(tools.schemaChars)} (counts toward context; not shown as text)`,
    'Tools: (same as above)',
  ];
}

function fileLine({ name, missing, truncated, rawChars, injectedChars }: RunContextReport['injectedWorkspaceFiles'][number]): string {
  if (missing) return `- ${name}: MISSING | raw 0 | injected 0`;
  return `- ${name}: ${truncated ? 'TRUNCATED' : 'OK'} | raw ${sized(rawChars)} | injected ${sized(injectedChars)}`;
}

function toolNames({ entries, count }: RunContextReport['tools']): string {
  if (count === 0) return 'Tools: (none)';
  const shown: string[] = [];
  let left = NAMES_CHARS;
  for (const { name } of entries) {
    left -= name.length + 2;
    if (left < 0) break;
    shown.push(name);
  }
  if (shown.length < count) shown.push('…');
  return `Tools: ${shown.join(', ')}`;
}

function sessionLine({ session }: ContextInspection): string {
  const total = session.totalTokens === null ? 'unknown' : number(session.totalTokens);
  return `Session tokens (cached): ${total} total / ctx=${number(session.contextTokens)}`;
}

function top(entries: ReadonlyArray<{ name: string; chars: number }>, count: number, what: string): string[] {
  const shown = entries.toSorted((a, b) => b.chars - a.chars).slice(0, TOP);
  const lines = shown.map(({ name, chars }) => `- ${name}: ${sized(chars)}`);
  if (count > shown.length) lines.push(`… (+${number(count - shown.length)} more ${what})`);
  return lines;
}

function sized(chars: number): string {
  return size({ chars, tokens: tokensOf(chars) });
}

function size({ chars, tokens }: Size): string {
  return `${number(chars)} chars (~${number(tokens)} tok)`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
