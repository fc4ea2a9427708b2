import type { CommandReply } from '../../../sdk/index.ts';
import type { RunBook } from '../queue/run-book.ts';
import type { Runs } from '../run.ts';
import type { AcceptedRun, RunRequest, RunResult } from '../run-request.ts';
import type { SessionWork } from '../session-work.ts';
import type { AgentPaths } from '../settings.ts';
import { createToolCatalog } from '../tools/tool-catalog.ts';
import { endCommand } from './command-result.ts';
import { createDirectives, type DirectivesDeps } from './directives.ts';
import { expandCommand } from './expansion.ts';
import { type FreshStart, resetTrigger, startOver } from './start-over.ts';
import type { LastContext } from './status.ts';

/** Stands between a request and its run: commands end here, the rest goes on without them. */
export interface Intake {
  /** Opens the session of a request; what is for the model begins, a command is answered under its run's id. */
  admit<Begun>(request: RunRequest, begin: (request: RunRequest, accepted: AcceptedRun) => Begun | Promise<Begun>): Promise<Begun | AcceptedRun>;
  /** The message is not for the model and will be no part of its session. */
  isCommand(request: RunRequest): boolean;
  /** Starts a session over when the message asks for it, and says what to run then. `allow` may refuse it by throwing. undefined: it does not ask. */
  startOver(params: { sessionKey: string; message: string; allow?: () => void }): Promise<FreshStart | undefined>;
  /** Keeps what `/status` tells of a run. */
  note(result: RunResult): void;
}

/** Sessions whose last context is kept. */
const MAX_LAST_CONTEXTS = 1_000;

export function createIntake(
  options: Omit<DirectivesDeps, 'active' | 'stop' | 'lastContext' | 'tools' | 'compact' | 'inspect' | 'turn'> & {
    runs: Runs;
    book: RunBook;
    work: SessionWork;
    now: () => number;
    paths: AgentPaths;
    open(request: RunRequest): Promise<AcceptedRun>;
    /** The service waits for it before it closes. */
    track(task: Promise<void>): void;
  },
): Intake {
  const { source, sessions, models, runs, book, work, now, open, track } = options;
  const lastContexts = new Map<string, LastContext>();
  const directives = createDirectives({
    ...options,
    tools: createToolCatalog(options),
    compact: work.compact,
    inspect: work.inspect,
    turn: work.turn,
    active: (sessionKey) => runs.active(sessionKey),
    stop: (runId) => void runs.abort({ runId, origin: 'stop' }),
    lastContext: (sessionKey) => lastContexts.get(sessionKey),
  });

  const beginAnew: Intake['startOver'] = async ({ sessionKey, message, allow }) => {
    const { config } = source.current();
    const trigger = resetTrigger(config, message);
    if (trigger === undefined) return undefined;
    allow?.();
    return startOver({ config, sessions, models, reset: work.reset }, { sessionKey, message, trigger });
  };

  async function restarted(request: RunRequest): Promise<RunRequest> {
    if (!directives.restarts(request)) return request;
    const begun = await beginAnew({ sessionKey: sessions.canonicalKey(request.sessionKey, request.agentId), message: request.message });
    if (begun === undefined) return request;
    const { message, provenance } = begun;
    return { ...request, message, ...(provenance === undefined ? {} : { provenance }) };
  }

  function answered(request: RunRequest, accepted: AcceptedRun, answer: () => Promise<CommandReply | undefined>): AcceptedRun {
    if (request.isBooked !== true && !book.enter({ request, accepted, isCommand: true })) return { ...accepted, repeated: true };
    const run = runs.begin(request, accepted);
    track(
      answer().then((reply) =>
        runs.finish(
          run,
          endCommand(run, reply, now(), (result) => book.end(run, result, () => result)),
        ),
      ),
    );
    return accepted;
  }

  return {
    async admit(given, begin) {
      const request = await restarted(given);
      const reading = directives.read(request);
      const accepted = await open(request);
      if (reading.kind === 'command') return answered(request, accepted, () => reading.answer(accepted));
      const { shortcuts } = reading;
      if (shortcuts.length === 0) {
        const expansion = await expandCommand(options, reading.request, accepted);
        if (expansion === undefined) return begin(framed(reading.request), accepted);
        if ('message' in expansion) return begin(framed({ ...reading.request, ...expansion }), accepted);
        return answered(request, accepted, async () => ({ text: expansion.reply }));
      }
      return begin(framed({ ...reading.request, preface: await directives.answerAll(shortcuts, request, accepted) }), accepted);
    },

    isCommand: (request) => directives.read(request).kind === 'command',

    startOver: beginAnew,

    note({ sessionKey, meta: { context } }) {
      if (context === undefined) return;
      lastContexts.delete(sessionKey);
      lastContexts.set(sessionKey, context);
      if (lastContexts.size > MAX_LAST_CONTEXTS) for (const oldest of lastContexts.keys()) return void lastContexts.delete(oldest);
    },
  };
}

/** What goes to the model, with what stands around it. */
function framed({ framing, ...request }: RunRequest): RunRequest {
  return framing === undefined ? request : { ...request, message: `${framing.before}${request.message}${framing.after}` };
}
