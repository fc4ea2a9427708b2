import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { suggest } from '../../sdk/suggest.ts';
import { checkSchema, type Schema } from './check-schema.ts';
import { applyDefaults } from './defaults.ts';
import facts from './generated/facts.json' with { type: 'json' };
import schema from './generated/schema.json' with { type: 'json' };
import { validateConfig, validParts } from './validate.ts';

const bad: Array<[unknown, string, string, RegExp]> = [
  [{ gatway: {} }, 'DUR_CONFIG_UNKNOWN_KEY', '/gatway', /unknown key 'gatway'/],
  [{ gateway: { auth: { tokn: 'x' } } }, 'DUR_CONFIG_UNKNOWN_KEY', '/gateway/auth/tokn', /gateway\.auth\.tokn/],
  [{ gateway: { port: '1' } }, 'DUR_CONFIG_INVALID', '/gateway/port', /must be a whole number, not text/],
  [{ gateway: { port: 0 } }, 'DUR_CONFIG_INVALID', '/gateway/port', /must be at least 1/],
  [{ gateway: { port: 70_000 } }, 'DUR_CONFIG_INVALID', '/gateway/port', /must be at most 65535/],
  [{ gateway: { port: 1.5 } }, 'DUR_CONFIG_INVALID', '/gateway/port', /whole number/],
  [{ gateway: { port: Number.NaN } }, 'DUR_CONFIG_INVALID', '/gateway/port', /not NaN/],
  [{ gateway: { bind: 'all' } }, 'DUR_CONFIG_INVALID', '/gateway/bind', /one of "auto", "loopback"/],
  [{ gateway: [] }, 'DUR_CONFIG_INVALID', '/gateway', /must be an object, not a list/],
  [{ gateway: null }, 'DUR_CONFIG_INVALID', '/gateway', /not null/],
  [{ gateway: { auth: { token: 5 } } }, 'DUR_CONFIG_INVALID', '/gateway/auth/token', /must be text or an object, not a number/],
  [{ gateway: { auth: { token: { source: 'env', provider: 'default' } } } }, 'DUR_CONFIG_INVALID', '/gateway/auth/token', /needs the key 'id'/],
  [
    { gateway: { auth: { token: { source: 'env', provider: 'Big', id: 'X' } } } },
    'DUR_CONFIG_INVALID',
    '/gateway/auth/token/provider',
    /does not have the form/,
  ],
  [{ logging: { consoleStyle: 'loud' } }, 'DUR_CONFIG_INVALID', '/logging/consoleStyle', /one of "pretty", "compact", "json"/],
  [{ logging: { redactPatterns: ['a', 1] } }, 'DUR_CONFIG_INVALID', '/logging/redactPatterns/1', /must be text/],
  [{ agents: { list: [{ name: 'x' }] } }, 'DUR_CONFIG_INVALID', '/agents/list/0', /needs the key 'id'/],
  [{ agents: { list: [{ id: 'default' }] } }, 'DUR_CONFIG_INVALID', '/agents/list/0/id', /must not be "default"/],
  [{ agents: { defaults: { model: { primry: 'x' } } } }, 'DUR_CONFIG_UNKNOWN_KEY', '/agents/defaults/model/primry', /model\.primry/],
  [{ agents: { defaults: { maxConcurrent: 0 } } }, 'DUR_CONFIG_INVALID', '/agents/defaults/maxConcurrent', /at least 1/],
  [{ agents: { defaults: { contextPruning: { ttl: 'soon' } } } }, 'DUR_CONFIG_INVALID', '/agents/defaults/contextPruning/ttl', /form/],
  [{ models: { providers: { x: { models: [{}] } } } }, 'DUR_CONFIG_INVALID', '/models/providers/x/models/0', /needs the key 'id'/],
  [{ plugins: { entries: { x: { enable: true } } } }, 'DUR_CONFIG_UNKNOWN_KEY', '/plugins/entries/x/enable', /plugins\.entries\.x\.enable/],
  [{ plugins: { slots: { contextEngin: 'x' } } }, 'DUR_CONFIG_UNKNOWN_KEY', '/plugins/slots/contextEngin', /contextEngin/],
  [{ channels: { telegram: 'on' } }, 'DUR_CONFIG_INVALID', '/channels/telegram', /must be an object/],
  [{ channels: { defaults: { groupPolicy: 'x' } } }, 'DUR_CONFIG_INVALID', '/channels/defaults/groupPolicy', /one of/],
  [{ secrets: { providers: { 'Bad Name': { source: 'env' } } } }, 'DUR_CONFIG_INVALID', '/secrets/providers/Bad Name', /has a name that/],
  [{ secrets: { providers: { x: {} } } }, 'DUR_CONFIG_INVALID', '/secrets/providers/x', /needs the key 'source'/],
  [{ session: { mainKey: 'x' } }, 'DUR_CONFIG_INVALID', '/session/mainKey', /must be "main"/],
  [{ env: { A: 1 } }, 'DUR_CONFIG_INVALID', '/env/A', /must be text/],
  [JSON.parse('{"channels":{"__proto__":{"polluted":true}}}'), 'DUR_CONFIG_UNKNOWN_KEY', '/channels/__proto__', /__proto__/],
  [[], 'DUR_CONFIG_INVALID', '', /'\(root\)' must be an object, not a list/],
  ['text', 'DUR_CONFIG_INVALID', '', /must be an object, not text/],
];

describe('validateConfig', () => {
  it.each(bad)('%j', (value, code, pointer, message) => {
    const errors = validateConfig(value, { file: '/f' });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code, owner: { file: '/f', pointer }, message: expect.stringMatching(message) });
    expect(errors[0]?.hint).not.toBe('');
  });

  it('lists everything at once', () => {
    expect(validateConfig({ a: 1, gateway: { port: 'x', b: 2 }, logging: { level: 'x' } }).map((error) => error.owner.pointer)).toEqual([
      '/a',
      '/gateway/port',
      '/gateway/b',
      '/logging/level',
    ]);
  });

  it('says what an unknown key probably means', () => {
    expect(validateConfig({ gatway: {} })[0]).toMatchObject({ hint: expect.stringContaining("'gateway'"), details: { suggestion: 'gateway' } });
    expect(validateConfig({ gateway: { bnid: 'lan' } })[0]?.hint).toContain("'bind'");
    expect(validateConfig({ zzzzzz: {} })[0]?.details).toBeUndefined();
  });

  it('accepts a file as the pages write it', () => {
    expect(
      validateConfig({
        $schema: 'x',
        agents: {
          defaults: {
            model: { primary: 'anthropic/claude-sonnet-4-6', fallbacks: ['lmstudio/my-local-model'] },
            models: { 'anthropic/claude-sonnet-4-6': { alias: 'Sonnet' } },
            contextPruning: { mode: 'cache-ttl', ttl: '5m' },
            sandbox: {
              mode: 'all',
              backend: 'ssh',
              ssh: { target: 'user@gateway-host:22', identityData: { source: 'env', provider: 'default', id: 'SSH_IDENTITY' } },
            },
          },
        },
        messages: { queue: { mode: 'collect', debounceMs: 1000, cap: 20, drop: 'summarize', byChannel: { discord: 'collect' } } },
        models: {
          mode: 'merge',
          providers: {
            lmstudio: {
              baseUrl: 'http://127.0.0.1:1234/v1',
              apiKey: { source: 'exec', provider: 'vault', id: 'value' },
              api: 'openai-responses',
              models: [
                {
                  id: 'm',
                  name: 'M',
                  reasoning: false,
                  input: ['text'],
                  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
                  contextWindow: 196_608,
                  maxTokens: 8192,
                },
              ],
            },
          },
        },
        plugins: {
          slots: { contextEngine: 'lossless-claw' },
          entries: { 'lossless-claw': { enabled: true, config: { any: [1] } }, acpx: { config: { mcpServers: {} } } },
        },
        secrets: {
          providers: {
            default: { source: 'env' },
            filemain: { source: 'file', path: '~/.Durar/secrets.json', mode: 'json' },
            vault: { source: 'exec', command: '/x', args: [], passEnv: ['PATH'], jsonOnly: true },
          },
          defaults: { env: 'default', file: 'filemain', exec: 'vault' },
          resolution: { maxProviderConcurrency: 4, maxRefsPerProvider: 512, maxBatchBytes: 262_144 },
        },
        channels: { telegram: { botToken: 'x', accounts: { a: { allowFrom: ['1'] } } } },
        env: { A: 'b', vars: { C: 'd' }, shellEnv: { enabled: true } },
        bindings: [{ agentId: 'main', match: { channel: 'telegram', peer: { kind: 'direct', id: '1' } } }],
      }),
    ).toEqual([]);
  });
});

describe('the checker', () => {
  const ajv = new Ajv({ strict: false, allErrors: true }).compile(schema);

  it('agrees with ajv on every bad case', () => {
    for (const [value] of bad.filter(([, code, pointer]) => code !== '' && pointer !== '/channels/__proto__'))
      expect([value, ajv(value)]).toEqual([value, false]);
  });

  it('agrees with ajv on the defaults with one value exchanged', () => {
    const places = leaves(facts.defaults);
    const strange = fc.oneof(
      fc.constantFrom<unknown>('', 'x', 'off', '5m', 0, 1, -1, 1.5, true, null, 'token', 'full'),
      fc.constantFrom<unknown>([], {}, ['x'], [1], { x: 1 }, { source: 'env', provider: 'default', id: 'X' }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.constantFrom('', 'extra', 'token', 'allow'), strange, (place, extra, value) => {
        const copy = structuredClone(facts.defaults) as Record<string, unknown>;
        const parent = place.slice(0, -1).reduce((node, key) => node[key] as Record<string, unknown>, copy);
        parent[extra || (place.at(-1) ?? '')] = value;
        expect(checkSchema(schema as Schema, copy).length === 0).toBe(ajv(copy));
      }),
      { numRuns: 2000 },
    );
  });

  it('knows every keyword that the schema uses', () => {
    const known = new Set([
      '$schema',
      '$ref',
      '$defs',
      'type',
      'properties',
      'required',
      'additionalProperties',
      'propertyNames',
      'items',
      'enum',
      'const',
      'anyOf',
      'not',
      'minimum',
      'maximum',
      'minLength',
      'pattern',
    ]);
    const notes = new Set(['default', 'title', 'description', 'examples', 'sensitive', 'x-reload']);
    const unknown = new Set<string>();
    const visit = (node: unknown): void => {
      if (Array.isArray(node)) node.forEach(visit);
      else if (typeof node === 'object' && node !== null) {
        for (const [key, value] of Object.entries(node)) {
          if (key === 'properties' || key === '$defs') Object.values(value as object).forEach(visit);
          else if (known.has(key)) visit(value);
          else if (!notes.has(key)) unknown.add(key);
        }
      }
    };
    visit(schema);
    expect([...unknown]).toEqual([]);
  });
});

describe('defaults', () => {
  it('are valid', () => expect(validateConfig(facts.defaults)).toEqual([]));

  it('fill what is missing and keep what is there', () => {
    const config = applyDefaults({ gateway: { bind: 'lan' }, plugins: { allow: [] }, session: { resetTriggers: ['/x'] } });
    expect(config.gateway).toMatchObject({ bind: 'lan', port: 18_789, reload: { mode: 'hybrid', debounceMs: 500 } });
    expect(config.plugins).toMatchObject({ enabled: true, allow: [], slots: { contextEngine: 'legacy', sessionStore: 'local', memory: 'memory-core' } });
    expect(config.session.resetTriggers).toEqual(['/x']);
    expect(config.agents.defaults.maxConcurrent).toBe(4);
    expect(config.logging).toMatchObject({ level: 'info', consoleLevel: 'info', consoleStyle: 'pretty', redactSensitive: 'tools' });
  });

  it('are not shared between two configurations', () => {
    const first = applyDefaults({});
    first.session.resetTriggers.push('/x');
    expect(applyDefaults({}).session.resetTriggers).toEqual(['/new', '/reset']);
  });

  it('do not change their argument', () => {
    const value = Object.freeze({ gateway: Object.freeze({}) });
    expect(applyDefaults(value).gateway.port).toBe(18_789);
    expect(value).toEqual({ gateway: {} });
  });
});

describe('validParts', () => {
  it.each(bad)('of %j is valid', (value) => expect(validateConfig(validParts(value))).toEqual([]));
  it('keeps the rest', () => {
    expect(validParts({ x: 1, gateway: { port: 'x', bind: 'lan' }, agents: { list: [{ id: 'a' }, {}, { id: 'b' }, { id: 'default' }] } })).toEqual({
      gateway: { bind: 'lan' },
      agents: { list: [{ id: 'a' }, { id: 'b' }] },
    });
  });
});

it('a suggestion needs a close word', () => {
  expect(suggest('contextengine', ['contextEngine', 'memory'])).toBe('contextEngine');
  expect(suggest('xyz', ['gateway'])).toBeUndefined();
});

function leaves(value: unknown, at: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0) return [at];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, [...at, key]));
}
