/** What the suite of session stores works on, and entries for it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { errorCode, errorText } from '../errors.ts';
import { type AgentMessage, emptyUsage } from '../messages.ts';
import type { EntryBody, NewEntry, SessionStore } from '../ports/session-store.ts';
import type { ContractContext } from './contract.ts';

/** A store with no sessions. `reopen` ends the present one and gives another on the same data. */
export interface SessionStoreContext extends ContractContext {
  store: SessionStore;
  reopen(): Promise<SessionStore>;
}

export function entry(body: EntryBody, id = randomBytes(4).toString('hex')): NewEntry {
  return { timestamp: new Date().toISOString(), ...body, id };
}

export function userEntry(text: string): NewEntry {
  return entry({ type: 'message', message: { role: 'user', content: text, timestamp: Date.now() } });
}

export function everyKind(): NewEntry[] {
  const first = userEntry('hello');
  const assistant: AgentMessage = {
    role: 'assistant',
    content: [
      { type: 'thinking', thinking: 'hm', thinkingSignature: 'sig' },
      { type: 'text', text: 'reading' },
      { type: 'toolCall', id: 'call-1', name: 'read', arguments: { path: 'a', deep: { list: [1, null, true] } } },
    ],
    api: 'offline',
    provider: 'offline',
    model: 'echo',
    usage: emptyUsage(),
    stopReason: 'toolUse',
    timestamp: Date.now(),
  };
  const image = { type: 'image' as const, data: 'aGVsbG8=', mimeType: 'image/png' };
  return [
    first,
    entry({ type: 'message', message: assistant }),
    entry({
      type: 'message',
      message: { role: 'toolResult', toolCallId: 'call-1', toolName: 'read', content: [image], details: { size: 5 }, isError: false, timestamp: 1 },
    }),
    entry({ type: 'model_change', provider: 'offline', modelId: 'echo' }),
    entry({ type: 'thinking_level_change', thinkingLevel: 'high' }),
    entry({ type: 'compaction', summary: 'so far', firstKeptEntryId: first.id, tokensBefore: 12, details: { by: 'legacy' }, fromHook: false }),
    entry({ type: 'branch_summary', fromId: first.id, summary: 'a branch' }),
    entry({ type: 'custom', customType: 'note', data: { any: 'thing' } }),
    entry({ type: 'custom_message', customType: 'note', content: [{ type: 'text', text: 'for the model' }], display: true }),
    entry({ type: 'label', targetId: first.id, label: 'start' }),
    entry({ type: 'session_info', name: 'a name' }),
  ];
}

export async function rejectsWith(code: string, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.equal(errorCode(error), code);
    assert.doesNotMatch(errorText(error), /\{\w+\}/, 'the message has a place that was not filled');
    return true;
  });
}
