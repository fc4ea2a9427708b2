import type { KnownSkill } from './library.ts';
import { shortPath } from './sources.ts';

const MAX_NAME = 32;

/** The slash commands of skills that people may start, by their names: `a-z0-9_`, at most 32 characters, doubles numbered. */
export function skillCommands(skills: readonly KnownSkill[]): Map<string, KnownSkill> {
  const commands = new Map<string, KnownSkill>();
  for (const skill of skills.filter(({ eligible, userInvocable }) => eligible && userInvocable)) {
    const base = commandName(skill.name) || 'skill';
    let name = base;
    for (let count = 2; commands.has(name); count += 1) name = `${base.slice(0, MAX_NAME - `_${count}`.length)}_${count}`;
    commands.set(name, skill);
  }
  return commands;
}

/** What `/name args` or `/skill name args` means. undefined: it is no command of a skill. */
export function expandSkillCommand(
  skills: readonly KnownSkill[],
  command: { name: string; args: string },
): { message: string } | { reply: string } | undefined {
  const commands = skillCommands(skills);
  if (command.name !== 'skill') {
    const skill = commands.get(commandName(command.name));
    return skill === undefined ? undefined : { message: request(skill, command.args) };
  }
  const [, wanted = '', input = ''] = /^(\S*)\s*([\s\S]*)$/.exec(command.args) ?? [];
  const skill = [...commands.values()].find(({ name }) => name.toLowerCase() === wanted.toLowerCase()) ?? commands.get(commandName(wanted));
  if (skill !== undefined) return { message: request(skill, input) };
  const names = listSkillCommands(skills);
  return { reply: wanted === '' ? `Usage: /skill <name> [input]\n${names}` : `There is no skill "${wanted}".\n${names}` };
}

/** All of them, a line each. */
export function listSkillCommands(skills: readonly KnownSkill[]): string {
  const lines = [...skillCommands(skills)].map(([name, { description }]) => `/${name} - ${description}`);
  return lines.length === 0 ? 'No skill can be started here.' : ['Skills:', ...lines].join('\n');
}

function request({ name, filePath }: KnownSkill, input: string): string {
  const order = `Use the skill "${name}" for this: read ${shortPath(filePath)} first and follow it.`;
  return input === '' ? order : `${order}\n\n${input}`;
}

function commandName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, MAX_NAME)
    .replace(/^_|_$/g, '');
}
