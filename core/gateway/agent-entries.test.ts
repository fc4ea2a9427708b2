import { describe, expect, it } from 'vitest';
import type { LoadedConfig } from '../config/load.ts';
import { parseText } from '../config/parse.ts';
import { addAgent, agentIdOf, changeAgent, removeAgent } from './agent-entries.ts';
import { parseIdentity, writeIdentity } from './agent-identity.ts';

const present = async (text: string, source?: Record<string, unknown>) =>
  ({ raw: text, file: 'Durar.json', source: source ?? (await parseText(text, 'Durar.json')) }) as LoadedConfig;

describe('agents in the text of the configuration', () => {
  it.each([
    ['Example Two', 'example-two'],
    ['  Éva  ', 'eva'],
    ['a__b', 'a__b'],
    ['x'.repeat(80), 'x'.repeat(64)],
  ])('%j is called %j', (name, id) => {
    expect(agentIdOf(name)).toBe(id);
  });

  it.each(['main', 'Default', '***', '狐'])('%j is no name (AMB-057)', (name) => {
    expect(() => agentIdOf(name)).toThrow(/reserved|needs a letter/);
  });

  it('keeps comments and order, and the default agent with the first entry', async () => {
    const text = "{\n  // one\n  agents: {\n    list: [\n      { id: 'a' }, // first\n    ],\n  },\n}\n";
    const added = await addAgent(text, await present(text), { id: 'b', name: 'B' });
    expect(added).toContain('// first');
    expect(await parseText(added, 'x')).toEqual({ agents: { list: [{ id: 'a' }, { id: 'b', name: 'B' }] } });
    const first = await addAgent('// empty\n{}\n', await present('{}'), { id: 'b' });
    expect(await parseText(first, 'x')).toEqual({ agents: { list: [{ id: 'main' }, { id: 'b' }] } });
    expect(first).toContain('// empty');
  });

  it('changes single fields; the default agent gets its entry when it is first changed', async () => {
    const changed = await changeAgent('{}', await present('{}'), 'MAIN', [[['identity', 'avatar'], 'A']]);
    expect(await parseText(changed, 'x')).toEqual({ agents: { list: [{ id: 'main', identity: { avatar: 'A' } }] } });
    await expect(changeAgent('{}', await present('{}'), 'b', [])).rejects.toThrow('agent "b" not found');
  });

  it('removes an entry with all its bindings', async () => {
    const bindings = ['b', 'a', 'B', 'b'].map((agentId) => ({ agentId, match: { channel: 'c' } }));
    const text = JSON.stringify({ agents: { list: [{ id: 'a' }, { id: 'b' }] }, bindings }, null, 2);
    const removed = await removeAgent(text, await present(text), 'b');
    expect(removed.removedBindings).toBe(3);
    expect(await parseText(removed.text, 'x')).toEqual({ agents: { list: [{ id: 'a' }] }, bindings: [bindings[1]] });
  });

  it('leaves a list that another file holds alone', async () => {
    const text = "{ $include: './agents.json' }";
    const included = await present(text, { agents: { list: [{ id: 'a' }] } });
    await expect(addAgent(text, included, { id: 'b' })).rejects.toThrow('agents.list stands in an included file');
    await expect(removeAgent(text, included, 'a')).rejects.toThrow('agents.list stands in an included file');
  });
});

describe('IDENTITY.md', () => {
  it('tells name, emoji and avatar, in the forms that people write', () => {
    expect(parseIdentity('# Who\n- **Name:** Fox\n* Emoji: 🦊\navatar:  _a.png_\n- Name: Second')).toEqual({ name: 'Fox', emoji: '🦊', avatar: 'a.png' });
    expect(parseIdentity('- Name: (pick one)\n- Emoji: [yours]\n- Avatar:\nMy name: no')).toEqual({});
    expect(parseIdentity(writeIdentity({ name: 'Fox', emoji: '🦊' }))).toEqual({ name: 'Fox', emoji: '🦊' });
  });
});
