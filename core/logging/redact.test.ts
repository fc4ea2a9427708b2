import { describe, expect, it } from 'vitest';
import { createPatternMask, createValueMask, maskValue } from './redact.ts';

describe('maskValue', () => {
  it.each([
    ['123456789012345678', '123456…5678'],
    ['12345678901234567', '***'],
    ['', '***'],
  ])('%s becomes %s (LOG-032, LOG-033)', (value, masked) => expect(maskValue(value)).toBe(masked));
});

describe('the built-in patterns', () => {
  const mask = createPatternMask();
  const secret = 'abcdef-MIDDLE-PART-wxyz';
  it.each([
    ['key assignment (LOG-034)', `API_KEY=${secret}`, 'API_KEY=abcdef…wxyz'],
    ['key assignment in lower case (LOG-034)', `my_token: ${secret} rest`, 'my_token: abcdef…wxyz rest'],
    ['short assignment (LOG-034)', 'PASSWORD=hunter2', 'PASSWORD=***'],
    ['flag with a space (LOG-035)', `curl --api-key ${secret} -v`, 'curl --api-key abcdef…wxyz -v'],
    ['flag with = (LOG-035)', `--access-token=${secret}`, '--access-token=abcdef…wxyz'],
    ['JSON field (LOG-036)', `{"token":"${secret}","a":1}`, '{"token":"abcdef…wxyz","a":1}'],
    ['JSON field in camel case (LOG-036)', `{"accessToken": "${secret}"}`, '{"accessToken": "abcdef…wxyz"}'],
    ['bearer header (LOG-037)', `Authorization: Bearer ${secret}`, 'Authorization: Bearer abcdef…wxyz'],
    ['OpenAI key (LOG-039)', 'use sk-1234567890abcdefgh now', 'use sk-123…efgh now'],
    ['GitHub token (LOG-039)', 'ghp_0123456789abcdefghij', 'ghp_01…ghij'],
    ['Slack token (LOG-039)', 'xoxb-1234567890-abcdefghi', 'xoxb-1…fghi'],
    ['Telegram token (LOG-039)', 'bot 123456789:AAabcdefghijklmnopqrstu', 'bot 123456…rstu'],
  ])('mask a %s', (_name, text, masked) => expect(mask(text)).toBe(masked));

  it('mask a PEM block and keep its frame (LOG-038)', () => {
    const block = '-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----';
    const masked = mask(`key: ${block} end`);
    expect(masked).not.toMatch(/MIIE|xyz/);
    expect(masked).toMatch(/^key: -----BEGIN RSA PRIVATE KEY-----\n.*\n-----END RSA PRIVATE KEY----- end$/);
  });

  it.each(['reading tokens.txt', 'keyboard: yes', 'the secret of success', 'max_tokens 100', 'sk-short'])('leave "%s" alone', (text) =>
    expect(mask(text)).toBe(text),
  );
});

describe('own patterns', () => {
  it('replace the built-in ones (LOG-029)', () => {
    const mask = createPatternMask(['zebra-\\d+']);
    expect(mask('zebra-12 API_KEY=abcdef')).toBe('*** API_KEY=abcdef');
  });
  it('get the flags gi (LOG-030)', () => expect(createPatternMask(['secret-\\w+'])('secret-a SECRET-b')).toBe('*** ***'));
  it('keep their own flags, with g added (LOG-031)', () => {
    expect(createPatternMask(['/Secret-\\w+/g'])('Secret-a SECRET-b Secret-c')).toBe('*** SECRET-b ***');
    expect(createPatternMask(['/Secret-\\w+/'])('Secret-a SECRET-b Secret-c')).toBe('*** SECRET-b ***');
  });
  it('throw when they are no regular expression', () => expect(() => createPatternMask(['('])).toThrow(SyntaxError));
});

describe('createValueMask', () => {
  it('masks a value, its JSON form and its URL form', () => {
    const mask = createValueMask(['pa"ss w/ord\n']);
    expect(mask('x pa"ss w/ord\n y')).toBe('x *** y');
    expect(mask(JSON.stringify({ v: 'pa"ss w/ord\n' }))).toBe('{"v":"***"}');
    expect(mask(`?k=${encodeURIComponent('pa"ss w/ord\n')}`)).toBe('?k=***');
  });
  it('masks the longer of two values that begin alike', () => expect(createValueMask(['abcd', 'abcdef'])('abcdef abcd')).toBe('*** ***'));
  it('takes a value as text, not as an expression', () => expect(createValueMask(['a.c+d[$]'])('a.c+d[$] abcd')).toBe('*** abcd'));
  it('ignores values that are ordinary words by length', () => expect(createValueMask(['', 'on'])('on and on')).toBe('on and on'));
});
