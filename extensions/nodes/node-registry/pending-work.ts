import type { PluginRuntime } from 'Durar/plugin-sdk/core';
import { randomUUID } from 'node:crypto';

/** Work that an operator leaves for a node. */
export interface WorkItem {
  id: string;
  type: string;
  priority: 'default' | 'normal' | 'high';
  createdAtMs: number;
  expiresAtMs: number | null;
}

/** A command that waits until its node is in the foreground. */
export interface QueuedAction {
  id: string;
  command: string;
  paramsJSON: string | null;
  idempotencyKey: string;
  enqueuedAtMs: number;
}

interface Queue {
  revision: number;
  items: WorkItem[];
  actions: QueuedAction[];
}

const ACTION_MS = 600_000;
const MAX_ACTIONS = 64;
const RANK = { high: 0, normal: 1, default: 2 } as const;

/** What waits for a node. On disk before it is answered for; an item leaves the disk before it is handed out, so none is handed out twice. */
export class PendingWork {
  readonly #state: PluginRuntime['state'];
  #busy: Promise<unknown> = Promise.resolve();

  constructor(state: PluginRuntime['state']) {
    this.#state = state;
  }

  /** One item of a type: while it waits, asking again returns it. */
  enqueue(nodeId: string, work: { type: string; priority?: 'normal' | 'high'; expiresInMs?: number }): Promise<{ revision: number; queued: WorkItem }> {
    return this.#change(nodeId, (queue) => {
      const present = queue.items.find(({ type }) => type === work.type);
      if (present !== undefined) return { revision: queue.revision, queued: present };
      const createdAtMs = Date.now();
      const expiresAtMs = work.expiresInMs === undefined ? null : createdAtMs + work.expiresInMs;
      const queued: WorkItem = { id: randomUUID(), type: work.type, priority: work.priority ?? 'normal', createdAtMs, expiresAtMs };
      queue.items.push(queued);
      queue.revision += 1;
      return { revision: queue.revision, queued };
    });
  }

  /** Hands out the most urgent items. A node that has no status request waiting is asked for its status all the same. */
  drain(nodeId: string, maxItems: number): Promise<{ revision: number; items: WorkItem[]; hasMore: boolean }> {
    return this.#change(nodeId, (queue) => {
      const { revision } = queue;
      const waiting = [...queue.items].sort((one, other) => RANK[one.priority] - RANK[other.priority] || one.createdAtMs - other.createdAtMs);
      if (!waiting.some(({ type }) => type === 'status.request')) {
        waiting.push({ id: 'baseline-status', type: 'status.request', priority: 'default', createdAtMs: Date.now(), expiresAtMs: null });
      }
      const items = waiting.slice(0, maxItems);
      const taken = new Set(items.map(({ id }) => id));
      const kept = queue.items.filter(({ id }) => !taken.has(id));
      if (kept.length < queue.items.length) queue.revision += 1;
      queue.items = kept;
      return { revision, items, hasMore: waiting.length > items.length };
    });
  }

  /** The same idempotency key is kept once. */
  queueAction(nodeId: string, action: Pick<QueuedAction, 'command' | 'paramsJSON' | 'idempotencyKey'>): Promise<QueuedAction> {
    return this.#change(nodeId, (queue) => {
      const present = queue.actions.find(({ idempotencyKey }) => idempotencyKey === action.idempotencyKey);
      if (present !== undefined) return present;
      const queued = { id: randomUUID(), ...action, enqueuedAtMs: Date.now() };
      queue.actions = [...queue.actions, queued].slice(-MAX_ACTIONS);
      queue.revision += 1;
      return queued;
    });
  }

  async findAction(nodeId: string, idempotencyKey: string): Promise<QueuedAction | undefined> {
    return (await this.#read(nodeId)).actions.find((action) => action.idempotencyKey === idempotencyKey);
  }

  /** The waiting actions that are still allowed; they stay until they are acknowledged, the others go. */
  pull(nodeId: string, isAllowed: (command: string) => boolean): Promise<QueuedAction[]> {
    return this.#change(nodeId, (queue) => {
      const allowed = queue.actions.filter(({ command }) => isAllowed(command));
      if (allowed.length < queue.actions.length) queue.revision += 1;
      queue.actions = allowed;
      return allowed;
    });
  }

  /** Returns how many actions are left. */
  acknowledge(nodeId: string, ids: readonly string[]): Promise<number> {
    return this.#change(nodeId, (queue) => {
      const left = queue.actions.filter(({ id }) => !ids.includes(id));
      if (left.length < queue.actions.length) queue.revision += 1;
      queue.actions = left;
      return left.length;
    });
  }

  async #read(nodeId: string): Promise<Queue> {
    const stored = (await this.#state.get(keyOf(nodeId))) as Queue | undefined;
    const now = Date.now();
    return {
      revision: stored?.revision ?? 0,
      items: (stored?.items ?? []).filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > now),
      actions: (stored?.actions ?? []).filter(({ enqueuedAtMs }) => now - enqueuedAtMs < ACTION_MS),
    };
  }

  /** One change at a time; written before the result is given. */
  #change<Result>(nodeId: string, change: (queue: Queue) => Result): Promise<Result> {
    const next = this.#busy.then(async () => {
      const queue = await this.#read(nodeId);
      const before = queue.revision;
      const result = change(queue);
      if (queue.revision !== before) await this.#state.set(keyOf(nodeId), queue);
      return result;
    });
    this.#busy = next.catch(() => undefined);
    return next;
  }
}

function keyOf(nodeId: string): string {
  return `queue:${nodeId}`;
}
