import { describe, expect, it } from 'vitest';
import { ANCESTOR_EXPORTS } from './ancestor/exports.ts';
import { unavailableIn } from './ancestor/imports.ts';
import { unavailable } from './ancestor/members.ts';
import { ancestorSubpath, normalizeAncestorManifest } from './ancestor.ts';

describe('the ancestor’s table', () => {
  it('lists each subpath once, with names that can be exported', () => {
    const lines = ANCESTOR_EXPORTS.trim().split('\n');
    const subpaths = lines.map((line) => line.split(' ')[0]);
    expect(new Set(subpaths).size).toBe(subpaths.length);
    for (const name of lines.flatMap((line) => line.split(' ').slice(1))) expect(name).toMatch(/^[A-Za-z_$][\w$]*$/);
    expect(lines.find((line) => line.startsWith('plugin-entry '))).toBe('plugin-entry definePluginEntry emptyPluginConfigSchema');
  });

  it('knows its specifiers', () => {
    expect(['openclaw/plugin-sdk', 'openclaw/plugin-sdk/core', 'openclaw/plugin-sdk-x', 'openclaw', 'Durar/plugin-sdk/core'].map(ancestorSubpath)).toEqual([
      '',
      'core',
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('takes over the fields that line documents, and no others', () => {
    const raw = { id: 'x', configSchema: {}, kind: ['memory', 'channel'], contextEngines: ['y'], entry: 'z.ts', host: '>=1', contracts: { tools: ['t'] } };
    expect(normalizeAncestorManifest(raw)).toEqual({
      manifest: { id: 'x', configSchema: {}, kind: ['memory'], contracts: { tools: ['t'] } },
      ignored: ['channel'],
    });
  });
});

it('what stands in for a missing member can be passed on, extended and awaited, but not used', async () => {
  const member = unavailable('sdk Thing') as unknown as { new (): object; (): void; part: { of(): void } };
  class Mine extends member {}
  expect(await (member as unknown)).toBe(member);
  expect(JSON.stringify({ a: 1, member })).toBe('{"a":1}');
  for (const use of [
    () => member(),
    () => new member(),
    () => new Mine(),
    () => `${member as unknown as string}`,
    () => [...(member as unknown as string[])],
  ]) {
    expect(use).toThrow("'sdk Thing' is not available");
  }
  expect(() => member.part.of()).toThrow("'sdk Thing.part.of' is not available");
});

it('the missing members of a source are found without running it', () => {
  const source = `
    import { definePluginEntry, createDedupeCache as cache, type OpenClawConfig, emptyPluginConfigSchema } from 'openclaw/plugin-sdk/core';
    import type { X } from "openclaw/plugin-sdk";
    import def, { registerContextEngine } from "openclaw/plugin-sdk";
    import { readFile } from 'node:fs';
    const { sleep: wait } = require("openclaw/plugin-sdk/infra-runtime");
  `;
  expect(unavailableIn(source)).toEqual([
    'openclaw/plugin-sdk/core createDedupeCache',
    'openclaw/plugin-sdk registerContextEngine',
    'openclaw/plugin-sdk/infra-runtime sleep',
  ]);
});
