import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOfflineProvider } from '../../../extensions/providers/offline/provider.ts';
import { type AgentEvent, type AgentMessage, type AssistantMessage, messageText, type ProviderRequest, type Tool } from '../../../sdk/index.ts';
import { createAgentHost } from '../../../test/agent-host.ts';

/** The offline provider, remembering what it was asked. */
function watchedProvider(requests: ProviderRequest[]) {
  const offline = createOfflineProvider({});
  return {
    ...offline,
    stream: (request: ProviderRequest, options: { signal: AbortSignal }) => {
      requests.push(structuredClone(request));
      return offline.stream?.(request, options) as NonNullable<ReturnType<NonNullable<typeof offline.stream>>>;
    },
  };
}

function tool(name: string, execute: Tool['execute'], parameters: Record<string, unknown> = { type: 'object' }): Tool {
  return { name, description: `${name} does it`, parameters, execute };
}

const ok = (text: string) => async () => ({ content: [{ type: 'text' as const, text }] });
const streams = (events: readonly AgentEvent[]) => events.map(({ stream, data }) => (data.phase === undefined ? stream : `${stream}:${String(data.phase)}`));
const roles = (messages: readonly AgentMessage[]) => messages.map((message) => message.role);
const resultText = (messages: readonly AgentMessage[]) => messages.filter((message) => message.role === 'toolResult').map(messageText);

describe('a turn', () => {
  it('streams in order, numbers its events from 1, and keeps the transcript', async () => {
    const host = await createAgentHost();
    const result = await host.run('[[offline: say hello there friend]]');
    expect(result).toMatchObject({
      status: 'ok',
      payloads: [{ text: 'hello there friend' }],
      meta: { aborted: false, stopReason: 'stop', contextEngine: 'legacy', generation: 1 },
    });
    expect(streams(host.events)).toEqual(['lifecycle:start', 'assistant', 'assistant', 'assistant', 'lifecycle:end']);
    expect(host.events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
    expect(host.events.every((event) => event.sessionKey === 'agent:main:main' && event.runId === result.runId)).toBe(true);
    const said = host.events.filter((event) => event.stream === 'assistant');
    expect(said.map((event) => event.data.delta).join('')).toBe('hello there friend');
    expect(said.at(-1)?.data.text).toBe('hello there friend');
    const messages = await host.messages();
    expect(roles(messages)).toEqual(['user', 'assistant']);
    expect(messages.map(messageText)).toEqual(['[[offline: say hello there friend]]', 'hello there friend']);
    expect(await host.sessions.get('agent:main:main')).toMatchObject({
      status: 'done',
      modelProvider: 'offline',
      model: 'script',
      contextTokens: 200_000,
      abortedLastRun: false,
    });
    expect((await host.sessions.get('agent:main:main'))?.totalTokens).toBe((messages[1] as AssistantMessage).usage.totalTokens);
  });

  it('runs tools one after the other until a reply asks for none, each entry on disk before the next step', async () => {
    const seen: string[][] = [];
    const host = await createAgentHost({
      tools: [
        tool('look', async () => {
          seen.push(roles(await host.messages()));
          return { content: [{ type: 'text', text: 'found it' }] };
        }),
      ],
    });
    const result = await host.run('[[offline: say let me look]] [[offline: tool look {"a":1}]] [[offline: also look {"a":2}]] [[offline: say there it is]]');
    expect(result.payloads.map(({ text }) => text)).toEqual(['let me look', 'there it is']);
    expect(seen).toEqual([
      ['user', 'assistant'],
      ['user', 'assistant', 'toolResult'],
    ]);
    expect(roles(await host.messages())).toEqual(['user', 'assistant', 'toolResult', 'toolResult', 'assistant']);
    const tools = host.events.filter((event) => event.stream === 'tool').map((event) => event.data);
    expect(tools.map((data) => data.phase)).toEqual(['start', 'result', 'start', 'result']);
    expect(tools[0]).toMatchObject({ name: 'look', args: { a: 1 } });
    expect(tools[1]).toMatchObject({ name: 'look', isError: false, result: { content: [{ text: 'found it' }] } });
    expect(host.events.filter((event) => event.stream === 'assistant').at(-1)?.data.text).toBe('let me look\n\nthere it is');
  });

  it('tells the model what is wrong with a call instead of failing the run', async () => {
    const ran: unknown[] = [];
    const strict = tool(
      'strict',
      async (_id, params) => {
        ran.push(params);
        return { content: [] };
      },
      { type: 'object', properties: { path: { type: 'string' } }, required: ['path'], additionalProperties: false },
    );
    const host = await createAgentHost({
      tools: [strict, tool('throws', () => Promise.reject(new Error('disk on fire'))), tool('shapeless', (async () => 'text') as never)],
    });
    const result = await host.run(
      '[[offline: tool absent]] [[offline: tool strict {"path":1}]] [[offline: tool strict {"path":"a","b":1}]] [[offline: tool throws]] [[offline: tool shapeless]] [[offline: tool strict {"path":"a"}]] [[offline: say done]]',
    );
    expect(result.status).toBe('ok');
    const texts = resultText(await host.messages());
    expect(texts[0]).toContain("no tool 'absent'");
    expect(texts[1]).toContain('/path must be string');
    expect(texts[2]).toContain("'b'");
    expect(texts[3]).toBe('disk on fire');
    expect(texts[4]).toContain('no content array');
    expect(ran).toEqual([{ path: 'a' }]);
  });

  it('ends a tool that hangs at its time limit', async () => {
    const host = await createAgentHost({ tools: [tool('hangs', () => new Promise(() => undefined))], limits: { tool: 30 } });
    const result = await host.run('[[offline: tool hangs]] [[offline: say gave up]]');
    expect(result.payloads.map(({ text }) => text)).toEqual(['gave up']);
    expect(resultText(await host.messages())[0]).toContain('within 30 ms');
  });

  it('offers tools in a stable order with their schemas, under the policy', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({
      providers: [watchedProvider(requests)],
      config: { tools: { deny: ['write', 'group:web'] } },
      tools: [
        { tool: tool('write', ok('')), bundled: true, owner: 'files' },
        { tool: tool('read', ok('core')), bundled: true, owner: 'files' },
        { tool: tool('read', ok('impostor')), owner: 'third' },
        { tool: () => [tool('made', ok('')), tool('web_fetch', ok(''))], owner: 'third' },
        { tool: tool('extra', ok('')), owner: 'third', optional: true },
        {
          tool: () => {
            throw new Error('no factory today');
          },
          owner: 'broken',
        },
      ],
    });
    await host.run('[[offline: tool read]] [[offline: say ok]]');
    expect(requests[0]?.tools.map(({ name }) => name)).toEqual(['made', 'read']);
    expect(resultText(await host.messages())).toEqual(['core']);
    expect(host.logged.map(({ message }) => message).join('\n')).toMatch(
      /'read' of 'third' is left out[\s\S]*no factory today|no factory today[\s\S]*'read' of 'third' is left out/,
    );
    host.swap({ config: { tools: { allow: ['third', 'read'] } } });
    await host.run('[[offline: say ok]]');
    expect(requests.at(-1)?.tools.map(({ name }) => name)).toEqual(['extra', 'made', 'read', 'web_fetch']);
  });

  it('hands a silent reply to nobody', async () => {
    const host = await createAgentHost();
    expect((await host.run('[[offline: say NO_REPLY]]')).payloads).toEqual([]);
  });

  it('keeps the system prompt stable between turns and reads workspace files again only when they changed', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({ providers: [watchedProvider(requests)], now: () => Date.UTC(2026, 10, 20, 9) });
    await host.run('[[offline: say a]]');
    const file = join(host.dir, 'workspace', 'AGENTS.md');
    expect(statSync(join(host.dir, 'workspace')).mode & 0o777).toBe(0o700);
    expect(requests[0]?.systemPrompt).toContain('### AGENTS.md\n[missing]');
    expect(requests[0]?.systemPrompt).not.toContain('BOOTSTRAP.md');
    writeFileSync(file, 'Be brief.');
    const written = new Date('2026-11-20T08:00:00Z');
    utimesSync(file, written, written);
    await host.run('[[offline: say b]]');
    expect(requests[1]?.systemPrompt).toContain('### AGENTS.md\nBe brief.');
    writeFileSync(file, 'Be LOUD..');
    utimesSync(file, written, written);
    await host.run('[[offline: say c]]');
    expect(requests[2]?.systemPrompt).toBe(requests[1]?.systemPrompt);
    utimesSync(file, written, new Date('2026-11-20T08:00:05Z'));
    await host.run('[[offline: say d]]');
    expect(requests[3]?.systemPrompt).toContain('Be LOUD..');
    expect(readFileSync(file, 'utf8')).toBe('Be LOUD..');
  });

  it('adds prompt sections and hook texts in their places', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({
      providers: [watchedProvider(requests)],
      promptSections: [
        { id: 'late', order: 200, build: () => 'LATE SECTION' },
        { id: 'early', order: 1, build: async () => 'EARLY SECTION' },
        {
          id: 'bad',
          build: () => {
            throw new Error('no text');
          },
        },
      ],
    });
    host.on('before_prompt_build', () => ({ prependContext: 'CONTEXT FIRST', prependSystemContext: 'SYSTEM FIRST', appendSystemContext: 'SYSTEM LAST' }));
    const result = await host.run('[[offline: say x]]', { extraSystemPrompt: 'EXTRA' });
    expect(result.status).toBe('ok');
    const prompt = requests[0]?.systemPrompt ?? '';
    expect(prompt.startsWith('SYSTEM FIRST')).toBe(true);
    expect(prompt.endsWith('SYSTEM LAST')).toBe(true);
    expect(prompt.indexOf('EARLY SECTION')).toBeLessThan(prompt.indexOf('LATE SECTION'));
    expect(prompt).toContain('EXTRA');
    expect(messageText(requests[0]?.messages[0] as AgentMessage)).toBe('CONTEXT FIRST\n\n[[offline: say x]]');
    expect((await host.messages()).map(messageText)[0]).toBe('[[offline: say x]]');
  });

  it('lets hooks choose the model, answer in its place, see and hold back messages', async () => {
    const host = await createAgentHost();
    const seen: string[] = [];
    host.on('before_model_resolve', () => ({ modelOverride: 'reasoner' }));
    host.on('llm_input', ({ model, prompt }) => void seen.push(`input ${model} ${prompt}`));
    host.on('llm_output', ({ assistantTexts }) => void seen.push(`output ${assistantTexts.join('')}`));
    host.on('agent_end', ({ success, messages }) => void seen.push(`end ${success} ${messages.length}`));
    host.on('before_message_write', ({ message }) => (messageText(message).includes('secret') ? { block: true } : undefined));
    const result = await host.run('[[offline: think hm]] [[offline: say secret answer]]');
    expect(result.meta.agentMeta.model).toBe('reasoner');
    expect(result.payloads.map(({ text }) => text)).toEqual(['secret answer']);
    expect(seen).toEqual(['input reasoner [[offline: think hm]] [[offline: say secret answer]]', 'output secret answer', 'end true 2']);
    expect(await host.messages()).toEqual([]);
    expect(host.events.filter((event) => event.stream === 'thinking').at(-1)?.data.text).toBe('hm');

    const claimed = await createAgentHost();
    claimed.on('before_agent_reply', ({ cleanedBody }) => ({ handled: true, reply: { text: `I have it: ${cleanedBody}` } }));
    expect((await claimed.run('ping')).payloads).toEqual([{ text: 'I have it: ping', mediaUrl: null }]);
    expect(roles(await claimed.messages())).toEqual(['user', 'assistant']);
  });

  it('writes the tool result that a hook made of it', async () => {
    const host = await createAgentHost({ tools: [tool('look', ok('long text'))] });
    const after: unknown[] = [];
    host.on('tool_result_persist', ({ message }) =>
      message.role === 'toolResult' ? { message: { ...message, content: [{ type: 'text', text: 'short' }] } } : undefined,
    );
    host.on('after_tool_call', (event) => void after.push(event));
    await host.run('[[offline: tool look]] [[offline: say ok]]');
    expect(resultText(await host.messages())).toEqual(['short']);
    expect(after).toMatchObject([{ toolName: 'look', result: { content: [{ text: 'long text' }] } }]);
  });

  it('hides the credential from request hooks and keeps what they shape', async () => {
    const requests: ProviderRequest[] = [];
    const host = await createAgentHost({
      providers: [{ ...watchedProvider(requests), keyless: false, envVars: ['OFFLINE_KEY'] }],
      env: { OFFLINE_KEY: 'k-1' },
    });
    const shown: ProviderRequest[] = [];
    host.on('provider.request', (request) => {
      shown.push(request);
      return { ...request, temperature: 0.5 };
    });
    await host.run('[[offline: say x]]');
    expect(shown[0]).not.toHaveProperty('apiKey');
    expect(requests[0]).toMatchObject({ apiKey: 'k-1', temperature: 0.5 });
  });

  it('fails with the code of what is missing', async () => {
    const host = await createAgentHost({ providers: [{ ...createOfflineProvider({}), keyless: false, envVars: ['NO_SUCH_KEY'] }] });
    expect((await host.run('x', { model: 'nobody/x' })).error?.code).toBe('DUR_MODEL_UNKNOWN');
    expect((await host.run('x')).error).toMatchObject({ code: 'DUR_MODEL_AUTH', hint: expect.stringContaining('NO_SUCH_KEY') });
    expect(await host.sessions.get('agent:main:main')).toMatchObject({ status: 'failed' });
    expect(streams(host.events).filter((name) => name.startsWith('lifecycle'))).toEqual([
      'lifecycle:start',
      'lifecycle:error',
      'lifecycle:start',
      'lifecycle:error',
    ]);
    expect(host.leases()).toBe(0);
  });
});

describe('approval', () => {
  const danger = tool('danger', ok('did it'));
  const ask =
    (more: Record<string, unknown> = {}) =>
    () => ({ requireApproval: { title: 'Danger', description: 'may it?', ...more } });

  it.each([
    ['allow-once lets the call through', async () => ({ decision: 'allow-once' as const }), 'did it'],
    ['a deny stops it', async () => ({ decision: 'deny' as const, reason: 'not today' }), 'not today'],
    ['a throw is a deny', () => Promise.reject(new Error('approver broke')), 'approver broke'],
    ['null is a deny', async () => null as never, 'not a decision'],
    ['an unknown decision is a deny', async () => ({ decision: 'maybe' }) as never, 'not a decision'],
    ['silence is a deny', () => new Promise<never>(() => undefined), 'within 40 ms'],
    ['an abstention is a deny', async () => undefined, 'may it?'],
  ])('%s', async (_name, decide, expected) => {
    const resolutions: string[] = [];
    const host = await createAgentHost({ tools: [danger], approvers: [{ id: 'person', decide }] });
    host.on('before_tool_call', ask({ timeoutMs: 40, onResolution: (decision: string) => void resolutions.push(decision) }));
    const result = await host.run('[[offline: tool danger]] [[offline: say ok]]');
    expect(result.status).toBe('ok');
    expect(resultText(await host.messages())[0]).toContain(expected);
    expect(resolutions).toEqual([expected === 'did it' ? 'allow-once' : expected === 'within 40 ms' ? 'timeout' : 'deny']);
  });

  it('asks nobody when there is nobody, and denies', async () => {
    const host = await createAgentHost({ tools: [danger] });
    host.on('before_tool_call', ask());
    await host.run('[[offline: tool danger]] [[offline: say ok]]');
    expect(resultText(await host.messages())[0]).toContain('may it?');
  });

  it('asks the approver of the highest priority first, policies before any', async () => {
    const asked: string[] = [];
    const approver = (id: string, priority: number, decision?: 'allow-once') => ({
      id,
      priority,
      decide: async () => {
        asked.push(id);
        return decision === undefined ? undefined : { decision };
      },
    });
    const host = await createAgentHost({ tools: [danger], approvers: [approver('low', 1, 'allow-once'), approver('high', 9)] });
    host.on('before_tool_call', ask());
    await host.run('[[offline: tool danger]] [[offline: say ok]]');
    expect(asked).toEqual(['high', 'low']);
    host.on('approval.request', () => ({ decision: 'deny', reason: 'policy' }));
    await host.run('[[offline: tool danger]] [[offline: say ok]]');
    expect(asked).toEqual(['high', 'low']);
    expect(resultText(await host.messages()).at(-1)).toContain('policy');
  });

  it('serves tools that ask by themselves', async () => {
    const decisions: string[] = [];
    const host = await createAgentHost({
      tools: [
        {
          tool: (context) =>
            tool('self', async (id) => {
              decisions.push(
                (
                  await context.requestApproval({
                    kind: 'exec',
                    title: 't',
                    description: 'd',
                    command: 'ls',
                    toolCallId: id,
                    allowedDecisions: ['allow-once', 'deny'],
                  })
                ).decision,
              );
              return { content: [] };
            }),
        },
      ],
      approvers: [
        {
          id: 'person',
          decide: async (request) =>
            request.sessionKey === 'agent:main:main' && request.runId === 'run-1' ? { decision: 'allow-always' } : { decision: 'allow-once' },
        },
      ],
    });
    await host.run('[[offline: tool self]] [[offline: say ok]]');
    await host.run('[[offline: tool self]] [[offline: say ok]]');
    expect(decisions).toEqual(['deny', 'allow-once']);
  });

  it('lets block win over approval, and a block name its reason', async () => {
    const host = await createAgentHost({ tools: [danger], approvers: [{ id: 'yes', decide: async () => ({ decision: 'allow-once' }) }] });
    host.on('before_tool_call', () => ({ block: true, blockReason: 'never this', requireApproval: { title: 't', description: 'd' } }));
    await host.run('[[offline: tool danger]] [[offline: say ok]]');
    expect(resultText(await host.messages())[0]).toContain('never this');
  });
});
