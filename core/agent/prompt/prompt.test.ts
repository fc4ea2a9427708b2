import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname, platform } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { messageText, type PromptSectionParams, type ProviderRequest, type Tool } from '../../../sdk/index.ts';
import { createAgentHost, type HostParts } from '../../../test/agent-host.ts';
import { formatContextDetail } from '../ledger/context-report.ts';
import { buildSystemPrompt } from './system-prompt.ts';

async function promptHost(parts: HostParts = {}) {
  const requests: ProviderRequest[] = [];
  const offline = createOfflineProvider({});
  const provider = {
    ...offline,
    async *stream(...args: Parameters<NonNullable<typeof offline.stream>>) {
      requests.push(structuredClone(args[0]));
      yield* offline.stream?.(...args) ?? [];
    },
  };
  const host = await createAgentHost({ ...parts, providers: [provider] });
  const workspace = join(host.dir, 'workspace');
  mkdirSync(workspace, { recursive: true });
  const write = (name: string, text: string) => {
    mkdirSync(join(workspace, name, '..'), { recursive: true });
    writeFileSync(join(workspace, name), text);
  };
  const sent = () => requests.at(-1) as ProviderRequest;
  return { host, requests, workspace, write, sent, prompt: () => sent().systemPrompt ?? '', inspect: () => host.agent.inspect({ sessionKey: 'main' }) };
}

const look: Tool = {
  name: 'look',
  description: 'looks around\nand says so at length',
  parameters: { type: 'object', properties: { at: { type: 'string', description: 'where to look' } } },
  execute: async () => ({ content: [{ type: 'text', text: 'x'.repeat(8_000) }] }),
};
const defaults = (more: Record<string, unknown>) => ({ config: { agents: { defaults: more } } });
const day = (timeZone: string) =>
  new Intl.DateTimeFormat('en-CA', { timeZone, weekday: 'long', year: 'numeric', month: '2-digit', day: '2-digit' }).format(Date.now());
const IMAGE = { data: Buffer.from('\x89PNG\r\n\x1a\n').toString('base64'), mimeType: 'image/png' };

describe('the system prompt', () => {
  it('has rules, tools, skills, the workspace, time, runtime and workspace files, in this order (CTX-003, CTX-045, CTX-047, CTX-049, CTX-050)', async () => {
    const skills = '## Skills\n<available_skills>\n</available_skills>';
    const { host, write, prompt, workspace } = await promptHost({
      tools: [look],
      promptSections: [
        { id: 'late', build: () => '## Late' },
        { id: 'skills', order: -100, build: () => skills },
      ],
    });
    write('AGENTS.md', 'marker');
    await host.run('[[offline: say a]]', { thinking: 'high', model: 'offline/reasoner' });
    const headings = prompt().match(/^## .*$/gm);
    expect(headings).toEqual([
      '## Tooling',
      '## Safety',
      '## Skills',
      '## Workspace',
      '## Late',
      '## Current Date & Time',
      '## Silent Replies',
      '## Runtime',
      '## Project Context',
    ]);
    expect(prompt()).toContain('- look: looks around\n');
    expect(prompt()).not.toContain('and says so at length');
    expect(prompt()).toContain(`Your working folder is ${workspace}.`);
    const runtime = /^## Runtime\n(.*)$/m.exec(prompt())?.[1]?.split(' | ');
    expect(runtime).toEqual(expect.arrayContaining([`host ${hostname()}`, 'model offline/reasoner', 'thinking high', `node ${process.version}`]));
    expect(runtime?.some((part) => part.startsWith(`os ${platform()}`))).toBe(true);
  });

  it('is built anew for each run, and stays the same byte for byte while nothing changes (CTX-044)', async () => {
    const { host, write, prompt } = await promptHost();
    write('AGENTS.md', 'first text');
    await host.run('[[offline: say a]]');
    const first = prompt();
    await host.run('[[offline: say b]]');
    expect(prompt()).toBe(first);
    write('AGENTS.md', 'second text, longer');
    await host.run('[[offline: say c]]');
    expect(prompt()).toContain('second text, longer');
    expect(prompt()).not.toContain('first text');
  });

  it('tells the time in UTC, and the user’s own where it is configured (CTX-048)', async () => {
    const plain = await promptHost();
    await plain.host.run('[[offline: say a]]');
    expect(plain.prompt()).toContain(`## Current Date & Time\n${day('UTC')} (UTC)\n\n`);
    const { host, prompt } = await promptHost(defaults({ userTimezone: 'Pacific/Kiritimati' }));
    await host.run('[[offline: say a]]');
    expect(prompt()).toContain(`${day('UTC')} (UTC)\nFor the user: ${day('Pacific/Kiritimati')} (time zone Pacific/Kiritimati)`);
  });

  it.each([
    ['AGENTS.md', 'CTX-051'],
    ['SOUL.md', 'CTX-052'],
    ['TOOLS.md', 'CTX-053'],
    ['IDENTITY.md', 'CTX-054'],
    ['USER.md', 'CTX-055'],
    ['HEARTBEAT.md', 'CTX-056'],
  ])('holds %s under Project Context (%s)', async (name) => {
    const { host, write, prompt } = await promptHost();
    write(name, `marker of ${name}`);
    await host.run('[[offline: say a]]');
    expect(prompt().split('## Project Context')[1]).toContain(`### ${name}\nmarker of ${name}`);
  });

  it('of a sub-agent says what its task needs, and names its context so', async () => {
    const seen: PromptSectionParams[] = [];
    const { host, prompt } = await promptHost({
      ...defaults({ models: { 'offline/small': { alias: 'tiny' } } }),
      promptSections: [
        {
          id: 'watch',
          build(params) {
            seen.push(params);
            return undefined;
          },
        },
      ],
    });
    await host.run('[[offline: say a]]', { extraSystemPrompt: 'about the group' });
    expect(prompt()).toMatch(/## Model Aliases\n.*\n- tiny: offline\/small\n\n## Silent Replies\n/);
    expect(prompt()).toMatch(/\n\nabout the group$/);
    await host.run('[[offline: say a]]', { sessionKey: 'agent:main:subagent:1f0c', extraSystemPrompt: 'what to do' });
    expect(prompt()).not.toMatch(/Model Aliases|Silent Replies/);
    expect(prompt()).toMatch(/\n\n## Subagent Context\n[\s\S]*what to do$/);
    expect(seen.map(({ mode }) => mode)).toEqual(['full', 'minimal']);
  });

  it('may be no more than who the agent is', async () => {
    const { host } = await promptHost();
    const generation = host.source.current();
    const common = { generation, agentId: 'main', sessionKey: 'k', workspaceDir: '/w', modelRef: 'a/b', modelAliases: [], now: 0, version: '1', files: [] };
    const { text, toolListChars } = await buildSystemPrompt({
      ...common,
      agentName: 'Ada',
      tools: [look],
      mode: 'none',
      extra: 'more',
      log: { error() {} } as never,
    });
    expect([text, toolListChars]).toEqual(['You are Ada, an agent that runs inside Durar.', 0]);
  });

  it('goes on without a section that fails, and without what it says may be read', async () => {
    const read: string[][] = [];
    const peek: Tool = { ...look, name: 'peek' };
    const { host, prompt } = await promptHost({
      promptSections: [
        { id: 'broken', build: () => Promise.reject(new Error('no text')), readable: () => Promise.reject(new Error('no folders')) },
        { id: 'good', build: () => '## Good', readable: ({ agentId }) => [`/opt/${agentId}`] },
      ],
      tools: [
        {
          tool: (context) => ({
            ...peek,
            execute: async () => {
              read.push([...((await context.readableDirs?.()) ?? [])]);
              return { content: [] };
            },
          }),
        },
      ],
    });
    await host.run('[[offline: tool peek {}]] [[offline: say a]]');
    expect(prompt()).toContain('## Good');
    expect(read).toEqual([['/opt/main']]);
    expect(host.logged.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual(
      expect.arrayContaining([expect.stringContaining('no text'), expect.stringContaining('no folders')]),
    );
  });
});

describe('the context of a run', () => {
  it('holds the conversation, tool calls, their results and images; each of them counts (CTX-004, CTX-005, CTX-040, CTX-041)', async () => {
    const { host, sent, inspect } = await promptHost({ tools: [look] });
    const used = async () => (await inspect()).report.messages.tokens;
    await host.run('[[offline: say first answer]] first question');
    const afterFirst = await used();
    await host.run('[[offline: tool look {"at":"sea"}]] [[offline: say seen]]');
    const afterTool = await used();
    expect(sent().messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'toolResult']);
    const text = JSON.stringify(sent().messages);
    for (const part of ['first question', 'first answer', '"at":"sea"', 'x'.repeat(8_000)]) expect(text).toContain(part);
    expect(afterTool - afterFirst).toBeGreaterThan(2_000);
    await host.run('[[offline: say ok]]', { images: [IMAGE] });
    expect(JSON.stringify(sent().messages)).toContain(IMAGE.data);
    expect(await used()).toBeGreaterThan(afterTool + 100);
  });

  it('stays below the window of the model (CTX-002)', async () => {
    const { host, requests } = await promptHost({
      config: { agents: { defaults: { model: 'offline/small', compaction: { reserveTokens: 500, reserveTokensFloor: 0, keepRecentTokens: 500 } } } },
    });
    for (let turn = 0; turn < 12; turn += 1) await host.run(`${'word '.repeat(200)} ${turn}`);
    expect(requests.length).toBeGreaterThanOrEqual(12);
    for (const { systemPrompt = '', messages, tools } of requests) {
      const chars = systemPrompt.length + messages.reduce((sum, message) => sum + messageText(message).length, 0) + JSON.stringify(tools).length;
      expect(chars / 4).toBeLessThan(4_000);
    }
  });

  it('is not memory: what lies on disk is only there when it is loaded (CTX-006)', async () => {
    const { host, write, sent } = await promptHost({
      tools: [{ ...look, execute: async () => ({ content: [{ type: 'text', text: 'marker of the memory' }] }) }],
    });
    write('memory/2026-11-20.md', 'marker of the memory');
    await host.run('[[offline: say a]]');
    expect(JSON.stringify(sent())).not.toContain('marker of the memory');
    await host.run('[[offline: tool look {}]] [[offline: say b]]');
    expect(JSON.stringify(sent().messages)).toContain('marker of the memory');
  });

  it('counts what the provider adds unseen, by what it reports (CTX-043)', async () => {
    const { host, inspect } = await promptHost();
    await host.run('[[offline: usage 90000 50]] [[offline: say a]]');
    const { session, report } = await inspect();
    expect(session.totalTokens).toBeGreaterThanOrEqual(90_000);
    expect(report.messages.tokens + report.systemPrompt.tokens).toBeLessThan(5_000);
  });

  it('is named with its largest tools (CTX-036)', async () => {
    const tools = ['small', 'large'].map((name, index) => ({ ...look, name, description: 'd'.repeat(100 * (index + 1)) }));
    const { host, inspect } = await promptHost({ tools });
    await host.run('[[offline: say a]]');
    const lines = formatContextDetail(await inspect()).split('\n');
    const at = lines.indexOf('Top tools (schema size):');
    expect(lines.slice(at + 1, at + 3).map((line) => line.split(':')[0])).toEqual(['- large', '- small']);
  });

  it('persists: every message of the session is there after a restart (CTX-087)', async () => {
    const { host, sent } = await promptHost();
    for (const word of ['one', 'two', 'three']) await host.run(`[[offline: say answer ${word}]] question ${word}`);
    const before = await host.messages();
    const next = await host.restart();
    expect(await next.messages()).toEqual(before);
    await next.run('[[offline: say last]]', { runId: 'later' });
    const text = JSON.stringify(sent().messages);
    for (const word of ['one', 'two', 'three']) expect(text).toMatch(new RegExp(`question ${word}[\\s\\S]*answer ${word}`));
  });

  it('is assembled by the engine that the slot selects (CTX-091)', async () => {
    const engine = {
      info: { id: 'mine', name: 'Mine', version: '1' },
      ingest: async () => ({ ingested: true }),
      assemble: async () => ({ messages: [{ role: 'user' as const, content: '[[offline: say by mine]]', timestamp: 1 }], estimatedTokens: 9 }),
      compact: async () => ({ ok: true, compacted: false }),
    };
    const { host, sent } = await promptHost({ engine });
    const result = await host.run('hello');
    expect(sent().messages).toEqual([{ role: 'user', content: '[[offline: say by mine]]', timestamp: 1 }]);
    expect([result.payloads[0]?.text, result.meta.contextEngine]).toEqual(['by mine', 'mine']);
  });
});
