/** The slash commands and directives of the host, one row each: parser, `/help`, name checks and the reference page are made from this table. */

export interface ChatCommandRow {
  name: string;
  aliases?: readonly string[];
  /** What may follow the name; absent: nothing. */
  args?: string;
  summary: string;
  /**
   * `command`: the whole message. `directive`: anywhere in a message; alone it is kept with the session, else it holds for that message.
   * `shortcut`: a command that may also stand inside a message.
   */
  kind: 'command' | 'directive' | 'shortcut';
}

export const CHAT_COMMANDS = [
  { name: 'help', kind: 'shortcut', summary: 'the commands most used' },
  { name: 'commands', kind: 'shortcut', summary: 'every command, those of extensions too' },
  { name: 'status', kind: 'shortcut', summary: 'model, context engine, tokens, queue and settings of the session' },
  { name: 'context', args: '[list|detail|json|why [turn]]', kind: 'command', summary: 'what the last request to the model was made of, with sizes' },
  { name: 'whoami', aliases: ['id'], kind: 'shortcut', summary: 'who you are to the gateway' },
  { name: 'new', args: '[model] [message]', kind: 'command', summary: 'start the conversation over' },
  { name: 'reset', args: '[model] [message]', kind: 'command', summary: 'start the conversation over' },
  { name: 'stop', kind: 'command', summary: 'stop what is running in the session' },
  {
    name: 'subagents',
    args: '[list|info|log|kill|send|steer|spawn]',
    kind: 'command',
    summary: 'the sub-agents of the session: see them, stop them, talk to them, start one',
  },
  { name: 'kill', args: '<id|#|all>', kind: 'command', summary: 'stop a sub-agent' },
  { name: 'steer', aliases: ['tell'], args: '<id|#> <message>', kind: 'command', summary: 'give a sub-agent a message at once' },
  { name: 'compact', args: '[instructions]', kind: 'command', summary: 'summarise older history to free room in the context window' },
  { name: 'usage', args: 'off|tokens|full|cost', kind: 'command', summary: 'a usage line under each reply; cost: what the session has cost' },
  { name: 'think', aliases: ['thinking', 't'], args: 'off|minimal|low|medium|high|xhigh|adaptive', kind: 'directive', summary: 'how much the model thinks' },
  { name: 'fast', args: 'on|off|status', kind: 'directive', summary: 'whether the provider is asked to hurry, where it can' },
  { name: 'verbose', aliases: ['v'], args: 'on|full|off', kind: 'directive', summary: 'whether tools are shown; full: with their output' },
  { name: 'reasoning', aliases: ['reason'], args: 'on|off|stream', kind: 'directive', summary: 'whether the thoughts of the model are shown' },
  { name: 'elevated', aliases: ['elev'], args: 'on|off|ask|full', kind: 'directive', summary: 'commands on the host when the session is sandboxed' },
  {
    name: 'exec',
    args: '[host=<place> security=<mode> ask=<mode> node=<name>|default]',
    kind: 'directive',
    summary: 'how commands of the session are run',
  },
  { name: 'model', args: '[list|status|default|<ref>[@profile]]', kind: 'directive', summary: 'show, list or choose the model' },
  { name: 'queue', args: '<mode> [debounce:2s cap:25 drop:summarize]', kind: 'directive', summary: 'what happens to messages during a run; default clears it' },
  { name: 'tools', args: '[compact|verbose]', kind: 'command', summary: 'the tools that the agent has in this session' },
  { name: 'models', kind: 'command', summary: 'the models that can be chosen' },
] as const satisfies readonly ChatCommandRow[];

export type ChatCommandName = (typeof CHAT_COMMANDS)[number]['name'];
export type DirectiveName = Extract<(typeof CHAT_COMMANDS)[number], { kind: 'directive' }>['name'];

/** The rows with their general type, for code that walks the table. */
export const CHAT_COMMAND_ROWS: ReadonlyArray<ChatCommandRow & { name: ChatCommandName }> = CHAT_COMMANDS;

/** Names and aliases. An extension from elsewhere cannot take one of them. */
export const CHAT_COMMAND_NAMES: readonly string[] = CHAT_COMMAND_ROWS.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]);
