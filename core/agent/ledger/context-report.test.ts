import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLegacyEngine } from '../../../extensions/context-engines/legacy/engine.ts';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { messageText, type ProviderRequest, type Tool } from '../../../sdk/index.ts';
import { type AgentHost, createAgentHost, type HostParts } from '../../../test/agent-host.ts';
import {
  type ContextInspection,
  formatContextDetail,
  formatContextJson,
  formatContextList,
  type RunContextReport,
  storedReport,
  tokensOf,
} from './context-report.ts';

const file = (name: string, rawChars: number, injectedChars = rawChars) => ({
  name,
  path: `/w/${name}`,
  missing: false,
  rawChars,
  injectedChars,
  truncated: rawChars !== injectedChars,
});
const report: RunContextReport = {
  source: 'run',
  generatedAt: 1,
  sessionId: 's',
  sessionKey: 'agent:main:main',
  provider: 'p',
  model: 'm',
  contextWindow: 32_000,
  contextEngine: 'legacy',
  workspaceDir: '/home/me/.Durar/workspace',
  bootstrapMaxChars: 20_000,
  bootstrapTotalMaxChars: 150_000,
  bootstrapTruncation: { mode: 'once', shown: false, shownFor: [] },
  sandbox: { mode: 'non-main', sandboxed: false },
  systemPrompt: {
    chars: 38_412,
    tokens: 9_603,
    projectContextChars: 23_901,
    nonProjectContextChars: 14_511,
    parts: [{ name: 'Tooling', source: 'durar', chars: 1_100, tokens: 275 }],
  },
  injectedWorkspaceFiles: [
    file('AGENTS.md', 1_742),
    file('SOUL.md', 912),
    file('TOOLS.md', 54_210, 20_962),
    file('IDENTITY.md', 211),
    file('USER.md', 388),
    { ...file('HEARTBEAT.md', 0), missing: true },
    file('BOOTSTRAP.md', 0),
  ],
  skills: {
    promptChars: 2_184,
    count: 12,
    entries: Array.from({ length: 12 }, (_none, index) => ({
      name: index === 1 ? 'frontend-design' : `skill-${index}`,
      blockChars: index === 1 ? 412 : index,
    })),
  },
  tools: {
    listChars: 1_032,
    schemaChars: 31_988,
    count: 40,
    entries: [
      ...['read', 'edit', 'write', 'exec', 'process', 'browser', 'message', 'sessions_send'].map((name) => ({
        name,
        schemaChars: name === 'browser' ? 9_812 : 600,
      })),
      ...Array.from({ length: 32 }, (_none, index) => ({ name: `a_tool_with_a_name_${index}`, schemaChars: index })),
    ],
  },
  messages: { count: 3, chars: 4_000, tokens: 1_000, bySource: [{ source: 'user', count: 3, chars: 4_000, tokens: 1_000 }] },
};
const inspection: ContextInspection = { key: 'agent:main:main', report, session: { totalTokens: 14_250, contextTokens: 32_000 } };

describe('formatContextList', () => {
  const lines = formatContextList(inspection).split('\n');

  it.each([
    ['CTX-012', 0, '🧠 Context breakdown'],
    ['CTX-013', 1, 'Workspace: /home/me/.Durar/workspace'],
    ['CTX-014', 2, 'Bootstrap max/file: 20,000 chars'],
    ['CTX-015', 3, 'Sandbox: mode=non-main sandboxed=false'],
    ['CTX-016', 4, 'System prompt (run): 38,412 chars (~9,603 tok) (Project Context 23,901 chars (~5,976 tok))'],
    ['CTX-017', 6, 'Injected workspace files:'],
    ['CTX-018, CTX-020, CTX-024', 7, '- AGENTS.md: OK | raw 1,742 chars (~436 tok) | injected 1,742 chars (~436 tok)'],
    ['CTX-024', 8, '- SOUL.md: OK | raw 912 chars (~228 tok) | injected 912 chars (~228 tok)'],
    ['CTX-021, CTX-061', 9, '- TOOLS.md: TRUNCATED | raw 54,210 chars (~13,553 tok) | injected 20,962 chars (~5,241 tok)'],
    ['CTX-019', 10, '- IDENTITY.md: OK | raw 211 chars (~53 tok) | injected 211 chars (~53 tok)'],
    ['CTX-024', 11, '- USER.md: OK | raw 388 chars (~97 tok) | injected 388 chars (~97 tok)'],
    ['CTX-022, AMB-024', 12, '- HEARTBEAT.md: MISSING | raw 0 | injected 0'],
    ['CTX-023', 13, '- BOOTSTRAP.md: OK | raw 0 chars (~0 tok) | injected 0 chars (~0 tok)'],
    ['CTX-025', 15, 'Skills list (system prompt text): 2,184 chars (~546 tok) (12 skills)'],
    ['CTX-028', 17, 'Tool list (system prompt text): 1,032 chars (~258 tok)'],
    ['CTX-029, CTX-072', 18, 'Tool schemas (JSON): 31,988 chars (~7,997 tok) (counts toward context; not shown as text)'],
    ['CTX-030', 19, 'Tools: (same as above)'],
    ['CTX-031', 21, 'Session tokens (cached): 14,250 total / ctx=32,000'],
  ])('%s: line %d', (_id, index, expected) => {
    expect(lines[index]).toBe(expected);
  });

  it('cuts a long line of tools and leaves a short one whole (CTX-026)', () => {
    expect(lines[16]).toMatch(/^Tools: read, edit, write, exec, process, browser, message, sessions_send, .*, …$/);
    expect(lines[16]?.length).toBeLessThan(220);
    const few = { ...report, tools: { ...report.tools, count: 2, entries: report.tools.entries.slice(0, 2) } };
    expect(formatContextList({ ...inspection, report: few })).toContain('\nTools: read, edit\n');
    const none = { ...report, tools: { listChars: 0, schemaChars: 0, count: 0, entries: [] } };
    expect(formatContextList({ ...inspection, report: none })).toContain('\nTools: (none)\n');
  });

  it('says when it is an estimate, and when the tokens are not known (CTX-097)', () => {
    const text = formatContextList({ ...inspection, report: { ...report, source: 'estimate' }, session: { totalTokens: null, contextTokens: 1_000 } });
    expect(text).toContain('\nSystem prompt (estimate): ');
    expect(text).toContain('Session tokens (cached): unknown total / ctx=1,000');
  });

  it.each([
    [0, 0],
    [1, 1],
    [211, 53],
    [1_742, 436],
    [54_210, 13_553],
  ])('%d characters are %d tokens (CTX-019, AMB-028)', (chars, tokens) => expect(tokensOf(chars)).toBe(tokens));
});

describe('formatContextDetail', () => {
  const text = formatContextDetail(inspection);

  it('adds the largest skills and tools, parts and messages (CTX-009, CTX-033 to CTX-037, CTX-073)', () => {
    const lines = text.split('\n');
    expect(lines[0]).toBe('🧠 Context breakdown (detailed)');
    const skills = lines.indexOf('Top skills (prompt entry size):');
    expect(lines[skills + 1]).toBe('- frontend-design: 412 chars (~103 tok)');
    expect(lines[skills + 11]).toBe('… (+2 more skills)');
    const tools = lines.indexOf('Top tools (schema size):');
    expect(lines[tools + 1]).toBe('- browser: 9,812 chars (~2,453 tok)');
    expect(lines[tools + 11]).toBe('… (+30 more tools)');
    expect(lines).toContain('- Tooling (durar): 1,100 chars (~275 tok)');
    expect(lines).toContain('- user: 3, 4,000 chars (~1,000 tok)');
    for (const line of formatContextList(inspection).split('\n').slice(1)) expect(lines).toContain(line);
  });

  it('as JSON it is the same numbers', () => expect(JSON.parse(formatContextJson(inspection))).toEqual(inspection));
});

async function watchedHost(parts: HostParts = {}) {
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
  const write = (name: string, text: string) => writeFileSync(join(workspace, name), text);
  const inspect = (from: AgentHost = host) => from.agent.inspect({ sessionKey: 'main' });
  return { host, requests, write, inspect, workspace, sent: () => requests.at(-1) as ProviderRequest };
}

const look: Tool = {
  name: 'look',
  description: 'looks around\nand more',
  parameters: { type: 'object', properties: { at: { type: 'string' } } },
  execute: async () => ({ content: [{ type: 'text', text: 'seen' }] }),
};
const defaults = (more: Record<string, unknown>) => ({ config: { agents: { defaults: more } } });

describe('the report of a run', () => {
  it('accounts for every character that was sent (CTX-001, CTX-016, CTX-028, CTX-029, CTX-038 to CTX-042, CTX-070, CTX-071, CTX-095)', async () => {
    const legacy = createLegacyEngine();
    const engine = {
      ...legacy,
      assemble: async (params: Parameters<typeof legacy.assemble>[0]) => ({ ...(await legacy.assemble(params)), systemPromptAddition: 'ADDED' }),
    };
    const skills = '<available_skills>\n<skill><name>draw</name><description>d</description><location>/x</location></skill>\n</available_skills>';
    const { host, write, inspect, sent } = await watchedHost({
      engine,
      tools: [look],
      promptSections: [{ id: 'skills', build: async () => `## Skills\n${skills}` }],
    });
    host.on('before_prompt_build', () => ({ prependContext: 'CONTEXT', prependSystemContext: 'BEFORE', appendSystemContext: 'AFTER' }));
    write('AGENTS.md', 'marker of the agents file');
    await host.run('[[offline: tool look {"at":"x"}]] [[offline: say done]]');
    const { report: made, session, key } = await inspect();
    const request = sent();
    const { systemPrompt, tools, messages } = made;
    expect([made.source, key, made.contextEngine, made.runId]).toEqual(['run', 'agent:main:main', 'legacy', 'run-1']);
    expect(systemPrompt.chars).toBe(request.systemPrompt?.length);
    expect(systemPrompt.parts.reduce((sum, { chars }) => sum + chars, 0)).toBe(systemPrompt.chars);
    expect(systemPrompt.parts.map(({ name, source }) => `${source}: ${name}`)).toEqual([
      'engine:legacy: Engine addition',
      'hook: Prepended',
      'durar: Identity',
      'durar: Tooling',
      'durar: Safety',
      'durar: Workspace',
      'extension:skills: skills',
      'durar: Current Date & Time',
      'durar: Silent Replies',
      'durar: Runtime',
      'workspace: Project Context',
      'hook: Appended',
    ]);
    expect(request.systemPrompt).toContain(`## Tooling\nCall tools by their exact names. Available:\n- look: looks around\n\n`);
    expect(tools).toEqual({
      listChars: '- look: looks around'.length,
      schemaChars: JSON.stringify(request.tools).length,
      count: 1,
      entries: [{ name: 'look', schemaChars: JSON.stringify(request.tools[0]).length }],
    });
    expect(made.skills).toMatchObject({ promptChars: skills.length, count: 1, entries: [{ name: 'draw' }] });
    expect(messages.count).toBe(request.messages.length);
    expect(messages.bySource.map(({ source, count }) => [source, count])).toEqual([
      ['user', 1],
      ['assistant', 1],
      ['tool results', 1],
      ['hook', 1],
    ]);
    expect(messages.bySource.find(({ source }) => source === 'user')?.chars).toBe(messageText((await host.messages())[0] as never).length + 2);
    expect(messages.bySource.reduce((sum, { chars }) => sum + chars, 0)).toBe(messages.chars);
    expect(session).toEqual({ totalTokens: (await host.sessions.get(key))?.totalTokens, contextTokens: made.contextWindow });
    expect(JSON.stringify(made)).not.toContain('marker of the agents file');
  });

  it('is kept over a restart and preferred to an estimate; a reset ends it (CTX-095 to CTX-097)', async () => {
    const { host, inspect, write } = await watchedHost();
    await host.agent.session({ sessionKey: 'main' });
    expect((await inspect()).report.source).toBe('estimate');
    await host.run('[[offline: say a]]');
    const before = (await inspect()).report;
    expect(before.source).toBe('run');
    write('SOUL.md', 'new');
    const next = await host.restart();
    expect((await inspect(next)).report).toEqual(before);
    await next.agent.reset({ sessionKey: 'main', reason: 'reset' });
    const { report: after } = await inspect(next);
    expect([after.source, after.injectedWorkspaceFiles[1]?.rawChars]).toEqual(['estimate', 3]);
    await expect(next.agent.inspect({ sessionKey: 'nowhere' })).rejects.toMatchObject({ code: 'DUR_SESSION_UNKNOWN' });
  });

  it('an estimate foretells the run (CTX-097)', async () => {
    const { host, inspect, write } = await watchedHost({ tools: [look] });
    write('AGENTS.md', 'text');
    await host.agent.session({ sessionKey: 'main' });
    const { report: foretold } = await inspect();
    await host.run('[[offline: say a]]');
    const { report: made } = await inspect();
    for (const part of ['systemPrompt', 'tools', 'skills', 'injectedWorkspaceFiles', 'contextWindow', 'model', 'workspaceDir'] as const) {
      expect(foretold[part]).toEqual(made[part]);
    }
  });

  it('stays small whatever there is, and keeps what else the row carries', async () => {
    const many = Array.from({ length: 300 }, (_none, index): Tool => ({ ...look, name: `${'long_name_'.repeat(12)}${index}` }));
    const { host, inspect } = await watchedHost({ tools: many });
    await host.agent.session({ sessionKey: 'main' });
    await host.sessions.patch('agent:main:main', { extra: { fastMode: true } });
    await host.run('[[offline: say a]]');
    const { report: made } = await inspect();
    expect(made.tools.count).toBe(300);
    expect(JSON.stringify(made).length).toBeLessThan(16_000);
    expect((await host.sessions.get('agent:main:main'))?.extra).toMatchObject({ fastMode: true, contextReport: { source: 'run' } });
    expect(formatContextDetail(await inspect())).toContain('… (+290 more tools)');
  });

  it('changes with the model, and grows with the conversation (CTX-032, CTX-039)', async () => {
    const { host, inspect } = await watchedHost();
    await host.run('[[offline: say a]]');
    const first = (await inspect()).report;
    await host.run('[[offline: say b]]', { model: 'offline/small' });
    const second = (await inspect()).report;
    expect([first.contextWindow, second.contextWindow]).toEqual([200_000, 4_000]);
    expect(second.messages.tokens).toBeGreaterThan(first.messages.tokens);
  });
});

describe('workspace files', () => {
  it('are listed in their order, missing and empty ones too; others are not (CTX-020 to CTX-024, CTX-058)', async () => {
    const { host, write, inspect, sent } = await watchedHost();
    write('AGENTS.md', 'rules');
    write('USER.md', '');
    write('OTHER.md', 'marker of another file');
    await host.run('[[offline: say a]]');
    const text = formatContextList(await inspect());
    expect(text).toContain(
      [
        '- AGENTS.md: OK | raw 5 chars (~2 tok) | injected 5 chars (~2 tok)',
        '- SOUL.md: MISSING | raw 0 | injected 0',
        '- TOOLS.md: MISSING | raw 0 | injected 0',
        '- IDENTITY.md: MISSING | raw 0 | injected 0',
        '- USER.md: OK | raw 0 chars (~0 tok) | injected 0 chars (~0 tok)',
        '- HEARTBEAT.md: MISSING | raw 0 | injected 0',
        '- BOOTSTRAP.md: MISSING | raw 0 | injected 0',
      ].join('\n'),
    );
    expect(sent().systemPrompt).not.toContain('another file');
    expect(sent().systemPrompt).not.toContain('BOOTSTRAP.md');
    expect(sent().systemPrompt).toContain('### SOUL.md\n[missing]');
  });

  it.each([
    [{ bootstrapMaxChars: 100 }, [100, 100]],
    [{ bootstrapTotalMaxChars: 150 }, [150, 0]],
    [{ bootstrapMaxChars: 100, bootstrapTotalMaxChars: 150 }, [100, 50]],
    [{}, [300, 200]],
  ])('are cut to %j (CTX-059, CTX-060, CTX-061, AMB-022)', async (limits, kept) => {
    const { host, write, inspect, sent } = await watchedHost(defaults(limits));
    write('AGENTS.md', 'a'.repeat(300));
    write('SOUL.md', 's'.repeat(200));
    await host.run('[[offline: say a]]');
    const [agents, soul] = (await inspect()).report.injectedWorkspaceFiles;
    const counted = ['a', 's'].map((letter) => sent().systemPrompt?.match(new RegExp(`${letter}{20,}`))?.[0]?.length ?? 0);
    expect(counted).toEqual(kept);
    for (const [index, one] of [agents, soul].entries()) {
      const limit = kept[index] ?? 0;
      expect(one?.truncated).toBe(one?.rawChars !== limit);
      expect((one?.injectedChars ?? 0) - limit).toBeLessThan(60);
    }
  });

  it('hold BOOTSTRAP.md until a run has ended well, over restarts too (CTX-057, AMB-025)', async () => {
    const { host, write, sent, requests, inspect } = await watchedHost();
    write('BOOTSTRAP.md', 'what to do first');
    const has = () => sent().systemPrompt?.includes('### BOOTSTRAP.md\nwhat to do first');
    await host.run('[[offline: fail auth]]');
    expect(has()).toBe(true);
    await host.run('[[offline: say hello]]', { sessionKey: 'other' });
    expect(has()).toBe(true);
    await host.run('[[offline: say again]]');
    expect(has()).toBe(false);
    expect(formatContextList(await inspect())).toContain('- BOOTSTRAP.md: OK | raw 16 chars (~4 tok) | injected 0 chars (~0 tok)');
    const next = await host.restart();
    await next.run('[[offline: say more]]', { runId: 'later' });
    expect([has(), requests.length]).toEqual([false, 4]);
  });

  it('never part a character', async () => {
    const { host, write, sent } = await watchedHost(defaults({ bootstrapMaxChars: 101 }));
    write('AGENTS.md', '😀'.repeat(200));
    await host.run('[[offline: say a]]');
    expect(sent().systemPrompt?.isWellFormed()).toBe(true);
  });

  it('of a sub-agent are two', async () => {
    const { host, write, sent } = await watchedHost();
    for (const name of ['AGENTS.md', 'SOUL.md', 'TOOLS.md', 'USER.md', 'BOOTSTRAP.md']) write(name, `text of ${name}`);
    await host.run('[[offline: say a]]', { sessionKey: 'agent:main:subagent:1f0c' });
    expect(sent().systemPrompt?.match(/text of \S+/g)).toEqual(['text of AGENTS.md', 'text of TOOLS.md']);
    expect(sent().systemPrompt).not.toContain('[missing]');
  });

  it.each([
    ['off', [false, false, false, false, false]],
    ['once', [true, false, true, false, false]],
    ['always', [true, true, true, true, true]],
    [undefined, [true, false, true, false, false]],
  ] as const)('that are cut are told of: %s (CTX-062 to CTX-065, AMB-026)', async (mode, expected) => {
    const settings = { bootstrapMaxChars: 50, ...(mode === undefined ? {} : { bootstrapPromptTruncationWarning: mode }) };
    const { host, write, sent, workspace, inspect } = await watchedHost(defaults(settings));
    write('AGENTS.md', 'a'.repeat(300));
    const shown: boolean[] = [];
    const turn = async () => {
      await host.run('[[offline: say a]]');
      const warned = /\n\n\[Warning: cut to fit the prompt: AGENTS\.md \(300 characters\)/.test(sent().systemPrompt ?? '');
      expect((await inspect()).report.bootstrapTruncation.shown).toBe(warned);
      shown.push(warned);
    };
    await turn();
    await turn();
    write('SOUL.md', 's'.repeat(300));
    await turn();
    await turn();
    // a set that the session was told of before
    rmSync(join(workspace, 'SOUL.md'));
    await turn();
    expect(shown).toEqual(expected);
  });

  it('that fit are not warned of', async () => {
    const { host, write, sent } = await watchedHost(defaults({ bootstrapPromptTruncationWarning: 'always' }));
    write('AGENTS.md', 'short');
    await host.run('[[offline: say a]]');
    expect(sent().systemPrompt).not.toContain('[Warning');
  });
});

it('a report of another session is not taken for this one', () => {
  expect(storedReport({ sessionId: 's', extra: { contextReport: report } })).toBe(report);
  expect(storedReport({ sessionId: 't', extra: { contextReport: report } })).toBeUndefined();
  expect(storedReport({ sessionId: 's' })).toBeUndefined();
});
