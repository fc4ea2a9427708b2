import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

/** What the provider was sent, newest last: noted by an extension. */
const WATCHER = `import { appendFileSync } from 'node:fs';
export default (api) => {
  api.on('provider.request', (request) => {
    appendFileSync(api.resolvePath('requests.jsonl'), JSON.stringify(request) + '\\n');
  });
};
`;

interface Request {
  systemPrompt: string;
  messages: Array<{ role: string; content: unknown; isError?: boolean }>;
}

let machine: Machine;
let gateway: GatewayProcess;

const head = (name: string, description: string, more = '') => `---\nname: ${name}\ndescription: ${description}\n${more}---\n`;

async function teach(dir: string, name: string, more = ''): Promise<string> {
  const file = join(dir, name, 'SKILL.md');
  await mkdir(join(dir, name), { recursive: true });
  await writeFile(file, `${head(name, `what ${name} does`, more)}MARKER of the body of ${name}\n`);
  return file;
}

const say = async (message: string) => {
  const { code, stdout, stderr } = await machine.cli(['agent', '--message', message]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};
/** The list as `/context` accounts for it. */
const skillsLine = async () =>
  /Skills list \(system prompt text\): ([\d,]+) chars \(~[\d,]+ tok\) \((\d+) skills\)/
    .exec(await say('/context'))
    ?.slice(1)
    .map((text) => Number(text.replace(',', '')));
const requests = async () =>
  (await readFile(join(machine.stateDir, 'extensions/watcher/requests.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Request);
const sent = async () => (await requests()).at(-1) as Request;
const listed = async () => (await sent()).systemPrompt.match(/(?<=<name>).*(?=<\/name>)/g) ?? [];

beforeAll(async () => {
  machine = await createMachine({
    agents: { defaults: { model: 'offline/script' } },
    plugins: { entries: { taught: { enabled: true }, watcher: { enabled: true } } },
    skills: { entries: { 'extension-author': { enabled: false } } },
  });
  const extension = join(machine.stateDir, 'extensions', 'taught');
  await mkdir(extension, { recursive: true });
  await writeFile(join(extension, 'Durar.plugin.json'), JSON.stringify({ id: 'taught', configSchema: { type: 'object' }, skills: ['./skills'] }));
  await teach(join(extension, 'skills'), 'from-extension');
  const watcher = join(machine.stateDir, 'extensions', 'watcher');
  await mkdir(watcher);
  const manifest = { id: 'watcher', configSchema: { type: 'object' }, contracts: { hooks: ['provider.request'] } };
  await writeFile(join(watcher, 'Durar.plugin.json'), JSON.stringify(manifest));
  await writeFile(join(watcher, 'index.mjs'), WATCHER);
  await teach(join(machine.workspace, 'skills'), 'draw-things');
  await teach(join(machine.stateDir, 'skills'), 'wants-more', 'metadata: {"Durar":{"requires":{"bins":["no-such-program"],"env":["NO_SUCH"]}}}\n');
  gateway = await machine.start();
});
afterAll(() => machine.remove());

describe('skills', () => {
  it('stand in the prompt with name, description and place, and nothing else of them (CTX-046, CTX-066, CTX-068)', async () => {
    await say('[[offline: say hello]]');
    const { systemPrompt } = await sent();
    const list = /<available_skills>\n([\s\S]*?)<\/available_skills>/.exec(systemPrompt)?.[1] ?? '';
    expect(list).toContain(
      '  <skill>\n    <name>draw-things</name>\n    <description>what draw-things does</description>\n    <location>~/.Durar/workspace/skills/draw-things/SKILL.md</location>\n  </skill>\n',
    );
    expect(list).toContain('<name>from-extension</name>');
    expect(list).not.toMatch(/wants-more|extension-author/);
    expect(systemPrompt).not.toContain('MARKER');
    expect(systemPrompt.indexOf('## Safety')).toBeLessThan(systemPrompt.indexOf('## Skills'));
    expect(systemPrompt.indexOf('## Skills')).toBeLessThan(systemPrompt.indexOf('## Workspace'));
  });

  it('are read by the model where the list says, outside the workspace too; nothing else there is (CTX-069)', async () => {
    const ask = async (path: string) => {
      await say(`[[offline: tool read {"path":"${path}"}]] [[offline: say done]]`);
      const { content, isError } = (await sent()).messages.at(-1) as Request['messages'][number];
      return `${isError} ${JSON.stringify(content)}`;
    };
    for (const location of (await sent()).systemPrompt.match(/(?<=<location>).*(?=<\/location>)/g) ?? []) expect(await ask(location)).toMatch(/^false/);
    expect(await ask('~/.Durar/extensions/taught/skills/from-extension/SKILL.md')).toContain('MARKER of the body of from-extension');
    expect(await ask('~/.Durar/skills/wants-more/SKILL.md')).toMatch(/^true .*state directory|^true .*outside/);
    expect(await ask('~/.Durar/Durar.json')).toMatch(/^true/);
  });

  it('count in /context, more with every skill, and are named in its detail (CTX-034, CTX-035, CTX-067)', async () => {
    await say('[[offline: say a]]');
    const [chars = 0, count = 0] = (await skillsLine()) ?? [];
    expect(count).toBe((await listed()).length);
    for (let index = 10; index < 21; index += 1) await teach(join(machine.stateDir, 'skills'), `many-${index}`);
    await say('[[offline: say b]]');
    const [more = 0, all] = (await skillsLine()) ?? [];
    expect([more > chars + 11 * 97, all]).toEqual([true, count + 11]);
    const detail = await say('/context detail');
    const lines = detail.slice(detail.indexOf('Top skills (prompt entry size):')).split('\n');
    const sizes = lines.slice(1, 11).map((line) => Number(/^- [\w-]+: ([\d,]+) chars \(~[\d,]+ tok\)$/.exec(line)?.[1]?.replace(',', '')));
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    expect(lines[11]).toBe(`… (+${count + 1} more skills)`);
  });

  it('that come, change and go are seen by the next turn, without a restart', async () => {
    const file = await teach(join(machine.workspace, 'skills'), 'fresh');
    await say('[[offline: say c]]');
    expect(await listed()).toContain('fresh');
    await writeFile(file, head('fresh', 'another description'));
    await say('[[offline: say d]]');
    expect((await sent()).systemPrompt).toContain('<description>another description</description>');
    await rm(join(machine.workspace, 'skills', 'fresh'), { recursive: true });
    await say('[[offline: say e]]');
    expect(await listed()).not.toContain('fresh');
  });

  it('are started by people, as part of the conversation', async () => {
    await say('/draw_things [[offline: say drawn]]');
    const last = JSON.stringify((await sent()).messages.at(-1)?.content);
    expect(last).toContain('Use the skill \\"draw-things\\" for this: read ~/.Durar/workspace/skills/draw-things/SKILL.md first and follow it.');
    expect(await say('/skill from-extension [[offline: say by name]]')).toBe('by name\n');
    const before = (await requests()).length;
    expect(await say('/skill nothing')).toMatch(/^There is no skill "nothing".\nSkills:\n[\s\S]*\/draw_things - what draw-things does/);
    expect(await say('/skills')).toMatch(/^Skills:\n[\s\S]*\/draw_things - what draw-things does/);
    expect(await say('/commands')).toContain('/skills - the skills that can be started');
    expect((await requests()).length).toBe(before);
  });

  it('are told of by the command line and by RPC', async () => {
    const list = await machine.cli(['skills', 'list']);
    expect(list.stdout).toMatch(/^draw-things +ready +Durar-workspace +what draw-things does$/m);
    expect(list.stdout).toMatch(/^wants-more +missing program no-such-program, variable NO_SUCH +Durar-managed/m);
    const info = await machine.cli(['skills', 'info', 'extension-author']);
    expect(info.stdout).toContain('switched off');
    const unknown = await machine.cli(['skills', 'info', 'draw-thing']);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('Did you mean draw-things?')]);
    expect((await machine.cli(['skills', 'check'])).code).toBe(0);
    await mkdir(join(machine.workspace, 'skills', 'empty'));
    await writeFile(join(machine.workspace, 'skills', 'empty', 'SKILL.md'), 'nothing');
    const check = await machine.cli(['skills', 'check', '--json']);
    expect([check.code, check.json<{ broken: unknown[] }>().broken]).toEqual([1, [expect.objectContaining({ reason: expect.stringContaining('---') })]]);
    const client = await machine.connect(gateway);
    const status = (await client.request('skills.status', {})) as { workspaceDir: string; managedSkillsDir: string; skills: Array<Record<string, unknown>> };
    expect(status).toMatchObject({ workspaceDir: machine.workspace, managedSkillsDir: join(machine.stateDir, 'skills') });
    expect(status.skills.find(({ name }) => name === 'wants-more')).toMatchObject({
      source: 'Durar-managed',
      bundled: false,
      eligible: false,
      disabled: false,
      requirements: { bins: ['no-such-program'], anyBins: [], env: ['NO_SUCH'], config: [], os: [] },
      missing: { bins: ['no-such-program'], env: ['NO_SUCH'] },
    });
    await expect(client.request('skills.status', { agentId: 'nobody' })).rejects.toMatchObject({ message: expect.stringContaining('nobody') });
    expect(await client.request('skills.update', { skillKey: 'draw-things', enabled: false })).toMatchObject({
      ok: true,
      skillKey: 'draw-things',
      config: { enabled: false },
    });
    await until(async () => /^draw-things +switched off/m.test((await machine.cli(['skills', 'list'])).stdout), 'the skill is off');
    expect(await readFile(machine.configFile, 'utf8')).toContain('draw-things');
    client.close();
  });
});
