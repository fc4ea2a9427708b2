import { describe, expect, it } from 'vitest';
import { type ActiveRule, type Condition, evaluateActivity } from './active-rule.ts';

const path = ['channels', 'one', 'accounts', 'a', 'token'];
const config = {
  mode: 'remote',
  empty: '',
  deny: ['x'],
  list: [{ id: 'a', on: 1 }, { id: 'b' }],
  channels: { one: { token: 't', accounts: { a: { enabled: true }, b: { enabled: false } } }, off: { enabled: false, token: 't' } },
};

function verdict(when: Condition, at: readonly (string | number)[] = path, env: Record<string, string> = {}) {
  const rules: ActiveRule[] = [{ when, active: false, because: 'of the rule' }];
  return evaluateActivity(rules, at, { config, env, isServed: (kind, id) => kind === 'channel' && id === 'one' }).state;
}

describe('conditions', () => {
  const cases: Array<[string, Condition, boolean]> = [
    ['a value that is set', { path: 'mode' }, true],
    ['an empty text is not set', { path: 'empty' }, false],
    ['a value', { path: 'mode', is: 'remote' }, true],
    ['one of several', { path: 'mode', is: ['local', 'remote'] }, true],
    ['another value', { path: 'mode', is: 'local' }, false],
    ['the first that is set', { path: ['empty', 'nowhere', 'mode'], is: 'remote' }, true],
    ['a list that has it', { path: 'deny', has: ['y', 'x'] }, true],
    ['a list that has it not', { path: 'deny', has: ['y'] }, false],
    ['no list', { path: 'mode', has: ['remote'] }, false],
    ["the field's own key", { path: 'channels.*.token' }, true],
    ['an item that fits', { some: 'list', where: { all: [{ path: '@.id', is: 'a' }, { path: '@.on' }] } }, true],
    ['no item that fits', { some: 'list', where: { all: [{ path: '@.id', is: 'b' }, { path: '@.on' }] } }, false],
    ['no list to look at', { some: 'nowhere', where: { path: '@.id' } }, false],
    ['served', { served: 'channel', path: 'channels.*' }, true],
    ['not served', { not: { served: 'extension', path: 'channels.*' } }, true],
    ['any', { any: [{ path: 'nowhere' }, { path: 'mode' }] }, true],
    ['none of any', { any: [] }, false],
    ['all of nothing', { all: [] }, true],
  ];
  it.each(cases)('%s', (_, when, expected) => expect(verdict(when)).toBe(expected ? 'inactive' : 'active'));

  it('an environment variable counts when it is not empty', () => {
    expect(verdict({ env: 'TOKEN' }, path, { TOKEN: 'x' })).toBe('inactive');
    expect(verdict({ env: 'TOKEN' }, path, { TOKEN: '' })).toBe('active');
  });

  it('enabled: false anywhere above switches off', () => {
    expect(verdict({ switchedOff: true }, ['channels', 'off', 'token'])).toBe('inactive');
    expect(verdict({ switchedOff: true }, ['channels', 'one', 'accounts', 'b', 'token'])).toBe('inactive');
    expect(verdict({ switchedOff: true }, ['channels', 'one', 'accounts', 'a', 'token'])).toBe('active');
  });

  it.each([
    [{}, true],
    [{ a: {} }, true],
    [{ a: { token: 'own' } }, false],
    [{ a: { token: 'own' }, b: {} }, true],
    [{ a: { token: 'own' }, b: { enabled: false } }, false],
  ])('of the accounts %j one inherits: %s (SEC-020)', (accounts, expected) => {
    const rules: ActiveRule[] = [{ when: { inheritedBy: 'channels.*.accounts' }, active: false, because: '' }];
    const facts = { config: { channels: { c: { token: 't', accounts } } }, env: {}, isServed: () => true };
    expect(evaluateActivity(rules, ['channels', 'c', 'token'], facts).state).toBe(expected ? 'inactive' : 'active');
  });

  it('an open choice makes a candidate, a made one decides', () => {
    const rules: ActiveRule[] = [{ when: { not: { choice: 'search.provider', name: 'search.*' } }, active: false, because: 'another one' }];
    const ask = (provider?: string) =>
      evaluateActivity(rules, ['search', 'b', 'key'], { config: { search: { provider, b: {} } }, env: {}, isServed: () => true });
    expect(ask()).toEqual({ state: 'candidate', group: 'search.provider', because: 'another one' });
    expect(ask('b').state).toBe('active');
    expect(ask('a')).toEqual({ state: 'inactive', because: 'another one' });
  });

  it('the first rule that holds decides, and says why', () => {
    const rules: ActiveRule[] = [
      { when: { path: 'nowhere' }, active: false, because: 'no' },
      { when: { path: 'mode' }, active: true, because: 'the mode' },
      { when: { all: [] }, active: false, because: 'never' },
    ];
    expect(evaluateActivity(rules, path, { config, env: {}, isServed: () => true })).toEqual({ state: 'active', because: 'the mode' });
  });
});
