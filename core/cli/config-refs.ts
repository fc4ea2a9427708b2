import type { SecretRef, SecretsProvider } from '../../sdk/index.ts';
import type { Segment } from '../config/config-path.ts';
import { createTrial, type Trial } from '../install/trial.ts';
import { silentLogger } from '../logging/logger.ts';
import { resolveRefs, sourceSettings } from '../secrets/batches.ts';
import { keyOf } from '../secrets/ref.ts';
import type { CommandContext } from './command.ts';
import { secretUses } from './config-effect.ts';
import type { ConfigOperation } from './config-input.ts';
import type { Outlook } from './planning.ts';
import { readHostVersion } from './version.ts';

/** Whether the references of an edit resolve. */
export interface RefCheck {
  checked: number;
  /** References whose command was not run. */
  skippedExec: number;
  problems: Array<{ message: string; ref: string }>;
}

/** Resolves the references that stand where the operations wrote; their values are thrown away. */
export async function checkRefs(
  { paths, options }: Pick<CommandContext, 'paths' | 'options'>,
  candidate: Outlook,
  operations: readonly ConfigOperation[],
): Promise<RefCheck> {
  const { loaded, plan } = candidate;
  const mine = secretUses(candidate).filter(({ path }) => operations.some((operation) => isWithin(path, operation.path)));
  const all = mine.flatMap(({ path, refs }) => refs.map((ref) => ({ path, ref })));
  const asked = all.filter(({ ref }) => ref.source !== 'exec' || options.allowExec === true);
  const trials: Trial[] = [];
  const source = async (name: string): Promise<SecretsProvider | undefined> => {
    const owner = plan.owners.get(`secretsProvider:${name}`)?.[0];
    const planned = owner === undefined ? undefined : plan.extensions.get(owner);
    if (planned === undefined) return undefined;
    const trial = await createTrial({
      entry: planned.entry,
      pluginConfig: planned.config,
      stateDir: paths.stateDir,
      hostVersion: readHostVersion(),
      log: silentLogger,
    });
    trials.push(trial);
    return trial.contributions('secretsProvider').find(({ key }) => key === name)?.value;
  };
  try {
    const refs: SecretRef[] = asked.map(({ ref }) => ref);
    const { problems } = await resolveRefs(refs, { settings: sourceSettings(loaded.config), source, env: loaded.env });
    return {
      checked: asked.length,
      skippedExec: all.length - asked.length,
      problems: asked.flatMap(({ path, ref }) => {
        const problem = problems.get(keyOf(ref));
        return problem === undefined ? [] : [{ message: problem(path).message, ref: `${ref.source}:${ref.provider}:${ref.id}` }];
      }),
    };
  } finally {
    await Promise.all(trials.map((trial) => trial.dispose()));
  }
}

function isWithin(path: readonly Segment[], parent: readonly Segment[]): boolean {
  return parent.every((segment, index) => String(segment) === String(path[index]));
}
