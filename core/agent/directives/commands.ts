import { CHAT_COMMAND_ROWS, type ChatCommandName, type DirectiveName } from '../../../sdk/chat-commands.ts';
import { type CommandReply, errorText, reportError } from '../../../sdk/index.ts';
import type { Generation, GenerationSource } from '../../kernel/generation.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { TokenEstimator } from '../budget/tokens.ts';
import { formatContextDetail, formatContextJson, formatContextList } from '../ledger/context-report.ts';
import { formatTurn } from '../ledger/ledger-text.ts';
import type { ModelAccess } from '../models/model-access.ts';
import type { AcceptedRun } from '../run-request.ts';
import type { SessionWork } from '../session-work.ts';
import type { Subagents } from '../subagents/subagents.ts';
import type { ToolCatalog } from '../tools/tool-catalog.ts';
import type { Answer } from './command-call.ts';
import { modelReply } from './model-setting.ts';
import { mergedExtra } from './session-settings.ts';
import { grouped, type LastContext, statusText } from './status.ts';
import { count, createSubagentCommands } from './subagent-commands.ts';

export interface CommandDeps extends Pick<SessionWork, 'compact' | 'inspect' | 'turn'> {
  source: GenerationSource;
  sessions: SessionService;
  models: ModelAccess;
  tools: Pick<ToolCatalog, 'effective'>;
  estimator: TokenEstimator;
  subagents: Subagents;
  version: string;
  active(sessionKey: string): AcceptedRun[];
  /** Aborts one run. */
  stop(runId: string): void;
  lastContext(sessionKey: string): LastContext | undefined;
}

/** Those that need a run to go on are not here: `/new` and `/reset` begin one. */
export type AnsweredCommand = Exclude<ChatCommandName, DirectiveName | 'new' | 'reset'>;

const FORMATS = new Map([
  ['list', formatContextList],
  ['detail', formatContextDetail],
  ['json', formatContextJson],
]);
const USAGE_MODES = ['off', 'tokens', 'full'];
const MOST_USED: ReadonlySet<string> = new Set(['status', 'new', 'stop', 'compact', 'context', 'model', 'think', 'usage', 'commands']);

export function createCommands(deps: CommandDeps): Record<AnsweredCommand, Answer> {
  const { sessions, models } = deps;
  return {
    ...createSubagentCommands(deps),

    help: () => ({ text: ['Commands:', ...CHAT_COMMAND_ROWS.filter(({ name }) => MOST_USED.has(name)).map(describe)].join('\n') }),

    async commands({ generation }) {
      const added = (await generation.contributions('command')).map(({ key, value, owner }) => `/${key} - ${value.description} (${owner})`);
      const own = CHAT_COMMAND_ROWS.map(describe);
      return { text: ['Commands:', ...own, ...(added.length === 0 ? [] : ['From extensions:', ...added.sort()])].join('\n') };
    },

    async status({ generation, session, sender, request }) {
      const { messages } = await sessions.context(session);
      const { config } = generation;
      const historyTokens = deps.estimator.messages(messages);
      const text = await statusText({
        config,
        session,
        sender,
        models,
        version: deps.version,
        engine: await engineOf(generation),
        last: deps.lastContext(session.key),
        historyTokens,
        active: deps.active(session.key).filter(({ runId }) => runId !== request.runId).length,
      });
      return { text };
    },

    whoami({ request, sender }) {
      const { senderId, channel } = request;
      const rights = sender.isAdmin ? 'administrator' : 'allowed to use commands';
      return { text: `You are ${senderId ?? 'a client without a device'}${channel === undefined ? '' : ` on ${channel}`} (${rights}).` };
    },

    async tools({ session, args }) {
      const format = args.toLowerCase();
      if (!['', 'compact', 'verbose'].includes(format)) return { text: `Unrecognized tools format "${args}". Valid formats: compact, verbose.`, isError: true };
      const { profile, tools: found } = await deps.tools.effective(session);
      const lines =
        format === 'verbose' ? found.map(({ name, description, owner }) => `- ${name} (${owner}): ${description}`) : [found.map(({ name }) => name).join(', ')];
      return { text: [`Tools (profile ${profile}, ${found.length}):`, ...(found.length === 0 ? ['none'] : lines)].join('\n') };
    },

    models: ({ generation, session, sender }) => modelReply({ config: generation.config, session, sender, models }, 'list'),

    stop({ session, request, sender }) {
      const running = deps.active(session.key).filter(({ runId }) => runId !== request.runId);
      const children = deps.subagents.list({ requesterSessionKey: session.key }).filter(({ status }) => status === 'running');
      if (running.length + children.length === 0) return { text: 'Nothing is running.' };
      // a client stops what is its own with chat.abort, which knows whose a run is
      if (request.scopes !== undefined && !sender.isAdmin) return { text: 'Not allowed: missing scope: operator.admin.', isError: true };
      for (const { runId } of running) deps.stop(runId);
      const { length } = deps.subagents.stop(session.key);
      const runs = running.length === 1 ? 'the run' : `${running.length} runs`;
      return { text: `Stopped ${[running.length === 0 ? '' : runs, length === 0 ? '' : count(length)].filter(Boolean).join(' and ')}.` };
    },

    async compact({ session, args }) {
      const { compacted, reason, result } = await deps.compact({ sessionKey: session.key, ...(args === '' ? {} : { instructions: args }) });
      if (!compacted) return { text: `Nothing was compacted${reason === undefined ? '' : `: ${reason}`}.` };
      const { tokensBefore, tokensAfter } = result ?? {};
      if (tokensBefore === undefined) return { text: 'Compacted.' };
      const now = tokensAfter === undefined ? '' : `, now ${grouped(tokensAfter)}`;
      const note = tokensAfter !== undefined && tokensAfter >= tokensBefore ? ' The summary is no shorter than what it stands for.' : '';
      return { text: `Compacted: ${grouped(tokensBefore)} tokens${now}.${note}` };
    },

    async context({ session, args }) {
      const [word = '', turn] = args.split(/\s+/);
      if (word.toLowerCase() === 'why') return { text: formatTurn(deps.turn({ sessionKey: session.key, turn })) };
      const format = args === '' ? formatContextList : FORMATS.get(args.toLowerCase());
      if (format === undefined)
        return { text: `Unrecognized context format "${args}". Valid formats: ${[...FORMATS.keys(), 'why'].join(', ')}.`, isError: true };
      return { text: format(await deps.inspect({ sessionKey: session.key })) };
    },

    async usage({ session, args }) {
      const mode = args.toLowerCase();
      const { responseUsage } = session.extra ?? {};
      if (mode === '') return { text: `Usage line: ${typeof responseUsage === 'string' ? responseUsage : 'off'}.\nOptions: off, tokens, full, cost.` };
      if (mode === 'cost') return { text: `This session has cost about $${(session.estimatedCostUsd ?? 0).toFixed(4)}.` };
      if (!USAGE_MODES.includes(mode)) return { text: `Unrecognized usage mode "${args}". Valid modes: off, tokens, full, cost.`, isError: true };
      await sessions.patch(session.key, { extra: mergedExtra(session.extra, { responseUsage: mode === 'off' ? undefined : mode }) });
      return { text: mode === 'off' ? 'Usage line disabled.' : `Usage line set to ${mode}.` };
    },
  };
}

/** The engine that the next run would meet. */
async function engineOf(generation: Generation): Promise<string> {
  try {
    return (await generation.slot('contextEngine'))?.key ?? 'none';
  } catch (error) {
    return `failed (${errorText(error)})`;
  }
}

function describe({ name, aliases, args, summary }: (typeof CHAT_COMMAND_ROWS)[number]): string {
  const also = aliases === undefined ? '' : ` (also ${aliases.map((alias) => `/${alias}`).join(', ')})`;
  return `/${name}${args === undefined ? '' : ` ${args}`} - ${summary}${also}`;
}

/** A failure as an answer, with what to do about it. */
export function failureReply(error: unknown): CommandReply {
  const { message, hint } = reportError(error);
  return { text: [message || errorText(error), hint].filter(Boolean).join('\n'), isError: true };
}
