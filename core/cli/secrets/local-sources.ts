import type { SecretRef, SecretsProvider } from '../../../sdk/index.ts';
import { createTrial, type Trial } from '../../install/trial.ts';
import { silentLogger } from '../../logging/logger.ts';
import type { Plan } from '../../manifest/catalog.ts';
import { resolveRefs, type SecretResolution, sourceSettings } from '../../secrets/activate.ts';
import type { CommandContext } from '../command.ts';
import type { Outlook } from '../planning.ts';
import { readHostVersion } from '../version.ts';

/** The sources of secrets in this process; an extension is loaded when its source is first asked for. */
export interface LocalSources {
  source(name: string): Promise<SecretsProvider | undefined>;
  close(): Promise<void>;
}

export function openSources({ paths }: Pick<CommandContext, 'paths'>, plan: Plan): LocalSources {
  const trials = new Map<string, Promise<Trial | undefined>>();
  return {
    async source(name) {
      const trial = trials.get(name) ?? tryOwner(name, plan, paths.stateDir);
      trials.set(name, trial);
      return (await trial)?.contributions('secretsProvider').find(({ key }) => key === name)?.value;
    },
    async close() {
      const started = await Promise.allSettled(trials.values());
      await Promise.all(started.map((trial) => (trial.status === 'fulfilled' ? trial.value?.dispose() : undefined)));
    },
  };
}

/** Resolves references in this process: only the extensions of their sources are loaded, and only these ids are asked for. */
export async function resolveHere(
  context: Pick<CommandContext, 'paths'>,
  { loaded, plan }: Pick<Outlook, 'loaded' | 'plan'>,
  refs: readonly SecretRef[],
): Promise<SecretResolution> {
  const { source, close } = openSources(context, plan);
  try {
    return await resolveRefs(refs, { settings: sourceSettings(loaded.config), source, env: loaded.env });
  } finally {
    await close();
  }
}

async function tryOwner(name: string, plan: Plan, stateDir: string): Promise<Trial | undefined> {
  const owner = plan.owners.get(`secretsProvider:${name}`)?.[0];
  const planned = owner === undefined ? undefined : plan.extensions.get(owner);
  if (planned === undefined) return undefined;
  return await createTrial({ entry: planned.entry, pluginConfig: planned.config, stateDir, hostVersion: readHostVersion(), log: silentLogger });
}
