import { describe, expect, it } from 'vitest';
import { reply, toolCall, toolResult, user } from '../../../sdk/contract/conversation.ts';
import { INJECTED_MODEL } from '../../../sdk/index.ts';
import { sanitizeMessages } from './hygiene.ts';

describe('what a provider gets', () => {
  it('is the same array when nothing is wrong', () => {
    const messages = [user('a'), toolCall('1'), toolResult('1'), reply('b'), user('c')];
    expect(sanitizeMessages(messages)).toBe(messages);
  });

  it('has no empty reply', () => {
    expect(sanitizeMessages([user('a'), { ...reply(''), content: [] }, user('b')])).toEqual([user('a'), user('b')]);
  });

  it('has a note that came in among tool results behind them', () => {
    const note = { ...reply('note'), model: INJECTED_MODEL };
    expect(sanitizeMessages([user('a'), toolCall('1'), note, toolResult('1'), reply('b')])).toEqual([
      user('a'),
      toolCall('1'),
      toolResult('1'),
      note,
      reply('b'),
    ]);
  });

  it('has a result for each call and a call for each result', () => {
    const orphan = toolResult('gone');
    const clean = sanitizeMessages([orphan, user('a'), toolCall('1'), toolResult('2'), user('b'), toolResult('1'), toolCall('3'), toolResult('3')]);
    expect(clean).toEqual([
      user('a'),
      toolCall('1'),
      expect.objectContaining({ role: 'toolResult', toolCallId: '1', isError: true }),
      user('b'),
      toolCall('3'),
      toolResult('3'),
    ]);
  });
});
