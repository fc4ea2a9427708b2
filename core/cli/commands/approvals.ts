import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { durarError } from '../../../sdk/errors.ts';
import { ApprovalsFile, hostPolicy, type PolicySnapshot } from '../../../sdk/exec/approvals-file.ts';
import { effectivePolicy, type Policy } from '../../../sdk/exec/policy.ts';
import { isRecord } from '../../config/config-path.ts';
import { loadConfig } from '../../config/load.ts';
import { parseText } from '../../config/parse.ts';
import type { Action, CommandContext } from '../command.ts';
import { findNode } from '../node-choice.ts';
import { printable } from '../printable.ts';
import { openRpc, type Rpc } from '../rpc.ts';

/** A policy file, wherever it is. */
interface PolicyPlace {
  /** What the configuration there asks for; a node has none. */
  requested(): Promise<Partial<Policy>>;
  get(): Promise<PolicySnapshot>;
  set(file: Record<string, unknown>, baseHash: string | undefined): Promise<PolicySnapshot>;
  close(): void;
}

const AGENT = 'main';
/** Without configuration, a command that is not listed is asked for. */
const DEFAULTS = { security: 'allowlist', ask: 'on-miss' } as const;

type Entry = Record<string, unknown> & { pattern?: unknown };

/** `durar approvals get` */
export const approvalsGet: Action = (context) =>
  withPlace(context, async (place) => {
    const snapshot = await place.get();
    const requested = { ...DEFAULTS, ...(await place.requested()) };
    const { allowlist: _list, ...host } = hostPolicy(snapshot.file, AGENT);
    show(context, snapshot, { requested, host, effective: effectivePolicy(requested, host) });
  });

/** `durar approvals set --file <file> | --stdin` */
export const approvalsSet: Action = async (context) => {
  const { file, stdin } = context.options as { file?: string; stdin?: true };
  if ((file === undefined) === (stdin === undefined)) throw durarError('DUR_CLI_USAGE', { reason: 'give either --file or --stdin' });
  const next = await parseText(file === undefined ? await readAll(process.stdin) : await readFile(file, 'utf8'), file ?? '--stdin');
  if (!isRecord(next)) throw durarError('DUR_EXEC_APPROVALS_INVALID', { reason: 'it is not an object' });
  await withPlace(context, async (place) => show(context, await change(place, () => next)));
};

/** `durar approvals allowlist add <pattern>` */
export const allowlistAdd: Action = (context) =>
  changeAllowlist(context, (entries, pattern) => (entries.some((entry) => entry.pattern === pattern) ? entries : [...entries, { id: randomUUID(), pattern }]));

/** `durar approvals allowlist remove <pattern>` */
export const allowlistRemove: Action = (context) =>
  changeAllowlist(context, (entries, pattern) => {
    const left = entries.filter((entry) => entry.pattern !== pattern);
    if (left.length < entries.length) return left;
    throw durarError('DUR_CLI_USAGE', { reason: `'${pattern}' is not on the allowlist` }, { hint: 'Run `durar approvals get` to see what is.' });
  });

async function changeAllowlist(context: CommandContext, edit: (entries: Entry[], pattern: string) => Entry[]): Promise<void> {
  const { args, options } = context;
  const [pattern = ''] = args;
  const agentId = (options.agent as string | undefined) ?? '*';
  if (!pattern.includes('/')) {
    throw durarError(
      'DUR_CLI_USAGE',
      { reason: `'${pattern}' is not a path` },
      { hint: 'Write the whole path of the program; * and ** stand for parts of it.' },
    );
  }
  await withPlace(context, async (place) => {
    const next = await change(place, (file) => {
      const agents = isRecord(file.agents) ? file.agents : {};
      const agent = isRecord(agents[agentId]) ? agents[agentId] : {};
      const entries = Array.isArray(agent.allowlist) ? (agent.allowlist as Entry[]) : [];
      return { ...file, agents: { ...agents, [agentId]: { ...agent, allowlist: edit(entries, pattern) } } };
    });
    show(context, next);
  });
}

/** Reads, changes, and writes only if nobody else wrote meanwhile. */
async function change(place: PolicyPlace, edit: (file: Record<string, unknown>) => Record<string, unknown>): Promise<PolicySnapshot> {
  const { file, hash, exists } = await place.get();
  return place.set(edit(file), exists ? hash : undefined);
}

async function withPlace(context: CommandContext, work: (place: PolicyPlace) => Promise<void>): Promise<void> {
  const place = await openPlace(context);
  try {
    await work(place);
  } finally {
    place.close();
  }
}

/** The file of this machine, unless a gateway or a node is named. */
async function openPlace(context: CommandContext): Promise<PolicyPlace> {
  const { options, paths } = context;
  if (options.gateway === true && options.node !== undefined) throw durarError('DUR_CLI_USAGE', { reason: '--gateway and --node exclude each other' });
  if (options.gateway !== true && options.node === undefined) {
    const approvals = new ApprovalsFile(join(paths.stateDir, 'exec-approvals.json'));
    return {
      requested: async () => requestedBy((await loadConfig(context)).config),
      get: () => approvals.snapshot(),
      set: (file, baseHash) => approvals.replace({ file, ...(baseHash === undefined ? {} : { baseHash }) }),
      close() {},
    };
  }
  const rpc = await openRpc(context);
  try {
    return remotePlace(rpc, options.node === undefined ? undefined : (await findNode(rpc, options.node)).nodeId);
  } catch (error) {
    rpc.close();
    throw error;
  }
}

function remotePlace(rpc: Rpc, nodeId: string | undefined): PolicyPlace {
  const [family, which] = nodeId === undefined ? ['exec.approvals', {}] : ['exec.approvals.node', { nodeId }];
  return {
    requested: async () => (nodeId === undefined ? requestedBy(((await rpc.call('config.get', {})) as { config?: unknown }).config) : {}),
    get: () => rpc.call(`${family}.get`, which) as Promise<PolicySnapshot>,
    set: (file, baseHash) => rpc.call(`${family}.set`, { ...which, file, ...(baseHash === undefined ? {} : { baseHash }) }) as Promise<PolicySnapshot>,
    close: () => rpc.close(),
  };
}

/** `tools.exec` of a configuration. */
function requestedBy(config: unknown): Partial<Policy> {
  const tools = isRecord(config) && isRecord(config.tools) ? config.tools : {};
  const { security, ask } = (isRecord(tools.exec) ? tools.exec : {}) as Partial<Policy>;
  return { ...(security === undefined ? {} : { security }), ...(ask === undefined ? {} : { ask }) };
}

interface Policies {
  requested: Partial<Policy>;
  host: Partial<Policy>;
  effective: Policy;
}

function show({ output }: CommandContext, snapshot: PolicySnapshot, policies?: Policies): void {
  output.result({ ...snapshot, ...policies }, () => {
    const words = (policy: Partial<Policy> | undefined) => policy && `security ${policy.security ?? '-'}, ask ${policy.ask ?? '-'}`;
    output.pairs([
      ['requested', words(policies?.requested)],
      ['here', words(policies?.host)],
      ['in effect', words(policies?.effective)],
      ['file', `${printable(snapshot.path)}${snapshot.exists ? '' : output.paint.muted('  (none yet)')}`],
      ['hash', snapshot.hash],
    ]);
    output.line(printable(JSON.stringify(snapshot.file, null, 2)));
  });
}
