/** A real gateway on a real port, with doubles at its two seams (runs and sessions), and raw sockets to talk to it. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type RawData, WebSocket } from 'ws';
import type { AcceptedRun, RunRequest, RunResult } from '../../core/agent/service.ts';
import { createPairing } from '../../core/channels/access/pairing.ts';
import { createPairingDesk } from '../../core/channels/access/pairing-desk.ts';
import { createChannelReport } from '../../core/channels/channel-report.ts';
import { resolvePaths } from '../../core/config/paths.ts';
import type { GatewayAgent, GatewayOptions, GatewaySessions, GatewaySettings } from '../../core/gateway/options.ts';
import { createGateway, type Gateway } from '../../core/gateway/server.ts';
import type { Contribution, Generation, GenerationSource, Lease } from '../../core/kernel/generation.ts';
import { silentLogger } from '../../core/logging/logger.ts';
import { createSecretFields } from '../../core/secrets/activate.ts';
import { openState } from '../../core/state/state.ts';
import { type AgentEvent, durarError, type SessionRecord, type StoredEntry } from '../../sdk/index.ts';
import { deviceAuthPayloadV2, deviceAuthPayloadV3 } from '../../sdk/protocol/device-auth.ts';
import type { ConnectParams } from '../../sdk/protocol/generated/types.ts';
import { OPERATOR_SCOPES } from '../../sdk/protocol/scopes.ts';

export const TOKEN = 'example-gateway-token';

/** Runs that do what the test says. */
export interface FakeAgent extends GatewayAgent {
  readonly requests: RunRequest[];
  emit(runId: string, stream: AgentEvent['stream'], data: Record<string, unknown>): void;
  finish(runId: string, result?: Partial<RunResult>): void;
  /** Called at each accepted run. */
  onAccept?: (run: AcceptedRun) => void;
}

export function fakeAgent(): FakeAgent {
  const listeners = new Set<(event: AgentEvent) => void>();
  const runs = new Map<string, { run: AcceptedRun; seq: number; result?: RunResult; waiters: Array<(result: RunResult) => void> }>();
  const find = (runId: string) => {
    const entry = runs.get(runId);
    if (entry === undefined) throw durarError('DUR_RUN_UNKNOWN', { runId });
    return entry;
  };
  const service: FakeAgent = {
    requests: [],
    tools: {
      all: async () => ({ agentId: 'main', tools: [] }),
      effective: async ({ agentId }) => ({ agentId, profile: 'full', tools: [] }),
      schemas: async () => [],
    },
    workspaceDir: () => tmpdir(),
    async accept(request) {
      if (request.agentId === 'zzz') throw durarError('DUR_AGENT_UNKNOWN', { id: 'zzz' });
      service.requests.push(request);
      const run = { runId: request.runId, sessionKey: canonical(request.sessionKey), sessionId: 's-1', agentId: 'main', acceptedAt: Date.now() };
      runs.set(request.runId, { run, seq: 0, waiters: [] });
      service.onAccept?.(run);
      return run;
    },
    steer: async (request) => ({ run: await service.accept(request), interrupted: false }),
    session: async ({ sessionKey, agentId }) => ({ session: record(canonical(sessionKey, agentId)), created: false }),
    compact: async () => ({ ok: true, compacted: false }),
    turns: () => ({ key: '', turns: [] }),
    compareEngines: () => ({ turns: 0, groups: [] }),
    turn: () => {
      throw durarError('DUR_TURN_UNKNOWN');
    },
    inspect: async ({ sessionKey }) => {
      throw durarError('DUR_SESSION_UNKNOWN', { key: canonical(sessionKey) });
    },
    reset: async ({ sessionKey }) => record(sessionKey),
    startOver: async () => undefined,
    isCommand: () => false,
    remove: async () => ({ deleted: false, archived: [] }),
    models: {
      defaults: () => ({ provider: 'offline', model: 'echo' }),
      choose: async () => ({ provider: 'offline', model: 'echo', reasons: false }),
    },
    async wait(runId, timeoutMs) {
      const entry = find(runId);
      if (entry.result !== undefined) return entry.result;
      return await new Promise((resolve) => {
        const timer = setTimeout(() => resolve(undefined), timeoutMs);
        timer.unref();
        entry.waiters.push((result) => {
          clearTimeout(timer);
          resolve(result);
        });
      });
    },
    abort({ runId, origin }) {
      const entry = runId === undefined ? undefined : runs.get(runId);
      if (runId === undefined || entry === undefined || entry.result !== undefined) return { aborted: false, runIds: [] };
      service.emit(runId, 'lifecycle', { phase: 'end', endedAt: Date.now(), aborted: true, stopReason: origin });
      service.finish(runId, { meta: { durationMs: 1, aborted: true, agentMeta: { sessionId: 's-1' } } });
      return { aborted: true, runIds: [runId] };
    },
    active: (key) =>
      [...runs.values()].filter(({ run, result }) => result === undefined && (key === undefined || run.sessionKey === key)).map(({ run }) => run),
    onEvent(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    emit(runId, stream, data) {
      const entry = find(runId);
      entry.seq += 1;
      const event = { runId, seq: entry.seq, stream, ts: Date.now(), data, sessionKey: entry.run.sessionKey };
      for (const listener of listeners) listener(event);
    },
    finish(runId, result = {}) {
      const { run, waiters, ...entry } = find(runId);
      const full: RunResult = {
        runId,
        status: 'ok',
        sessionKey: run.sessionKey,
        sessionId: run.sessionId,
        startedAt: run.acceptedAt,
        endedAt: Date.now(),
        payloads: [{ text: 'word0 word1', mediaUrl: null }],
        meta: { durationMs: 5, aborted: false, stopReason: 'stop', agentMeta: { sessionId: run.sessionId, provider: 'offline', model: 'echo' } },
        ...result,
      };
      runs.set(runId, { ...entry, run, waiters: [], result: full });
      for (const resolve of waiters) resolve(full);
    },
  };
  return service;
}

const record = (key: string): SessionRecord => ({ key, sessionId: 's-1', agentId: 'main', createdAt: 1, updatedAt: 1 });

function canonical(key: string | undefined, agentId = 'main'): string {
  if (key === undefined || key === 'main' || key === '') return `agent:${agentId}:main`;
  if (!key.startsWith('agent:')) return `agent:${agentId}:${key.toLowerCase()}`;
  if (key.split(':').length < 3) throw durarError('DUR_SESSION_KEY', { key, reason: 'malformed' });
  return key.toLowerCase();
}

export interface FakeSessions extends GatewaySessions {
  add(record: Partial<SessionRecord> & { key: string }, entries?: StoredEntry[]): void;
}

export function fakeSessions(): FakeSessions {
  const rows = new Map<string, { record: SessionRecord; entries: StoredEntry[] }>();
  return {
    add(record, entries = []) {
      rows.set(record.key, { record: { sessionId: `id-${record.key}`, agentId: 'main', createdAt: 1, updatedAt: rows.size + 1, ...record }, entries });
    },
    canonicalKey: canonical,
    get: async (key) => rows.get(key)?.record,
    getById: async (sessionId) => [...rows.values()].find(({ record }) => record.sessionId === sessionId)?.record,
    async list({ agentId, label, limit = 100 }) {
      const found = [...rows.values()]
        .map(({ record }) => record)
        .filter((record) => (agentId === undefined || record.agentId === agentId) && (label === undefined || record.label === label))
        .sort((a, b) => b.updatedAt - a.updatedAt);
      return { sessions: found.slice(0, limit), total: found.length };
    },
    patch: async (key) => rows.get(key)?.record ?? record(key),
    append: async () => [],
    context: async () => ({ messages: [], entryIds: [], seqs: [], lastSeq: 0 }),
    sessionFile: async () => undefined,
    onUpdate: () => () => undefined,
    async read(session, { fromSeq = 1, limit = Number.POSITIVE_INFINITY } = {}) {
      const entries = rows.get(session.key)?.entries ?? [];
      return { entries: entries.filter(({ seq }) => seq >= fromSeq).slice(0, limit), lastSeq: entries.at(-1)?.seq ?? 0 };
    },
  };
}

const leaseOf = (generation: Generation): Lease => ({ generation, expired: new AbortController().signal, release() {} });

/** A generation that consists of these contributions. */
export function fakeSource(contributions: Contribution[] = []): GenerationSource & { swap(): void } {
  const listeners = new Set<(next: Generation, previous: Generation | undefined) => void>();
  const make = (number: number): Generation =>
    ({
      number,
      config: { gateway: { auth: { token: '__OPENCLAW_REDACTED__' } } },
      plan: {
        extensions: new Map(),
        owners: new Map(),
        slots: { sessionStore: { slot: 'sessionStore', key: 'local', owner: 'local' } },
        findings: [],
      },
      findings: [],
      settled: Promise.resolve(),
      contribution: async (kind: string, key: string) => contributions.find((one) => one.kind === kind && one.key === key),
      contributions: async (kind: string) => contributions.filter((one) => one.kind === kind),
      loaded: (kind: string) => contributions.filter((one) => one.kind === kind),
      declared: (kind: string) => contributions.filter((one) => one.kind === kind).map(({ key, owner }) => ({ key, owner })),
      slot: async () => undefined,
      lease: () => leaseOf(make(number)),
    }) as unknown as Generation;
  let current = make(1);
  return {
    current: () => current,
    lease: () => leaseOf(current),
    onSwap(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    swap() {
      const previous = current;
      current = make(previous.number + 1);
      for (const listener of listeners) listener(current, previous);
    },
  };
}

export interface TestGateway {
  gateway: Gateway;
  agent: FakeAgent;
  sessions: FakeSessions;
  source: ReturnType<typeof fakeSource>;
  url: string;
  port: number;
  stateDir: string;
  stopped: string[];
  options: GatewayOptions;
}

/** Starts a gateway and stops it when the test is over. */
export async function startGateway(
  overrides: { settings?: Partial<GatewaySettings>; contributions?: Contribution[]; stateDir?: string; rooms?: Partial<GatewayOptions> } = {},
): Promise<TestGateway> {
  const stateDir = overrides.stateDir ?? mkdtempSync(join(tmpdir(), 'durar-gateway-'));
  const state = openState({ dir: join(stateDir, 'state') });
  const agent = fakeAgent();
  const sessions = fakeSessions();
  const source = fakeSource(overrides.contributions);
  const stopped: string[] = [];
  const options: GatewayOptions = {
    source,
    agent,
    channels: {
      configured: () => [],
      send: ({ channel }) => Promise.reject(durarError('DUR_CHANNEL_UNKNOWN', { channel })),
      poll: ({ channel }) => Promise.reject(durarError('DUR_CHANNEL_UNKNOWN', { channel })),
      reply: ({ channel }) => Promise.reject(durarError('DUR_CHANNEL_UNKNOWN', { channel })),
      logout: ({ channel }) => Promise.reject(durarError('DUR_CHANNEL_UNKNOWN', { channel })),
    },
    reportChannels: createChannelReport({ source, statusOf: () => undefined }),
    pairing: createPairingDesk({
      desk: createPairing(state).desk,
      source,
      post: async ({ channel }) => Promise.reject(durarError('DUR_CHANNEL_UNKNOWN', { channel })),
    }),
    sessions,
    state,
    control: {
      reload: async () => ({ generation: source.current().number + 1 }),
      stop: (reason) => void stopped.push(reason),
      status: () => ({ pid: process.pid }),
      models: async () => [
        {
          id: 'echo',
          name: 'Echo',
          api: 'offline',
          provider: 'offline',
          reasoning: false,
          input: ['text'],
          cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
          contextWindow: 1000,
          maxTokens: 100,
        },
      ],
      config: {
        env: {},
        isSecret: () => false,
        live: ({ config: live }) => ({ config: live, changes: [] }),
        adopt: async () => ({ later: [], written: () => undefined }),
        revert: async () => {},
      },
      secrets: { fields: () => createSecretFields(), diagnostics: () => [] },
      logs: { file: () => undefined, flush: async () => {} },
    },
    settings: { host: '127.0.0.1', port: 0, auth: { mode: 'token', token: TOKEN }, ...overrides.settings },
    paths: resolvePaths({ env: { HOME: stateDir, Durar_STATE_DIR: stateDir } }),
    version: '0.1.0',
    log: silentLogger,
    ...overrides.rooms,
  };
  const gateway = createGateway(options);
  const { port, url } = await gateway.listen();
  onTestFinished(async () => {
    await gateway.close();
    state.close();
    if (overrides.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
  });
  return { gateway, agent, sessions, source, url, port, stateDir, stopped, options };
}

type Frame = Record<string, unknown> & { type: string; id?: string; event?: string; ok?: boolean; payload?: unknown; error?: Record<string, unknown> };

/** A socket that keeps what it gets. */
export interface Socket {
  readonly raw: WebSocket;
  readonly frames: Frame[];
  send(frame: unknown): void;
  /** The next frame that fits, also one that already came; each is given out once. */
  next(fits?: (frame: Frame) => boolean): Promise<Frame>;
  event(name: string): Promise<Frame>;
  call(method: string, params?: unknown, id?: string): Promise<Frame>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

export async function dial(url: string, options: { headers?: Record<string, string> } = {}): Promise<Socket> {
  const raw = new WebSocket(url, options);
  const frames: Frame[] = [];
  const unread: Frame[] = [];
  let waiting: Array<{ fits: (frame: Frame) => boolean; resolve(frame: Frame): void; reject(error: Error): void }> = [];
  let ids = 0;
  raw.on('message', (data: RawData) => {
    const frame = JSON.parse(String(data)) as Frame;
    frames.push(frame);
    const reader = waiting.find(({ fits }) => fits(frame));
    if (reader === undefined) unread.push(frame);
    else {
      waiting = waiting.filter((one) => one !== reader);
      reader.resolve(frame);
    }
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    raw.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() });
      for (const { reject } of waiting) reject(new Error(`closed ${code} ${reason}`));
      waiting = [];
    });
  });
  await new Promise<void>((resolve, reject) => {
    raw.once('open', () => resolve());
    raw.once('error', reject);
  });
  raw.on('error', () => raw.terminate());
  onTestFinished(() => raw.terminate());
  const socket: Socket = {
    raw,
    frames,
    closed,
    send: (frame) => raw.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame)),
    next(fits = () => true) {
      const index = unread.findIndex(fits);
      if (index >= 0) return Promise.resolve(unread.splice(index, 1)[0] as Frame);
      if (raw.readyState === WebSocket.CLOSED) return Promise.reject(new Error('the socket is closed'));
      return new Promise((resolve, reject) => waiting.push({ fits, resolve, reject }));
    },
    event: (name) => socket.next((frame) => frame.type === 'event' && frame.event === name),
    call(method, params, id = `op-${++ids}`) {
      socket.send({ type: 'req', id, method, ...(params === undefined ? {} : { params }) });
      return socket.next((frame) => frame.type === 'res' && frame.id === id);
    },
  };
  return socket;
}

/** A device of its own. */
export interface TestDevice {
  id: string;
  publicKey: string;
  privateKey: KeyObject;
}

export function newDevice(): TestDevice {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'jwk' }).x ?? '';
  return { id: createHash('sha256').update(Buffer.from(raw, 'base64url')).digest('hex'), publicKey: raw, privateKey };
}

export interface ConnectSpec {
  device?: TestDevice | null;
  params?: Partial<Omit<ConnectParams, 'device'>>;
  /** Changes to the device block after signing. */
  tamper?: Record<string, unknown>;
  signedAt?: number;
  version?: 'v2' | 'v3';
  nonce?: string;
}

/** The params of a signed `connect` for the challenge that the socket got. */
export function connectParamsFor(nonce: string, spec: ConnectSpec = {}): Record<string, unknown> {
  const { device = newDevice(), signedAt = Date.now(), version = 'v3' } = spec;
  const params = {
    minProtocol: 3,
    maxProtocol: 3,
    client: { id: 'cli', version: '1.2.3', platform: 'linux', mode: 'cli' },
    role: 'operator',
    scopes: [...OPERATOR_SCOPES],
    caps: [],
    auth: { token: TOKEN },
    ...spec.params,
  };
  if (device === null) return params;
  const payload = (version === 'v3' ? deviceAuthPayloadV3 : deviceAuthPayloadV2)({
    deviceId: device.id,
    clientId: params.client.id,
    clientMode: params.client.mode,
    role: params.role,
    scopes: params.scopes,
    signedAt,
    token: params.auth.token ?? params.auth.deviceToken ?? params.auth.bootstrapToken ?? null,
    nonce: spec.nonce ?? nonce,
    platform: params.client.platform,
    deviceFamily: params.client.deviceFamily ?? null,
  });
  const signature = sign(null, Buffer.from(payload), device.privateKey).toString('base64url');
  return { ...params, device: { id: device.id, publicKey: device.publicKey, signature, signedAt, nonce: spec.nonce ?? nonce, ...spec.tamper } };
}

/** Connects and returns the answer to `connect`. */
export async function shake(
  url: string,
  spec: ConnectSpec = {},
  options: { headers?: Record<string, string> } = {},
): Promise<{ socket: Socket; answer: Frame }> {
  const socket = await dial(url, options);
  const challenge = await socket.event('connect.challenge');
  const { nonce } = challenge.payload as { nonce: string };
  return { socket, answer: await socket.call('connect', connectParamsFor(nonce, spec), 'connect-1') };
}

/** A connected socket; fails when the gateway refuses it. */
export async function connect(url: string, spec: ConnectSpec = {}): Promise<Socket & { hello: Record<string, unknown> }> {
  const { socket, answer } = await shake(url, spec);
  if (answer.ok !== true) throw new Error(JSON.stringify(answer.error));
  return Object.assign(socket, { hello: answer.payload as Record<string, unknown> });
}
