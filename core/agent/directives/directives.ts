import { type CommandReply, errorText, type ThinkingLevel } from '../../../sdk/index.ts';
import { ADMIN_SCOPE } from '../../../sdk/protocol/scopes.ts';
import type { Config } from '../../config/schema.ts';
import type { Generation, Lease } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { AcceptedRun, RunRequest } from '../run-request.ts';
import type { CommandCall } from './command-call.ts';
import { type AnsweredCommand, type CommandDeps, createCommands, failureReply } from './commands.ts';
import { runExtensionCommand, takes } from './extension-command.ts';
import { splitProfile } from './model-setting.ts';
import { type Directive, type ParsedMessage, parseMessage, splitCommand } from './parse.ts';
import { type Sender, senderOf } from './sender.ts';
import { mergedExtra, settingOf } from './session-settings.ts';
import { resetTrigger } from './start-over.ts';
import { isStopWord } from './stop-words.ts';

/** What a message is to the agent. */
export type Reading =
  /** A message for the model, without what was meant for the gateway. `shortcuts`: what it asks on the way. */
  | { kind: 'message'; request: RunRequest; shortcuts: AnsweredCommand[] }
  /** Nothing for the model. The answer may take a while; without a text there is none. Never rejects. */
  | { kind: 'command'; answer(accepted: AcceptedRun): Promise<CommandReply | undefined> };

/** Finds and carries out what messages say to the gateway itself. */
export interface Directives {
  /** The message begins with `/new` or `/reset`, and its sender may start a session over. */
  restarts(request: RunRequest): boolean;
  /** Looks at no file and loads nothing. */
  read(request: RunRequest): Reading;
  /** Answers commands inside a message, in their order. */
  answerAll(shortcuts: readonly AnsweredCommand[], request: RunRequest, accepted: AcceptedRun): Promise<string[]>;
}

export interface DirectivesDeps extends CommandDeps {
  log: Logger;
  closing: AbortSignal;
}

export function createDirectives(deps: DirectivesDeps): Directives {
  const { source, sessions, models, log } = deps;
  const commands = createCommands(deps);

  /** On one generation from its begin to its end; what goes wrong is the answer. */
  async function inSession(
    { accepted, request, sender, args = '' }: { accepted: AcceptedRun; request: RunRequest; sender: Sender; args?: string },
    work: (call: CommandCall) => Promise<CommandReply | undefined>,
  ): Promise<CommandReply | undefined> {
    let lease: Lease | undefined;
    try {
      lease = source.lease();
      const session = await sessions.get(accepted.sessionKey);
      if (session === undefined) return undefined;
      return await work({ generation: lease.generation, session, sender, request, args });
    } catch (error) {
      log.warn(`a command failed: ${errorText(error)}`, { runId: request.runId, sessionKey: accepted.sessionKey });
      return failureReply(error);
    } finally {
      lease?.release();
    }
  }

  /** Directives of a message that says nothing else: each is kept with the session and acknowledged. */
  async function keep(directives: readonly Directive[], { generation, session: first, sender }: CommandCall): Promise<CommandReply> {
    let session = first;
    const texts: string[] = [];
    let isError = false;
    for (const directive of directives) {
      const { text, isError: failed, columns, extra } = await settingOf({ config: generation.config, session, sender, models }, directive);
      if (text !== undefined) texts.push(text);
      isError ||= failed === true;
      if (columns === undefined && extra === undefined) continue;
      const current = (await sessions.get(session.key)) ?? session;
      session = await sessions.patch(session.key, { ...columns, ...(extra === undefined ? {} : { extra: mergedExtra(current.extra, extra) }) });
    }
    return { text: texts.join('\n'), ...(isError ? { isError } : {}) };
  }

  async function answerAll(shortcuts: readonly AnsweredCommand[], request: RunRequest, accepted: AcceptedRun): Promise<string[]> {
    const texts: string[] = [];
    const sender = senderOf(source.current().config, request);
    if (sender === undefined) return texts;
    for (const name of shortcuts) {
      const reply = await inSession({ accepted, request, sender }, async (call) => commands[name](call));
      if (reply?.text !== undefined) texts.push(reply.text);
    }
    return texts;
  }

  function extensionCommand(request: RunRequest, sender: Sender): Extract<Reading, { kind: 'command' }> | undefined {
    const whole = splitCommand(request.message);
    if (whole === undefined || keyOf(source.current(), whole.name) === undefined) return undefined;
    return {
      kind: 'command',
      answer: (accepted) =>
        inSession({ accepted, request, sender, args: whole.args }, async (call) => {
          const { generation } = call;
          const key = keyOf(generation, whole.name);
          const command = key === undefined ? undefined : await generation.contribution('command', key);
          if (command === undefined || (!sender.isAuthorized && command.value.requireAuth !== false)) return undefined;
          if (!takes(command.value, whole.args)) return { text: `/${command.key} takes no arguments.`, isError: true };
          return runExtensionCommand(command, call, deps.closing);
        }),
    };
  }

  function builtIn(parsed: ParsedMessage, request: RunRequest, sender: Sender): Reading {
    const plain: Reading = { kind: 'message', request, shortcuts: [] };
    if (parsed.kind === 'plain') return plain;
    if (parsed.kind === 'command') {
      const { name, args } = parsed;
      // those that may were carried out before
      if (name === 'new' || name === 'reset')
        return { kind: 'command', answer: async () => ({ text: `Not allowed: missing scope: ${ADMIN_SCOPE}.`, isError: true }) };
      return { kind: 'command', answer: (accepted) => inSession({ accepted, request, sender, args }, async (call) => commands[name as AnsweredCommand](call)) };
    }
    const shortcuts = parsed.shortcuts as AnsweredCommand[];
    if (parsed.kind === 'text') return { kind: 'message', request: hinted({ ...request, message: parsed.text }, parsed.directives), shortcuts };
    if (request.images !== undefined && request.images.length > 0)
      return { kind: 'message', request: hinted({ ...request, message: '' }, parsed.directives), shortcuts };
    return {
      kind: 'command',
      async answer(accepted) {
        const kept = parsed.directives.length === 0 ? undefined : await inSession({ accepted, request, sender }, (call) => keep(parsed.directives, call));
        const texts = [kept?.text, ...(await answerAll(shortcuts, request, accepted))];
        return { text: texts.filter(Boolean).join('\n\n'), ...(kept?.isError ? { isError: true } : {}) };
      },
    };
  }

  return {
    restarts(request) {
      const { config } = source.current();
      if (request.sessionId !== undefined || resetTrigger(config, request.message) === undefined) return false;
      const sender = senderOf(config, request);
      return sender?.isAuthorized === true && (request.scopes === undefined || sender.isAdmin);
    },

    read(request) {
      const plain: Reading = { kind: 'message', request, shortcuts: [] };
      const { message } = request;
      const isStop = request.scopes === undefined && isStopWord(message);
      if (!isStop && !message.includes('/')) return plain;
      const { config } = source.current();
      const sender = senderOf(config, request);
      if (sender === undefined) return plain;
      const added = extensionCommand(request, sender);
      if (added !== undefined) return added;
      const parsed: ParsedMessage = isStop ? { kind: 'command', name: 'stop', args: '' } : parseMessage(message, modelTest(config));
      if (sender.isAuthorized) return builtIn(parsed, request, sender);
      // a command of somebody who may not use it gets no answer, not even a refusal
      return parsed.kind === 'command' && !isStop ? { kind: 'command', answer: async () => undefined } : plain;
    },
    answerAll,
  };
}

/** Directives inside a message hold for its run. */
function hinted(request: RunRequest, directives: readonly Directive[]): RunRequest {
  const hints: Pick<RunRequest, 'thinking' | 'model' | 'authProfile' | 'fast'> = {};
  const shown: NonNullable<RunRequest['shown']> = {};
  for (const { name, value } of directives) {
    if (value === undefined) continue;
    if (name === 'think') hints.thinking = value as ThinkingLevel;
    else if (name === 'model') {
      const { ref, profile } = splitProfile(value);
      hints.model = ref;
      if (profile !== undefined) hints.authProfile = profile;
    } else if (name === 'fast') hints.fast = value === 'on';
    else if (name === 'verbose') shown.verboseLevel = value;
    else if (name === 'reasoning') shown.reasoningLevel = value;
  }
  return { ...request, ...hints, ...(Object.keys(shown).length === 0 ? {} : { shown }) };
}

/** The command of an extension with this name, in whatever case: declared, or registered without a declaration. */
function keyOf(generation: Generation, name: string): string | undefined {
  return [...generation.declared('command'), ...generation.loaded('command')].find(({ key }) => key.toLowerCase() === name)?.key;
}

function modelTest(config: Config): (word: string) => boolean {
  const aliases = Object.values(config.agents.defaults.models ?? {}).flatMap(({ alias }) => (alias === undefined ? [] : [alias.toLowerCase()]));
  return (word) => aliases.includes(splitProfile(word.toLowerCase()).ref);
}
