// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax under test
/** Variables of MCP servers in the configuration of an extension: the extension gets secrets, the host does all the rest. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createMachine, type Machine, root, until } from './gateway-process.ts';

const VALUES = { MCP_GITHUB_PAT: 'pat-5d1c90', MCP_SERVER_API_KEY: 'key-77a2e1' };
const SECRET = { source: 'env', provider: 'default', id: 'MCP_GITHUB_PAT' };

let machine: Machine;
let path: string;
beforeEach(async () => {
  machine = await createMachine();
  const folder = join(machine.home, 'bin');
  await mkdir(folder);
  // stands for npx, and keeps what it was started with
  const stub = `#!${process.execPath}\nrequire('node:fs').writeFileSync(${JSON.stringify(join(machine.home, 'started.json'))}, JSON.stringify({ args: process.argv.slice(2), env: process.env }));\n`;
  await writeFile(join(folder, 'npx'), stub, { mode: 0o755 });
  path = `${folder}:${process.env.PATH}`;
});
afterEach(() => machine.remove());

const config = (entry: object) => ({
  gateway: { mode: 'local' },
  logging: { file: join(machine.home, 'gateway.log'), level: 'trace' },
  plugins: { load: { paths: [join(root, 'test/fixtures/acpx')] }, entries: { acpx: entry } },
});
const github = (env: object) => ({ mcpServers: { github: { command: 'npx', args: ['-y', '@modelcontextprotocol/server-github'], env } } });

it('a server gets references, templates and plain texts as texts; nothing else holds the values (SEC-106, SEC-107, SEC-108, SEC-109)', async () => {
  const env = { GITHUB_PERSONAL_ACCESS_TOKEN: SECRET, FROM_TEMPLATE: '${MCP_SERVER_API_KEY}', PLAIN: 'as-it-is' };
  await machine.writeConfig(config({ enabled: true, config: github(env) }));
  expect((await machine.cli(['config', 'validate'], { env: VALUES })).code).toBe(0);
  const gateway = await machine.start({ env: { ...VALUES, PATH: path } });
  const started = await until(() => readFile(join(machine.home, 'started.json'), 'utf8').catch(() => undefined), 'the server');
  expect(JSON.parse(started)).toMatchObject({
    args: ['-y', '@modelcontextprotocol/server-github'],
    env: { GITHUB_PERSONAL_ACCESS_TOKEN: VALUES.MCP_GITHUB_PAT, FROM_TEMPLATE: VALUES.MCP_SERVER_API_KEY, PLAIN: 'as-it-is' },
  });
  const client = await machine.connect(gateway);
  const shown = JSON.stringify([await client.request('config.get', {}), await client.request('logs.tail', { limit: 500 })]);
  client.close();
  expect(shown).not.toContain('as-it-is');
  const files = (await readdir(machine.stateDir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const texts = await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')));
  for (const text of [shown, gateway.output(), await readFile(join(machine.home, 'gateway.log'), 'utf8'), ...texts])
    for (const value of Object.values(VALUES)) expect(text).not.toContain(value);
});

it.each([
  ['reference', SECRET],
  ['template', '${MCP_GITHUB_PAT}'],
])('a %s that does not resolve stops the start before a server is started, unless the extension is off (SEC-110, SEC-111)', async (_kind, value) => {
  await machine.writeConfig(config({ enabled: true, config: github({ GITHUB_PERSONAL_ACCESS_TOKEN: value }) }));
  const { code, stderr } = await machine.cli(['gateway', 'run', '--port', '0'], { env: { PATH: path } });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/mcpServers\.github\.env\.GITHUB_PERSONAL_ACCESS_TOKEN.*MCP_GITHUB_PAT/s) });
  await machine.writeConfig(config({ enabled: false, config: github({ GITHUB_PERSONAL_ACCESS_TOKEN: value }) }));
  await machine.start({ env: { PATH: path } });
  expect(await readdir(machine.home)).not.toContain('started.json');
});
