/** JSON Schemas of the params; the gateway checks them before a handler is called. */
type Schema = Record<string, unknown>;

const text: Schema = { type: ['string', 'null'] };
const name: Schema = { type: 'string', minLength: 1 };
const words: Schema = { type: ['array', 'null'], items: { type: 'string' } };
const count: Schema = { type: ['integer', 'null'], minimum: 1 };

const turnSource = {
  turnSourceChannel: text,
  turnSourceTo: text,
  turnSourceAccountId: text,
  turnSourceThreadId: { type: ['string', 'number', 'null'] },
};

const plan: Schema = {
  type: ['object', 'null'],
  required: ['argv'],
  properties: {
    argv: { type: 'array', items: { type: 'string' } },
    cwd: text,
    commandText: text,
    rawCommand: text,
    commandPreview: text,
    agentId: text,
    sessionKey: text,
    mutableFileOperand: {
      type: ['object', 'null'],
      required: ['argvIndex', 'path', 'sha256'],
      properties: { argvIndex: { type: 'integer', minimum: 0 }, path: { type: 'string' }, sha256: { type: 'string' } },
    },
  },
};

export const execRequestParams = closed({
  id: name,
  command: text,
  commandArgv: words,
  systemRunPlan: plan,
  env: { type: ['object', 'null'], additionalProperties: { type: 'string' } },
  cwd: text,
  nodeId: text,
  host: text,
  security: text,
  ask: text,
  agentId: text,
  resolvedPath: text,
  sessionKey: text,
  ...turnSource,
  timeoutMs: count,
  twoPhase: { type: 'boolean' },
});

export const pluginRequestParams = closed({
  title: { type: 'string' },
  description: { type: 'string' },
  pluginId: text,
  severity: { enum: ['info', 'warning', 'critical', null] },
  toolName: text,
  toolCallId: text,
  agentId: text,
  sessionKey: text,
  ...turnSource,
  timeoutMs: count,
  twoPhase: { type: 'boolean' },
});

/** The handler says which decisions there are. */
export const resolveParams = closed({ id: name, decision: { type: 'string' } }, ['id', 'decision']);

/** Open, as clients send more. */
export const waitParams: Schema = { type: 'object', required: ['id'], properties: { id: name } };

export const policySetParams = closed({ file: { type: 'object' }, baseHash: name }, ['file']);
export const noParams = closed({});

function closed(properties: Record<string, Schema>, required: readonly string[] = []): Schema {
  return { type: 'object', additionalProperties: false, properties, required };
}
