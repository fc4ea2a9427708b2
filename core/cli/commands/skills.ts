import { durarError } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
import type { Action, CommandContext } from '../command.ts';
import { oneLine } from '../printable.ts';
import { openRpc } from '../rpc.ts';

interface Needs {
  bins: string[];
  anyBins: string[];
  env: string[];
  config: string[];
  os: string[];
}

interface SkillStatus {
  name: string;
  description: string;
  source: string;
  filePath: string;
  skillKey: string;
  homepage?: string;
  always: boolean;
  disabled: boolean;
  blockedByAllowlist: boolean;
  blockedForAgent: boolean;
  eligible: boolean;
  userInvocable: boolean;
  modelInvocable: boolean;
  requirements: Needs;
  missing: Needs;
  install: Array<{ label: string }>;
}

interface Status {
  workspaceDir: string;
  managedSkillsDir: string;
  skills: SkillStatus[];
  broken: Array<{ filePath: string; reason: string }>;
}

const DESCRIPTION_WIDTH = 60;

/** `durar skills list [--eligible]` */
export const skillsList: Action = async (context) => {
  const { output, options } = context;
  const status = await ask(context);
  const skills = options.eligible === true ? status.skills.filter(({ eligible }) => eligible) : status.skills;
  output.result({ ...status, skills }, () => {
    if (skills.length === 0) return output.line(`No skills. Put a folder with a SKILL.md into ${status.managedSkillsDir}.`);
    output.table(
      ['Skill', 'State', 'From', 'Description'],
      skills.map((skill) => [skill.name, stateOf(skill), skill.source, oneLine(skill.description, DESCRIPTION_WIDTH)]),
    );
  });
};

/** `durar skills info <name>`. Throws `DUR_CLI_USAGE` for a name that no skill has. */
export const skillsInfo: Action = async (context) => {
  const { output, args } = context;
  const wanted = args[0] ?? '';
  const { skills } = await ask(context);
  const skill = skills.find(({ name, skillKey }) => name === wanted || skillKey === wanted);
  if (skill === undefined) {
    const near = suggest(
      wanted,
      skills.map(({ name }) => name),
    );
    const hint = near === undefined ? 'List them with `durar skills list`.' : `Did you mean ${near}?`;
    throw durarError('DUR_CLI_USAGE', { reason: `there is no skill '${wanted}'` }, { hint });
  }
  output.result(skill, () =>
    output.pairs([
      ['skill', skill.name],
      ['description', oneLine(skill.description, 400)],
      ['state', stateOf(skill)],
      ['from', skill.source],
      ['file', skill.filePath],
      ['homepage', skill.homepage],
      ['started by', [...(skill.modelInvocable ? ['the model'] : []), ...(skill.userInvocable ? ['people'] : [])].join(' and ') || 'nobody'],
      ['needs', skill.always ? undefined : needsText(skill.requirements) || undefined],
      ['install', skill.eligible ? undefined : skill.install.map(({ label }) => label).join(', ') || undefined],
    ]),
  );
};

/** `durar skills check` */
export const skillsCheck: Action = async (context) => {
  const { output } = context;
  const { skills, broken } = await ask(context);
  const unusable = skills.filter(({ eligible }) => !eligible);
  output.result({ eligible: skills.length - unusable.length, unusable, broken }, () => {
    output.line(`${skills.length - unusable.length} of ${skills.length} skills can be used.`);
    for (const skill of unusable) output.line(`${skill.name}: ${stateOf(skill)}`);
    for (const { filePath, reason } of broken) output.line(`${filePath}: ${oneLine(reason, 400)}`);
  });
  return broken.length > 0 ? 1 : 0;
};

async function ask(context: CommandContext): Promise<Status> {
  const rpc = await openRpc(context);
  try {
    const { agent } = context.options;
    return (await rpc.call('skills.status', agent === undefined ? {} : { agentId: agent })) as Status;
  } finally {
    rpc.close();
  }
}

function stateOf({ eligible, disabled, blockedByAllowlist, blockedForAgent, missing, modelInvocable }: SkillStatus): string {
  if (eligible) return modelInvocable ? 'ready' : 'ready, by command only';
  if (disabled) return 'switched off';
  if (blockedByAllowlist) return 'not in skills.allowBundled';
  if (blockedForAgent) return "not in the agent's skills";
  return `missing ${needsText(missing)}`;
}

function needsText({ bins, anyBins, env, config, os }: Needs): string {
  return [
    ...bins.map((name) => `program ${name}`),
    ...(anyBins.length === 0 ? [] : [`one of the programs ${anyBins.join(', ')}`]),
    ...env.map((name) => `variable ${name}`),
    ...config.map((path) => `setting ${path}`),
    ...(os.length === 0 ? [] : [`system ${os.join(' or ')}`]),
  ].join(', ');
}
