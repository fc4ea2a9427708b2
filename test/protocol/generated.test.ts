import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { EVENTS, METHODS } from '../../sdk/protocol/generated/tables.ts';
import type { JsonSchema, ProtocolDocument } from '../../sdk/protocol/json-schema.ts';
import { PROTOCOL_VERSION } from '../../sdk/protocol/version.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const generatedText = (name: string) => readFileSync(join(root, 'sdk/protocol/generated', name), 'utf8');

describe('the published JSON Schema', () => {
  const document = JSON.parse(generatedText('protocol.schema.json')) as ProtocolDocument;

  it('has the version, every frame, method and event (PROTO-322, PROTO-324)', () => {
    expect(document.version).toBe(PROTOCOL_VERSION);
    expect(Object.keys(document.frames)).toEqual(['RequestFrame', 'ResponseFrame', 'EventFrame', 'ConnectParams', 'HelloOk']);
    expect(Object.keys(document.methods)).toEqual(Object.keys(METHODS));
    expect(Object.keys(document.events)).toEqual(Object.keys(EVENTS));
    for (const [name, { scope }] of Object.entries(document.methods)) expect(scope).toBe((METHODS as Record<string, { scope: string | null }>)[name]?.scope);
  });

  it('refers only to parts that it has, and keeps no part that nothing refers to', () => {
    const referred = new Set<string>();
    const walk = (part: unknown): void => {
      if (typeof part !== 'object' || part === null) return;
      const { $ref } = part as JsonSchema;
      if (typeof $ref === 'string') referred.add($ref.replace('#/$defs/', ''));
      for (const child of Object.values(part)) walk(child);
    };
    walk(document);
    expect([...referred].sort()).toEqual(Object.keys(document.$defs).sort());
  });
});

describe('the Swift models', () => {
  const swift = generatedText('GatewayModels.swift');
  const declared = [...swift.matchAll(/^public (?:struct|enum|typealias) (\w+)/gm)].map(([, name = '']) => name);

  it('declare params and result of every method, the payload of every event, each type once (PROTO-326)', () => {
    expect(declared.filter((name, at) => declared.indexOf(name) !== at)).toEqual([]);
    const pascal = (name: string) => name.replace(/(^|[.-])(\w)/g, (_match, _dot, letter: string) => letter.toUpperCase());
    const names = [
      ...Object.keys(METHODS).flatMap((name) => [`${pascal(name)}Params`, `${pascal(name)}Result`]),
      ...Object.keys(EVENTS).map((name) => `${pascal(name)}Event`),
    ];
    expect(names.filter((name) => !declared.includes(name))).toEqual([]);
    for (const name of [...Object.keys(METHODS), ...Object.keys(EVENTS)]) expect(swift).toContain(`= "${name}"`);
  });

  it('use only types that they declare or that Swift has, in balanced text', () => {
    const known = new Set([...declared, 'String', 'Int', 'Double', 'Bool', 'Self']);
    const used = [...swift.matchAll(/^ {4}public var \S+: ([^\n{]+)$/gm)].flatMap(([, type = '']) => type.match(/\w+/g) ?? []);
    expect(used.length).toBeGreaterThan(100);
    expect([...new Set(used)].filter((type) => !known.has(type))).toEqual([]);
    for (const [open, close] of ['{}', '()', '[]']) expect(swift.split(open ?? '').length).toBe(swift.split(close ?? '').length);
    expect(swift).not.toMatch(/public var (default|protocol|in|self|operator|case|extension):/);
  });
});

describe('the generator', () => {
  let copy = '';
  const run = (...args: string[]) => spawnSync(process.execPath, ['.ci/generate.ts', ...args], { cwd: copy, encoding: 'utf8' });

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'durar-generate-'));
    for (const folder of ['.ci', 'core', 'sdk', 'docs/reference', 'package.json']) {
      cpSync(join(root, folder), join(copy, folder), { recursive: true, filter: (file) => !/\.test\.ts$/.test(file) });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    // what stands there now is made afresh, so that the cases below start from no drift
    expect(run().stderr).toBe('');
    return () => rmSync(copy, { recursive: true, force: true });
  });

  it('writes the same again, and finds nothing to complain about (PROTO-325, PROTO-327)', () => {
    expect(run().stdout).toBe('');
    expect(run('--check')).toMatchObject({ status: 0, stderr: '' });
  });

  it('notices an edit by hand of what it made, and a source that was not generated from (PROTO-327)', () => {
    const swift = join(copy, 'sdk/protocol/generated/GatewayModels.swift');
    appendFileSync(swift, '// by hand\n');
    expect(run('--check')).toMatchObject({ status: 1, stderr: expect.stringContaining('differs: sdk/protocol/generated/GatewayModels.swift') });
    expect(run('--only=GatewayModels.swift').stdout).toContain('wrote sdk/protocol/generated/GatewayModels.swift');
    expect(run('--check').status).toBe(0);

    const source = join(copy, 'sdk/protocol/methods/models.ts');
    const before = readFileSync(source, 'utf8');
    onTestFinished(() => writeFileSync(source, before));
    writeFileSync(source, before.replace('params: closed({})', 'params: closed({ fixture: Type.Boolean() })'));
    const { status, stderr } = run('--check');
    expect(status).toBe(1);
    for (const name of ['validators.js', 'types.ts', 'protocol.schema.json', 'GatewayModels.swift']) expect(stderr).toContain(`generated/${name}`);
  });

  it('is called by the names of the protocol page (PROTO-325, PROTO-326, PROTO-327)', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['protocol:gen', 'protocol:gen:swift', 'protocol:check']));
  });
});
