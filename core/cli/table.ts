import type { CommandSpec, OptionSpec } from './command.ts';
import { CHANNELS } from './rows/channel-commands.ts';
import { CONFIG } from './rows/config-commands.ts';
import { CONTEXT } from './rows/context-commands.ts';
import { DEVICES } from './rows/device-commands.ts';
import { MESSAGING } from './rows/messaging-table.ts';
import { MODELS } from './rows/model-commands.ts';
import { APPROVALS, NODE_HOST, NODES } from './rows/node-commands.ts';
import { PAIRING } from './rows/pairing-commands.ts';
import { QUEUE } from './rows/queue-commands.ts';
import { SECRETS } from './rows/secret-commands.ts';
import { SESSIONS } from './rows/session-commands.ts';
import { SKILLS } from './rows/skill-commands.ts';
import { ENTER, RPC } from './rpc-options.ts';

const THINKING = ['off', 'minimal', 'low', 'medium', 'high', 'xhigh', 'adaptive'];

const RUN: readonly OptionSpec[] = [
  { flags: '--port <number>', text: 'port of the one listener (Durar_GATEWAY_PORT, gateway.port, 18789)', number: true },
  { flags: '--bind <mode>', text: 'where it listens (gateway.bind, loopback)', choices: ['loopback', 'lan', 'tailnet', 'auto', 'custom'] },
  { flags: '--auth <mode>', text: 'what clients must show', choices: ['none', 'token', 'password', 'trusted-proxy'] },
  { flags: '--token <token>', text: 'the token that clients must show' },
  { flags: '--password <password>', text: 'the password that clients must show' },
  { flags: '--password-file <file>', text: 'read the password from a file' },
  { flags: '--allow-unconfigured', text: 'start without gateway.mode in the configuration' },
  { flags: '--force', text: 'end the process that holds the port, then start' },
  { flags: '--verbose', text: 'print debug and trace lines' },
  { flags: '--ws-log <style>', text: 'how much of each connection is logged', choices: ['auto', 'full', 'compact'] },
  { flags: '--compact', text: 'same as --ws-log compact' },
];

const GATEWAY: CommandSpec = {
  name: 'gateway',
  summary: 'run the gateway, or ask and stop a running one',
  options: RUN,
  load: async () => (await import('./commands/gateway-run.ts')).gatewayRun,
  commands: [
    {
      name: 'run',
      summary: 'run the gateway in this terminal until it is stopped',
      options: RUN,
      examples: [
        ['gateway run --allow-unconfigured', 'start on the defaults, with the embedded offline model'],
        ['--dev gateway run', 'a second one with its own state, on port 19001'],
      ],
      load: async () => (await import('./commands/gateway-run.ts')).gatewayRun,
    },
    {
      name: 'status',
      summary: 'tell whether a gateway runs here and answers',
      options: [...RPC, { flags: '--no-probe', text: 'do not connect to it' }, { flags: '--require-rpc', text: 'fail when it does not answer' }],
      load: async () => (await import('./commands/gateway-status.ts')).gatewayStatus,
    },
    {
      name: 'stop',
      summary: 'stop the gateway of this profile',
      options: [{ flags: '--timeout <ms>', text: 'how long its running turns may take to end (30000)', number: true }],
      load: async () => (await import('./commands/gateway-stop.ts')).gatewayStop,
    },
    { name: 'health', summary: 'same as `durar health`', options: RPC, load: async () => (await import('./commands/health.ts')).health },
    {
      name: 'call',
      summary: 'call one RPC method and print its result',
      args: '<method>',
      options: [...RPC, { flags: '--params <json>', text: 'the parameters, an object' }, { flags: '--expect-final', text: 'wait for the second response' }],
      examples: [['gateway call sessions.list --params \'{"limit":5}\'', 'the five newest sessions']],
      load: async () => (await import('./commands/gateway-call.ts')).gatewayCall,
    },
  ],
};

const PLUGINS: CommandSpec = {
  name: 'plugins',
  aliases: ['plugin'],
  summary: 'list, install, check and write extensions',
  commands: [
    {
      name: 'list',
      summary: 'list every extension with what it provides and whether it is on; needs no gateway',
      options: [{ flags: '--verbose', text: 'with the folder of each' }],
      load: async () => (await import('./commands/plugins-list.ts')).pluginsList,
    },
    {
      name: 'inspect',
      aliases: ['info'],
      summary: 'show one extension: manifest, state, contributions, findings',
      args: '<id>',
      options: RPC,
      load: async () => (await import('./commands/plugins-inspect.ts')).pluginsInspect,
    },
    {
      name: 'install',
      summary: 'install an extension from the npm registry, a folder or an archive',
      args: '<spec>',
      options: [
        { flags: '-l, --link', text: 'use the folder where it is instead of a copy' },
        { flags: '--pin', text: 'record the exact version that was found' },
        { flags: '--force', text: 'replace an extension of the same id that came from elsewhere' },
        { flags: '-y, --yes', text: 'accept a changed content of the same version' },
        { flags: '--verbose', text: 'print the output of npm' },
      ],
      examples: [
        ['plugins install -l ./my-engine', 'run a folder under development'],
        ['plugins install some-package@1.2.3', 'an exact version from the registry'],
        ['plugins install ./some-package-1.2.3.tgz', 'an archive made by `npm pack`'],
      ],
      load: async () => (await import('./commands/plugins-install.ts')).pluginsInstall,
    },
    {
      name: 'update',
      summary: 'fetch the newest version of what was installed',
      args: '[id]',
      options: [
        { flags: '--all', text: 'every installed extension' },
        { flags: '--dry-run', text: 'tell what would change' },
        { flags: '-y, --yes', text: 'accept a changed content of the same version' },
        { flags: '--verbose', text: 'print the output of npm' },
      ],
      load: async () => (await import('./commands/plugins-install.ts')).pluginsUpdate,
    },
    {
      name: 'uninstall',
      aliases: ['remove'],
      summary: 'remove an installed extension and its configuration',
      args: '<id>',
      options: [
        { flags: '--dry-run', text: 'tell what would be removed' },
        { flags: '--keep-files', text: 'leave its files in the store' },
        { flags: '--keep-config', text: 'same as --keep-files' },
      ],
      load: async () => (await import('./commands/plugins-uninstall.ts')).pluginsUninstall,
    },
    { name: 'enable', summary: 'switch an extension on', args: '<id>', load: async () => (await import('./commands/plugins-enable.ts')).pluginsEnable },
    { name: 'disable', summary: 'switch an extension off', args: '<id>', load: async () => (await import('./commands/plugins-enable.ts')).pluginsDisable },
    {
      name: 'verify',
      summary: 'load an extension in a child process and run the contract of what it provides',
      args: '<target>',
      examples: [['plugins verify ./my-engine', 'a folder; an archive or an installed id works too']],
      load: async () => (await import('./commands/plugins-verify.ts')).pluginsVerify,
    },
    {
      name: 'create',
      summary: 'write a new extension from the template of its kind',
      args: '<folder>',
      options: [
        {
          flags: '--kind <kind>',
          text: 'what it provides',
          choices: ['context-engine', 'provider', 'channel', 'tool', 'secrets-provider', 'approver', 'session-store'],
        },
        { flags: '--id <id>', text: "its id (the folder's name)" },
      ],
      examples: [['plugins create my-engine --kind context-engine', 'a context engine that works from the first turn']],
      load: async () => (await import('./commands/plugins-create.ts')).pluginsCreate,
    },
    { name: 'doctor', summary: 'check only what concerns extensions', options: RPC, load: async () => (await import('./commands/doctor.ts')).pluginsDoctor },
  ],
};

/** Every command, in the order of the help. Reading this table imports none of them. */
export const COMMANDS: readonly CommandSpec[] = [
  GATEWAY,
  {
    name: 'status',
    summary: 'sum up gateway, agents, channels and extensions',
    options: [...RPC, { flags: '--all', text: 'with every secret that the configuration refers to' }],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'health',
    summary: 'ask the running gateway how it is',
    options: [...RPC, { flags: '--probe', text: 'let it check again instead of answering from its cache' }],
    load: async () => (await import('./commands/health.ts')).health,
  },
  {
    name: 'doctor',
    summary: 'find what is wrong, and say how to repair it',
    options: [...RPC, { flags: '--fix', text: 'repair what can be repaired: permissions' }, { flags: '--repair', text: 'same as --fix' }],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'agent',
    summary: 'send one message and print the answer',
    options: [
      { flags: '-m, --message <text>', text: 'the message' },
      { flags: '--session <key>', text: 'the session (main)' },
      { flags: '--session-id <id>', text: 'the session, by its id' },
      { flags: '--to <peer>', text: 'the session of that direct contact' },
      { flags: '--agent <id>', text: 'the agent (the default one)' },
      { flags: '--model <ref>', text: 'another model for this run' },
      { flags: '--thinking <level>', text: 'how much the model thinks', choices: THINKING },
      { flags: '--timeout <seconds>', text: 'end the run after that time', number: true },
      ...ENTER,
    ],
    examples: [['agent --message "hello"', 'one turn in the main session']],
    load: async () => (await import('./commands/agent.ts')).agent,
  },
  {
    name: 'chat',
    summary: 'talk to an agent in this terminal',
    options: [
      { flags: '--session <key>', text: 'the session (main)' },
      { flags: '--agent <id>', text: 'the agent (the default one)' },
      { flags: '--thinking <level>', text: 'how much the model thinks', choices: THINKING },
      ...RPC,
    ],
    load: async () => (await import('./commands/chat.ts')).chat,
  },
  ...MESSAGING,
  PLUGINS,
  CONFIG,
  SECRETS,
  {
    name: 'logs',
    summary: 'print the log of the running gateway',
    options: [
      ...RPC,
      { flags: '-f, --follow', text: 'go on with what is written from now on' },
      { flags: '--limit <lines>', text: 'at most so many lines (500)', number: true },
      { flags: '--max-bytes <bytes>', text: 'at most so many bytes (250000)', number: true },
      { flags: '--interval <ms>', text: 'how often --follow asks (1000)', number: true },
      { flags: '--local-time', text: "times in this machine's zone" },
      { flags: '--plain', text: 'without colours' },
    ],
    examples: [['logs --follow --json', 'one JSON document a line, for other programs']],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  SESSIONS,
  QUEUE,
  CONTEXT,
  SKILLS,
  MODELS,
  DEVICES,
  NODES,
  NODE_HOST,
  APPROVALS,
  CHANNELS,
  PAIRING,
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    options: [{ flags: '-s, --shell <shell>', text: 'the shell (zsh)', choices: ['zsh', 'bash', 'fish', 'powershell'] }],
    examples: [['completion --shell bash > ~/.local/share/bash-completion/completions/durar', 'install it for bash']],
    load: async () => (await import('./commands/completion.ts')).completion,
  },
];
