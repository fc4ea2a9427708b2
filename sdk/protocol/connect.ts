import { Type } from '@sinclair/typebox';
import { closed, open, optional, text } from './define.ts';
import { StateVersion } from './frames.ts';

const strings = () => Type.Array(Type.String());

export const ConnectClient = closed(
  {
    /** Open, as the samples of the protocol page use ids and modes beyond the known ones. */
    id: text(),
    version: text(),
    platform: text(),
    mode: text(),
    displayName: optional(text()),
    deviceFamily: optional(text()),
    modelIdentifier: optional(text()),
    instanceId: optional(text()),
  },
  'ConnectClient',
);

export const ConnectDevice = closed(
  {
    id: text(),
    publicKey: text(),
    signature: text(),
    signedAt: Type.Integer({ minimum: 0 }),
    /** May be absent or blank here, so that the handshake can answer with its own code. */
    nonce: optional(Type.String()),
  },
  'ConnectDevice',
);

export const ConnectAuth = closed(
  {
    token: optional(Type.String()),
    bootstrapToken: optional(Type.String()),
    deviceToken: optional(Type.String()),
    password: optional(Type.String()),
  },
  'ConnectAuth',
);

export const ConnectParams = closed({
  minProtocol: Type.Integer({ minimum: 1 }),
  maxProtocol: Type.Integer({ minimum: 1 }),
  client: ConnectClient,
  caps: optional(Type.Array(text())),
  commands: optional(strings()),
  permissions: optional(Type.Record(Type.String(), Type.Boolean())),
  pathEnv: optional(Type.String()),
  role: optional(text()),
  scopes: optional(strings()),
  device: optional(ConnectDevice),
  auth: optional(ConnectAuth),
  locale: optional(Type.String()),
  userAgent: optional(Type.String()),
});

export const PresenceEntry = open(
  {
    host: optional(text()),
    ip: optional(text()),
    version: optional(text()),
    platform: optional(text()),
    deviceFamily: optional(text()),
    modelIdentifier: optional(text()),
    mode: optional(text()),
    lastInputSeconds: optional(Type.Number()),
    reason: optional(text()),
    tags: optional(strings()),
    text: optional(text()),
    ts: Type.Number(),
    deviceId: optional(text()),
    roles: optional(strings()),
    scopes: optional(strings()),
    instanceId: optional(text()),
  },
  'PresenceEntry',
);

const grantedToken = { deviceToken: text(), role: text(), scopes: strings(), issuedAtMs: optional(Type.Number()) };

export const HelloOk = open({
  type: Type.Literal('hello-ok'),
  protocol: Type.Integer(),
  server: open({ version: text(), connId: text() }),
  features: open({ methods: strings(), events: strings() }),
  snapshot: open({
    presence: Type.Array(PresenceEntry),
    health: Type.Unknown(),
    stateVersion: StateVersion,
    uptimeMs: Type.Number(),
    sessionDefaults: open({ defaultAgentId: text(), mainKey: text(), mainSessionKey: text(), scope: text() }),
    configPath: optional(Type.String()),
    stateDir: optional(Type.String()),
    authMode: optional(Type.String()),
  }),
  canvasHostUrl: optional(Type.String()),
  auth: optional(open({ ...grantedToken, deviceTokens: optional(Type.Array(open(grantedToken))) })),
  policy: open({ maxPayload: Type.Integer(), maxBufferedBytes: Type.Integer(), tickIntervalMs: Type.Integer() }),
});
