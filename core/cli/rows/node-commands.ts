import type { Action, CommandSpec, OptionSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

type NodeActions = typeof import('../commands/nodes.ts');
type ApprovalActions = typeof import('../commands/approvals.ts');
const nodes = (name: keyof NodeActions) => async (): Promise<Action> => (await import('../commands/nodes.ts'))[name];
const approvals = (name: keyof ApprovalActions) => async (): Promise<Action> => (await import('../commands/approvals.ts'))[name];

const NODE: OptionSpec = { flags: '--node <node>', text: 'the node: its id, the beginning of it, or its name' };
const LIST: readonly OptionSpec[] = [
  ...RPC,
  { flags: '--connected', text: 'only those that are connected' },
  { flags: '--last-connected <time>', text: 'only those that were connected within that time: 30m, 24h, 7d' },
];

/** `durar nodes`: what nodes there are, and what they do. */
export const NODES: CommandSpec = {
  name: 'nodes',
  summary: 'list, approve and use the nodes of a gateway',
  commands: [
    { name: 'list', summary: 'list connected and paired nodes', options: LIST, load: nodes('nodesList') },
    { name: 'status', summary: 'the same, with what each node offers', options: LIST, load: nodes('nodesStatus') },
    { name: 'pending', summary: 'list nodes that wait for approval', options: RPC, load: nodes('nodesPending') },
    {
      name: 'approve',
      summary: 'approve a node with the commands that it asks for',
      args: '[requestId]',
      options: [...RPC, { flags: '--latest', text: 'the newest request' }],
      examples: [['nodes approve --latest', 'let the node be used that came last']],
      load: nodes('nodesApprove'),
    },
    { name: 'reject', summary: 'refuse a waiting node', args: '<requestId>', options: RPC, load: nodes('nodesReject') },
    { name: 'rename', summary: 'give a paired node a name', options: [...RPC, NODE, { flags: '--name <name>', text: 'the name' }], load: nodes('nodesRename') },
    { name: 'describe', summary: 'show one node', options: [...RPC, NODE], load: nodes('nodesDescribe') },
    {
      name: 'invoke',
      summary: 'have a node carry out a command',
      options: [
        ...RPC,
        NODE,
        { flags: '--command <name>', text: 'the command; system.run is for agents, which ask for approval' },
        { flags: '--params <json>', text: 'its parameters, an object' },
        { flags: '--invoke-timeout <ms>', text: 'how long the node may take (15000)', number: true },
        { flags: '--idempotency-key <key>', text: 'the same key again does not repeat the command' },
      ],
      examples: [['nodes invoke --node laptop --command system.which --params \'{"bins":["git"]}\'', 'where the node has git']],
      load: nodes('nodesInvoke'),
    },
  ],
};

/** `durar node`: this machine as a node. */
export const NODE_HOST: CommandSpec = {
  name: 'node',
  summary: 'offer this machine to a gateway as a node',
  commands: [
    {
      name: 'run',
      summary: 'stay connected and run what is approved, until it is stopped',
      options: [
        { flags: '--host <host>', text: 'where the gateway is (127.0.0.1)' },
        { flags: '--port <number>', text: 'its port (Durar_GATEWAY_PORT, gateway.port, 18789)', number: true },
        { flags: '--tls', text: 'connect by TLS' },
        { flags: '--tls-fingerprint <sha256>', text: 'accept this certificate only' },
        { flags: '--node-id <id>', text: 'the id of this installation; another one forgets its token' },
        { flags: '--display-name <name>', text: 'what operators see (the name of this machine)' },
      ],
      examples: [['node run --host gateway.example --port 443 --tls', 'this machine for a gateway elsewhere; the token is in Durar_GATEWAY_TOKEN']],
      load: async () => (await import('../commands/node-run.ts')).nodeRun,
    },
  ],
};

const WHERE: readonly OptionSpec[] = [...RPC, { flags: '--gateway', text: 'the file of the gateway' }, { flags: '--node <node>', text: 'the file of a node' }];
const AGENT: OptionSpec = { flags: '--agent <id>', text: 'for one agent only (*, all)' };

/** `durar approvals`: the policy file of commands. */
export const APPROVALS: CommandSpec = {
  name: 'approvals',
  summary: 'read and change which commands may run without asking',
  commands: [
    { name: 'get', summary: 'show the policy file of this machine, a gateway or a node', options: WHERE, load: approvals('approvalsGet') },
    {
      name: 'set',
      summary: 'replace the policy file',
      options: [...WHERE, { flags: '--file <file>', text: 'the new one' }, { flags: '--stdin', text: 'read it from the standard input' }],
      load: approvals('approvalsSet'),
    },
    {
      name: 'allowlist',
      summary: 'programs that may run without asking',
      commands: [
        {
          name: 'add',
          summary: "add a pattern of a program's path",
          args: '<pattern>',
          options: [...WHERE, AGENT],
          examples: [['approvals allowlist add /usr/bin/git --agent main', 'git without asking']],
          load: approvals('allowlistAdd'),
        },
        { name: 'remove', summary: 'take a pattern off', args: '<pattern>', options: [...WHERE, AGENT], load: approvals('allowlistRemove') },
      ],
    },
  ],
};
