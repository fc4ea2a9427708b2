import type { SessionRecord } from '../../sdk/index.ts';
import type { SessionEntry, SessionRow } from '../../sdk/protocol/generated/types.ts';

/** The model that serves a session which has had no turn yet. */
export interface RowDefaults {
  provider: string;
  model: string;
}

/** The protocol's row of a session; what only the host uses stays inside. */
export function sessionRow(record: SessionRecord, defaults?: RowDefaults): SessionRow {
  const { agentId: _agentId, createdAt: _createdAt, modelOverride: _modelOverride, compactionCount: _compactions, extra, ...shown } = record;
  return {
    ...(defaults === undefined ? {} : { modelProvider: defaults.provider, model: defaults.model }),
    ...(shownExtra(extra) as Partial<SessionRow>),
    ...shown,
    ...derived(record),
    ...(record.displayName === undefined && record.label !== undefined ? { displayName: record.label } : {}),
    kind: kindOf(record),
    ...(record.startedAt === undefined || record.endedAt === undefined || record.endedAt < record.startedAt
      ? {}
      : { runtimeMs: record.endedAt - record.startedAt }),
  };
}

/** The members of a row that events carry beside their own. */
export function snapshotOf(row: SessionRow): Omit<SessionRow, 'key'> {
  const { key: _key, ...fields } = row;
  return fields;
}

/** The stored row as answers to changes show it. */
export function sessionEntry(record: SessionRecord, sessionFile: string | undefined): SessionEntry {
  const { key: _key, extra, ...stored } = record;
  return { ...shownExtra(extra), ...stored, ...derived(record), ...(sessionFile === undefined ? {} : { sessionFile }) };
}

/** Without what `sessions.context` is asked for. */
function shownExtra({ contextReport: _report, ...extra }: Record<string, unknown> = {}): Record<string, unknown> {
  return extra;
}

function derived({ lastChannel, lastTo, lastAccountId, totalTokens, extra }: SessionRecord) {
  const totalTokensFresh = totalTokens !== undefined;
  if (lastChannel === undefined) return { totalTokensFresh };
  const threadId = extra?.lastThreadId;
  const deliveryContext = {
    channel: lastChannel,
    ...(lastTo === undefined ? {} : { to: lastTo }),
    ...(lastAccountId === undefined ? {} : { accountId: lastAccountId }),
    ...(typeof threadId === 'string' ? { threadId } : {}),
  };
  return { totalTokensFresh, deliveryContext };
}

function kindOf({ key, chatType }: SessionRecord): SessionRow['kind'] {
  if (key === 'global' || key === 'unknown') return key;
  return chatType === 'group' || chatType === 'channel' ? 'group' : 'direct';
}
