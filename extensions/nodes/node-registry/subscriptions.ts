import { invalid } from './refusal.ts';

type Fields = { readonly [Name in string]?: unknown };

/** One socket may follow so many sessions. */
const MAX_SESSIONS = 1000;

/** Which node follows which sessions. They end with the socket. */
export class Subscriptions {
  readonly #send: (connId: string, event: string, payload: unknown) => void;
  readonly #config: () => Fields;
  readonly #sessions = new Map<string, Set<string>>();

  constructor(send: (connId: string, event: string, payload: unknown) => void, config: () => Fields) {
    this.#send = send;
    this.#config = config;
  }

  add(connId: string, sessionKey: string): void {
    const followed = this.#sessions.get(connId) ?? new Set();
    const key = this.#canonical(sessionKey);
    if (followed.size >= MAX_SESSIONS && !followed.has(key)) throw invalid(`a node may follow ${MAX_SESSIONS} sessions at most`);
    this.#sessions.set(connId, followed.add(key));
  }

  remove(connId: string, sessionKey: string): void {
    this.#sessions.get(connId)?.delete(this.#canonical(sessionKey));
  }

  disconnected(connId: string): void {
    this.#sessions.delete(connId);
  }

  /** Passes what happens in a followed session on; `tick` and `health` reach every node anyway. */
  forward({ event, payload }: { event: string; payload: unknown }): void {
    if (this.#sessions.size === 0 || (event !== 'chat' && event !== 'agent')) return;
    const { sessionKey } = payload as Fields;
    if (typeof sessionKey !== 'string') return;
    const key = this.#canonical(sessionKey);
    for (const [connId, followed] of this.#sessions) if (followed.has(key)) this.#send(connId, event, payload);
  }

  /** Short keys are of the default agent. */
  #canonical(sessionKey: string): string {
    const key = sessionKey.trim().toLowerCase();
    if (/^agent:|^(?:global|unknown)$/.test(key)) return key;
    const { agents, session } = this.#config() as { agents?: { list?: Array<{ id?: string; default?: boolean }> }; session?: { mainKey?: string } };
    const agent = agents?.list?.find((one) => one.default === true) ?? agents?.list?.[0];
    return `agent:${(agent?.id ?? 'main').toLowerCase()}:${key === 'main' ? (session?.mainKey ?? 'main') : key}`;
  }
}
