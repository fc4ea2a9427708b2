import { join } from 'node:path';
import { type DurarError, durarError, errorCode, type SecretRef, type SecretsProvider } from '../../../sdk/index.ts';
import { parseProfiles } from '../../auth/profiles.ts';
import { readText } from '../../config/include.ts';
import { type LoadedConfig, loadText } from '../../config/load.ts';
import { activateSecrets, createSecretFields, keyOf, PROFILE_FIELDS, resolveRefs, sourceSettings } from '../../secrets/activate.ts';
import { commitChanges } from '../../secrets/commit.ts';
import { type Draft, type Move, moveTargets } from '../../secrets/move.ts';
import { type SecretsPlan, usesExec } from '../../secrets/plan.ts';
import { scrubCopies } from '../../secrets/scrub.ts';
import { type AgentFiles, readSecretFiles } from '../../secrets/stored-files.ts';
import type { CommandContext } from '../command.ts';
import { knownVariables } from '../config/known-variables.ts';
import { assertNoWorse, type Outlook, readOutlook } from '../planning.ts';
import { type Applied, reloadGateway } from '../reload.ts';
import { isServed } from '../served.ts';
import { openSources } from './local-sources.ts';

export interface ApplyFlags {
  dryRun: boolean;
  allowExec: boolean;
}

/** What became of a plan. Holds no value. */
export interface AppliedPlan {
  ok: true;
  mode: 'dry-run' | 'write';
  changed: boolean;
  changedFiles: string[];
  targets: number;
  checks: { refsChecked: number; skippedExecRefs: number; resolvabilityComplete: boolean };
  warnings: string[];
  warningCount: number;
  /** What the running gateway did; absent in a dry run and when nothing changed. */
  applied?: Applied;
}

type Source = (name: string) => Promise<SecretsProvider | undefined>;

/** What a command that is not run is taken to answer. Never written, never shown. */
const UNKNOWN = 'not asked for';

const TRIES = 3;

/**
 * Carries out a plan: every reference resolves, and a gateway would start with the result, before the first file changes. One way: no old text
 * is kept. When the running gateway refuses the result, the files get their old texts back.
 */
export async function applyPlan(context: CommandContext, plan: SecretsPlan, flags: ApplyFlags): Promise<AppliedPlan> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await applyOnce(context, plan, flags);
    } catch (error) {
      // the gateway writes into the stored credentials how they serve
      const { changed } = (error as { details?: { changed?: boolean } }).details ?? {};
      if (left === 1 || errorCode(error) !== 'DUR_SECRETS_APPLY' || changed !== true) throw error;
    }
  }
}

async function applyOnce(context: CommandContext, plan: SecretsPlan, { dryRun, allowExec }: ApplyFlags): Promise<AppliedPlan> {
  if (!dryRun && !allowExec && usesExec(plan)) throw durarError('DUR_SECRETS_EXEC');
  const { paths } = context;
  const before = await readOutlook(context);
  const files = await readSecretFiles({ paths, config: before.loaded.config });
  const newAgent = (id: string): AgentFiles => ({ id, profiles: { file: join(paths.stateDir, 'agents', id, 'agent', 'auth-profiles.json') } });
  const move = moveTargets(plan, files, newAgent);
  const sources = openSources(context, before.plan);
  let skippedExecRefs = 0;
  const source = allowExec ? sources.source : withoutExec(sources.source, (count) => (skippedExecRefs += count));
  try {
    const first = await loadDraft(context, move.draft);
    const asked = plan.targets.filter(({ ref }) => allowExec || ref.source !== 'exec');
    const resolved = await resolveTargets(plan, first, source, new Set(asked.map(({ ref }) => keyOf(ref))));
    const values = new Set([...move.values, ...resolved]);
    const warnings = await scrubCopies({ plan, files, move, config: first.source, variables: knownVariables(before), values });
    await activateDraft(context, before, move, source);
    const changes = move.draft.changes();
    const report: AppliedPlan = {
      ok: true,
      mode: dryRun ? 'dry-run' : 'write',
      changed: changes.length > 0,
      changedFiles: changes.map(({ file }) => file),
      targets: plan.targets.length,
      checks: { refsChecked: asked.length, skippedExecRefs, resolvabilityComplete: skippedExecRefs === 0 },
      warnings,
      warningCount: warnings.length,
    };
    if (dryRun || changes.length === 0) return report;
    let applied: Applied = { gateway: 'off' };
    await commitChanges(changes, async () => {
      if (before.loaded.config.gateway.reload.mode !== 'off') applied = await reloadGateway(context);
      if (applied.gateway === 'refused') throw refusal(applied);
    });
    return { ...report, applied };
  } finally {
    await sources.close();
  }
}

function loadDraft({ paths, env }: CommandContext, draft: Draft): Promise<LoadedConfig> {
  return loadText(draft.text(paths.configFile), { paths, env, read: async (file) => draft.text(file) ?? (await readText(file)) });
}

/** The new values of the targets. Throws the first reference that fails; all of them are in `details`. */
async function resolveTargets({ targets }: SecretsPlan, { config, env }: LoadedConfig, source: Source, asked: ReadonlySet<string>): Promise<string[]> {
  const refs: SecretRef[] = targets.map(({ ref }) => ref).filter((ref) => asked.has(keyOf(ref)));
  const { values, problems } = await resolveRefs(refs, { settings: sourceSettings(config), source, env });
  throwAll(targets.flatMap(({ ref, path }) => problems.get(keyOf(ref))?.(path) ?? []));
  return [...values.values()];
}

/** Builds what a gateway would build of the draft; throws what would keep it from starting. */
async function activateDraft(context: CommandContext, before: Outlook, { draft, agents }: Move, source: Source): Promise<void> {
  const after = await readOutlook(context, { loaded: await loadDraft(context, draft), records: before.records });
  assertNoWorse(before, after);
  const { errors } = await activateSecrets({
    config: after.loaded.config,
    source,
    env: after.loaded.env,
    fields: createSecretFields(after.catalog.entries),
    surfaces: { env: context.env, isServed: isServed(after.plan) },
    documents: agents.flatMap(({ profiles: { file } }) => {
      const text = draft.text(file);
      return text === undefined ? [] : [{ file, value: parseProfiles(text, file), fields: PROFILE_FIELDS }];
    }),
  });
  throwAll(errors);
}

/** Sources without the one that runs commands: its ids are counted, and get a text that nobody sees. */
function withoutExec(source: Source, onSkipped: (count: number) => void): Source {
  return async (name) => {
    if (name !== 'exec') return await source(name);
    return {
      source: name,
      async resolve({ ids }) {
        onSkipped(ids.length);
        return { values: Object.fromEntries(ids.map((id) => [id, UNKNOWN])) };
      },
    };
  };
}

function throwAll(errors: readonly DurarError[]): void {
  const [first] = errors;
  if (first !== undefined) throw errors.length === 1 ? first : Object.assign(first, { failures: errors });
}

function refusal({ error }: Applied): Error {
  return durarError('DUR_SECRETS_REFUSED', { reason: error?.message ?? '' });
}
