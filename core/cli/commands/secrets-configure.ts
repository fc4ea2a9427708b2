import { resolve } from 'node:path';
import { durarError, errorCode } from '../../../sdk/errors.ts';
import { writePrivateFile } from '../../../sdk/private-file.ts';
import { printPlan, type SecretsPlan, usesExec } from '../../secrets/plan.ts';
import { type AgentFiles, readAgent } from '../../secrets/stored-files.ts';
import type { Action, CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import { type Outlook, readOutlook } from '../planning.ts';
import { createPrompt, type Prompt } from '../prompt.ts';
import { chooseFields } from '../secrets/configure-fields.ts';
import { chooseProviders } from '../secrets/configure-providers.ts';
import { createConfigureSession } from '../secrets/configure-session.ts';
import { openSources } from '../secrets/local-sources.ts';
import { type AppliedPlan, applyPlan } from '../secrets/secret-apply.ts';
import { reportPlan } from './secrets-apply.ts';

interface ConfigureOptions {
  apply?: true;
  yes?: true;
  planOut?: string;
  providersOnly?: true;
  skipProviderSetup?: true;
  agent?: string;
  allowExec?: true;
}

const EXIT_INTERRUPTED = 130;

/** `durar secrets configure` */
export const secretsConfigure: Action = async (context) => {
  const { output } = context;
  const options = context.options as ConfigureOptions;
  if (options.providersOnly && options.skipProviderSetup)
    throw durarError('DUR_CLI_USAGE', { reason: '--providers-only and --skip-provider-setup exclude each other' });
  if (process.stdin.isTTY !== true || (output.json ? process.stderr : process.stdout).isTTY !== true) {
    throw durarError(
      'DUR_CLI_NOT_TTY',
      { reason: '`durar secrets configure` asks questions, and this is no terminal' },
      { hint: 'Run it in a terminal, or write a plan and use `durar secrets apply --from <file>`.' },
    );
  }
  const outlook = await readOutlook(context);
  const [broken] = outlook.loaded.errors;
  if (broken !== undefined) throw broken;
  const agent = await chosenAgent(context, outlook, options.agent);
  const prompt = createPrompt(output);
  const sources = openSources(context, outlook.plan);
  try {
    return await configure(context, options, { outlook, agent, prompt, source: sources.source });
  } catch (error) {
    if (errorCode(error) !== 'DUR_CLI_CANCELLED' || output.json) throw error;
    prompt.say('\nThe configuration is as it was.');
    return EXIT_INTERRUPTED;
  } finally {
    prompt.close();
    await sources.close();
  }
};

interface Parts {
  outlook: Outlook;
  agent: AgentFiles;
  prompt: Prompt;
  source: ReturnType<typeof openSources>['source'];
}

async function configure(context: CommandContext, options: ConfigureOptions, { outlook, agent, prompt, source }: Parts): Promise<number> {
  const { output } = context;
  const { paint } = output;
  const allowExec = options.allowExec === true;
  const session = createConfigureSession({ context, outlook, agent, prompt, source, allowExec });
  prompt.say(paint.muted('The configuration changes with the last question only. Ctrl-C leaves.'));
  if (!allowExec) prompt.say(paint.muted('To keep secrets where a command gets them, such as pass, start it with --allow-exec.'));
  if (!options.skipProviderSetup) await chooseProviders(session);
  if (!options.providersOnly) await chooseFields(session);

  const plan = session.plan();
  if (isEmpty(plan)) {
    output.result({ ok: true, changed: false, plan: JSON.parse(printPlan(plan)) }, () => output.line('Nothing was chosen, nothing is changed.'));
    return 0;
  }
  const planFile = options.planOut === undefined ? undefined : resolve(options.planOut);
  if (planFile !== undefined) await writePrivateFile(planFile, printPlan(plan));
  const saved = planFile === undefined ? {} : { planFile };
  const needsExec = usesExec(plan) && !allowExec;
  if (needsExec && options.apply) throw durarError('DUR_SECRETS_EXEC');
  const trial = await applyPlan(context, plan, { dryRun: true, allowExec });
  summarise(prompt, plan, trial);
  if (needsExec) {
    output.result({ ok: true, changed: false, plan: JSON.parse(printPlan(plan)), preflight: trial, ...saved }, () => {
      output.note(`${paint.warn('!')} It runs commands, so it was neither checked in full nor applied.`);
      output.line(planFile === undefined ? 'Run `durar secrets configure --allow-exec`.' : `Run \`durar secrets apply --from ${planFile} --allow-exec\`.`);
    });
    return 0;
  }
  const wanted =
    options.yes === true || (output.json && !options.apply ? false : await prompt.confirm('Write it now? It is one way: the old texts are not kept.', true));
  if (!wanted) {
    output.result({ ok: true, changed: false, plan: JSON.parse(printPlan(plan)), preflight: trial, ...saved }, () =>
      output.line(planFile === undefined ? 'Nothing was changed.' : `Nothing was changed; \`durar secrets apply --from ${planFile}\` carries the plan out.`),
    );
    return 0;
  }
  reportPlan(context, { ...(await applyPlan(context, plan, { dryRun: false, allowExec })), ...saved });
  return 0;
}

function summarise(prompt: Prompt, { targets, providerUpserts, providerDeletes }: SecretsPlan, { changedFiles }: AppliedPlan): void {
  const done = [
    `${countOf(targets.length, 'reference')}`,
    ...(Object.keys(providerUpserts).length > 0 ? [`providers set: ${Object.keys(providerUpserts).join(', ')}`] : []),
    ...(providerDeletes.length > 0 ? [`providers removed: ${providerDeletes.join(', ')}`] : []),
  ];
  prompt.say(`\n${done.join('; ')}`);
  for (const file of changedFiles) prompt.say(`  ${file}`);
}

function isEmpty({ targets, providerUpserts, providerDeletes }: SecretsPlan): boolean {
  return targets.length === 0 && providerDeletes.length === 0 && Object.keys(providerUpserts).length === 0;
}

/** The agent whose stored credentials are offered: the one that is named, else the default one. */
async function chosenAgent({ paths }: CommandContext, { loaded }: Outlook, named: string | undefined): Promise<AgentFiles> {
  const list = loaded.config.agents.list ?? [];
  const id = (named ?? list.find((agent) => agent.default === true)?.id ?? list[0]?.id ?? 'main').toLowerCase();
  const agent = await readAgent(paths, loaded.config, id);
  const isKnown = id === 'main' || list.some((each) => each.id.toLowerCase() === id);
  if (!isKnown)
    throw durarError('DUR_CLI_USAGE', { reason: `there is no agent '${id}'` }, { hint: `Agents: ${['main', ...list.map((each) => each.id)].join(', ')}.` });
  return agent;
}
