import { createRecent } from 'Durar/plugin-sdk/recent';
import type { Answer, SlackApi } from './api.ts';

export type ConversationKind = 'im' | 'mpim' | 'channel';

export interface ConversationFacts {
  name?: string;
  kind?: ConversationKind;
}

/** A message of a thread; `username` is there when an app wrote it. */
export interface ThreadMessage {
  ts: string;
  user?: string;
  username?: string;
  text?: string;
}

/** What Slack tells of people and conversations. Names are asked for once; where the app may not ask, it is done without. */
export interface Directory {
  userName(userId: string): Promise<string | undefined>;
  conversation(channelId: string): Promise<ConversationFacts>;
  /** The messages of a thread before that moment, the first one first. */
  thread(channelId: string, threadTs: string, before: string): Promise<ThreadMessage[]>;
}

/** A name is no reason to let a message wait. */
const WAIT_MS = 3000;
/** Slack gives the oldest first. */
const THREAD_MESSAGES = 200;
const KEPT_MS = 60 * 60_000;

export function createDirectory(api: SlackApi): Directory {
  const users = cache((userId) => api.call('users.info', { user: userId }, { once: true, timeoutMs: WAIT_MS }), userNameOf);
  const conversations = cache((channel) => api.call('conversations.info', { channel }, { once: true, timeoutMs: WAIT_MS }), factsOf);
  return {
    userName: users,
    conversation: async (channelId) => (await conversations(channelId)) ?? {},
    thread(channel, ts, latest) {
      const asked = api.call('conversations.replies', { channel, ts, latest, limit: THREAD_MESSAGES }, { once: true, timeoutMs: WAIT_MS });
      return asked.then(
        ({ messages }) => (Array.isArray(messages) ? (messages as ThreadMessage[]) : []),
        () => [],
      );
    },
  };
}

function cache<Value>(ask: (id: string) => Promise<Answer>, read: (answer: Answer) => Value): (id: string) => Promise<Value | undefined> {
  const known = createRecent<{ value: Promise<Value | undefined>; until: number }>(5000);
  return (id) => {
    const old = known.get(id);
    if (old !== undefined && old.until > Date.now()) return old.value;
    const value = ask(id).then(read, () => undefined);
    known.set(id, { value, until: Date.now() + KEPT_MS });
    return value;
  };
}

function userNameOf({ user }: Answer): string | undefined {
  const { profile, real_name, name } = (user ?? {}) as { profile?: { display_name?: string; real_name?: string }; real_name?: string; name?: string };
  return [profile?.display_name, profile?.real_name, real_name, name].find((each) => typeof each === 'string' && each !== '');
}

function factsOf({ channel }: Answer): ConversationFacts {
  const { name, is_im, is_mpim } = (channel ?? {}) as { name?: string; is_im?: boolean; is_mpim?: boolean };
  return { kind: is_im === true ? 'im' : is_mpim === true ? 'mpim' : 'channel', ...(name === undefined || is_im === true ? {} : { name }) };
}
