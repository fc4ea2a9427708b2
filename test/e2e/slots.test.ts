import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMachine, type GatewayProcess, type Machine, root, until } from './gateway-process.ts';

let machine: Machine;
let gateway: GatewayProcess;

/** The configuration as the page prints it. */
const PAGE = `// Durar.json
{
  plugins: {
    slots: {
      contextEngine: "my-engine", // must match the plugin's registered engine id
    },
    entries: {
      "my-engine": {
        enabled: true,
        // Plugin-specific config goes here (see the plugin's docs)
      },
    },
  },
}
`;

interface Answer {
  result?: { meta: { contextEngine?: string; context?: { estimatedTokens: number } } };
}
const turn = async (message = 'hello') => (await machine.cli(['agent', '--json', '--message', message])).json<Answer>().result?.meta;
const doctor = async () => (await machine.cli(['doctor'])).stdout;

beforeAll(async () => {
  machine = await createMachine();
  await cp(join(root, 'test/fixtures/page-engine'), join(machine.stateDir, 'extensions/my-engine'), { recursive: true });
  gateway = await machine.start();
});
afterAll(() => machine.remove());

describe('slots, as the pages print them', () => {
  it('an unselected engine keeps its other features: its tool works (ENGINE-091)', async () => {
    expect((await turn())?.contextEngine).toBe('legacy');
    const answer = await machine.cli(['agent', '--message', '[[offline: tool lcm_grep {"pattern":"blue"}]]']);
    expect(answer.stdout).toContain('nothing matches blue');
  });

  it('the page: JSON5 with comments, slot and entry, a register function as default export, a factory (ENGINE-044, ENGINE-046, ENGINE-054, CARD-023, CARD-025, CARD-043)', async () => {
    await machine.writeConfig(PAGE);
    await until(async () => (await turn())?.contextEngine === 'my-engine', 'the engine of the page');
    expect(await doctor()).toContain('my-engine');
  });

  it('the estimate of the engine is in the diagnostics of the run (ENGINE-062)', async () => {
    expect((await turn())?.context?.estimatedTokens).toBeGreaterThan(0);
  });

  it('a restart gives the same result as the live change (ENGINE-016)', async () => {
    await gateway.stop();
    gateway = await machine.start();
    expect((await turn())?.contextEngine).toBe('my-engine');
    expect(await doctor()).toContain('my-engine');
  });

  it('an edit by the command keeps the comments of the operator', async () => {
    expect((await machine.cli(['config', 'set', 'logging.level', 'debug'])).code).toBe(0);
    const text = await readFile(machine.configFile, 'utf8');
    expect(text).toContain("// must match the plugin's registered engine id");
    expect(text).toContain('// Plugin-specific config goes here');
  });

  it('the active engine can be read at plugins.slots.contextEngine of a file that Durar wrote (ENGINE-008)', async () => {
    await machine.writeConfig({});
    await machine.cli(['config', 'set', 'plugins.slots.contextEngine', 'my-engine']);
    const written = JSON.parse(await readFile(machine.configFile, 'utf8')) as { plugins: { slots: { contextEngine: string } } };
    expect(written.plugins.slots.contextEngine).toBe('my-engine');
  });

  it('the legacy engine registers no tools and uses the same manifest as any extension (ENGINE-041, ENGINE-106)', async () => {
    const inspected = (await machine.cli(['plugins', 'inspect', 'legacy', '--json'])).stdout;
    const manifest = JSON.parse(await readFile(join(root, 'extensions/context-engines/legacy/Durar.plugin.json'), 'utf8')) as Record<string, unknown>;
    expect(inspected).not.toContain('"tool"');
    expect(manifest).toMatchObject({ id: 'legacy', kind: 'context-engine' });
    expect(manifest.contracts).toBeUndefined();
  });
});
