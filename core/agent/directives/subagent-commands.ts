import { type CommandReply, messageText, type SubagentInfo } from '../../../sdk/index.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { Subagents } from '../subagents/subagents.ts';
import { duration, firstWords } from '../subagents/subagents-announce.ts';
import { idOf } from '../subagents/subagents-book.ts';
import type { Answer, CommandCall } from './command-call.ts';

type Verb = (call: CommandCall, rest: string) => Promise<CommandReply> | CommandReply;

const USAGE = 'Use /subagents list | info <id> | log <id> [limit] | kill <id|all> | send <id> <message> | steer <id> <message> | spawn [agent:<id>] <task>.';
const LOG_LINES = 20;
const LOG_WIDTH = 300;

/** What people say to the sub-agents of their session. An id is a number of the list, a label, or the beginning of what `list` shows. */
export function createSubagentCommands(deps: { sessions: SessionService; subagents: Subagents }): Record<'subagents' | 'kill' | 'steer', Answer> {
  const { sessions, subagents } = deps;
  const find = ({ session }: CommandCall, id: string) => subagents.find({ requesterSessionKey: session.key, id });

  const verbs: Record<string, Verb> = {
    list({ session }) {
      const all = subagents.list({ requesterSessionKey: session.key });
      if (all.length === 0) return { text: 'This session has no sub-agents.' };
      return { text: ['Sub-agents:', ...all.map((one, index) => `${index + 1}. ${line(one)}`)].join('\n') };
    },

    info(call, id) {
      const one = find(call, id);
      const rows: Array<[string, string | number | undefined]> = [
        ['Status', one.status],
        ['Task', one.task],
        ['Label', one.label],
        ['Session', one.childSessionKey],
        ['Run', one.runId],
        ['Mode', one.mode],
        ['Depth', one.depth],
        ['Started', new Date(one.createdAt).toISOString()],
        ['Ended', one.endedAt === undefined ? undefined : new Date(one.endedAt).toISOString()],
        ['Runtime', duration(one.runtimeMs)],
        ['Tokens', one.totalTokens],
        ['Error', one.error],
      ];
      return { text: rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`])).join('\n') };
    },

    async log(call, rest) {
      const [id = '', count] = rest.split(/\s+/);
      const session = await sessions.get(find(call, id).childSessionKey);
      if (session === undefined) return { text: 'Its session is gone.', isError: true };
      const limit = /^\d{1,3}$/.test(count ?? '') ? Math.max(1, Number(count)) : LOG_LINES;
      const { entries } = await sessions.read(session, { limit });
      const lines = entries.flatMap((entry) => (entry.type === 'message' ? [`${entry.message.role}: ${cut(messageText(entry.message))}`] : []));
      return { text: lines.length === 0 ? 'Nothing was said yet.' : lines.join('\n') };
    },

    async kill(call, id) {
      const refused = refusal(call);
      if (refused !== undefined) return refused;
      const { key } = call.session;
      if (id.toLowerCase() === 'all') {
        const { length } = subagents.stop(key);
        return { text: length === 0 ? 'No sub-agent is running.' : `Stopped ${count(length)}.` };
      }
      const one = find(call, id);
      const { length } = await subagents.kill({ requesterSessionKey: key, id });
      return { text: length === 0 ? `${nameOf(one)} was not running.` : `Stopped ${nameOf(one)}${length === 1 ? '' : ` and ${length - 1} below it`}.` };
    },

    send: (call, rest) => tell(call, rest, false),
    steer: (call, rest) => refusal(call) ?? tell(call, rest, true),

    async spawn({ session }, rest) {
      const [, agentId, task = ''] = /^(?:agent:(\S+)\s+)?([\s\S]*)$/.exec(rest) ?? [];
      const spawned = await subagents.spawn({ requesterSessionKey: session.key, task, ...(agentId === undefined ? {} : { agentId }) });
      return { text: `Started ${idOf(spawned.childSessionKey).slice(0, 8)}. Its result will come here.` };
    },
  };

  async function tell(call: CommandCall, rest: string, steer: boolean): Promise<CommandReply> {
    const [, id = '', message = ''] = /^(\S+)\s+([\s\S]+)$/.exec(rest) ?? [];
    if (message === '') return { text: `Say to whom and what.\n${USAGE}`, isError: true };
    const one = find(call, id);
    await subagents.send({ requesterSessionKey: call.session.key, id, message, steer });
    return { text: `${steer ? 'Steered' : 'Sent to'} ${nameOf(one)}.` };
  }

  const run = (call: CommandCall, name: string, rest: string) => {
    const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
    return verb === undefined ? { text: USAGE, isError: true } : verb(call, rest);
  };

  return {
    subagents(call) {
      const [, name = 'list', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(call.args) ?? [];
      return run(call, name.toLowerCase(), rest.trim());
    },
    kill: (call) => (call.args === '' ? { text: 'Say which one: /kill <id|#|all>.', isError: true } : run(call, 'kill', call.args)),
    steer: (call) => run(call, 'steer', call.args),
  };
}

/** A client may stop what is its own; a sub-agent belongs to no client. */
function refusal({ request, sender }: CommandCall): CommandReply | undefined {
  if (request.scopes === undefined || sender.isAdmin) return undefined;
  return { text: `Not allowed: missing scope: ${ADMIN_SCOPE}.`, isError: true };
}

export function count(subagents: number): string {
  return subagents === 1 ? '1 sub-agent' : `${subagents} sub-agents`;
}

function line(one: SubagentInfo): string {
  return `${idOf(one.childSessionKey).slice(0, 8)} ${one.status}, ${duration(one.runtimeMs)}: ${one.label === undefined ? '' : `${one.label} - `}${firstWords(one.task)}`;
}

function nameOf({ label, childSessionKey }: SubagentInfo): string {
  return label === undefined ? idOf(childSessionKey).slice(0, 8) : `"${label}"`;
}

function cut(text: string): string {
  const flat = text.replaceAll(/\s+/g, ' ').trim();
  return flat.length <= LOG_WIDTH ? flat : `${flat.slice(0, LOG_WIDTH - 1)}…`;
}
