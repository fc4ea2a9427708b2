import { durarError } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
import { agentEntry, defaultAgentId } from '../../agent/settings.ts';
import { emptyStore, type ProfileStore, profilesFile, readProfiles, updateProfiles } from '../../auth/profiles.ts';
import { isForbiddenKey } from '../../config/config-path.ts';
import type { CommandContext } from '../command.ts';
import { type Outlook, readOutlook } from '../planning.ts';
import { type Applied, printApplied, reloadGateway } from '../reload.ts';

/** The credentials of one agent, for a command. */
export interface AuthStore {
  agentId: string;
  file: string;
  outlook: Outlook;
  read(): Promise<ProfileStore>;
  /** Writes, then lets the running gateway take it over. Prints one sentence, or the document with `--json`. */
  change(edit: (store: ProfileStore) => boolean | void, says: { sentence: string; document: object }): Promise<void>;
}

/** Opens the store of `--agent`. Throws `DUR_AGENT_UNKNOWN`, and what keeps the configuration from being read. */
export async function openAuthStore(context: CommandContext): Promise<AuthStore> {
  const { paths, options, output } = context;
  const outlook = await readOutlook(context);
  const { config, errors } = outlook.loaded;
  const broken = errors.find(({ code }) => code === 'DUR_CONFIG_SYNTAX' || code === 'DUR_CONFIG_UNREADABLE' || code === 'DUR_CONFIG_INCLUDE');
  if (broken !== undefined) throw broken;
  const agentId = String(options.agent ?? defaultAgentId(config)).toLowerCase();
  agentEntry(config, agentId);
  const file = profilesFile({ config, paths, agentId });
  return {
    agentId,
    file,
    outlook,
    read: async () => (await readProfiles(file)) ?? emptyStore(),
    async change(edit, { sentence, document }) {
      await updateProfiles(file, edit);
      const applied: Applied = await reloadGateway(context);
      output.result({ ok: true, agentId, file, ...document, applied }, () => {
        output.line(`${output.paint.success('✓')} ${sentence}`);
        printApplied(applied, context);
      });
    },
  };
}

/** `--provider`, which these commands cannot do without. */
export function wantedProvider({ options }: CommandContext): string {
  const provider = String(options.provider ?? '')
    .trim()
    .toLowerCase();
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(provider) || isForbiddenKey(provider))
    throw durarError('DUR_CLI_USAGE', { reason: 'name a provider with --provider <id>' });
  return provider;
}

/** The id of a profile by what was typed: with or without the provider before it. Throws `DUR_AUTH_PROFILE_UNKNOWN`. */
export function knownProfile(store: ProfileStore, typed: string, provider?: string): string {
  const ids = Object.keys(store.profiles);
  const id = [typed, ...(provider === undefined ? [] : [`${provider}:${typed}`])].find((each) => ids.includes(each));
  if (id !== undefined) return id;
  const similar = suggest(typed, new Set(ids));
  throw durarError('DUR_AUTH_PROFILE_UNKNOWN', { id: typed, where: '' }, similar === undefined ? {} : { hint: `Did you mean '${similar}'?` });
}
