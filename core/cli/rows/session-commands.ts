import type { Action, CommandSpec, OptionSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

type Changes = typeof import('../commands/session-changes.ts');
const change = (name: keyof Changes) => async (): Promise<Action> => (await import('../commands/session-changes.ts'))[name];
const list = async (): Promise<Action> => (await import('../commands/sessions.ts')).sessionsList;

const LIST: readonly OptionSpec[] = [
  ...RPC,
  { flags: '--agent <id>', text: 'only those of one agent' },
  { flags: '--active <minutes>', text: 'only those used lately', number: true },
  { flags: '--limit <count>', text: 'how many (50)', number: true },
];

/** `durar sessions`: what was said, and where. */
export const SESSIONS: CommandSpec = {
  name: 'sessions',
  summary: 'list, show and change sessions',
  options: LIST,
  load: list,
  commands: [
    { name: 'list', summary: 'list sessions, newest first', options: LIST, load: list },
    {
      name: 'show',
      summary: 'print the messages of a session',
      args: '[key]',
      options: [...RPC, { flags: '--limit <count>', text: 'how many of the newest messages (200)', number: true }],
      load: async () => (await import('../commands/sessions.ts')).sessionsShow,
    },
    {
      name: 'patch',
      summary: 'change the settings of a session; `none` clears one',
      args: '<key>',
      options: [
        ...RPC,
        { flags: '--label <text>', text: 'its name, which no other session has' },
        { flags: '--model <ref>', text: 'the model of its runs' },
        { flags: '--thinking <level>', text: 'how much the model thinks' },
        { flags: '--verbose <level>', text: 'how much of the tools is shown: off, on, full' },
        { flags: '--reasoning <level>', text: 'whether thoughts are shown: off, on, stream' },
        { flags: '--send-policy <policy>', text: 'whether it takes messages: allow, deny' },
      ],
      examples: [['sessions patch main --model offline/echo', 'let the main session use another model']],
      load: change('sessionsPatch'),
    },
    { name: 'reset', summary: 'start a session over', args: '[key]', options: RPC, load: change('sessionsReset') },
    {
      name: 'delete',
      summary: 'remove a session; its transcript is kept as an archive',
      args: '<key>',
      options: [...RPC, { flags: '--keep-transcript', text: 'leave the transcript where it is' }],
      load: change('sessionsDelete'),
    },
    { name: 'compact', summary: 'let the context engine condense a session now', args: '[key]', options: RPC, load: change('sessionsCompact') },
    { name: 'abort', summary: 'stop what runs in a session', args: '[key]', options: RPC, load: change('sessionsAbort') },
  ],
};
