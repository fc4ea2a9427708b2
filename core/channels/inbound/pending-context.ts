/** A message of a group that was not for the agent, kept for the next one that is. */
export interface PendingMessage {
  sender: string;
  text: string;
  messageId?: string | undefined;
}

/** What was said in groups since the agent last spoke. In memory only: it explains messages, and is none that anybody waits for. */
export interface PendingContext {
  /** `limit`: as many are kept; 0 keeps none. */
  add(conversation: string, message: PendingMessage, limit: number): void;
  /** Empties the conversation; the text goes before the message that is answered. `restore` puts it back. */
  take(conversation: string): { before: string; restore(): void } | undefined;
}

const MAX_CONVERSATIONS = 1_000;
const MAX_CHARS = 2_000;

export function createPendingContext(): PendingContext {
  const waiting = new Map<string, PendingMessage[]>();

  /** The newest use is last, and the first is forgotten. */
  function put(conversation: string, messages: PendingMessage[]): void {
    waiting.delete(conversation);
    waiting.set(conversation, messages);
    const oldest = waiting.size > MAX_CONVERSATIONS ? waiting.keys().next().value : undefined;
    if (oldest !== undefined) waiting.delete(oldest);
  }

  return {
    add(conversation, message, limit) {
      if (limit === 0) return;
      const present = waiting.get(conversation) ?? [];
      if (message.messageId !== undefined && present.some(({ messageId }) => messageId === message.messageId)) return;
      put(conversation, [...present, { ...message, text: message.text.slice(0, MAX_CHARS) }].slice(-limit));
    },
    take(conversation) {
      const messages = waiting.get(conversation);
      if (messages === undefined) return undefined;
      waiting.delete(conversation);
      // a further line of a message must not look like somebody else's
      const lines = messages.map(({ sender, text }) => `${sender}: ${text.replaceAll(/\r\n?|\n|\u2028|\u2029/g, '\n  ')}`);
      return {
        before: `[Chat messages since your last reply - for context]\n${lines.join('\n')}\n\n[Current message - respond to this]\n`,
        restore: () => put(conversation, [...messages, ...(waiting.get(conversation) ?? [])]),
      };
    },
  };
}
