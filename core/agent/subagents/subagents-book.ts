import { durarError, type SubagentInfo } from '../../../sdk/index.ts';
import type { SubagentTable } from '../../state/state.ts';
import type { SubagentRow } from './subagents-row.ts';

/** The sub-agents that the host knows of, in memory and on disk. */
export interface SubagentBook {
  get(child: string): SubagentRow | undefined;
  all(): SubagentRow[];
  /** Newest first. */
  childrenOf(requester: string): SubagentRow[];
  /** Of a requester's own: by key, the number in the list, label, or the beginning of its id or run id. Throws `DUR_SUBAGENT_UNKNOWN`. */
  find(requester: string, id: string): SubagentRow;
  /** Writes what was changed in a row; a row that is new comes in. */
  save(row: SubagentRow): void;
  drop(child: string): void;
  /** Rows of former processes. */
  load(): SubagentRow[];
}

export function createSubagentBook(table: SubagentTable): SubagentBook {
  const rows = new Map<string, SubagentRow>();

  const childrenOf = (requester: string) => [...rows.values()].filter((row) => row.requester === requester).reverse();

  return {
    get: (child) => rows.get(child),
    all: () => [...rows.values()],
    childrenOf,
    find(requester, id) {
      const children = childrenOf(requester);
      const wanted = id.trim().toLowerCase();
      const exact = children.find(({ child, label, runId }) => [child, runId, label?.toLowerCase()].includes(wanted));
      const byNumber = /^#?(\d{1,3})$/.exec(wanted)?.[1];
      const numbered = byNumber === undefined ? undefined : children[Number(byNumber) - 1];
      const begun = wanted.length < 4 ? [] : children.filter(({ child, runId }) => idOf(child).startsWith(wanted) || runId.startsWith(wanted));
      const found = exact ?? numbered ?? (begun.length === 1 ? begun[0] : undefined);
      if (found === undefined) throw durarError('DUR_SUBAGENT_UNKNOWN', { id });
      return found;
    },
    save(row) {
      rows.set(row.child, row);
      table.put(row.child, row.createdAt, row);
    },
    drop(child) {
      rows.delete(child);
      table.delete(child);
    },
    load() {
      const former = (table.all() as SubagentRow[]).filter(({ child }) => !rows.has(child));
      const present = [...rows];
      rows.clear();
      for (const row of former) rows.set(row.child, row);
      for (const [child, row] of present) rows.set(child, row);
      return former;
    },
  };
}

/** The last part of a sub-agent's key. */
export function idOf(child: string): string {
  return child.slice(child.lastIndexOf(':') + 1);
}

export function infoOf(row: SubagentRow, now: number): SubagentInfo {
  const { child, requester, runId, agentId, label, task, mode, depth, createdAt, run, ended } = row;
  const over = run !== undefined && row.concluded === true ? run : undefined;
  return {
    childSessionKey: child,
    requesterSessionKey: requester,
    runId,
    agentId,
    task,
    mode,
    depth,
    status: over === undefined ? 'running' : over.outcome === 'ok' && ended !== undefined ? ended.outcome : over.outcome,
    createdAt,
    runtimeMs: over?.runtimeMs ?? Math.max(0, now - createdAt),
    ...(label === undefined ? {} : { label }),
    ...(over === undefined ? {} : { endedAt: over.at }),
    ...(over?.totalTokens === undefined ? {} : { totalTokens: over.totalTokens }),
    ...(over?.error === undefined ? {} : { error: over.error }),
  };
}
