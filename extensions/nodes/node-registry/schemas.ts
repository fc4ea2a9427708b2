/** JSON Schemas of the params; the gateway checks them before a handler is called. */
type Schema = Record<string, unknown>;

const name: Schema = { type: 'string', minLength: 1 };
const names: Schema = { type: 'array', items: name };
const nodeId = { nodeId: name };

export const none = closed({});
export const byNode = closed(nodeId, ['nodeId']);
export const byRequest = closed({ requestId: name }, ['requestId']);

export const pairRequest = closed(
  {
    ...nodeId,
    displayName: name,
    platform: name,
    version: name,
    coreVersion: name,
    uiVersion: name,
    deviceFamily: name,
    modelIdentifier: name,
    caps: names,
    commands: names,
    remoteIp: name,
    silent: { type: 'boolean' },
  },
  ['nodeId'],
);
export const pairVerify = closed({ ...nodeId, token: name }, ['nodeId', 'token']);
export const rename = closed({ ...nodeId, displayName: { type: 'string', minLength: 1, maxLength: 128 } }, ['nodeId', 'displayName']);

export const invoke = closed({ ...nodeId, command: name, params: {}, timeoutMs: { type: 'integer', minimum: 0 }, idempotencyKey: name }, [
  'nodeId',
  'command',
  'idempotencyKey',
]);
/** Nodes of other makers send nulls, and values that are no texts as `payloadJSON`. */
export const invokeResult = closed(
  {
    id: name,
    ...nodeId,
    ok: { type: 'boolean' },
    payload: {},
    payloadJSON: {},
    error: {
      type: ['object', 'null'],
      additionalProperties: false,
      properties: { code: { type: ['string', 'null'] }, message: { type: ['string', 'null'] } },
    },
  },
  ['id', 'nodeId', 'ok'],
);
export const nodeEvent = closed({ event: name, payload: {}, payloadJSON: { type: ['string', 'null'] } }, ['event']);

export const pendingAck = closed({ ids: { type: 'array', items: name, minItems: 1 } }, ['ids']);
export const pendingEnqueue = closed(
  {
    ...nodeId,
    type: { enum: ['status.request', 'location.request'] },
    priority: { enum: ['normal', 'high'] },
    expiresInMs: { type: 'integer', minimum: 1000, maximum: 86_400_000 },
    wake: { type: 'boolean' },
  },
  ['nodeId', 'type'],
);
export const pendingDrain = closed({ maxItems: { type: 'integer', minimum: 1, maximum: 10 } });

export const policySet = closed({ ...nodeId, file: { type: 'object' }, baseHash: name }, ['nodeId', 'file']);

function closed(properties: Record<string, Schema>, required: readonly string[] = []): Schema {
  return { type: 'object', additionalProperties: false, properties, required };
}
