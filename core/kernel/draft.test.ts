import { describe, expect, it } from 'vitest';
import type { CatalogEntry } from '../manifest/catalog.ts';
import { createRegisterMethods } from './contributions.ts';
import { createDraft } from './draft.ts';

function entryOf(over: Partial<CatalogEntry> = {}): CatalogEntry {
  return {
    id: 'one',
    origin: 'config',
    root: '/one',
    format: 'native',
    manifest: { id: 'one', configSchema: {} },
    manifestFile: '/one/Durar.plugin.json',
    declared: true,
    declares: {},
    taps: [],
    findings: [],
    ...over,
  };
}

function setup(over: Partial<CatalogEntry> = {}, owners: Record<string, string> = {}) {
  const refused: string[] = [];
  const draft = createDraft({
    entry: entryOf(over),
    ownerOf: (kind, key) => owners[`${kind}:${key}`],
    onRefused: (kind, key, other) => void refused.push(`${kind}:${key} ${other}`),
  });
  return { draft, api: createRegisterMethods(draft), refused };
}

const factory = () => ({});
const tool = { name: 't', description: '', parameters: { type: 'object' }, execute: async () => ({ content: [] }) };

describe('draft', () => {
  const failures: Array<{ name: string; over?: Partial<CatalogEntry>; act: (api: ReturnType<typeof createRegisterMethods>) => unknown; code: string }> = [
    { name: 'contributes what the manifest did not declare', act: (api) => api.registerTool?.(tool), code: 'DUR_EXT_UNDECLARED' },
    {
      name: 'claims legacy',
      over: { declares: { contextEngine: ['legacy'] } },
      act: (api) => api.registerContextEngine?.('legacy', factory),
      code: 'DUR_EXT_RESERVED',
    },
    { name: 'registers twice', over: { declares: { tool: ['t'] } }, act: (api) => [api.registerTool?.(tool), api.registerTool?.(tool)], code: 'DUR_EXT_TWICE' },
    {
      name: 'an engine without a factory',
      over: { declares: { contextEngine: ['one'] } },
      act: (api) => api.registerContextEngine?.('one', {}),
      code: 'DUR_EXT_SHAPE',
    },
    { name: 'a provider without an id', over: { declares: { provider: ['one'] } }, act: (api) => api.registerProvider?.({}), code: 'DUR_EXT_SHAPE' },
    {
      name: 'a secrets provider without resolve',
      over: { declares: { secretsProvider: ['x'] } },
      act: (api) => api.registerSecretsProvider?.({ source: 'x' }),
      code: 'DUR_EXT_SHAPE',
    },
    { name: 'a tool without execute', over: { declares: { tool: ['t'] } }, act: (api) => api.registerTool?.({ ...tool, execute: 1 }), code: 'DUR_EXT_SHAPE' },
  ];
  for (const { name, over, act, code } of failures) {
    it(`refuses: ${name}`, () => {
      const { api } = setup(over);
      expect(() => act(api)).toThrowError(expect.objectContaining({ code, owner: expect.objectContaining({ extension: 'one' }) }));
    });
  }

  it('an unknown or undeclared hook is refused; a declared one is kept with its priority', () => {
    const { draft } = setup({ taps: ['agent_end'] });
    expect(() => draft.tap('no_such', () => undefined, 0)).toThrowError(expect.objectContaining({ code: 'DUR_HOOK_UNKNOWN' }));
    expect(() => draft.tap('session_end', () => undefined, 0)).toThrowError(expect.objectContaining({ code: 'DUR_EXT_UNDECLARED' }));
    draft.tap('agent_end', () => undefined, 7);
    expect(draft.taps).toMatchObject([{ owner: 'one', hook: 'agent_end', priority: 7 }]);
  });

  it('bundled extensions may claim the reserved ids', () => {
    const { api } = setup({ origin: 'bundled', declares: { contextEngine: ['legacy'] } });
    expect(api.registerContextEngine?.('legacy', factory)).toEqual({ ok: true });
  });

  it('a key of another extension is refused with its owner, and nothing is kept', () => {
    const { api, draft, refused } = setup({ declares: { provider: ['p'] } }, { 'provider:p': 'two' });
    expect(api.registerProvider?.({ id: 'p' })).toEqual({ ok: false, existingOwner: 'two' });
    expect(draft.contributions).toEqual([]);
    expect(refused).toEqual(['provider:p two']);
  });

  it('the ancestor may contribute undeclared', () => {
    const { api, draft } = setup({ format: 'ancestor', declared: false });
    api.registerTool?.(() => tool, { names: ['a', 'b'], optional: true });
    expect(draft.contributions.map((made) => made.key)).toEqual(['a', 'b']);
  });

  it('after register every method throws', () => {
    const { api, draft } = setup({ declares: { tool: ['t'] } });
    draft.close();
    expect(() => api.registerTool?.(tool)).toThrowError(expect.objectContaining({ code: 'DUR_EXT_REGISTER_CLOSED' }));
  });
});
