import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { PLAIN_DIALECT, renderMarkdown } from '../../../sdk/markdown.ts';
import { openState } from '../../state/state.ts';
import { createPairing, pairingText } from './pairing.ts';

const HOUR = 3_600_000;

function desk() {
  const dir = mkdtempSync(join(tmpdir(), 'durar-pairing-'));
  const state = openState({ dir });
  onTestFinished(() => {
    state.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const clock = { now: 1_000_000 };
  const pairing = createPairing(state, () => clock.now);
  const ask = (senderId: string, channel = 'chat', accountId = 'default') => pairing.ask({ channel, accountId, senderId, conversationId: senderId });
  return { pairing, ask, clock, state };
}

it('codes have eight characters that cannot be mistaken, and no two are alike', () => {
  const { ask } = desk();
  const codes = Array.from({ length: 150 }, (_, index) => ask('ada', `chat-${index}`)?.code ?? '');
  for (const code of codes) expect(code).toMatch(/^[A-HJ-NP-Z2-9]{8}$/);
  expect(new Set(codes).size).toBe(codes.length);
});

it('one request a person, three a channel, of all its accounts; another channel has its own three', () => {
  const { ask } = desk();
  const first = ask('ada');
  expect(ask('ada')).toEqual(first);
  expect(ask('ada', 'chat', 'work')?.code).not.toBe(first?.code);
  expect(ask('bob')).toBeDefined();
  expect(ask('eve')).toBeUndefined();
  expect(ask('ada')).toEqual(first);
  expect(ask('eve', 'irc')).toBeDefined();
});

it('who asks is told once; until that is under way, each message says that they are to be', () => {
  const { pairing, ask } = desk();
  const first = ask('ada');
  expect([first?.told, ask('ada')?.told]).toEqual([false, false]);
  if (first !== undefined) pairing.markTold(first);
  expect(ask('ada')).toEqual({ ...first, told: true });
});

it('a code ends after an hour, and asking again gives another', () => {
  const { pairing, ask, clock } = desk();
  const { code = '' } = ask('ada') ?? {};
  expect(pairing.desk.list().pending).toEqual([expect.objectContaining({ code, expiresAt: clock.now + HOUR })]);
  clock.now += HOUR;
  expect(pairing.desk.list().pending).toHaveLength(1);
  clock.now += 1;
  expect(pairing.desk.list().pending).toEqual([]);
  expect(() => pairing.desk.approve({ code })).toThrow(expect.objectContaining({ code: 'DUR_PAIRING_UNKNOWN' }));
  expect(ask('ada')?.code).not.toBe(code);
});

it('an approval is for one account of one channel, in whatever case the code is typed, and can be taken back', () => {
  const { pairing, ask } = desk();
  const { code = '' } = ask('ada') ?? {};
  expect(pairing.desk.approve({ code: ` ${code.toLowerCase()} ` }).paired).toMatchObject({ channel: 'chat', accountId: 'default', senderId: 'ada' });
  expect(pairing.isPaired('chat', 'default', 'ada')).toBe(true);
  expect([pairing.isPaired('chat', 'work', 'ada'), pairing.isPaired('irc', 'default', 'ada'), pairing.isPaired('chat', 'default', 'eve')]).toEqual([
    false,
    false,
    false,
  ]);
  expect(() => pairing.desk.approve({ code })).toThrow(expect.objectContaining({ code: 'DUR_PAIRING_UNKNOWN' }));
  expect(pairing.desk.revoke({ channel: 'chat', senderId: 'ADA' })).toHaveLength(1);
  expect(pairing.isPaired('chat', 'default', 'ada')).toBe(false);
  expect(() => pairing.desk.revoke({ channel: 'chat', senderId: 'ada' })).toThrow(expect.objectContaining({ code: 'DUR_PAIRING_SENDER' }));
});

it('a code counts only where it was asked for', () => {
  const { pairing, ask } = desk();
  const { code = '' } = ask('ada') ?? {};
  for (const where of [{ channel: 'irc' }, { accountId: 'work' }]) expect(() => pairing.desk.approve({ code, ...where })).toThrow();
  expect(pairing.desk.reject({ channel: 'chat', accountId: 'default', code })).toMatchObject({ senderId: 'ada' });
  expect(pairing.desk.list()).toEqual({ pending: [], paired: [] });
});

it('too many wrong codes lock the desk for a while, the right one too', () => {
  const { pairing, ask, clock } = desk();
  const { code = '' } = ask('ada') ?? {};
  for (let guess = 0; guess < 10; guess += 1)
    expect(() => pairing.desk.approve({ code: `WRONG${guess}` })).toThrow(expect.objectContaining({ code: 'DUR_PAIRING_UNKNOWN' }));
  expect(() => pairing.desk.approve({ code })).toThrow(expect.objectContaining({ code: 'DUR_PAIRING_LOCKED' }));
  clock.now += 600_001;
  expect(pairing.desk.approve({ code }).paired.senderId).toBe('ada');
});

it('the text names the code, the person and the command', () => {
  const text = pairingText({ channel: 'chat', accountId: 'default', senderId: 'ada', conversationId: 'ada', code: 'ABCD2345', createdAt: 0 }, 'chat name');
  for (const part of ['Your chat name: ada', 'ABCD2345', 'durar pairing approve chat ABCD2345', 'one hour']) expect(text).toContain(part);
});

it.each(['_bob_!~bob@host.org', '`b`', '``x', '*!*@host', 'a<b>', '[x](y)'])('the id %s is shown as it is', (senderId) => {
  const text = pairingText({ channel: 'chat', accountId: 'default', senderId, conversationId: 'x', code: 'ABCD2345', createdAt: 0 }, 'name');
  expect(renderMarkdown(text, PLAIN_DIALECT)).toContain(`Your name: ${senderId}\n`);
});
