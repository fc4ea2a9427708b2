import { expect, it } from 'vitest';
import { applyDefaults } from '../config/defaults.ts';
import { defaultAgentId } from './keys.ts';

const withAgents = (list: Array<{ id: string; default?: boolean }>) => applyDefaults({ agents: { list } });

it('the default agent is the marked one, else the first, else main, in lower case', () => {
  expect(defaultAgentId(applyDefaults({}))).toBe('main');
  expect(defaultAgentId(withAgents([{ id: 'Ops' }, { id: 'home' }]))).toBe('ops');
  expect(defaultAgentId(withAgents([{ id: 'ops' }, { id: 'Home', default: true }]))).toBe('home');
});
