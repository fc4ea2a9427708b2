// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${VAR} is the syntax of the file
import { describe, expect, it } from 'vitest';
import { applyDefaults } from './defaults.ts';
import { REDACTED, redactConfig, restoreRedacted, secretTexts } from './redact.ts';

const reference = { source: 'env', provider: 'default', id: 'X' };
const config = {
  gateway: { port: 1, auth: { token: 'secret-1', password: reference }, remote: { token: '${TOKEN}', password: 'x-${TOKEN}' } },
  models: { providers: { p: { apiKey: 'secret-2', baseUrl: 'http://x', headers: { 'X-Api': 'secret-3' } } } },
  agents: { list: [{ id: 'a', sandbox: { ssh: { identityData: 'secret-4', target: 't' } } }] },
  plugins: {
    entries: {
      e: { apiKey: 'secret-5', env: { A: 'secret-6' }, config: { webhookSecret: 'secret-7', maxTokens: 5, tokenFile: '/f', nested: { apiKeys: [1] } } },
    },
  },
  channels: { t: { botToken: 'secret-8', accounts: { a: { signingSecret: 'secret-9', name: 'n' } } } },
  env: { A: 'secret-10', vars: { B: 'secret-11' } },
  hooks: { token: 'secret-12' },
  mcp: { servers: { s: { command: 'c', env: { K: 'secret-13' } } } },
};

describe('redactConfig', () => {
  const redacted = redactConfig(config);
  it('leaves no secret in the text', () => expect(JSON.stringify(redacted)).not.toMatch(/secret-\d|x-\$/));
  it('keeps references, whole templates and everything else', () => {
    expect(redacted.gateway).toEqual({ port: 1, auth: { token: REDACTED, password: reference }, remote: { token: '${TOKEN}', password: REDACTED } });
    expect(redacted.plugins.entries.e.config).toEqual({ webhookSecret: REDACTED, maxTokens: 5, tokenFile: '/f', nested: { apiKeys: [1] } });
    expect(redacted.channels.t.accounts.a.name).toBe('n');
  });
  it('does not change its argument, and shares what holds no secret', () => {
    expect(config.gateway.auth.token).toBe('secret-1');
    expect(redacted.gateway.auth.password).toBe(reference);
    const plain = applyDefaults({});
    expect(redactConfig(plain)).toBe(plain);
  });
  it('takes further paths from extensions', () => {
    expect(redactConfig({ channels: { t: { pin: '1234' } } }, (path) => path.join('.') === 'channels.t.pin')).toEqual({ channels: { t: { pin: REDACTED } } });
  });
  it('is undone by restoreRedacted', () => expect(restoreRedacted(redacted, config)).toEqual(config));
});

it('secretTexts lists what must be masked', () => {
  expect(secretTexts(config).toSorted()).toEqual([...Array.from({ length: 13 }, (_, index) => `secret-${index + 1}`), 'x-${TOKEN}'].toSorted());
  const urls = { models: { providers: { p: { baseUrl: 'http://me:hush%21@host:8080/v1' }, q: { baseUrl: 'http://me@host:8080/a:b@c' } } } };
  expect(secretTexts(urls)).toEqual(['hush%21']);
});
