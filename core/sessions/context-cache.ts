import type { AgentMessage } from '../../sdk/index.ts';
import type { Context } from './transcript.ts';

const MAX_SESSIONS = 256;
const MAX_CHARS = 32 * 1024 * 1024;
/** What a block costs beside its text. */
const BLOCK_CHARS = 100;

/** The context of a session in use, kept up to date by each append. */
export interface LiveContext extends Context {
  lastSeq: number;
  /** The newest entry, whatever it is; null in an empty session. */
  leafId: string | null;
  /** Rough size, for the bound. */
  chars: number;
}

/** Contexts by session id; those not used for longest go first. */
export interface ContextCache {
  get(sessionId: string): LiveContext | undefined;
  /** Also after its size changed. */
  set(sessionId: string, context: LiveContext): void;
  delete(sessionId: string): void;
  clear(): void;
}

export function createContextCache(limits: { sessions: number; chars: number } = { sessions: MAX_SESSIONS, chars: MAX_CHARS }): ContextCache {
  const contexts = new Map<string, { context: LiveContext; chars: number }>();
  let chars = 0;
  const remove = (sessionId: string) => {
    chars -= contexts.get(sessionId)?.chars ?? 0;
    contexts.delete(sessionId);
  };
  return {
    get(sessionId) {
      const entry = contexts.get(sessionId);
      if (entry === undefined) return undefined;
      contexts.delete(sessionId);
      contexts.set(sessionId, entry);
      return entry.context;
    },
    set(sessionId, context) {
      remove(sessionId);
      contexts.set(sessionId, { context, chars: context.chars });
      chars += context.chars;
      for (const oldest of contexts.keys()) {
        if (contexts.size <= limits.sessions && chars <= limits.chars) return;
        if (oldest !== sessionId) remove(oldest);
      }
    },
    delete: remove,
    clear() {
      contexts.clear();
      chars = 0;
    },
  };
}

/** Characters of a message, about. */
export function messageChars(message: AgentMessage): number {
  if (typeof message.content === 'string') return BLOCK_CHARS + message.content.length;
  let chars = BLOCK_CHARS;
  for (const block of message.content) {
    chars += BLOCK_CHARS;
    if (block.type === 'text') chars += block.text.length;
    else if (block.type === 'thinking') chars += block.thinking.length;
    else if (block.type === 'image') chars += block.data.length;
    else for (const value of Object.values(block.arguments)) chars += typeof value === 'string' ? value.length : BLOCK_CHARS;
  }
  return chars;
}
