import type { SessionRecord } from '../../sdk/index.ts';
import { ProtocolError } from '../../sdk/protocol/errors.ts';
import { isSendable } from '../channels/accounts.ts';
import type { Config } from '../config/schema.ts';

type Policy = NonNullable<NonNullable<Config['session']>['sendPolicy']>;

/** Throws when messages into the session are forbidden: by its own setting, else by the first rule that denies, else by the default. */
export function assertSendable(record: SessionRecord | undefined, key: string, policy: Policy | undefined): void {
  if (!isSendable(record, key, policy)) throw new ProtocolError('INVALID_REQUEST', 'send blocked by session policy');
}
