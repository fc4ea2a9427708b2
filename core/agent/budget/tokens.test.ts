import { describe, expect, it } from 'vitest';
import { conversation, toolCall, user } from '../../../sdk/contract/conversation.ts';
import { createTokenEstimator, divideWindow } from './tokens.ts';

describe('the estimator', () => {
  const estimator = createTokenEstimator();

  it('counts four characters as a token, rounded up (AMB-028)', () => {
    expect(['', 'a', 'abcd', 'abcde', 'x'.repeat(1742)].map(estimator.text)).toEqual([0, 1, 1, 2, 436]);
  });

  it('counts arguments of calls, thoughts and pictures', () => {
    const plain = estimator.message(user(''));
    expect(estimator.message(toolCall('1'))).toBeGreaterThan(plain);
    expect(estimator.message({ ...user(''), content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }] })).toBeGreaterThan(1000);
    const messages = conversation(3);
    expect(estimator.messages(messages)).toBe(messages.reduce((sum, message) => sum + estimator.message(message), 0));
  });

  it('counts tool schemas', () => {
    const tool = { name: 'read', description: 'x'.repeat(40), parameters: { type: 'object' } };
    expect(estimator.tools([tool])).toBe(Math.ceil((4 + 40 + 17) / 4));
    expect(estimator.tools([])).toBe(0);
  });
});

describe('the window', () => {
  it.each([
    [{ window: 200_000, reserveTokens: 16_384, floor: 20_000, overhead: 1_000 }, 20_000, 179_000],
    [{ window: 200_000, reserveTokens: 16_384, floor: 0, overhead: 0 }, 16_384, 183_616],
    [{ window: 4_000, reserveTokens: 16_384, floor: 20_000, overhead: 500 }, 2_000, 1_500],
    [{ window: 4_000, reserveTokens: 16_384, floor: 20_000, overhead: 9_000 }, 2_000, 500],
    [{ window: 1, reserveTokens: 0, floor: 0, overhead: 0 }, 0, 1],
  ])('%j keeps a reserve and always leaves something (ENGINE-022)', (params, reserve, messages) => {
    expect(divideWindow(params)).toMatchObject({ window: params.window, reserve, messages });
  });
});
