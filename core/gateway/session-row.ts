import type { SessionRecord } from '../../sdk/index.ts';
import type { SessionRow } from '../../sdk/protocol/generated/types.ts';

/** The protocol's row of a session; what only the host uses stays inside. */
export function sessionRow(record: SessionRecord): SessionRow {
  const { agentId: _agentId, createdAt: _createdAt, modelOverride: _modelOverride, compactionCount: _compactions, extra: _extra, ...shown } = record;
  return {
    ...shown,
    kind: record.chatType === 'group' || record.chatType === 'channel' ? 'group' : 'direct',
    ...(record.totalTokens === undefined ? {} : { totalTokensFresh: true }),
    ...(record.startedAt === undefined || record.endedAt === undefined || record.endedAt < record.startedAt
      ? {}
      : { runtimeMs: record.endedAt - record.startedAt }),
  };
}
