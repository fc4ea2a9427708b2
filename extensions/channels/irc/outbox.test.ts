import type { Client } from 'irc-framework';
import { describe, expect, it, vi } from 'vitest';
import { IrcError } from './failure.ts';
import { createOutbox } from './outbox.ts';

/** A connection on which lines go out and nothing comes back but what the test says. */
function connection() {
  const written: string[] = [];
  let asked = '';
  const client = {
    raw: (_command: string, _target: string, line: string) => void written.push(line),
    ping(token: string) {
      asked = token;
    },
    caseCompare: (one: string, other: string) => one === other,
  } as unknown as Client;
  const outbox = createOutbox({ client, messagesPerSecond: 0.01, messageBurst: 2, left: new Map() });
  return { outbox, written, answer: () => outbox.answered(asked) };
}

const broken = new IrcError('IRC_CONNECTION', 'broken', { retryable: true });

describe('a connection that breaks', () => {
  it('leaves open what became of lines that are out and not confirmed, and of no others', async () => {
    const { outbox, written, answer } = connection();
    const open: string[] = [];
    const send = (target: string) => outbox.send({ target, lines: [`to ${target}`], onUncertain: () => void open.push(target) });
    const first = send('amy');
    await vi.waitFor(() => expect(written).toHaveLength(1));
    answer();
    await first;
    const second = send('bob');
    // the burst is used up: this one is not written
    const third = send('cy');
    await vi.waitFor(() => expect(written).toHaveLength(2));
    outbox.close(broken);
    await expect(second).rejects.toBe(broken);
    await expect(third).rejects.toBe(broken);
    expect(open).toEqual(['bob']);
    await expect(send('dora')).rejects.toBe(broken);
    expect(open).toEqual(['bob']);
  });
});
