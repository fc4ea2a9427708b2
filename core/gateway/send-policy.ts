import type { SessionRecord } from '../../sdk/index.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import type { Config } from '../config/schema.ts';

type Policy = NonNullable<NonNullable<Config['session']>['sendPolicy']>;

/** Throws when messages into the session are forbidden: by its own setting, else by the first rule that denies, else by the default. */
export function assertSendable(record: SessionRecord | undefined, key: string, policy: Policy | undefined): void {
  const own = record?.extra?.sendPolicy;
  const decision = own === 'allow' || own === 'deny' ? own : decide(policy, record, key);
  if (decision === 'deny') throw new ProtocolError('INVALID_REQUEST', 'send blocked by session policy');
}

function decide(policy: Policy | undefined, record: SessionRecord | undefined, key: string): 'allow' | 'deny' {
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
