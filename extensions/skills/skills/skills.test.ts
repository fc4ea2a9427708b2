import type { GatewayMethodHandler, GatewayMethodOptions, PluginApi } from 'Durar/plugin-sdk/core';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expandSkillCommand, skillCommands } from './commands.ts';
import { createSkillLibrary, type KnownSkill } from './library.ts';
import { registerMethods } from './methods.ts';
import { skillsSection } from './prompt.ts';
import { parseSkill } from './skill-file.ts';

interface Place {
  dir: string;
  config: Record<string, unknown>;
  complaints: string[];
  library: ReturnType<typeof createSkillLibrary>;
  /** `where` is `workspace`, `managed`, `bundled`, `extra` or `extension`. */
  write(where: string, name: string, head?: string, body?: string): string;
  list(agentId?: string): Promise<KnownSkill[]>;
  names(): Promise<string[]>;
  until(holds: () => Promise<boolean>): Promise<void>;
}

const FOLDERS: Record<string, string> = {
  workspace: 'workspace/skills',
  project: 'workspace/.agents/skills',
  managed: 'state/skills',
  bundled: 'bundled',
  extra: 'extra',
  extension: 'extension',
};

function createPlace(config: Record<string, unknown> = {}): Place {
  const dir = mkdtempSync(join(tmpdir(), 'durar-skills-'));
  const workspaceDir = join(dir, 'workspace');
  mkdirSync(workspaceDir);
  const complaints: string[] = [];
  const skills = (config.skills ?? {}) as Record<string, unknown>;
  const place = { config: { ...config, skills: { ...skills, load: { extraDirs: [join(dir, 'extra')], ...(skills.load as object) } } } };
  const library = createSkillLibrary({
    params: () => ({ config: place.config, stateDir: join(dir, 'state'), bundledDir: join(dir, 'bundled'), extensionDirs: [join(dir, 'extension')] }),
    complain: ({ filePath, reason }) => complaints.push(`${filePath.slice(dir.length + 1)}: ${reason}`),
  });
  onTestFinished(() => {
    library.forget();
    rmSync(dir, { recursive: true });
  });
  const list = (agentId = 'main') => library.list({ agentId, workspaceDir });
  return {
    dir,
    get config() {
      return place.config;
    },
    set config(next) {
      place.config = next;
    },
    complaints,
    library,
    write(where, name, head = '', body = 'Do it.') {
      const file = join(dir, FOLDERS[where] ?? where, name, 'SKILL.md');
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `---\nname: ${name}\ndescription: ${where} ${name}\n${head}\n---\n${body}\n`);
      return file;
    },
    list,
    names: async () => (await list()).filter(({ eligible }) => eligible).map(({ name }) => name),
    async until(holds) {
      for (let left = 200; !(await holds()); left -= 1) {
        if (left === 0) throw new Error('it never came true');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

describe('the head of a SKILL.md', () => {
  it('holds one key a line, and metadata as JSON', () => {
    const head = parseSkill(`---
name: "draw"
description: 'It''s for: drawing'
homepage: https://example.org
user-invocable: false
disable-model-invocation: true
metadata: {"Durar":{"always":true,"emoji":"x","os":["linux"],"skillKey":"d","primaryEnv":"K","requires":{"bins":["a"],"anyBins":["b","c"],"env":["K"],"config":["x.y"]},"install":[{"kind":"brew","formula":"a","bins":["a"]}]}}
---
# text`);
    expect(head).toEqual({
      name: 'draw',
      description: "It's for: drawing",
      homepage: 'https://example.org',
      emoji: 'x',
      skillKey: 'd',
      primaryEnv: 'K',
      always: true,
      userInvocable: false,
      hidden: true,
      requires: { bins: ['a'], anyBins: ['b', 'c'], env: ['K'], config: ['x.y'], os: ['linux'] },
      install: [{ id: 'brew-0', kind: 'brew', label: 'brew a', bins: ['a'] }],
    });
  });

  it('may go on over lines, and hold metadata of another maker', () => {
    const head = parseSkill(
      '---\r\nname: a\r\ndescription: >\r\n  first\r\n  second\r\nmetadata:\r\n  {\r\n    "other": { "requires": { "bins": ["x"], }, },\r\n  }\r\n---\r\n',
    );
    expect([head.description, head.requires.bins]).toEqual(['first second', ['x']]);
  });

  it.each([
    ['no fences', 'it does not begin with lines between two `---`'],
    ['---\nname: a\n---\n', 'its head has no `description`'],
    ['---\ndescription: a\n---\n', 'its head has no `name`'],
    ['---\nname: a\ndescription: b\nmetadata: {x\n---\n', 'its `metadata` is no JSON'],
  ])('%j: %s', (text, reason) => {
    expect(() => parseSkill(text)).toThrow(reason);
  });
});

describe('skills', () => {
  it('of an earlier folder count before those of a later one', async () => {
    const place = createPlace();
    const order = ['workspace', 'project', 'managed', 'bundled', 'extra', 'extension'];
    for (const [index, where] of order.entries()) for (const name of order.slice(0, index + 1)) place.write(where, `own-${name}`);
    const seen = async () => Object.fromEntries((await place.list()).map(({ name, description }) => [name.slice('own-'.length), description.split(' ')[0]]));
    expect(await seen()).toEqual(Object.fromEntries(order.map((name) => [name, name])));
    rmSync(join(place.dir, 'workspace', 'skills'), { recursive: true });
    await place.until(async () => (await seen()).workspace === 'project');
    expect((await place.list()).map(({ source }) => source)).toEqual([
      'Durar-bundled',
      'Durar-extension',
      'Durar-extra',
      'Durar-managed',
      'agents-skills-project',
      'agents-skills-project',
    ]);
  });

  it('lie inside their folder, and what is broken is told of once', async () => {
    const place = createPlace();
    place.write('managed', 'good');
    place.write('elsewhere', 'bad');
    mkdirSync(join(place.dir, 'state/skills/broken'));
    writeFileSync(join(place.dir, 'state/skills/broken/SKILL.md'), 'nothing');
    symlinkSync(join(place.dir, 'elsewhere/bad'), join(place.dir, 'state/skills/bad'));
    expect(await place.names()).toEqual(['good']);
    await place.names();
    expect(place.complaints).toEqual([
      'state/skills/bad/SKILL.md: it lies outside the folder of skills',
      'state/skills/broken/SKILL.md: it does not begin with lines between two `---`',
    ]);
  });

  it('of a workspace lie inside it, wherever a link leads', async () => {
    const place = createPlace();
    place.write('elsewhere', 'bad');
    symlinkSync(join(place.dir, 'elsewhere'), join(place.dir, 'workspace/skills'));
    expect(await place.names()).toEqual([]);
    expect(place.complaints).toEqual(['workspace/skills: it leads out of the workspace']);
  });

  it('are there as soon as they are written, and gone as soon as they are removed', async () => {
    const place = createPlace();
    expect(await place.names()).toEqual([]);
    place.write('workspace', 'one');
    await place.until(async () => (await place.names()).includes('one'));
    const file = place.write('managed', 'two');
    await place.until(async () => (await place.names()).includes('two'));
    writeFileSync(file, '---\nname: two\ndescription: changed\n---\n');
    await place.until(async () => (await place.list()).some(({ description }) => description === 'changed'));
    rmSync(dirname(file), { recursive: true });
    await place.until(async () => !(await place.names()).includes('two'));
  });

  it('are not looked for again without a watch', async () => {
    const place = createPlace({ skills: { load: { watch: false } } });
    place.write('managed', 'one');
    expect(await place.names()).toEqual(['one']);
    place.write('managed', 'two');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await place.names()).toEqual(['one']);
    place.library.forget();
    expect(await place.names()).toEqual(['one', 'two']);
  });

  it('that cannot be used say what is wanting', async () => {
    process.env.DURAR_SKILL_TEST = 'x';
    onTestFinished(() => void delete process.env.DURAR_SKILL_TEST);
    const place = createPlace({ browser: { enabled: true, list: [] } });
    const metadata = (value: object) => `metadata: ${JSON.stringify({ Durar: value })}`;
    place.write('managed', 'bins', metadata({ requires: { bins: ['node', 'no-such-program'] } }));
    place.write('managed', 'any', metadata({ requires: { anyBins: ['no-such-program', 'sh'] } }));
    place.write('managed', 'none-of-any', metadata({ requires: { anyBins: ['no-such-program'] } }));
    place.write('managed', 'env', metadata({ requires: { env: ['DURAR_SKILL_TEST', 'DURAR_NO_SUCH'] } }));
    place.write('managed', 'config', metadata({ requires: { config: ['browser.enabled', 'browser.list', 'a.b'] } }));
    place.write('managed', 'os', metadata({ os: ['plan9'] }));
    place.write('managed', 'always', metadata({ always: true, os: ['plan9'] }));
    const wanting = Object.fromEntries(
      (await place.list()).map(({ name, missing, eligible }) => [name, eligible ? 'eligible' : Object.values(missing).flat().join(' ')]),
    );
    expect(wanting).toEqual({
      always: 'eligible',
      any: 'eligible',
      bins: 'no-such-program',
      config: 'browser.list a.b',
      env: 'DURAR_NO_SUCH',
      'none-of-any': 'no-such-program',
      os: 'plan9',
    });
  });

  it('are switched off by their entry, by the list of bundled ones and by the list of an agent', async () => {
    const place = createPlace();
    for (const name of ['a', 'b', 'c']) place.write('bundled', name, name === 'c' ? 'metadata: {"Durar":{"skillKey":"key-c","always":true}}' : '');
    expect(await place.names()).toEqual(['a', 'b', 'c']);
    place.config = { skills: { entries: { a: { enabled: false }, 'key-c': { enabled: false } } } };
    expect(await place.names()).toEqual(['b']);
    place.config = { skills: { allowBundled: ['a'] } };
    expect((await place.list()).map(({ eligible, blockedByAllowlist }) => [eligible, blockedByAllowlist])).toEqual([
      [true, false],
      [false, true],
      [false, true],
    ]);
    place.config = { agents: { list: [{ id: 'main', skills: ['b'] }, { id: 'other' }] } };
    expect(await place.names()).toEqual(['b']);
    expect((await place.list('other')).filter(({ eligible }) => eligible)).toHaveLength(3);
  });
});

describe('the section of the prompt', () => {
  const skill = (name: string, more: Partial<KnownSkill> = {}) =>
    ({ name, description: `does ${name}`, filePath: `/opt/${name}/SKILL.md`, eligible: true, hidden: false, userInvocable: true, ...more }) as KnownSkill;

  it('costs 195 characters and 97 for each skill beside its texts (CTX-066)', () => {
    const skills = [skill('one'), skill('two')];
    const texts = skills.reduce((sum, { name, description, filePath }) => sum + name.length + description.length + filePath.length, 0);
    expect(skillsSection(skills)).toHaveLength(195 + 2 * 97 + texts);
    expect(skillsSection(skills)).toContain(
      '  <skill>\n    <name>one</name>\n    <description>does one</description>\n    <location>/opt/one/SKILL.md</location>\n  </skill>\n',
    );
    expect(skillsSection([])).toBeUndefined();
  });

  it('names neither hidden nor unusable skills, escapes what would be a tag, and ends somewhere', () => {
    const text = skillsSection([skill('a', { hidden: true }), skill('b', { eligible: false }), skill('c', { description: '<x>\n& y' })]);
    expect(text?.match(/<name>.*<\/name>/g)).toEqual(['<name>c</name>']);
    expect(text).toContain('<description>&lt;x&gt; &amp; y</description>');
    const many = skillsSection(Array.from({ length: 1_000 }, (_none, index) => skill(`s${index}`)));
    expect(many?.match(/<skill>/g)).toHaveLength(150);
    expect(skillsSection(Array.from({ length: 100 }, (_none, index) => skill(`s${index}`, { description: 'd'.repeat(1_000) })))?.length).toBeLessThan(30_500);
  });

  it('commands have plain names, and doubles are numbered', () => {
    const long = 'x'.repeat(40);
    const skills = [
      skill('My Skill'),
      skill('my-skill'),
      skill(long),
      skill(`${long}y`),
      skill('off', { eligible: false }),
      skill('quiet', { userInvocable: false }),
    ];
    expect([...skillCommands(skills).keys()]).toEqual(['my_skill', 'my_skill_2', 'x'.repeat(32), `${'x'.repeat(30)}_2`]);
  });

  it('a command becomes a message, or an answer when there is no such skill', () => {
    const skills = [skill('my-skill')];
    const message = 'Use the skill "my-skill" for this: read /opt/my-skill/SKILL.md first and follow it.';
    expect(expandSkillCommand(skills, { name: 'my-skill', args: '' })).toEqual({ message });
    expect(expandSkillCommand(skills, { name: 'my_skill', args: 'now' })).toEqual({ message: `${message}\n\nnow` });
    expect(expandSkillCommand(skills, { name: 'skill', args: 'My-Skill do\nit' })).toEqual({ message: `${message}\n\ndo\nit` });
    expect(expandSkillCommand(skills, { name: 'skill', args: 'other' })).toEqual({ reply: 'There is no skill "other".\nSkills:\n/my_skill - does my-skill' });
    expect(expandSkillCommand([], { name: 'skill', args: '' })).toEqual({ reply: 'Usage: /skill <name> [input]\nNo skill can be started here.' });
    expect(expandSkillCommand(skills, { name: 'other', args: '' })).toBeUndefined();
  });
});

describe('the extension', () => {
  it('tells nodes which programs skills ask for, of all agents', async () => {
    const place = createPlace();
    place.write(
      'managed',
      'one',
      'metadata: {"Durar":{"requires":{"bins":["git"],"anyBins":["bat","cat"]},"install":[{"kind":"brew","formula":"x","bins":["git","jq"]}]}}',
    );
    const own = join(place.dir, 'work', 'skills', 'two');
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'SKILL.md'), '---\nname: two\ndescription: d\nmetadata: {"Durar":{"requires":{"bins":["make"]}}}\n---\n');
    const rows = new Map<string, { handler: GatewayMethodHandler; options: GatewayMethodOptions | undefined }>();
    const api = {
      config: { agents: { list: [{ id: 'main' }, { id: 'Work' }] } },
      runtime: { agent: { resolveAgentWorkspaceDir: (_config: unknown, id: string) => join(place.dir, id === 'work' ? 'work' : 'workspace') } },
      registerGatewayMethod: (method: string, handler: GatewayMethodHandler, options?: GatewayMethodOptions) => void rows.set(method, { handler, options }),
    };
    registerMethods(api as unknown as PluginApi, place.library);
    const bins = rows.get('skills.bins');
    expect(bins?.options?.role).toBe('node');
    expect(await bins?.handler({}, {} as never)).toEqual({ bins: ['bat', 'cat', 'git', 'jq', 'make'] });
    expect([...rows].map(([method, { options }]) => `${method} ${options?.scope}`)).toEqual([
      'skills.status operator.read',
      'skills.bins undefined',
      'skills.update operator.admin',
    ]);
  });
});
