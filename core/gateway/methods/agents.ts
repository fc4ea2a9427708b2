import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import { errorCode } from '../../../sdk/errors.ts';
import { ProtocolError } from '../../../sdk/protocol/errors.ts';
import type { AgentsListResult } from '../../../sdk/protocol/generated/types.ts';
import { expandHome } from '../../config/paths.ts';
import { type AgentEntry, addAgent, agentIdOf, changeAgent, removeAgent } from '../agent-entries.ts';
import { identityOf, writeIdentity } from '../agent-identity.ts';
import type { MethodFamily } from '../call.ts';
import type { GatewayContext } from '../context.ts';
import { agentsOf } from '../health.ts';
import { listFiles, readOne, readText, writeOne } from '../workspace-files.ts';

type Names =
  | 'agents.list'
  | 'agents.create'
  | 'agents.update'
  | 'agents.delete'
  | 'agents.files.list'
  | 'agents.files.get'
  | 'agents.files.set'
  | 'agent.identity.get';

export function agentsMethods(context: GatewayContext): MethodFamily<Names> {
  const { agent, configFile, paths, sessions, source } = context;

  const workspaceOf = (agentId: string): string => {
    try {
      return agent.workspaceDir(agentId);
    } catch (error) {
      if (errorCode(error) === 'DUR_AGENT_UNKNOWN') throw new ProtocolError('INVALID_REQUEST', `unknown agent id "${agentId}"`, { cause: error });
      throw error;
    }
  };
  const place = (agentId: string) => ({ agentId: agentId.toLowerCase(), workspace: workspaceOf(agentId) });

  /** Moves a working folder aside that is the agent's alone; undefined: it stays. */
  const moveAside = async (agentId: string, workspace: string, others: string[]): Promise<string | undefined> => {
    const isWithin = (inner: string, outer: string) => inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
    const isShared = [...others, homedir(), paths.home, paths.stateDir].some((other) => isWithin(other, workspace));
    if (isShared || others.some((other) => isWithin(workspace, other))) return undefined;
    const trash = join(paths.stateDir, 'trash');
    const target = join(trash, `workspace-${agentId}-${Date.now()}`);
    await mkdir(trash, { recursive: true, mode: 0o700 });
    try {
      await rename(workspace, target);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      if (errorCode(error) !== 'EXDEV') throw error;
      await cp(workspace, target, { recursive: true });
      await rm(workspace, { recursive: true });
    }
    return target;
  };

  return {
    'agents.list'() {
      const { config } = source.current();
      const { defaultAgentId, ids, mainKey } = agentsOf(context);
      const { provider, model } = agent.models.defaults();
      return {
        defaultId: defaultAgentId,
        mainKey,
        scope: config.session?.scope === 'global' ? 'global' : 'per-sender',
        agents: ids.map((id) => {
          const entry = config.agents?.list?.find((one) => one.id.toLowerCase() === id.toLowerCase());
          return agentRow(id, entry, workspaceOf(id), entry?.model ?? config.agents?.defaults?.model ?? `${provider}/${model}`);
        }),
      };
    },

    async 'agents.create'({ name, workspace, emoji, avatar }) {
      const agentId = agentIdOf(name);
      const folder = expandHome(workspace, paths.home, paths.stateDir);
      const identity = { ...(emoji ? { emoji } : {}), ...(avatar ? { avatar } : {}) };
      const entry: AgentEntry = { id: agentId, name, workspace: folder, ...(Object.keys(identity).length === 0 ? {} : { identity }) };
      await configFile.write({
        reason: 'agents.create',
        async edit(text, present) {
          const next = await addAgent(text, present, entry);
          await mkdir(folder, { recursive: true, mode: 0o700 });
          return next;
        },
      });
      if ((await readText(folder, 'IDENTITY.md')) === '') await writeOne(folder, 'IDENTITY.md', writeIdentity({ name, ...identity }));
      return { ok: true, agentId, name, workspace: folder };
    },

    async 'agents.update'({ agentId, name, workspace, model, avatar }) {
      const folder = workspace === undefined ? undefined : expandHome(workspace, paths.home, paths.stateDir);
      const given: Array<[path: string[], value: string | undefined]> = [
        [['name'], name],
        [['workspace'], folder],
        [['model'], model],
        [['identity', 'avatar'], avatar || undefined],
      ];
      const fields = given.filter(([, value]) => value !== undefined);
      await configFile.write({ reason: 'agents.update', edit: (text, present) => changeAgent(text, present, agentId, fields) });
      if (folder !== undefined) await mkdir(folder, { recursive: true, mode: 0o700 });
      return { ok: true, agentId: agentId.toLowerCase() };
    },

    async 'agents.delete'({ agentId, deleteFiles = false }) {
      const id = agentId.toLowerCase();
      let removedBindings = 0;
      const workspace = source.current().config.agents?.list?.some((entry) => entry.id.toLowerCase() === id) ? workspaceOf(id) : undefined;
      await configFile.write({
        reason: 'agents.delete',
        async edit(text, present) {
          const removed = await removeAgent(text, present, agentId);
          removedBindings = removed.removedBindings;
          return removed.text;
        },
      });
      const others = agentsOf(context).ids.map(workspaceOf);
      const movedTo = deleteFiles && workspace !== undefined ? await moveAside(id, workspace, others) : undefined;
      return { ok: true, agentId: id, removedBindings, ...(movedTo === undefined ? {} : { movedTo }) };
    },

    async 'agents.files.list'({ agentId }) {
      const at = place(agentId);
      return { ...at, files: await listFiles(at.workspace) };
    },

    async 'agents.files.get'({ agentId, name }) {
      const at = place(agentId);
      return { ...at, file: await readOne(at.workspace, name) };
    },

    async 'agents.files.set'({ agentId, name, content }) {
      const at = place(agentId);
      return { ok: true, ...at, file: await writeOne(at.workspace, name, content) };
    },

    async 'agent.identity.get'({ agentId, sessionKey }) {
      const { defaultAgentId } = agentsOf(context);
      const owner = sessionKey ? /^agent:([^:]+):/.exec(sessions.canonicalKey(sessionKey, agentId))?.[1] : undefined;
      if (owner !== undefined && agentId !== undefined && owner !== agentId.toLowerCase()) {
        throw new ProtocolError('INVALID_REQUEST', `invalid agent.identity.get params: agent "${agentId}" does not match session key agent "${owner}"`);
      }
      const id = (agentId ?? owner ?? defaultAgentId).toLowerCase();
      return await identityOf(source.current().config, id, workspaceOf(id));
    },
  };
}

function agentRow(id: string, entry: AgentEntry | undefined, workspace: string, model: AgentEntry['model']): AgentsListResult['agents'][number] {
  return {
    id,
    ...(entry?.name === undefined ? {} : { name: entry.name }),
    ...(entry?.identity === undefined ? {} : { identity: entry.identity }),
    workspace,
    ...(model === undefined ? {} : { model: typeof model === 'string' ? { primary: model } : model }),
  };
}
