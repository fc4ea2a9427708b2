import type { CommandSpec } from './command.ts';
import { RPC } from './rpc-options.ts';

type Views = typeof import('./commands/context.ts');
const view = (name: string, summary: string, action: keyof Views) => ({
  name,
  summary,
  args: '[session]',
  options: RPC,
  load: async () => (await import('./commands/context.ts'))[action],
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
  ],
};
