import { Ajv } from 'ajv';
import { expect, it } from 'vitest';
import { connectionPart, registeredPart, withChannelFields } from './channel-fields.ts';

const closed = { type: 'object', additionalProperties: false };
const check = (schema: Record<string, unknown>, value: unknown) => new Ajv({ strict: false }).compile(withChannelFields(schema))(value);
const plain = { ...closed, properties: { port: { type: 'integer', default: 7 } } };

it.each<[boolean, object]>([
  [true, { port: 1, enabled: true, dmPolicy: 'pairing', allowFrom: ['a', 7], groupPolicy: 'open', groupAllowFrom: [], mediaMaxMb: 0.5 }],
  [true, { groups: { '*': { requireMention: false, tools: { allow: ['read'] }, topics: { '7': { agentId: 'x', enabled: false } } } } }],
  [true, { accounts: { work: { port: 2, dmPolicy: 'open', groups: { a: { skills: ['b'] } } } }, defaultAccount: 'work' }],
  [false, { dmPolcy: 'open' }],
  [false, { dmPolicy: 'everybody' }],
  [false, { allowFrom: 'ada' }],
  [false, { groups: { a: { requireMentions: true } } }],
  [false, { groups: { a: { topics: { '7': { topics: {} } } } } }],
  [false, { accounts: { work: { prt: 2 } } }],
  [false, { accounts: { work: { accounts: {} } } }],
])('a block is valid: %s %j', (isValid, block) => expect(check(plain, block)).toBe(isValid));

it("a channel's own word about a key counts, in its accounts as well; groups keep the host's keys beside its own", () => {
  const schema = {
    ...closed,
    properties: { dmPolicy: { const: 'open' }, groups: { type: 'object', additionalProperties: { ...closed, properties: { slug: { type: 'string' } } } } },
  };
  expect(check(schema, { dmPolicy: 'pairing' })).toBe(false);
  expect(check(schema, { accounts: { a: { dmPolicy: 'pairing' } } })).toBe(false);
  expect(check(schema, { groups: { a: { slug: 'x', requireMention: true } } })).toBe(true);
  expect(check(schema, { accounts: { b: { groups: { a: { slug: 'x', requireMention: true } } } } })).toBe(true);
  expect(check(schema, { groups: { a: { slag: 'x' } } })).toBe(false);
});

it('an account takes no default, so that the value of the block counts', () => {
  const filled = { accounts: { a: {} } };
  new Ajv({ strict: false, useDefaults: true }).compile(withChannelFields(plain))(filled);
  expect(filled).toEqual({ port: 7, accounts: { a: {} } });
});

it('who may write is no part of a connection, and accounts are no part of a registration', () => {
  const block = { port: 1, allowFrom: ['a'], dmPolicy: 'open', groups: {}, accounts: { a: {} } };
  expect(connectionPart(block)).toEqual({ port: 1, groups: {}, accounts: { a: {} } });
  expect(registeredPart(block)).toEqual({ port: 1, groups: {} });
  expect(registeredPart(undefined)).toEqual({});
});
