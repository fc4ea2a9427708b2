import type { ApprovalDecision } from 'Durar/plugin-sdk/core';

export type Decision = ApprovalDecision['decision'];

/** `exec` for commands, `plugin` for everything else; the first part of the names of events and methods. */
export type Family = 'exec' | 'plugin';

/** One request as clients see it. `request` is the payload of the wire, nulls where nothing is known. */
export interface Approval {
  id: string;
  family: Family;
  request: { allowedDecisions?: readonly Decision[]; [field: string]: unknown };
  /** The client that asked by RPC; only it may carry out what was allowed. */
  requestedBy?: { connId: string; deviceId?: string };
  /** epoch ms */
  createdAtMs: number;
  expiresAtMs: number;
}

/** How a request ended; `null`: nobody decided in time. */
export interface Outcome {
  decision: Decision | null;
  resolvedBy?: string;
}

interface Entry {
  approval: Approval;
  outcome: Promise<Outcome>;
  settle(outcome: Outcome): void;
  decided?: Outcome & { atMs: number; isUsed: boolean };
}

/** How long a decision can be asked for after it was made. */
const KEEP_DECIDED_MS = 15_000;
/** So many requests wait at the same time, of both families. */
const MAX_OPEN = 1000;
/** The longest delay of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The requests that wait for a person, and those decided a moment ago. */
export class PendingApprovals {
  readonly #open = new Map<string, Entry>();
  readonly #decided = new Map<string, Entry>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #broadcast: (event: string, payload: unknown) => void;

  constructor(broadcast: (event: string, payload: unknown) => void) {
    this.#broadcast = broadcast;
  }

  has(id: string): boolean {
    return this.#open.has(id) || this.#decided.has(id);
  }

  /** Nobody decides about that many; what comes now is refused rather than kept. */
  isFull(): boolean {
    return this.#open.size >= MAX_OPEN;
  }

  /** Opens a request and tells the operators. Resolves when somebody decides, at the expiry, or when `signal` is aborted. */
  ask(approval: Approval, signal?: AbortSignal): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const entry: Entry = { approval, outcome: promise, settle: resolve };
    this.#open.set(approval.id, entry);
    const expiry = this.#after(approval.expiresAtMs - Date.now(), () => this.#end(entry, { decision: null }));
    const withdraw = () => {
      // open prompts close when they hear that the request is over
      if (this.#end(entry, { decision: null })) this.#tell(entry, { decision: 'deny' });
    };
    if (signal?.aborted) this.#end(entry, { decision: null });
    else {
      signal?.addEventListener('abort', withdraw, { once: true });
      this.#broadcast(`${approval.family}.approval.requested`, visible(approval));
    }
    return promise.finally(() => {
      clearTimeout(expiry);
      this.#timers.delete(expiry);
      signal?.removeEventListener('abort', withdraw);
    });
  }

  /** Open requests of a family whose id is `id` or, when none is, begins with it. */
  find(family: Family, id: string): Approval[] {
    const exact = this.#open.get(id);
    if (exact?.approval.family === family) return [exact.approval];
    return this.list(family).filter((approval) => approval.id.startsWith(id));
  }

  list(family: Family): Approval[] {
    return [...this.#open.values()].map((entry) => entry.approval).filter((approval) => approval.family === family);
  }

  /** The outcome of an open request, or of one decided a moment ago. */
  outcome(family: Family, id: string): { approval: Approval; outcome: Promise<Outcome> } | undefined {
    const entry = this.#open.get(id) ?? this.#decided.get(id);
    if (entry?.approval.family !== family) return undefined;
    return entry.decided === undefined || Date.now() - entry.decided.atMs <= KEEP_DECIDED_MS ? entry : undefined;
  }

  /** A request that a client opened, with its decision while that can still be used. */
  recorded(id: string): { approval: Approval; decision: Decision | null } | undefined {
    const entry = this.#open.get(id) ?? this.#decided.get(id);
    if (entry?.approval.requestedBy === undefined) return undefined;
    return { approval: entry.approval, decision: entry.decided === undefined || entry.decided.isUsed ? null : entry.decided.decision };
  }

  /** Uses an allowing decision up; false when there is none, or it was used. */
  consume(id: string): boolean {
    const { decided } = this.#decided.get(id) ?? {};
    if (decided === undefined || decided.isUsed || decided.decision === null || decided.decision === 'deny') return false;
    decided.isUsed = true;
    return true;
  }

  /** Ends an open request by a decision and tells the operators; false when it is not open any more. */
  decide(id: string, decision: Decision, resolvedBy: string): boolean {
    const entry = this.#open.get(id);
    if (entry === undefined || !this.#end(entry, { decision, resolvedBy })) return false;
    this.#tell(entry, { decision, resolvedBy });
    return true;
  }

  /** Ends everything undecided. */
  close(): void {
    for (const entry of [...this.#open.values()]) this.#end(entry, { decision: null });
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#decided.clear();
  }

  /** False when it had ended before. */
  #end(entry: Entry, outcome: Outcome): boolean {
    const { id, expiresAtMs, request } = entry.approval;
    if (!this.#open.delete(id)) return false;
    entry.decided = { ...outcome, atMs: Date.now(), isUsed: false };
    this.#decided.set(id, entry);
    // what a node will run can be run until the request would have expired
    const isForLater = request.systemRunPlan != null && entry.approval.requestedBy !== undefined;
    this.#after(KEEP_DECIDED_MS + (isForLater ? Math.max(0, expiresAtMs - Date.now()) : 0), () => this.#decided.delete(id));
    entry.settle(outcome);
    return true;
  }

  #tell({ approval }: Entry, outcome: Outcome): void {
    this.#broadcast(`${approval.family}.approval.resolved`, { id: approval.id, ...outcome, ts: Date.now(), request: approval.request });
  }

  #after(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        run();
      },
      Math.min(Math.max(ms, 0), MAX_TIMER_MS),
    ).unref();
    this.#timers.add(timer);
    return timer;
  }
}

/** What clients are told of a request. */
export function visible({ id, request, createdAtMs, expiresAtMs }: Approval): Omit<Approval, 'family'> {
  return { id, request, createdAtMs, expiresAtMs };
}
