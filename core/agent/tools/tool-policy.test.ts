import { describe, expect, it } from 'vitest';
import { applyDefaults } from '../../config/defaults.ts';
import { createToolPolicy, narrowToolPolicy } from './tool-policy.ts';

const OFFERED = [
  { name: 'read', owner: 'tools-files', isBundled: true, optional: false },
  { name: 'write', owner: 'tools-files', isBundled: true, optional: false },
  { name: 'exec', owner: 'tools-exec', isBundled: true, optional: false },
  { name: 'message', owner: 'messages', isBundled: true, optional: false },
  { name: 'lcm_grep', owner: 'lossless', isBundled: false, optional: false },
  { name: 'lcm_wipe', owner: 'lossless', isBundled: false, optional: true },
];

function permitted(tools: Record<string, unknown>, agentTools?: Parameters<typeof createToolPolicy>[1]) {
  const policy = createToolPolicy(applyDefaults({ tools }), agentTools);
  return OFFERED.filter((tool) => policy.permits(tool)).map(({ name }) => name);
}

describe('what a conversation grants of it', () => {
  const granted = (rules: Parameters<typeof narrowToolPolicy>[1], tools: Record<string, unknown> = {}) => {
    const policy = narrowToolPolicy(createToolPolicy(applyDefaults({ tools }), undefined), rules);
    return OFFERED.filter((tool) => policy.permits(tool)).map(({ name }) => name);
  };
  it.each([
    ['everything, where nothing is said', undefined, ['read', 'write', 'exec', 'message', 'lcm_grep']],
    ['no more than the allowed ones', { allow: ['read', 'lcm_wipe'] }, ['read']],
    ['nothing that is denied', { deny: ['group:runtime', 'lossless'] }, ['read', 'write', 'message']],
    ['a profile, and what is added to it', { profile: 'messaging' as const, allow: ['read'] }, ['read', 'message']],
    ['nothing at all', { deny: ['*'] }, []],
  ])('%s', (_name, rules, expected) => expect(granted(rules)).toEqual(expected));

  it('never more than the policy', () => expect(granted({ allow: ['*'] }, { allow: ['read'] })).toEqual(['read']));
});

describe('the tool policy', () => {
  it.each([
    ['offers all but the optional ones', {}, ['read', 'write', 'exec', 'message', 'lcm_grep']],
    ['keeps to the allowed ones', { allow: ['READ', 'group:runtime'] }, ['read', 'exec']],
    ['takes an extension by its id, optional tools too', { allow: ['lossless'] }, ['lcm_grep', 'lcm_wipe']],
    ['knows all that ships and all that does not', { allow: ['group:Durar'] }, ['read', 'write', 'exec', 'message']],
    ['takes wildcards', { allow: ['lcm_*'] }, ['lcm_grep', 'lcm_wipe']],
    ['lets deny win', { allow: ['*'], deny: ['group:fs', 'lcm_w*'] }, ['exec', 'message', 'lcm_grep']],
    ['narrows by profile', { profile: 'coding' }, ['read', 'write', 'exec']],
    ['adds to a narrow profile', { profile: 'messaging', allow: ['read'] }, ['read', 'message']],
    ['offers next to nothing in minimal', { profile: 'minimal' }, []],
  ])('%s', (_name, tools, expected) => {
    expect(permitted(tools)).toEqual(expected);
  });

  it("takes an agent's own keys for the global ones, and both deny lists", () => {
    expect(permitted({ allow: ['read'], deny: ['write'] }, { allow: ['read', 'write', 'exec'] })).toEqual(['read', 'exec']);
    expect(permitted({ profile: 'coding' }, { profile: 'full', deny: ['exec'] })).toEqual(['read', 'write', 'message', 'lcm_grep']);
  });
});

describe('the tools of a sub-agent', () => {
  const names = ['read', 'message', 'sessions_send', 'sessions_list', 'sessions_spawn', 'subagents'];
  const offered = (role: 'orchestrator' | 'leaf' | undefined, tools: Record<string, unknown> = {}) => {
    const policy = createToolPolicy(applyDefaults({ tools }), undefined, role);
    return names.filter((name) => policy.permits({ name, owner: 'any', isBundled: true, optional: false }));
  };

  it('leave out what speaks for it to others, and at the depth limit what starts more', () => {
    expect(offered(undefined)).toEqual(names);
    expect(offered('orchestrator')).toEqual(['read', 'sessions_list', 'sessions_spawn', 'subagents']);
    expect(offered('leaf')).toEqual(['read']);
  });

  it('are what tools.subagents.tools says, but for starting more at the depth limit', () => {
    const tools = (rules: object) => ({ subagents: { tools: rules } });
    expect(offered('leaf', tools({ allow: ['read', 'message', 'sessions_spawn'] }))).toEqual(['read', 'message']);
    expect(offered('orchestrator', tools({ deny: ['sessions_spawn'] }))).toEqual(['read', 'sessions_list', 'subagents']);
    expect(offered('orchestrator', { ...tools({ allow: ['*'] }), deny: ['read'] })).toEqual(names.slice(1));
  });
});
