import { realpath, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { errorCode, errorText } from '../errors.ts';
import { findBinary, type Judgement, judgeCommands } from '../exec/allowlist.ts';
import type { ApprovalsFile } from '../exec/approvals-file.ts';
import { acceptable, childEnvironment } from '../exec/environment.ts';
import { findOperand, isShell, isUnchanged } from '../exec/operand.ts';
import { commandLine, planMismatch, readPlan, type SystemRunPlan } from '../exec/plan.ts';
import { effectivePolicy, verdict } from '../exec/policy.ts';
import { type SpawnResult, spawnProgram } from '../exec/spawn.ts';

/** What a headless node offers. */
export const NODE_COMMANDS: readonly string[] = ['system.run', 'system.run.prepare', 'system.which', 'system.execApprovals.get', 'system.execApprovals.set'];

export interface NodeCommandsOptions {
  /** The policy of this machine; it has the last word. */
  approvals: ApprovalsFile;
  env: NodeJS.ProcessEnv;
  /** Aborted when the node stops; what runs is killed. */
  signal: AbortSignal;
}

type Params = { readonly [Name in string]?: unknown };

/** A refusal, or a failure with the code that the caller of the node is told. */
export class NodeError extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'NodeError';
    this.code = code;
  }
}

const MAX_CHARS = 200_000;
const TIMEOUT_MS = 1_800_000;
/** The longest delay of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_BINS = 256;

/** Carries out the commands of a headless node. Each resolves to its payload or throws `NodeError`. */
export function createNodeCommands(options: NodeCommandsOptions): (command: string, params: Params) => Promise<unknown> {
  const { approvals, env } = options;
  return async (command, params) => {
    switch (command) {
      case 'system.which':
        return { bins: await which(params.bins, env) };
      case 'system.run.prepare':
        return { plan: await prepare(params, env) };
      case 'system.run':
        return run(params, options);
      case 'system.execApprovals.get':
        return approvals.snapshot();
      case 'system.execApprovals.set':
        return setPolicy(params, approvals);
      default:
        throw new NodeError('UNKNOWN_COMMAND', `this node does not know '${command}'`);
    }
  };
}

async function which(bins: unknown, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  if (!isWords(bins)) throw new NodeError('INVALID_REQUEST', 'bins must be a list of names');
  const found: Record<string, string> = {};
  for (const name of bins.slice(0, MAX_BINS)) {
    if (!/^[\w.+-]+$/.test(name)) continue;
    const binary = await findBinary(name, { cwd: '/', searchPath: absolutePath(env), isDirect: true });
    if (typeof binary === 'string') found[name] = binary;
  }
  return found;
}

/** The canonical form of what is to be approved: paths resolved, the script that would run pinned. */
async function prepare(params: Params, env: NodeJS.ProcessEnv): Promise<SystemRunPlan> {
  const argv = wordsOf(params);
  const cwd = await folderOf(params.cwd);
  const binary = await resolveProgram(argv, cwd, env);
  const canonical = [binary, ...argv.slice(1)];
  const operand = await findOperand(canonical, cwd ?? process.cwd());
  if (operand === undefined) throw denied('it cannot be told which file the command would run, so it cannot be approved');
  const commandText = commandLine(canonical);
  const preview = textOf(params.rawCommand);
  return {
    argv: canonical,
    cwd,
    commandText,
    ...(preview === null || preview === commandText ? {} : { commandPreview: preview }),
    agentId: textOf(params.agentId),
    sessionKey: textOf(params.sessionKey),
    ...(operand === null ? {} : { mutableFileOperand: operand }),
  };
}

async function run(params: Params, { approvals, env, signal }: NodeCommandsOptions): Promise<SpawnResult> {
  const plan = readPlan(params.systemRunPlan);
  if (params.systemRunPlan != null && plan === undefined) throw new NodeError('INVALID_REQUEST', 'systemRunPlan is not usable');
  const isApproved = params.approved === true && plan !== undefined;
  if (plan !== undefined) {
    const { systemRunPlan: _plan, ...said } = params;
    const field = planMismatch(plan, said);
    if (field !== undefined) throw denied(`'${field}' is not what was approved`);
  }
  const argv = plan?.argv ?? wordsOf(params);
  const cwd = await folderOf(plan === undefined ? params.cwd : plan.cwd);
  if (plan !== undefined && plan.cwd !== cwd) throw denied('the folder is another one than was approved');
  const binary = await resolveProgram(argv, cwd, env);
  const wanted = typeof params.env === 'object' && params.env !== null ? (params.env as Record<string, unknown>) : {};
  const added = acceptable(wanted, isShell(binary));
  const agentId = textOf(plan?.agentId ?? params.agentId) ?? 'main';
  const judgement = await authorise({ argv, binary, cwd, env, envKeys: Object.keys(added), agentId, isApproved }, approvals);
  const operand = plan?.mutableFileOperand;
  if (isApproved) await assertPinned([binary, ...argv.slice(1)], cwd ?? process.cwd(), operand ?? null);
  if (isApproved && params.approvalDecision === 'allow-always' && operand == null && judgement.remember !== undefined) {
    await approvals.allow(agentId, judgement.remember);
  }
  const timeoutMs = typeof params.timeoutMs === 'number' && params.timeoutMs > 0 ? Math.min(params.timeoutMs, MAX_TIMER_MS) : TIMEOUT_MS;
  try {
    return await spawnProgram({
      argv: [binary, ...argv.slice(1)],
      ...(cwd === null ? {} : { cwd }),
      env: childEnvironment(env, added, []),
      timeoutMs,
      maxChars: MAX_CHARS,
      signal,
    });
  } catch (error) {
    throw new NodeError('RUN_FAILED', errorText(error), error);
  }
}

interface Run {
  argv: readonly string[];
  binary: string;
  cwd: string | null;
  env: NodeJS.ProcessEnv;
  envKeys: string[];
  agentId: string;
  isApproved: boolean;
}

/** Throws when the policy of this machine does not let it run. */
async function authorise({ argv, binary, cwd, env, envKeys, agentId, isApproved }: Run, approvals: ApprovalsFile): Promise<Judgement> {
  const host = await approvals.policy(agentId).catch((error: unknown) => {
    throw denied(errorText(error));
  });
  const policy = effectivePolicy({ security: host.security ?? 'allowlist', ask: host.ask ?? 'on-miss' }, host);
  const judgement = await judgeCommands([{ name: binary, args: argv.slice(1), isOpen: false }], {
    cwd: cwd ?? process.cwd(),
    searchPath: absolutePath(env),
    entries: host.allowlist,
    envKeys,
    strictInlineEval: true,
  });
  const action = verdict(policy, judgement.allowed);
  if (action === 'deny') throw denied(policy.security === 'deny' ? 'the policy of the node allows no commands' : 'allowlist miss');
  if (action === 'ask' && !isApproved) throw denied('approval required');
  return judgement;
}

/** The file that would run must be the one that was approved; a plan that names none must need none. */
async function assertPinned(argv: readonly string[], cwd: string, operand: NonNullable<SystemRunPlan['mutableFileOperand']> | null): Promise<void> {
  if (operand !== null) {
    if (!(await isUnchanged(operand, argv, cwd))) throw denied('the script has changed since it was approved');
  } else if ((await findOperand(argv, cwd)) !== null) {
    throw denied('what was approved does not say which script it runs; prepare it with system.run.prepare');
  }
}

async function setPolicy({ file, baseHash }: Params, approvals: ApprovalsFile): Promise<unknown> {
  if (typeof file !== 'object' || file === null || Array.isArray(file)) throw new NodeError('INVALID_REQUEST', 'file must be an object');
  try {
    return await approvals.replace({ file: file as Record<string, unknown>, ...(typeof baseHash === 'string' ? { baseHash } : {}) });
  } catch (error) {
    if (errorCode(error)?.startsWith('DUR_EXEC_APPROVALS') === true) throw new NodeError('INVALID_REQUEST', errorText(error), error);
    throw error;
  }
}

function wordsOf({ command }: Params): string[] {
  if (!isWords(command) || command.length === 0 || command[0] === '' || command.some((word) => word.includes('\0'))) {
    throw new NodeError('INVALID_REQUEST', 'command must be a list of words');
  }
  return command;
}

async function resolveProgram(argv: readonly string[], cwd: string | null, env: NodeJS.ProcessEnv): Promise<string> {
  const [name = ''] = argv;
  const base = cwd ?? process.cwd();
  const found = await findBinary(name, { cwd: base, searchPath: absolutePath(env), isDirect: true });
  if (typeof found === 'string') return found;
  throw new NodeError('RUN_FAILED', found.reason);
}

async function folderOf(cwd: unknown): Promise<string | null> {
  const given = textOf(cwd);
  if (given === null) return null;
  try {
    const real = await realpath(resolve(given));
    if ((await stat(real)).isDirectory()) return real;
  } catch (error) {
    throw new NodeError('INVALID_REQUEST', `the folder '${given}' cannot be used: ${errorText(error)}`, error);
  }
  throw new NodeError('INVALID_REQUEST', `'${given}' is not a folder`);
}

/** A relative folder on the path could be anybody's. */
function absolutePath({ PATH = '/usr/local/bin:/usr/bin:/bin' }: NodeJS.ProcessEnv): string {
  return PATH.split(delimiter).filter(isAbsolute).join(delimiter);
}

function denied(reason: string): NodeError {
  return new NodeError('SYSTEM_RUN_DENIED', reason);
}

function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string');
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
