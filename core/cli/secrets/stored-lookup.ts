import { errorCode } from '../../../sdk/errors.ts';
import { readProfiles } from '../../auth/profiles.ts';
import { keyOf, PROFILE_FIELDS, sourceSettings } from '../../secrets/activate.ts';
import { placeOf } from '../../secrets/batches.ts';
import { collectUses } from '../../secrets/uses.ts';
import type { CommandContext } from '../command.ts';
import type { Outlook } from '../planning.ts';
import { credentialFiles } from './credential-checks.ts';
import type { SecretState } from './secret-lookup.ts';

/** Whether the references of stored credentials resolve, by their sources. A file that cannot be read has none; `durar doctor` tells of it. */
export async function lookUpStored(context: Pick<CommandContext, 'paths'>, outlook: Outlook): Promise<SecretState[]> {
  const { config, env } = outlook.loaded;
  const { defaults } = sourceSettings(config);
  const found = await Promise.all([...new Set(credentialFiles(context, outlook).values())].map(async (file) => ({ file, uses: await usesIn(file) })));
  const all = found.flatMap(({ file, uses }) => uses.map(({ path, refs }) => ({ file, path, refs })));
  if (all.length === 0) return [];
  const { resolveHere } = await import('./local-sources.ts');
  const { problems } = await resolveHere(
    context,
    outlook,
    all.flatMap(({ refs }) => refs),
  );
  return all.map(({ file, path, refs }): SecretState => {
    const problem = refs.map((ref) => problems.get(keyOf(ref))).find((each) => each !== undefined);
    const at = placeOf(path, file);
    if (problem === undefined) return { path: at, state: 'available', from: 'source' };
    return { path: at, state: 'unavailable', reason: problem(path).message.replace(/^.*? cannot be resolved: /, '') };
  });

  async function usesIn(file: string) {
    try {
      const value = (await readProfiles(file)) ?? {};
      const envAlias = typeof defaults.env === 'string' ? defaults.env : 'default';
      const { uses } = collectUses({ value, fields: PROFILE_FIELDS, facts: { env, isServed: () => true, config: value }, envAlias, sources: new Set() });
      return uses.filter(({ refs }) => refs.length > 0);
    } catch (error) {
      if (errorCode(error) === 'DUR_AUTH_STORE') return [];
      throw error;
    }
  }
}
