import type { TurnSummary } from '../../sdk/protocol/generated/types.ts';
import type { Rpc } from './rpc.ts';

/** The last turn that an engine served, where it was the engine that made it fail. */
export interface EngineTrouble {
  code: string;
  sessionKey: string;
  runId: string;
  /** epoch ms */
  endedAt: number;
}

/** Of the sessions used last, how many are looked at. */
const SESSIONS = 8;

/** An engine that loads may still fail at every turn, which only the turns tell. */
export async function findEngineTrouble(rpc: Pick<Rpc, 'call'>, { key, owner }: { key: string; owner: string }): Promise<EngineTrouble | undefined> {
  const { sessions } = (await rpc.call('sessions.list', { limit: SESSIONS })) as { sessions: Array<{ key: string }> };
  const newest = await Promise.all(sessions.map((session) => rpc.call('sessions.turns', { key: session.key, limit: 1 }) as Promise<{ turns: TurnSummary[] }>));
  const [last] = newest
    .flatMap(({ turns }) => turns)
    .filter(({ engine, status }) => engine?.id === key && status !== 'aborted')
    .sort((a, b) => b.endedAt - a.endedAt);
  if (last?.error === undefined || last.error.extension !== owner) return undefined;
  return { code: last.error.code, sessionKey: last.sessionKey, runId: last.runId, endedAt: last.endedAt };
}
