import { reportError } from '../../../sdk/errors.ts';
import { describeProfiles } from '../../auth/overview.ts';
import { agentIds, profilesFile, readProfiles } from '../../auth/profiles.ts';
import type { Check } from '../check.ts';
import type { CommandContext } from '../command.ts';
import { countOf } from '../count.ts';
import type { Outlook } from '../planning.ts';

/** Every file of stored credentials that an agent has or may have. */
export function credentialFiles({ paths }: Pick<CommandContext, 'paths'>, { loaded: { config } }: Outlook): Map<string, string> {
  return new Map(agentIds(config).map((agentId) => [agentId, profilesFile({ config, paths, agentId })]));
}

/** Whether the stored credentials can be read and used: no value is part of it. */
export async function credentialChecks(context: Pick<CommandContext, 'paths'>, outlook: Outlook): Promise<Check[]> {
  if (outlook.loaded.errors.length > 0) return [];
  const { auth } = outlook.loaded.config;
  const checks = [...credentialFiles(context, outlook)].map(async ([agentId, file]): Promise<Check[]> => {
    const id = `credentials.${agentId}`;
    try {
      const store = await readProfiles(file);
      const rows = store === undefined ? [] : describeProfiles({ store, auth, now: Date.now() });
      const bad = rows.flatMap(({ profileId, state, blockedUntil, blockedBy = 'failures' }): Check[] => {
        if (state !== 'ok') {
          return [
            {
              id,
              status: 'warn',
              message: `the profile ${profileId} cannot be used: ${state.replaceAll('_', ' ')}`,
              hint: `Renew or remove it: \`durar models auth --help\`.`,
            },
          ];
        }
        if (blockedUntil === undefined) return [];
        const until = new Date(blockedUntil).toLocaleString();
        return [
          {
            id,
            status: 'warn',
            message: `the profile ${profileId} rests until ${until} (${blockedBy})`,
            hint: 'Others of its provider are tried first; a success ends it.',
          },
        ];
      });
      if (rows.length === 0 || bad.length > 0) return bad;
      return [{ id, status: 'ok', message: `${countOf(rows.length, 'stored credential')} of the agent ${agentId} can be used` }];
    } catch (error) {
      const { message, hint, code } = reportError(error);
      return [{ id, status: 'error', message, hint, code }];
    }
  });
  return (await Promise.all(checks)).flat();
}
