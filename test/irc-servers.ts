/** Real IRC servers in folders of their own, and a person with a client. Debian: `apt-get install ngircd inspircd atheme-services openssl`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import framework, { type Client } from 'irc-framework';

const NGIRCD = '/usr/sbin/ngircd';
const INSPIRCD = '/usr/sbin/inspircd';
const ATHEME = '/usr/bin/atheme-services';
const OPENSSL = '/usr/bin/openssl';

/** Why tests with ngircd cannot run here; empty: they can. */
export const noNgircd = missing(NGIRCD, OPENSSL);
/** Why tests with services cannot run here; empty: they can. */
export const noServices = missing(INSPIRCD, ATHEME);

function missing(...binaries: string[]): string {
  const gone = binaries.filter((binary) => !existsSync(binary));
  return gone.length === 0 ? '' : ` [skipped: ${gone.join(', ')} missing; apt-get install ngircd inspircd atheme-services openssl]`;
}

export interface IrcServer {
  host: string;
  port: number;
  tlsPort: number;
  /** PEM */
  certificateFile: string;
  fingerprint: string;
  output(): string;
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** The same server on the same ports, after `kill`. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

export async function startNgircd({ password, name = 'irc.test' }: { password?: string; name?: string } = {}): Promise<IrcServer> {
  const folder = await openFolder('durar-ngircd-');
  const [port, tlsPort] = await freePorts(2);
  const certificateFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync(OPENSSL, ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', keyFile, '-out', certificateFile, ...subject], {
    stdio: 'ignore',
  });
  await chmod(keyFile, 0o644);
  const config = join(folder, 'ngircd.conf');
  await writeFile(
    config,
    `[Global]
Name = ${name}
Info = test
Listen = 127.0.0.1
Ports = ${port}
MotdPhrase = hello
${password === undefined ? '' : `Password = ${password}`}
[Limits]
MaxConnectionsIP = 0
MaxJoins = 20
MaxNickLength = 20
MaxPenaltyTime = 0
PingTimeout = 60
PongTimeout = 20
[Options]
DNS = no
Ident = no
PAM = no
[SSL]
CertFile = ${certificateFile}
KeyFile = ${keyFile}
Ports = ${tlsPort}
`,
  );
  const process = server(NGIRCD, ['-n', '-f', config], folder);
  const { fingerprint256: fingerprint } = new X509Certificate(await readFile(certificateFile));
  const start = async () => {
    process.start();
    await reachable(port, process.output);
  };
  await start();
  return { host: '127.0.0.1', port, tlsPort, certificateFile, fingerprint, output: process.output, kill: process.kill, start, remove: process.remove };
}

export interface Network {
  host: string;
  port: number;
  output(): string;
  remove(): Promise<void>;
}

/** InspIRCd with the services of Atheme: SASL, accounts, message ids. */
export async function startNetwork(): Promise<Network> {
  const folder = await openFolder('durar-inspircd-');
  const [port, linkPort] = await freePorts(2);
  const modules = ['botmode', 'cap', 'ircv3', 'ircv3_accounttag', 'ircv3_batch', 'ircv3_capnotify', 'ircv3_ctctags', 'ircv3_echomessage', 'ircv3_msgid'];
  modules.push('ircv3_servertime', 'sasl', 'services_account', 'spanningtree', 'hidechans', 'svshold');
  await writeFile(
    join(folder, 'inspircd.conf'),
    `<server name="irc.test" description="test" network="Test" id="11A">
<admin name="test" nick="test" email="test@irc.test">
<bind address="127.0.0.1" port="${port}" type="clients">
<bind address="127.0.0.1" port="${linkPort}" type="servers">
<connect allow="*" timeout="20" threshold="1000" commandrate="100000" fakelag="no" softsendq="1048576" hardsendq="2097152" recvq="65536" localmax="100" globalmax="100" resolvehostnames="no">
<options prefixquit="" syntaxhints="no">
<performance quietbursts="yes">
<path configdir="${folder}" datadir="${folder}" logdir="${folder}" moduledir="/usr/lib/inspircd/modules" runtimedir="${folder}">
<pid file="${folder}/inspircd.pid">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="${folder}/ircd.log">
<uline server="services.test" silent="yes">
<link name="services.test" ipaddr="127.0.0.1" port="${linkPort}" allowmask="*" sendpass="linked" recvpass="linked">
<sasl target="services.test" requiressl="no">
${modules.map((each) => `<module name="${each}">`).join('\n')}
`,
  );
  await mkdir(join(folder, 'modules'), { recursive: true });
  await writeFile(
    join(folder, 'atheme.conf'),
    `loadmodule "modules/protocol/inspircd";
loadmodule "modules/backend/opensex";
loadmodule "modules/nickserv/main";
loadmodule "modules/nickserv/identify";
loadmodule "modules/nickserv/ghost";
loadmodule "modules/nickserv/register";
loadmodule "modules/saslserv/main";
loadmodule "modules/saslserv/plain";
uplink "irc.test" { host = "127.0.0.1"; port = ${linkPort}; send_password = "linked"; receive_password = "linked"; };
serverinfo { name = "services.test"; desc = "services"; numeric = "00A"; recontime = 1; netname = "Test"; hidehostsuffix = "users.test"; adminname = "t"; adminemail = "t@irc.test"; registeremail = "t@irc.test"; auth = none; casemapping = rfc1459; mta = "/bin/true"; loglevel = { error; info; }; maxlogins = 9; maxusers = 0; maxnicks = 9; maxchans = 9; mdlimit = 9; emaillimit = 100; emailtime = 300; };
nickserv { nick = "NickServ"; user = "NickServ"; host = "services.test"; real = "services"; };
saslserv { nick = "SaslServ"; user = "SaslServ"; host = "services.test"; real = "services"; };
database { pbkdf2v2_rounds = 1000; };
general { helpchan = "#help"; helpurl = "x"; silent; };
`,
  );
  const ircd = server(INSPIRCD, [`--config=${join(folder, 'inspircd.conf')}`, '--nofork', '--runasroot'], folder);
  ircd.start();
  await reachable(port, ircd.output);
  await chmod(folder, 0o777);
  // it refuses to run as root
  const isRoot = process.getuid?.() === 0;
  const services = server(
    ATHEME,
    ['-n', '-c', join(folder, 'atheme.conf'), '-D', folder, '-l', join(folder, 'atheme.log'), '-p', join(folder, 'atheme.pid')],
    folder,
    isRoot ? 65_534 : undefined,
  );
  services.start();
  const end = Date.now() + 20_000;
  while (!services.output().includes('finished synching')) {
    if (Date.now() > end) throw new Error(`no services:\n${ircd.output()}${services.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    host: '127.0.0.1',
    port,
    output: () => ircd.output() + services.output(),
    async remove() {
      await services.kill('SIGKILL');
      await ircd.remove();
    },
  };
}

/** Somebody else with a client. */
export interface Person {
  client: Client;
  /** Everything heard: `#c <nick> text`, `nick <nick> text`. */
  heard: string[];
  /** Lines in the order of the server. */
  raw: string[];
  say(target: string, text: string): void;
  /** Resolves with what was heard from `from` on, when it fits. */
  hears(pattern: RegExp, timeoutMs?: number): Promise<string>;
  leave(): void;
}

export async function person(
  server: { host: string; port: number },
  nick: string,
  options: { password?: string; account?: object; join?: string[] } = {},
): Promise<Person> {
  const client = new framework.Client();
  const heard: string[] = [];
  const raw: string[] = [];
  const joined = new Set<string>();
  client.on('message', (event: { type: string; nick: string; target: string; message: string }) => {
    heard.push(`${event.target} <${event.nick}> ${event.type === 'action' ? '* ' : ''}${event.message}`);
  });
  client.on('join', (event: { nick: string; channel: string }) => {
    if (event.nick === client.user.nick) joined.add(event.channel);
  });
  client.on('raw', ({ line, from_server: isInbound }: { line: string; from_server: boolean }) => {
    if (isInbound) raw.push(line);
  });
  client.requestCap(['account-tag', 'message-tags', 'server-time']);
  await new Promise<void>((resolve, reject) => {
    client.once('registered', () => resolve());
    client.once('close', () => reject(new Error(`${nick} was not let in:\n${raw.join('\n')}`)));
    client.connect({ account: {}, ...server, nick, username: nick, gecos: nick, auto_reconnect: false, version: '', ...options });
  });
  const each: Person = {
    client,
    heard,
    raw,
    say: (target, text) => client.say(target, text),
    async hears(pattern, timeoutMs = 15_000) {
      const end = Date.now() + timeoutMs;
      while (Date.now() < end) {
        const found = heard.find((line) => pattern.test(line));
        if (found !== undefined) return found;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`${nick} did not hear ${pattern}; heard:\n${heard.join('\n')}`);
    },
    leave: () => client.connection.end(null, true),
  };
  for (const channel of options.join ?? []) client.join(channel);
  const end = Date.now() + 10_000;
  while (joined.size < (options.join ?? []).length) {
    if (Date.now() > end) throw new Error(`${nick} could not join:\n${raw.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return each;
}

interface ServerProcess {
  output(): string;
  start(): void;
  kill(signal?: NodeJS.Signals): Promise<void>;
  remove(): Promise<void>;
}

function server(command: string, args: readonly string[], folder: string, uid?: number): ServerProcess {
  let printed = '';
  let child: ChildProcess | undefined;
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  return {
    output: () => printed,
    start() {
      child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], ...(uid === undefined ? {} : { uid }) });
      child.stdout?.on('data', (chunk) => (printed += String(chunk)));
      child.stderr?.on('data', (chunk) => (printed += String(chunk)));
    },
    kill,
    async remove() {
      await kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The servers may give up the rights of root before they read their files. */
async function openFolder(prefix: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  await chmod(folder, 0o755);
  return folder;
}

async function freePorts(count: 2): Promise<[number, number]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((each) => new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((each) => (each.address() as { port: number }).port);
  await Promise.all(servers.map((each) => new Promise((resolve) => each.close(resolve))));
  return ports as [number, number];
}

async function reachable(port: number, output: () => string): Promise<void> {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no server on port ${port}:\n${output()}`);
}
