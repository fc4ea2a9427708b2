/** The host's own database: one SQLite file, one writer. */
export interface State {
  /** Small values by namespace (an extension's id, or a room). JSON in, JSON out. */
  kv: {
    get(namespace: string, key: string): unknown;
    set(namespace: string, key: string, value: unknown): void;
    delete(namespace: string, key: string): void;
    list(namespace: string, prefix?: string): Array<{ key: string; value: unknown }>;
  };
  /** How far each engine has acknowledged each session's log; 0 when it has seen nothing. Never moves backwards except by `reset`. */
  cursors: {
    get(engineId: string, sessionId: string): number;
    acknowledge(engineId: string, sessionId: string, seq: number): void;
    reset(engineId: string, sessionId?: string): void;
  };
  close(): void;
}
