import type { CommandSpec, OptionSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';
import { ENGINE_COMMANDS } from './engine-commands.ts';

type Views = typeof import('../commands/context.ts');
const SESSION: OptionSpec = { flags: '--session <key>', text: 'whose turn (main); a run id needs none' };
const view = (name: string, summary: string, action: keyof Views) => ({
  name,
  summary,
  args: '[session]',
  options: RPC,
  load: async () => (await import('../commands/context.ts'))[action],
});

/** `durar context`: what a model gets to see. */
export const CONTEXT: CommandSpec = {
  name: 'context',
  summary: 'show what the context of a session is made of',
  commands: [
    view('list', 'what is injected, with sizes', 'contextList'),
    {
      ...view('detail', 'the same with the largest tools and skills, parts and messages', 'contextDetail'),
      examples: [['context detail main', 'where the tokens of the main session go']],
    },
    view('json', 'all of it as JSON', 'contextJson'),
    ...ENGINE_COMMANDS,
    {
      name: 'why',
      summary: 'what the last request of a turn was made of: each part with its source and its share',
      args: '[turn]',
      options: [SESSION, ...RPC],
      examples: [
        ['context why', 'the newest turn of the main session'],
        ['context why -2 --session work', 'the one before the newest, elsewhere'],
      ],
      load: async () => (await import('../commands/context.ts')).contextWhy,
    },
    {
      name: 'turns',
      summary: 'the turns that are kept, newest first: engine, model, tokens, calls',
      args: '[session]',
      options: [...RPC, { flags: '--limit <count>', text: 'how many (20)', number: true }],
      load: async () => (await import('../commands/context.ts')).contextTurns,
    },
  ],
};
