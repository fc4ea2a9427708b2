import type { SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';

type Policy = NonNullable<NonNullable<Config['session']>['sendPolicy']>;

/** Whether messages into a session are answered: by its own setting, else by the first rule that denies, else by the default. */
export function isSendable(record: Partial<SessionRecord> | undefined, key: string, policy: Policy | undefined): boolean {
  const own = record?.extra?.sendPolicy;
  return (own === 'allow' || own === 'deny' ? own : decide(policy, record, key)) === 'allow';
}

function decide(policy: Policy | undefined, record: Partial<SessionRecord> | undefined, key: string): 'allow' | 'deny' {
  const bare = key.replace(/^agent:[^:]+:/, '');
  const channel = record?.channel ?? record?.lastChannel;
  let allowed = false;
  for (const { action, match = {} } of policy?.rules ?? []) {
    if (match.channel !== undefined && match.channel.toLowerCase() !== channel) continue;
    if (match.chatType !== undefined && match.chatType !== (record?.chatType ?? 'direct')) continue;
    if (match.keyPrefix !== undefined && !bare.startsWith(match.keyPrefix.toLowerCase())) continue;
    if (match.rawKeyPrefix !== undefined && !key.startsWith(match.rawKeyPrefix.toLowerCase())) continue;
    if (action === 'deny') return 'deny';
    allowed = true;
  }
  return allowed ? 'allow' : (policy?.default ?? 'allow');
}
