import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { durarError, errorText, reportError } from '../../../sdk/errors.ts';
import { type AgentMessage, messageText } from '../../../sdk/messages.ts';
import { answerApprovals } from '../approvals.ts';
import type { Action, CommandContext } from '../command.ts';
import { printable } from '../printable.ts';
import { openRpc, type Rpc } from '../rpc.ts';
import { createRunView, type RunEvent, type RunView } from '../run-view.ts';

const QUIT_WINDOW_MS = 2000;
const EXIT_INTERRUPTED = 130;
const HELP: ReadonlyArray<readonly [string, string]> = [
  ['/history', 'what was said before'],
  ['/new', 'start over'],
  ['/quit', 'leave (also Ctrl-D)'],
];

interface ChatEvent {
  runId: string;
  sessionKey: string;
  state: 'delta' | 'final' | 'aborted' | 'error';
  message?: { content: Array<{ type: string; text?: string }> };
  errorMessage?: string;
}

/** One turn in flight. */
interface Turn {
  runId: string;
  view: RunView;
  done(error?: Error): void;
}

/** `durar chat`: a conversation on a terminal, or with lines from a pipe. */
export const chat: Action = async (context) => {
  const { output } = context;
  if (output.json) {
    throw durarError('DUR_CLI_USAGE', { reason: 'a chat is not one JSON document' }, { hint: 'Use `durar agent --json --message <text>` for each turn.' });
  }
  const isTerminal = process.stdin.isTTY === true && output.interactive;
  const rpc = await openRpc(context, { approves: isTerminal });
  const conversation = createConversation(context, rpc, isTerminal);
  const terminal = createTerminal(isTerminal, () => conversation.busy);
  answerApprovals(rpc, {
    output,
    concerns: conversation.concerns,
    ...(isTerminal ? { ask: (question, signal) => terminal.ask(question, signal) } : {}),
  });
  let lastInterrupt = 0;
  let failures = 0;
  const interrupt = () => {
    if (conversation.busy && isTerminal) return void conversation.abort();
    if (isTerminal && Date.now() - lastInterrupt > QUIT_WINDOW_MS) {
      lastInterrupt = Date.now();
      output.line(output.paint.muted('\nPress Ctrl-C again to quit.'));
      return terminal.prompt();
    }
    process.exit(isTerminal ? 0 : EXIT_INTERRUPTED);
  };
  terminal.onInterrupt(interrupt);
  let isLeaving = false;
  void rpc.closed.then((error) => {
    if (isLeaving) return;
    output.failure([reportError(error)]);
    process.exit(1);
  });
  if (isTerminal) output.line(output.paint.muted(`${rpc.url} · ${conversation.session} · /help for commands, Ctrl-C to stop a turn`));
  terminal.prompt();
  for await (const line of terminal.lines) {
    const text = line.trim();
    if (text === '/quit' || text === '/exit') break;
    if (text !== '' && !(await conversation.say(text))) failures += 1;
    terminal.prompt();
  }
  isLeaving = true;
  terminal.close();
  rpc.close();
  return !isTerminal && failures > 0 ? 1 : 0;
};

function createConversation(context: CommandContext, rpc: Rpc, isTerminal: boolean) {
  const { output, options } = context;
  const { agent, thinking } = options as { agent?: string; thinking?: string };
  const session = (options.session as string | undefined) ?? (agent === undefined ? 'main' : `agent:${agent}:main`);
  /** The key under which the gateway knows the session; learnt from its events. */
  let canonical: string | undefined;
  let turn: Turn | undefined;

  rpc.onEvent((event, payload) => {
    if (turn === undefined || (payload as { runId?: string } | undefined)?.runId !== turn.runId) return;
    if (event === 'agent') {
      canonical ??= (payload as { sessionKey?: string }).sessionKey;
      turn.view.event(payload as RunEvent);
    } else if (event === 'chat') settle(turn, payload as ChatEvent);
  });

  function settle({ view, done }: Turn, { state, message, errorMessage }: ChatEvent): void {
    if (state === 'delta') return;
    const text = message?.content.map((block) => block.text ?? '').join('');
    view.end(state === 'error' ? undefined : text);
    if (state === 'aborted') output.line(output.paint.muted('  stopped'));
    done(state === 'error' ? new Error(errorMessage ?? 'the run failed') : undefined);
  }

  async function send(message: string): Promise<void> {
    const runId = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    turn = { runId, view: createRunView(output), done: (error) => (error === undefined ? resolve() : reject(error)) };
    try {
      const answer = (await rpc.call('chat.send', {
        sessionKey: session,
        message,
        idempotencyKey: runId,
        ...(thinking === undefined ? {} : { thinking }),
      })) as { runId?: string };
      // A stop word is answered at once and starts no run.
      if (answer.runId !== undefined) await promise;
    } finally {
      turn = undefined;
    }
  }

  async function reset(): Promise<void> {
    // The connection of a chat from a pipe may approve nothing, and so it may not do this either.
    const admin = isTerminal ? rpc : await openRpc(context);
    try {
      await admin.call('sessions.reset', { key: session, reason: 'new' });
    } finally {
      if (admin !== rpc) admin.close();
    }
    canonical = undefined;
    output.line(output.paint.muted('A new conversation.'));
  }

  async function showHistory(): Promise<void> {
    const { messages } = (await rpc.call('chat.history', { sessionKey: session, limit: 50 })) as { messages: AgentMessage[] };
    for (const message of messages) {
      const text = messageText(message);
      if (text !== '') output.line(`${message.role === 'user' ? output.paint.accent('you') : output.paint.muted(message.role)}  ${printable(text)}`);
    }
  }

  /** What this program does itself, then what the gateway does. */
  async function showHelp(): Promise<void> {
    output.pairs(HELP);
    await send('/help');
  }

  const commands: Record<string, () => Promise<void>> = {
    '/help': showHelp,
    '/history': showHistory,
    '/new': reset,
  };

  return {
    get busy() {
      return turn !== undefined;
    },
    get session() {
      return session;
    },
    concerns: (key: string) => canonical === undefined || key === canonical,
    async abort() {
      if (turn !== undefined) await rpc.call('chat.abort', { sessionKey: session, runId: turn.runId }).catch((error) => output.note(errorText(error)));
    },
    /** A command or a turn. False when it failed; the reason has been printed. */
    async say(text: string): Promise<boolean> {
      try {
        await (commands[text] ?? (() => send(text)))();
        return true;
      } catch (error) {
        output.note(`${output.paint.error('error')} ${errorText(error)}`);
        return false;
      }
    },
  };
}

/** Lines of stdin. On a terminal with line editing; what is typed during a turn is kept but not echoed into the answer. */
function createTerminal(isTerminal: boolean, isMuted: () => boolean) {
  const prompt = 'you › ';
  let asking = false;
  const screen = new Writable({
    write(chunk, _encoding, done) {
      if (!isMuted() || asking) process.stdout.write(chunk);
      done();
    },
  });
  const readline = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: Object.defineProperty(screen, 'columns', { get: () => process.stdout.columns }), terminal: true, prompt } : {}),
  });
  return {
    lines: readline[Symbol.asyncIterator](),
    prompt() {
      if (isTerminal) readline.prompt(true);
    },
    async ask(question: string, signal: AbortSignal): Promise<string> {
      asking = true;
      try {
        return await readline.question(question, { signal });
      } finally {
        asking = false;
      }
    },
    onInterrupt(listener: () => void) {
      if (isTerminal) readline.on('SIGINT', listener);
      else process.on('SIGINT', listener);
    },
    close: () => readline.close(),
  };
}
