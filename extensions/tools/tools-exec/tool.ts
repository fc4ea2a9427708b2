import { type ApprovalDecision, errorText, type Tool, type ToolContext, type ToolResult } from 'Durar/plugin-sdk/core';
import { type Judgement, judge } from 'Durar/plugin-sdk/exec/allowlist';
import type { ApprovalsFile } from 'Durar/plugin-sdk/exec/approvals-file';
import { childEnvironment } from 'Durar/plugin-sdk/exec/environment';
import { effectivePolicy, type Policy, verdict } from 'Durar/plugin-sdk/exec/policy';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { OutputWindow } from './output.ts';
import { type ExecSettings, elevated, execSettings } from './policy.ts';
import { runCommand, shellArgv } from './run.ts';

export interface ExecOptions {
  approvals: ApprovalsFile;
  /** Somebody who may approve is connected. */
  canBeAsked(): boolean;
  maxOutputChars: number;
  /** Aborted when the extension is disposed. */
  disposed: AbortSignal;
}

const APPROVAL_TIMEOUT_MS = 1_800_000;
/** The longest delay of a timer, in seconds. */
const MAX_TIMEOUT_SEC = 2_000_000;
const UPDATE_MS = 100;

/** One object for all runs: the host compiles a schema once by identity. */
const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  required: ['command'],
  properties: {
    command: { type: 'string', minLength: 1, description: 'The command line.' },
    workdir: { type: 'string', description: 'Folder to run in; relative to the workspace, which is the default.' },
    env: { type: 'object', additionalProperties: { type: 'string' }, description: 'Variables to add to the environment.' },
    timeout: { type: 'number', exclusiveMinimum: 0, maximum: MAX_TIMEOUT_SEC, description: 'Seconds until it is killed.' },
  },
};

interface Call {
  id: string;
  command: string;
  cwd: string;
  envKeys: string[];
  env: Record<string, string>;
  settings: ExecSettings;
}

/** The tool `exec` of one run. */
export function createExecTool(context: ToolContext, options: ExecOptions): Tool {
  return {
    name: 'exec',
    label: 'Run a command',
    description:
      'Runs a shell command on this machine and returns its output and exit code. A person may have to approve it first. Do not start background processes.',
    parameters: PARAMETERS,
    async execute(callId, params, signal = new AbortController().signal, onUpdate) {
      const config = context.runtimeConfig ?? context.config;
      const settings = elevated(execSettings(config, context.agentId, context.sessionSettings), config, context);
      if (settings.host !== 'auto' && settings.host !== 'gateway') return refused(`commands are to run on '${settings.host}', and there is none`);
      const call = await readCall(callId, params, context, settings);
      const refusal = await authorise(call, context, options);
      if (refusal !== undefined) return refused(refusal);
      const timeoutSec = typeof params.timeout === 'number' ? params.timeout : settings.timeoutSec;
      return run(call, Math.min(timeoutSec, MAX_TIMEOUT_SEC), options, AbortSignal.any([signal, options.disposed]), onUpdate);
    },
  };
}

async function readCall(id: string, params: Record<string, unknown>, context: ToolContext, settings: ExecSettings): Promise<Call> {
  const { command, workdir = '.', env = {} } = params;
  if (typeof command !== 'string' || command.trim() === '' || command.includes('\0')) throw new Error('the command is empty or not a text');
  if (typeof workdir !== 'string') throw new Error('workdir is not a text');
  if (typeof env !== 'object' || env === null || Array.isArray(env)) throw new Error('env is not an object');
  const cwd = resolve(context.workspaceDir, workdir);
  const found = await stat(cwd).catch((error: unknown) => {
    throw new Error(`the folder '${workdir}' cannot be used: ${errorText(error)}`, { cause: error });
  });
  if (!found.isDirectory()) throw new Error(`'${workdir}' is not a folder`);
  return {
    id,
    command,
    cwd,
    envKeys: Object.keys(env).sort(),
    env: childEnvironment(process.env, env as Record<string, unknown>, settings.pathPrepend),
    settings,
  };
}

/** Resolves to the reason of a refusal, or to nothing when the command may run. */
async function authorise(call: Call, context: ToolContext, { approvals, canBeAsked }: ExecOptions): Promise<string | undefined> {
  const host = await approvals.policy(context.agentId);
  const policy = effectivePolicy(call.settings, host);
  const judgement = await judge(call.command, {
    cwd: call.cwd,
    searchPath: call.env.PATH ?? '',
    workspaceDir: context.workspaceDir,
    entries: host.allowlist,
    envKeys: call.envKeys,
    strictInlineEval: call.settings.strictInlineEval,
  });
  const action = verdict(policy, judgement.allowed);
  if (action === 'run') return undefined;
  if (action === 'deny') {
    return policy.security === 'deny'
      ? 'the exec policy allows no commands'
      : `the exec policy does not allow it: ${judgement.reason ?? 'it is not on the allowlist'}`;
  }
  const canRemember = policy.ask !== 'always' && policy.security === 'allowlist' && judgement.remember !== undefined;
  const answer = await ask(call, context, policy, judgement, canRemember);
  if (answer.decision === 'allow-once') return undefined;
  if (answer.decision === 'allow-always') {
    if (canRemember && judgement.remember !== undefined) await approvals.allow(context.agentId, judgement.remember);
    return undefined;
  }
  const nobodyAnswered = answer.resolvedBy === undefined && !canBeAsked();
  if (nobodyAnswered && verdict({ security: policy.askFallback, ask: 'off' }, judgement.allowed) === 'run') return undefined;
  return `it was not approved${answer.reason === undefined ? '' : ` (${answer.reason})`}`;
}

async function ask(call: Call, context: ToolContext, policy: Policy, judgement: Judgement, canRemember: boolean): Promise<ApprovalDecision> {
  const answer: ApprovalDecision | null | undefined = await context.requestApproval({
    kind: 'exec',
    title: 'Run a command',
    description: judgement.reason === undefined ? `${call.command} in ${call.cwd}` : `${call.command} in ${call.cwd}; ${judgement.reason}`,
    severity: 'warning',
    command: call.command,
    commandArgv: [...shellArgv(), call.command],
    cwd: call.cwd,
    ...(call.envKeys.length === 0 ? {} : { envKeys: call.envKeys }),
    host: 'gateway',
    security: policy.security,
    ask: policy.ask,
    ...(judgement.resolvedPath === undefined ? {} : { resolvedPath: judgement.resolvedPath }),
    toolName: 'exec',
    toolCallId: call.id,
    allowedDecisions: canRemember ? ['allow-once', 'allow-always', 'deny'] : ['allow-once', 'deny'],
    timeoutMs: APPROVAL_TIMEOUT_MS,
  });
  return answer ?? { decision: 'deny' };
}

async function run(call: Call, timeoutSec: number, options: ExecOptions, signal: AbortSignal, onUpdate?: (partial: ToolResult) => void): Promise<ToolResult> {
  const output = new OutputWindow(options.maxOutputChars);
  const started = performance.now();
  let update: NodeJS.Timeout | undefined;
  try {
    const end = await runCommand({
      command: call.command,
      cwd: call.cwd,
      env: call.env,
      timeoutMs: timeoutSec * 1000,
      signal,
      onOutput(text) {
        output.push(text);
        if (onUpdate === undefined) return;
        update ??= setTimeout(() => {
          update = undefined;
          onUpdate({ content: [{ type: 'text', text: output.text() }], details: { status: 'running' } });
        }, UPDATE_MS);
      },
    });
    const failed = end.exitCode !== 0;
    const how = end.timedOut ? `killed after ${timeoutSec} s` : end.killedBy === null ? `exit code ${end.exitCode}` : `ended by ${end.killedBy}`;
    const text = output.text().trimEnd();
    return {
      content: [{ type: 'text', text: failed ? `${text}${text === '' ? '' : '\n\n'}[${how}]` : text === '' ? '(no output)' : text }],
      details: {
        status: failed ? 'failed' : 'completed',
        exitCode: end.exitCode,
        signal: end.killedBy,
        timedOut: end.timedOut,
        cwd: call.cwd,
        outputChars: output.total,
        durationMs: Math.round(performance.now() - started),
      },
      ...(failed ? { isError: true } : {}),
    };
  } finally {
    clearTimeout(update);
  }
}

function refused(reason: string): ToolResult {
  return {
    content: [{ type: 'text', text: `The command did not run: ${reason}. Do not try to get around this; ask the user.` }],
    details: { status: 'denied', reason },
    isError: true,
  };
}
