import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionPatch, SessionRecord } from '../../../sdk/index.ts';
import type { RunRequest } from '../run-request.ts';
import type { ProfileWish, ResolvedModel } from './models.ts';
import type { StreamOutcome } from './stream.ts';

/** What a session keeps of its profile, beside the columns. */
interface KeptProfile {
  authProfileOverride?: string;
  authProfileOverrideSource?: 'user' | 'auto';
  /** Of the session when the host chose it. */
  authProfileOverrideCompactionCount?: number;
}

/** Which stored credential a run of this session asks for. What a person chose holds for the model that was chosen with it. */
export function profileWish(session: SessionRecord, ref: string, request: Pick<RunRequest, 'authProfile'> = {}): ProfileWish {
  const { agentId } = session;
  if (request.authProfile !== undefined) return { agentId, pinned: request.authProfile };
  const { authProfileOverride: id, authProfileOverrideSource: by, authProfileOverrideCompactionCount: count } = kept(session);
  if (typeof id !== 'string') return { agentId };
  if (by === 'user') return ref.toLowerCase() === session.modelOverride?.toLowerCase() ? { agentId, pinned: id } : { agentId };
  return count === (session.compactionCount ?? 0) ? { agentId, preferred: id } : { agentId };
}

/** The session's fields for the profile that its run has used; what a person chose stays. */
export function usedProfile(session: SessionRecord | undefined, { credential }: ResolvedModel): KeptProfile {
  if (credential === undefined || session === undefined || kept(session).authProfileOverrideSource === 'user') return {};
  return {
    authProfileOverride: credential.profileId,
    authProfileOverrideSource: 'auto',
    authProfileOverrideCompactionCount: session.compactionCount ?? 0,
  };
}

/** A new session chooses anew. */
export function withoutUsedProfile({ extra }: SessionRecord): Pick<SessionPatch, 'extra'> {
  if (extra?.authProfileOverrideSource !== 'auto') return {};
  const { authProfileOverride, authProfileOverrideSource, authProfileOverrideCompactionCount, ...rest } = extra;
  return { extra: rest };
}

/** Makes a model call, and makes it again with the provider's next profile where the failure was the profile's and nothing was said yet. */
export async function withProfiles({ credential }: ResolvedModel, signal: AbortSignal, call: () => Promise<StreamOutcome>): Promise<StreamOutcome> {
  for (;;) {
    const outcome = await call();
    if (credential === undefined || signal.aborted) return outcome;
    const { error, kind, message } = outcome;
    if (error === undefined) {
      credential.succeeded();
      return outcome;
    }
    const waitMs = credential.failed(kind);
    if (waitMs === undefined || message.content.length > 0) return outcome;
    if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return outcome;
  }
}

function kept({ extra }: SessionRecord): KeptProfile {
  return (extra ?? {}) as KeptProfile;
}
