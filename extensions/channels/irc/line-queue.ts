export interface LineQueueOptions {
  /** lines per second in the long run */
  perSecond: number;
  /** lines that may go out at once after a pause */
  burst: number;
  write(target: string, line: string): void;
}

/** Lets lines out no faster than the server takes them. Those to one target keep their order; targets take turns, so that a long answer holds up nobody else. */
export interface LineQueue {
  /** `written` is called when the line went to the socket. */
  push(target: string, line: string, written: () => void): QueuedLine;
  /** Takes a line out that was not written yet. */
  drop(line: QueuedLine): void;
  clear(): void;
  readonly size: number;
}

export interface QueuedLine {
  readonly target: string;
  readonly line: string;
  readonly written: () => void;
}

export function createLineQueue({ perSecond, burst, write }: LineQueueOptions): LineQueue {
  /** Targets in the order of their turns. */
  const waiting = new Map<string, QueuedLine[]>();
  let tokens = burst;
  let filledAt = performance.now();
  let timer: NodeJS.Timeout | undefined;

  function pump(): void {
    timer = undefined;
    const now = performance.now();
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * perSecond);
    filledAt = now;
    for (const [target, lines] of waiting) {
      if (tokens < 1) break;
      const line = lines.shift();
      // to the end of the row
      waiting.delete(target);
      if (lines.length > 0) waiting.set(target, lines);
      if (line === undefined) continue;
      tokens -= 1;
      write(target, line.line);
      line.written();
    }
    if (waiting.size > 0) timer = setTimeout(pump, Math.max(1, ((1 - tokens) / perSecond) * 1000));
  }

  return {
    push(target, line, written) {
      const queued = { target, line, written };
      const lines = waiting.get(target);
      if (lines === undefined) waiting.set(target, [queued]);
      else lines.push(queued);
      // not at once: a caller hands over all its lines first
      timer ??= setTimeout(pump, 0);
      return queued;
    },
    drop(line) {
      const lines = waiting.get(line.target);
      const at = lines?.indexOf(line) ?? -1;
      if (at < 0) return;
      lines?.splice(at, 1);
      if (lines?.length === 0) waiting.delete(line.target);
    },
    clear() {
      clearTimeout(timer);
      timer = undefined;
      waiting.clear();
    },
    get size() {
      let count = 0;
      for (const lines of waiting.values()) count += lines.length;
      return count;
    },
  };
}
