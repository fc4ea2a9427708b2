// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${VAR} is the syntax of the file
import { expect, it } from 'vitest';
import { hasMaskedUrl, maskUrlPasswords, restoreUrlPasswords } from './url-credentials.ts';

const present = { web: { proxy: 'http://ada:pa55@proxy:3128/x', plain: 'https://host/a:b@c' }, list: ['socks5://:pw@host', 3], ref: 'http://u:${PW}@host' };

it('a password inside a URL is masked, wherever it stands; user, host and templates are not (SEC-126)', () => {
  expect(maskUrlPasswords(present)).toEqual({
    web: { proxy: 'http://ada:__Durar_REDACTED__@proxy:3128/x', plain: 'https://host/a:b@c' },
    list: ['socks5://:__Durar_REDACTED__@host', 3],
    ref: 'http://u:${PW}@host',
  });
  expect(maskUrlPasswords(present).web).not.toBe(present.web);
  const clean = { a: ['https://host'] };
  expect(maskUrlPasswords(clean)).toBe(clean);
});

it('a masked URL that comes back gets its password again, an edited one does not (SEC-127, SEC-128)', () => {
  const masked = maskUrlPasswords(present);
  expect(restoreUrlPasswords(masked, present)).toEqual(present);
  const edited = { ...masked, web: { proxy: 'http://eve:__Durar_REDACTED__@elsewhere' } };
  const restored = restoreUrlPasswords(edited, present);
  expect(restored).toMatchObject({ web: edited.web });
  expect(hasMaskedUrl(restored)).toBe(true);
  expect(hasMaskedUrl(present)).toBe(false);
});
