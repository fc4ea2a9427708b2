import { readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import type { GatewayClient } from '../../sdk/client/client.ts';
import { createMachine, type GatewayProcess, type Machine, until } from './gateway-process.ts';

const machines: Machine[] = [];
const clients: GatewayClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await Promise.all(machines.splice(0).map((machine) => machine.remove()));
});

async function begin(gateway: object = {}, rest: object = {}, start: Parameters<Machine['start']>[0] = {}) {
  const port = await freePort();
  const machine = await createMachine(config({ port, ...gateway }, rest));
  machines.push(machine);
  return { machine, port, process: await machine.start({ configured: true, ...start }) };
}
const config = (gateway: object, rest: object = {}) => ({
  ...rest,
  gateway: { mode: 'local', ...gateway, reload: { debounceMs: 20, ...('reload' in gateway ? (gateway.reload as object) : {}) } },
});
async function enter(machine: Machine, at: { url: string }) {
  const gone = Promise.withResolvers<void>();
  const client = await machine.connect(at, () => gone.resolve());
  clients.push(client);
  return { client, gone: gone.promise };
}
const url = (port: number) => ({ url: `ws://127.0.0.1:${port}` });
const status = (client: GatewayClient) =>
  client.request('status', {}) as unknown as Promise<{ uptimeMs: number; host: { generation: number; refused: Array<{ code: string }> } }>;
const agents = async (client: GatewayClient) =>
  ((await client.request('agents.list', {})) as { agents: Array<{ id: string }> }).agents.map(({ id }) => id).toSorted();
const enabled = async (client: GatewayClient, id: string) =>
  ((await client.request('plugins.list', {})) as { plugins: Array<{ id: string; enabled: boolean }> }).plugins.find((plugin) => plugin.id === id)?.enabled;
const listed = (...ids: string[]) => ({ agents: { list: ids.map((id) => ({ id })) } });

async function freePort(): Promise<number> {
  const { port, close } = await holdPort();
  await close();
  return port;
}

async function holdPort(): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** The TCP ports on which a process listens. */
async function listening({ child }: GatewayProcess): Promise<number[]> {
  const folder = `/proc/${child.pid}/fd`;
  const names = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')));
  const inodes = new Set(names.map((name) => /^socket:\[(\d+)\]$/.exec(name)?.[1]));
  const rows = (await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${child.pid}/net/${name}`, 'utf8').catch(() => '')))).join('\n').split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/))
    .flatMap((row) => (row[3] === '0A' && inodes.has(row[9]) ? [Number.parseInt(row[1]?.split(':')[1] ?? '', 16)] : []));
}

describe('an edit of the file', () => {
  it('is noticed without a command, in the default mode hybrid (GW-014, GW-017)', async () => {
    const { machine, port, process } = await begin();
    const { client } = await enter(machine, process);
    const { config: read } = (await client.request('config.get', {})) as { config: { gateway: { reload: { mode: string } } } };
    expect(read.gateway.reload.mode).toBe('hybrid');
    await machine.writeConfig(config({ port }, listed('ada')));
    await until(async () => (await agents(client)).join() === 'ada', 'the new agent');
  });

  it('that is not valid changes nothing, and says where it is wrong; its correction counts (GW-018, GW-020)', async () => {
    const { machine, port, process } = await begin({}, listed('ada'));
    const { client } = await enter(machine, process);
    await machine.writeConfig('{ gateway: { mode: "local"');
    await until(async () => (await status(client)).host.refused[0]?.code === 'DUR_CONFIG_SYNTAX', 'the refusal');
    expect(process.output()).toContain('is not applied');
    expect(await agents(client)).toEqual(['ada']);
    await machine.writeConfig(config({ port }, listed('bob')));
    await until(async () => (await agents(client)).join() === 'bob', 'the correction');
    expect((await status(client)).host.refused).toEqual([]);
  });

  it('swaps whole: no request sees one key of it without the other (GW-019)', async () => {
    const { machine, port, process } = await begin({}, listed('a1', 'a2'));
    const { client } = await enter(machine, process);
    const seen = new Set<string>();
    let isOver = false;
    const watching = (async () => {
      while (!isOver) seen.add((await agents(client)).join());
    })();
    for (const round of [1, 2, 3]) {
      await machine.writeConfig(config({ port }, listed(`b${round}`, `c${round}`)));
      await until(() => seen.has(`b${round},c${round}`), 'the edit');
    }
    isOver = true;
    await watching;
    expect([...seen]).toEqual(['a1,a2', 'b1,c1', 'b2,c2', 'b3,c3']);
  });

  it('that a command makes is live once, however quickly the next follows: what the file held before never comes back', async () => {
    const { port, process } = await begin({ reload: { debounceMs: 1 } });
    const { client } = await enter(machines.at(-1) as Machine, process);
    const first = (await status(client)).host.generation;
    for (let cap = 1; cap <= 12; cap += 1) {
      const { hash } = (await client.request('config.get', {})) as { hash: string };
      await client.request('config.set', {
        raw: JSON.stringify(config({ port, reload: { debounceMs: 1 } }, { messages: { queue: { cap } } })),
        baseHash: hash,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await status(client)).host.generation - first).toBe(12);
  });

  it('of an include counts, also of one that was missing or broken when it was named', async () => {
    const { machine, port, process } = await begin({}, listed('ada'));
    const { client } = await enter(machine, process);
    const part = join(machine.stateDir, 'agents.json5');
    const include = { agents: { $include: './agents.json5' } };
    await machine.writeConfig(config({ port }, include));
    await until(async () => (await status(client)).host.refused[0]?.code === 'DUR_CONFIG_INCLUDE', 'the refusal');
    await writeFile(part, '{ list: [ { id: ');
    await until(async () => (await status(client)).host.refused[0]?.code === 'DUR_CONFIG_SYNTAX', 'the refusal');
    await writeFile(part, '{ list: [ { id: "bob" } ] }');
    await until(async () => (await agents(client)).join() === 'bob', 'the include');
    await rename(part, `${part}.away`);
    await until(async () => (await status(client)).host.refused[0]?.code === 'DUR_CONFIG_INCLUDE', 'the refusal');
    expect(await agents(client)).toEqual(['bob']);
  });

  it('counts at the path of the profile, or of Durar_CONFIG_PATH, and not elsewhere (GW-015, GW-016)', async () => {
    const { machine } = await begin();
    const other = join(machine.home, 'other.json');
    await writeFile(other, JSON.stringify(config({ port: await freePort() }, listed('ada'))));
    const env = { Durar_CONFIG_PATH: other, Durar_STATE_DIR: join(machine.home, 'other') };
    const second = await machine.start({ configured: true, env });
    expect(second.report.configFile).toBe(other);
    const ask = async () => (await machine.cli(['gateway', 'call', 'agents.list', '--json'], { env })).stdout;
    expect(await ask()).toContain('ada');
    await machine.writeConfig(config({ port: await freePort() }, listed('eve')));
    await writeFile(other, JSON.stringify(config({ port: second.port }, listed('bob'))));
    await until(async () => (await ask()).includes('bob'), 'the edit of the other file');
    expect(await ask()).not.toContain('eve');
    const dev = await machine.start({ configured: true, args: ['--dev', '--port', '0'] });
    expect(dev.report.configFile).toBe(join(machine.home, '.Durar-dev/Durar.json'));
    await writeFile(dev.report.configFile, JSON.stringify({ gateway: { reload: { debounceMs: 20 } }, ...listed('deb') }));
    await until(async () => (await machine.cli(['--dev', 'gateway', 'call', 'agents.list', '--json'])).stdout.includes('deb'), 'the edit of the dev file');
  });
});

describe('the listener', () => {
  it.skipIf(process.platform !== 'linux')('is one port of one process, before and after it moved (GW-021, GW-022)', async () => {
    const { machine, port, process } = await begin();
    expect(await listening(process)).toEqual([port]);
    const next = await freePort();
    await machine.writeConfig(config({ port: next }));
    await until(async () => (await listening(process)).join() === String(next), 'the move');
    expect((await fetch(`http://127.0.0.1:${next}/health`)).status).toBe(200);
    const { client } = await enter(machine, url(next));
    expect(await status(client)).toMatchObject({ host: { pid: process.child.pid } });
  });

  it('moves for config.patch after it answered; clients are told, runs go on, commands follow (GW-063)', async () => {
    const { machine, process } = await begin();
    const { client, gone } = await enter(machine, process);
    const events: Array<{ event: string; payload?: unknown }> = [];
    void (async () => {
      for await (const event of client.events()) events.push(event);
    })();
    const next = await freePort();
    const { hash } = (await client.request('config.get', {})) as { hash: string };
    const patch = { raw: JSON.stringify({ gateway: { port: next } }), baseHash: hash, restartDelayMs: 150 };
    expect(await client.request('config.patch', patch)).toMatchObject({ restart: { ok: true, delayMs: 150, reason: 'config.patch', coalesced: false } });
    const { client: second } = await enter(machine, url(next));
    await gone;
    expect(events).toContainEqual(expect.objectContaining({ event: 'shutdown', payload: { reason: 'config.patch', restartExpectedMs: 0 } }));
    expect((await machine.cli(['health', '--json'])).json()).toMatchObject({ ok: true });
    // who came to the new address in time was not sent away
    expect(await status(second)).toMatchObject({ host: { generation: 2 } });
    await expect(enter(machine, process)).rejects.toThrow();
  });

  it('moves again for a request only when the clients had time to come; both addresses answer until then', async () => {
    const { machine, process } = await begin();
    const { client, gone } = await enter(machine, process);
    const patch = async (from: typeof client, port: number) => {
      const { hash } = (await from.request('config.get', {})) as { hash: string };
      return ((await from.request('config.patch', { raw: JSON.stringify({ gateway: { port } }), baseHash: hash, restartDelayMs: 50 })) as { restart: unknown })
        .restart as { delayMs: number; cooldownMsApplied: number };
    };
    const [first, second] = [await freePort(), await freePort()];
    expect(await patch(client, first)).toMatchObject({ delayMs: 50, cooldownMsApplied: 0 });
    await gone;
    const { client: moved } = await enter(machine, url(first));
    const { delayMs, cooldownMsApplied } = await patch(moved, second);
    expect(cooldownMsApplied).toBeGreaterThan(0);
    expect(delayMs).toBe(50 + cooldownMsApplied);
    await enter(machine, url(second));
    expect(await status(moved)).toMatchObject({ host: { generation: 3 } });
  });

  it('answers every write that comes before the clients are told, and moves once for all of them', async () => {
    const { machine, process, port } = await begin();
    const { client, gone } = await enter(machine, process);
    const patch = async (gateway: object, restartDelayMs: number) => {
      const { hash } = (await client.request('config.get', {})) as { hash: string };
      return ((await client.request('config.patch', { raw: JSON.stringify({ gateway }), baseHash: hash, restartDelayMs })) as { restart: unknown }).restart;
    };
    const [first, second] = [await freePort(), await freePort()];
    expect(await patch({ port: first }, 1000)).toMatchObject({ ok: true, coalesced: false });
    expect(await patch({ trustedProxies: ['10.0.0.1'] }, 1000)).toBeNull();
    expect(await patch({ port: second }, 100)).toMatchObject({ ok: true, coalesced: true });
    await gone;
    await enter(machine, url(second));
    for (const left of [port, first]) await expect(enter(machine, url(left))).rejects.toThrow();
    // and back to where it began
    await machine.writeConfig(config({ port }));
    expect(await until(() => agentsAt(machine, port), 'the way back')).toEqual(['main']);
  });

  it('stays where it is when the next address cannot be had, and nothing is lost (AMB-050)', async () => {
    const { machine, process, port } = await begin({}, listed('ada'));
    const { client } = await enter(machine, process);
    const held = await holdPort();
    const before = await readFile(machine.configFile, 'utf8');
    const { hash } = (await client.request('config.get', {})) as { hash: string };
    const patch = { raw: JSON.stringify({ gateway: { port: held.port } }), baseHash: hash };
    await expect(client.request('config.patch', patch)).rejects.toThrow(/already listening|in use/i);
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
    const set = await machine.cli(['config', 'set', 'gateway.port', String(held.port)]);
    expect(set).toMatchObject({ code: 1, stderr: expect.stringContaining('already listening') });
    expect(await readFile(machine.configFile, 'utf8')).toBe(before);
    await machine.writeConfig(config({ port: held.port }, listed('bob')));
    await until(async () => (await status(client)).host.refused[0]?.code === 'DUR_GATEWAY_IN_USE', 'the refusal');
    expect(await agents(client)).toEqual(['ada']);
    await enter(machine, url(port));
    await held.close();
    await machine.writeConfig(config({ port: held.port }, listed('cay')));
    expect(await until(() => agentsAt(machine, held.port), 'the move')).toEqual(['cay']);
  });

  it('takes another address and TLS on its own port, and a renewed certificate without a restart', async () => {
    const { machine, port, process } = await begin();
    const { gone } = await enter(machine, process);
    await machine.writeConfig(config({ port, tls: { enabled: true } }));
    await gone;
    const health = () => machine.cli(['health', '--json']);
    expect((await health()).json()).toMatchObject({ ok: true });
    const first = await fingerprint(port);
    const { code } = await machine.cli(['config', 'set', 'gateway.bind', 'lan']);
    expect(code).toBe(0);
    expect((await health()).json()).toMatchObject({ ok: true });
    const folder = join(machine.stateDir, 'gateway/tls');
    const other = await createMachine();
    machines.push(other);
    await other.writeConfig({ gateway: { tls: { enabled: true } } });
    await (await other.start()).stop();
    for (const name of ['gateway-key.pem', 'gateway-cert.pem']) await writeFile(join(folder, name), await readFile(join(other.stateDir, 'gateway/tls', name)));
    await until(async () => (await fingerprint(port)) !== first, 'the new certificate');
    expect((await health()).json()).toMatchObject({ ok: true });
  });

  it('is not opened to others without auth, and a refused bind leaves it alone (AMB-060)', async () => {
    const { machine, port, process } = await begin();
    const { client } = await enter(machine, process);
    await machine.writeConfig(config({ port, bind: 'lan', auth: { mode: 'none' } }));
    await until(() => process.output().includes(`refusing to bind gateway to 0.0.0.0:${port} without auth`), 'the refusal');
    expect((await status(client)).host).toMatchObject({ generation: 1, refused: [{ code: 'DUR_GATEWAY_NO_AUTH' }] });
  });
});

const agentsAt = async (machine: Machine, port: number) => {
  try {
    return await agents((await enter(machine, url(port))).client);
  } catch {
    return undefined;
  }
};

const fingerprint = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });

describe('gateway.reload.mode', () => {
  it('off: nothing changes until the next start, whoever writes; the command says so (GW-060, AMB-016)', async () => {
    const { machine, port, process } = await begin({ reload: { mode: 'off' } }, listed('ada'));
    const { client } = await enter(machine, process);
    const set = await machine.cli(['config', 'set', 'agents.list', '[{id: "bob"}]']);
    expect(set).toMatchObject({ code: 0, stdout: expect.stringContaining('counts from the next start') });
    expect((await machine.cli(['plugins', 'enable', 'recall'])).stdout).toContain('counts from the next start');
    const { hash } = (await client.request('config.get', {})) as { hash: string };
    const patched = await client.request('config.patch', { raw: '{agents:{list:[{id:"cay"}]}}', baseHash: hash });
    expect(patched).toMatchObject({ restart: { ok: false, paths: expect.arrayContaining(['agents.list', 'plugins.entries.recall']) } });
    const { hash: later } = (await client.request('config.get', {})) as { hash: string };
    await expect(client.request('config.patch', { raw: '{channels:{nope:{}}}', baseHash: later })).rejects.toThrow('nope');
    const unresolved = JSON.stringify({ gateway: { auth: { token: { source: 'env', provider: 'default', id: 'NOT_SET_HERE' } } } });
    await expect(client.request('config.patch', { raw: unresolved, baseHash: later })).rejects.toThrow('NOT_SET_HERE');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await agents(client)).toEqual(['ada']);
    expect((await status(client)).host.generation).toBe(1);
    expect(await enabled(client, 'recall')).not.toBe(true);
    await process.stop();
    await machine.start({ configured: true });
    expect(await enabled((await enter(machine, url(port))).client, 'recall')).toBe(true);
    expect(await agents((await enter(machine, url(port))).client)).toEqual(['cay']);
  });

  it('hot: what is hot-safe is applied; the rest is not, and logged (GW-061)', async () => {
    const { machine, port, process } = await begin({ reload: { mode: 'hot' } });
    const { client } = await enter(machine, process);
    const next = await freePort();
    await machine.writeConfig(config({ port: next, reload: { mode: 'hot' } }, listed('ada')));
    await until(async () => (await agents(client)).join() === 'ada', 'the hot part');
    await until(() => process.output().includes('these take effect after a restart of the gateway: gateway.port'), 'the log');
    await expect(enter(machine, url(next))).rejects.toThrow();
    await enter(machine, url(port));
  });

  it('restart: every edit with an effect restarts, in the process; others do not (GW-062, AMB-051)', async () => {
    const { machine, port, process } = await begin({ reload: { mode: 'restart' } });
    const { client, gone } = await enter(machine, process);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { uptimeMs } = await status(client);
    await machine.writeConfig(config({ port, reload: { mode: 'restart' } }, { meta: { lastTouchedVersion: '1' } }));
    await until(async () => (await status(client)).host.generation === 2, 'the next generation');
    await machine.writeConfig(config({ port, reload: { mode: 'restart' } }, listed('ada')));
    await gone;
    const { client: again } = await enter(machine, process);
    expect((await status(again)).uptimeMs).toBeLessThan(uptimeMs);
    expect(await agents(again)).toEqual(['ada']);
    expect(process.child.exitCode).toBeNull();
  });

  it('hybrid: a hot-safe edit without a restart, an edit of the listener with one (GW-063)', async () => {
    const { machine, port, process } = await begin();
    const { client, gone } = await enter(machine, process);
    await machine.writeConfig(config({ port }, listed('ada')));
    await until(async () => (await agents(client)).join() === 'ada', 'the hot edit');
    const { uptimeMs } = await status(client);
    const next = await freePort();
    await machine.writeConfig(config({ port: next }, listed('ada')));
    await gone;
    expect((await status((await enter(machine, url(next))).client)).uptimeMs).toBeLessThan(uptimeMs);
  });
});

describe('several gateways on one machine', () => {
  it('each with its own port, configuration, state and workspace (GW-116 to GW-121)', async () => {
    const home = (await begin()).machine;
    const ports = [await freePort(), await freePort()] as const;
    const at = (name: string) => ({ Durar_CONFIG_PATH: join(home.home, `${name}.json`), Durar_STATE_DIR: join(home.home, `state-${name}`) });
    for (const [index, name] of ['a', 'b'].entries()) {
      await writeFile(
        at(name).Durar_CONFIG_PATH,
        JSON.stringify({ agents: { defaults: { workspace: join(home.home, `work-${name}`) }, list: [{ id: name }] } }),
      );
      const started = await home.start({ configured: true, args: ['--port', String(ports[index])], env: at(name) });
      expect(started.report).toMatchObject({
        url: `ws://127.0.0.1:${ports[index]}`,
        stateDir: at(name).Durar_STATE_DIR,
        configFile: at(name).Durar_CONFIG_PATH,
      });
    }
    for (const name of ['a', 'b']) {
      expect((await home.cli(['health', '--json'], { env: at(name) })).json()).toMatchObject({ ok: true });
      expect((await home.cli(['gateway', 'call', 'agents.list', '--json'], { env: at(name) })).stdout).toContain(`"${name}"`);
    }
    const third = await home.cli(['gateway', 'run', '--allow-unconfigured', '--port', String(ports[0])], { env: at('c') });
    expect(third).toMatchObject({ code: 1, stderr: expect.stringMatching(/another gateway instance is already listening|EADDRINUSE/) });
  });

  it('the dev profile starts unconfigured on 19001 and leaves the default one alone (GW-123, GW-125, GW-126)', async () => {
    const machine = await createMachine();
    machines.push(machine);
    await rm(machine.stateDir, { recursive: true });
    const dev = await machine.start({ configured: true, args: ['--dev'] });
    expect(dev.report).toMatchObject({ url: 'ws://127.0.0.1:19001', stateDir: join(machine.home, '.Durar-dev') });
    expect((await machine.cli(['--dev', 'status'])).stdout).toContain('ws://127.0.0.1:19001');
    expect(await readdir(machine.home)).not.toContain('.Durar');
  });
});
