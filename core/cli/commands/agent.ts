import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { durarError, reportError } from '../../../sdk/errors.ts';
import { answerApprovals } from '../approvals.ts';
import type { Action } from '../command.ts';
import { openRpc } from '../rpc.ts';
import { createRunView, type RunEvent } from '../run-view.ts';

const EXIT_INTERRUPTED = 130;

interface AgentOptions {
  message?: string;
  session?: string;
  sessionId?: string;
  to?: string;
  agent?: string;
  model?: string;
  thinking?: string;
  timeout?: number;
}

interface FinalRun {
  runId: string;
  status: string;
  result?: { payloads: Array<{ text?: string; isError?: boolean; isReasoning?: boolean }>; meta: Record<string, unknown> };
}

/** `durar agent --message`: one turn, streamed as it comes. */
export const agent: Action = async (context) => {
  const { output } = context;
  const options = context.options as AgentOptions;
  const message = options.message ?? '';
  if (message.trim() === '') throw durarError('DUR_CLI_USAGE', { reason: '--message is missing or empty' }, { hint: 'Run `durar agent --message "hello"`.' });
  // `--timeout` bounds the run here, not the connection.
  const { timeout, ...enter } = context.options;
  const interactive = !output.json && process.stdin.isTTY === true && process.stdout.isTTY === true;
  // Another model and a command need the operator's full scopes.
  const needsAdmin = options.model !== undefined || message.startsWith('/');
  const rpc = await openRpc({ ...context, options: enter }, { approves: interactive || needsAdmin });
  const runId = randomUUID();
  const view = createRunView(output);
  let sessionKey: string | undefined;
  rpc.onEvent((event, payload) => {
    const run = payload as RunEvent & { sessionKey?: string };
    if (event !== 'agent' || run.runId !== runId) return;
    sessionKey ??= run.sessionKey;
    view.event(run);
  });
  answerApprovals(rpc, { output, concerns: (key) => sessionKey === undefined || key === sessionKey, ...(interactive ? { ask } : {}) });
  let interrupted = false;
  const interrupt = () => {
    if (interrupted) process.exit(EXIT_INTERRUPTED);
    interrupted = true;
    void rpc.call('chat.abort', { sessionKey: sessionKey ?? options.session ?? 'main', runId }).catch(() => process.exit(EXIT_INTERRUPTED));
  };
  process.on('SIGINT', interrupt);
  try {
    const final = (await rpc.call(
      'agent',
      {
        message,
        idempotencyKey: runId,
        ...(options.session === undefined && options.sessionId === undefined && options.to === undefined ? { sessionKey: defaultSession(options.agent) } : {}),
        ...(options.session === undefined ? {} : { sessionKey: options.session }),
        ...(options.sessionId === undefined ? {} : { sessionId: options.sessionId }),
        ...(options.to === undefined ? {} : { to: options.to }),
        ...(options.agent === undefined ? {} : { agentId: options.agent }),
        ...(options.model === undefined ? {} : { model: options.model }),
        ...(options.thinking === undefined ? {} : { thinking: options.thinking }),
        ...(options.timeout === undefined ? {} : { timeout: Math.ceil(options.timeout) }),
      },
      { expectFinal: true },
    )) as FinalRun;
    const texts = (final.result?.payloads ?? []).filter((payload) => !payload.isReasoning).flatMap(({ text }) => (text === undefined ? [] : [text]));
    output.result({ ok: true, ...final }, () => view.end(texts.join('\n')));
    return interrupted ? EXIT_INTERRUPTED : 0;
  } catch (error) {
    view.end();
    if (!output.json) throw error;
    output.result({ ok: false, status: 'error', runId, error: reportError(error) }, () => undefined);
    return 1;
  } finally {
    process.off('SIGINT', interrupt);
    rpc.close();
  }
};

function defaultSession(agentId: string | undefined): string {
  return agentId === undefined ? 'main' : `agent:${agentId}:main`;
}

async function ask(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await terminal.question(question, { signal });
  } finally {
    terminal.close();
  }
}
