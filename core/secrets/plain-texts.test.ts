import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSecretFields } from './fields.ts';
import { catalogueTexts, envLines, plainTexts, profileTexts } from './plain-texts.ts';
import { isMarker, isSecretHeader, isSecretVariable } from './secret-names.ts';

const at = (found: Array<{ path: readonly (string | number)[] }>) => found.map(({ path }) => path.join('.'));

describe('plain texts', () => {
  it('are those of secret fields, not references, templates or settings beside them (SEC-172)', () => {
    const ref = { source: 'env', provider: 'default', id: 'X' };
    const config = {
      models: {
        providers: {
          a: { apiKey: 'k', baseUrl: 'http://x', headers: { Authorization: 'Bearer k', 'X-Title': 't' } },
          b: { apiKey: ref },
          c: { apiKey: '$' + '{KEY}' },
        },
      },
      gateway: { port: 1, auth: { token: 't', password: '' } },
      skills: { entries: { s: { env: { A_TOKEN: 't', MODE: 'fast' } } } },
      env: { OPENAI_API_KEY: 'k', vars: { OTHER_SECRET: 's', LANG: 'C' } },
    };
    expect(at(plainTexts(config, createSecretFields()))).toEqual([
      'models.providers.a.apiKey',
      'models.providers.a.headers.Authorization',
      'gateway.auth.token',
      'skills.entries.s.env.A_TOKEN',
      'env.OPENAI_API_KEY',
      'env.vars.OTHER_SECRET',
    ]);
  });

  it('have their place in the whole when the text is an included one (SEC-172)', () => {
    expect(at(plainTexts({ openai: { apiKey: 'k' } }, createSecretFields(), ['models', 'providers']))).toEqual(['models.providers.openai.apiKey']);
  });

  it('of stored credentials are their keys and tokens; of a catalogue also those of its models (SEC-173, SEC-175, SEC-176)', () => {
    const profiles = {
      a: { type: 'api_key', provider: 'p', key: 'k', keyRef: {} },
      b: { type: 'oauth', access: 'x', refresh: 'y' },
      c: { type: 'token', token: 't' },
      d: 1,
    };
    expect(at(profileTexts({ profiles }))).toEqual(['profiles.a.key', 'profiles.c.token']);
    const providers = { p: { apiKey: 'k', models: [{ id: 'm', headers: { 'x-api-key': 'h', accept: 'json' } }] } };
    expect(at(catalogueTexts({ providers }))).toEqual(['providers.p.apiKey', 'providers.p.models.0.headers.x-api-key']);
    expect([profileTexts({}), catalogueTexts({ providers: [] })]).toEqual([[], []]);
  });
});

describe('names', () => {
  it('of headers tell a credential by a part, in any case (SEC-183)', () => {
    for (const name of ['Authorization', 'proxy-authorization', 'X-API-KEY', 'x-auth-token', 'Client-Secret', 'password', 'X-Credential-Id'])
      expect(isSecretHeader(name), name).toBe(true);
    for (const name of ['accept', 'content-type', 'x-title', 'http-referer']) expect(isSecretHeader(name), name).toBe(false);
  });

  it('of variables tell one by a word (SEC-174)', () => {
    for (const name of ['OPENAI_API_KEY', 'GITHUB_TOKEN', 'DB_PASSWORD', 'TOKEN', 'AWS_SECRET_ACCESS_KEY', 'Durar_GATEWAY_TOKEN', 'MCP_GITHUB_PAT'])
      expect(isSecretVariable(name), name).toBe(true);
    for (const name of ['MAX_TOKENS', 'PATH', 'KEYBOARD', 'PUBLIC_KEY', 'COMPAT']) expect(isSecretVariable(name), name).toBe(false);
  });

  it('in the place of a secret are markers, unless they could be one (SEC-175)', () => {
    const known = new Set(['ACME']);
    for (const text of ['ACME', 'OPENAI_API_KEY', 'secretref-env:X', 'secretref-managed', '$' + '{X}']) expect(isMarker(text, known), text).toBe(true);
    for (const text of ['AKIAIOSFODNN7', 'sk-1', 'OTHER', 'secretref']) expect(isMarker(text, known), text).toBe(false);
  });
});

describe('the lines of .env', () => {
  it('make up the text, byte by byte, whatever it is (SEC-199)', () => {
    const piece = fc.constantFrom('A=1', 'export B="x', '"', "'", '`', '\n', '\r\n', '# c', 'K = "two\nlines"', ' ', '=', 'C=');
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        expect(
          envLines(text)
            .map((line) => line.text)
            .join(''),
        ).toBe(text);
      }),
    );
  });

  it('set what Node reads of them, also over several lines (SEC-174)', () => {
    const text = '# note\nA=1\nexport B="two\nlines"\n\nC=\'x # y\' # z\nD=\nopen="never closed\nE=5\n';
    const set = Object.fromEntries(envLines(text).flatMap(({ name, value }) => (name === undefined ? [] : [[name, value]])));
    expect(set).toEqual(parseEnv(text));
  });
});
