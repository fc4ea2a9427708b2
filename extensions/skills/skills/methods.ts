import type { GatewayMethodHandler, GatewayMethodOptions, PluginApi } from 'Durar/plugin-sdk/core';
import { join } from 'node:path';
import { isSet } from './eligibility.ts';
import type { KnownSkill, SkillLibrary, Whose } from './library.ts';
import { record } from './skill-file.ts';

type Row = readonly [options: GatewayMethodOptions, handler: GatewayMethodHandler];

const text = { type: 'string', minLength: 1 };

/** `skills.status`, `skills.bins` and `skills.update`. */
export function registerMethods(api: PluginApi, library: SkillLibrary): void {
  const whose = (agentId: string): Whose => ({ agentId, workspaceDir: api.runtime.agent.resolveAgentWorkspaceDir(api.config, agentId) });
  const rows: Record<string, Row> = {
    'skills.status': [
      {
        scope: 'operator.read',
        params: closed({ agentId: text }),
        description: 'Lists the skills of an agent, and what is wanting for those that cannot be used.',
      },
      async ({ agentId }) => {
        const one = whose(typeof agentId === 'string' ? agentId.toLowerCase() : defaultAgent(api.config));
        const skills = await library.list(one);
        return {
          workspaceDir: one.workspaceDir,
          managedSkillsDir: join(api.runtime.state.resolveStateDir(), 'skills'),
          skills: skills.map((skill) => statusOf(skill, api.config)),
          broken: await library.broken(one),
        };
      },
    ],
    'skills.bins': [
      { role: 'node', params: closed({}), description: 'Names the programs that skills ask for.' },
      async () => {
        const lists = await Promise.all(agentIds(api.config).map((agentId) => library.list(whose(agentId))));
        const bins = lists.flat().flatMap(({ requires, install }) => [...requires.bins, ...requires.anyBins, ...install.flatMap((one) => one.bins)]);
        return { bins: [...new Set(bins)].sort() };
      },
    ],
    'skills.update': [
      {
        scope: 'operator.admin',
        params: closed(
          { skillKey: text, enabled: { type: 'boolean' }, apiKey: { type: 'string' }, env: { type: 'object', additionalProperties: { type: 'string' } } },
          ['skillKey'],
        ),
        description: 'Changes the entry of a skill in the configuration; an empty value takes a key out.',
      },
      async (params) => {
        const skillKey = params.skillKey as string;
        const config = structuredClone(api.runtime.config.loadConfig());
        const skills = { ...record(config.skills) };
        const entries = { ...record(skills.entries) };
        const entry = changed(record(entries[skillKey]), params);
        entries[skillKey] = entry;
        await api.runtime.config.writeConfigFile({ ...config, skills: { ...skills, entries } });
        const { enabled } = entry;
        return {
          ok: true,
          skillKey,
          config: { ...(enabled === undefined ? {} : { enabled }), env: Object.keys(record(entry.env)), hasApiKey: 'apiKey' in entry },
        };
      },
    ],
  };
  for (const [method, [options, handler]] of Object.entries(rows)) api.registerGatewayMethod(method, handler, options);
}

function statusOf(skill: KnownSkill, config: Record<string, unknown>): Record<string, unknown> {
  const { name, description, source, filePath, baseDir, skillKey, emoji, homepage, primaryEnv, always, requires, missing, install } = skill;
  return {
    name,
    description,
    source,
    bundled: source === 'Durar-bundled',
    filePath,
    baseDir,
    skillKey,
    ...(emoji === undefined ? {} : { emoji }),
    ...(homepage === undefined ? {} : { homepage }),
    ...(primaryEnv === undefined ? {} : { primaryEnv }),
    always,
    disabled: skill.disabled,
    blockedByAllowlist: skill.blockedByAllowlist,
    blockedForAgent: skill.blockedForAgent,
    eligible: skill.eligible,
    userInvocable: skill.userInvocable,
    modelInvocable: !skill.hidden,
    requirements: requires,
    missing,
    configChecks: requires.config.map((path) => ({ path, satisfied: isSet(config, path) })),
    install,
  };
}

function changed(entry: Readonly<Record<string, unknown>>, { enabled, apiKey, env }: Record<string, unknown>): Record<string, unknown> {
  const next: Record<string, unknown> = { ...entry };
  if (enabled !== undefined) next.enabled = enabled;
  if (apiKey === '') delete next.apiKey;
  else if (apiKey !== undefined) next.apiKey = apiKey;
  if (env !== undefined) {
    const all = Object.entries({ ...record(next.env), ...record(env) }).filter(([, value]) => value !== '');
    if (all.length === 0) delete next.env;
    else next.env = Object.fromEntries(all);
  }
  return next;
}

function agentIds(config: Record<string, unknown>): string[] {
  const { list } = record(config.agents);
  const ids = Array.isArray(list) ? list.map((agent) => record(agent).id).filter((id): id is string => typeof id === 'string') : [];
  return [...new Set([defaultAgent(config), ...ids.map((id) => id.toLowerCase())])];
}

function defaultAgent(config: Record<string, unknown>): string {
  const { list } = record(config.agents);
  const agents = Array.isArray(list) ? list.map(record) : [];
  const id = (agents.find((agent) => agent.default === true) ?? agents[0])?.id;
  return typeof id === 'string' ? id.toLowerCase() : 'main';
}

function closed(properties: Record<string, unknown>, required: readonly string[] = []): Record<string, unknown> {
  return { type: 'object', additionalProperties: false, properties, required };
}
