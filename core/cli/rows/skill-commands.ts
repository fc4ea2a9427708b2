import type { Action, CommandSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

type SkillActions = typeof import('../commands/skills.ts');
const load = (name: keyof SkillActions) => async (): Promise<Action> => (await import('../commands/skills.ts'))[name];
const OPTIONS = [...RPC, { flags: '--agent <id>', text: 'the skills of that agent (the default one)' }];

/** `durar skills`: what agents have been taught. */
export const SKILLS: CommandSpec = {
  name: 'skills',
  summary: 'list the skills of an agent, and say what is wanting',
  commands: [
    {
      name: 'list',
      summary: 'list every skill with its state and where it comes from',
      options: [...OPTIONS, { flags: '--eligible', text: 'only those that can be used' }],
      load: load('skillsList'),
    },
    { name: 'info', summary: 'show one skill: file, requirements, what is wanting', args: '<name>', options: OPTIONS, load: load('skillsInfo') },
    {
      name: 'check',
      summary: 'list what is wanting; ends with 1 when a SKILL.md is broken',
      options: OPTIONS,
      examples: [['skills check --agent work', 'why the agent "work" does not see a skill']],
      load: load('skillsCheck'),
    },
  ],
};
