/** Runs of the agent room on real sessions, state, hooks and files; the generation is put together by hand from what a test contributes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type AgentService, type AgentServiceOptions, createAgentService, type RunRequest, type RunResult } from '../core/agent/service.ts';
import { applyDefaults } from '../core/config/defaults.ts';
import type { Contribution, Generation, GenerationSource } from '../core/kernel/generation.ts';
import { createHookTable } from '../core/kernel/hooks.ts';
import { type Logger, silentLogger } from '../core/logging/logger.ts';
import { createSessionService, type SessionService } from '../core/sessions/service.ts';
import { openState, type State } from '../core/state/state.ts';
import { createLegacyEngine } from '../extensions/context-engines/legacy/engine.ts';
import { createOfflineProvider } from '../extensions/providers/offline/provider.ts';
import { createLocalStore } from '../extensions/session-stores/local/store.ts';
import {
  type AgentEvent,
  type AgentMessage,
  type Approver,
  type Command,
  type ContextEngine,
  type ContributionKind,
  durarError,
  type HookHandler,
  type HookName,
  type ModelApi,
  type PromptSection,
  type Provider,
  type SessionStore,
  type StoredEntry,
  type Tool,
  type ToolFactory,
} from '../sdk/index.ts';

/** What one generation offers. Changed between runs it stands for a new generation. */
export interface HostParts {
  config?: Record<string, unknown>;
  engine?: ContextEngine;
  /** Runs beside the engine. */
  shadow?: ContextEngine;
  /** The slot fails with this. */
  slotFailure?: Error;
  providers?: Provider[];
  modelApis?: ModelApi[];
  tools?: Array<Tool | { tool: Tool | ToolFactory; owner?: string; optional?: boolean; bundled?: boolean }>;
  approvers?: Approver[];
  promptSections?: PromptSection[];
  commands?: Command[];
  /** Manifests with providers of their own, by extension id. */
  manifests?: Record<string, Record<string, unknown>>;
  limits?: NonNullable<AgentServiceOptions['limits']>;
  env?: NodeJS.ProcessEnv;
  now?: () => number;
  deliver?: AgentServiceOptions['deliver'];
  replies?: AgentServiceOptions['replies'];
  credentials?: AgentServiceOptions['credentials'];
}

export interface AgentHost {
  agent: AgentService;
  sessions: SessionService;
  source: GenerationSource;
  state: State;
  dir: string;
  /** What the runs did, from their start. */
  events: AgentEvent[];
  /** Ids of the runs in the order in which they began to wait. */
  queued: string[];
  logged: Array<{ level: string; message: string; fields: Record<string, unknown> | undefined }>;
  /** Leases taken and not yet released. */
  leases(): number;
  on<Name extends HookName>(hook: Name, handler: HookHandler<Name>): void;
  swap(parts: HostParts): void;
  /** The drain limit of the generation before the last swap has passed. */
  expire(): void;
  /** Accepts a run and waits for its result. */
  run(message: string, more?: Partial<RunRequest>): Promise<RunResult>;
  start(message: string, more?: Partial<RunRequest>): Promise<string>;
  /** The run's end of turn included. */
  idle(): Promise<void>;
  entries(key?: string): Promise<StoredEntry[]>;
  messages(key?: string): Promise<AgentMessage[]>;
  /** A new process on the same files; nothing of the old one is told. */
  restart(parts?: HostParts): Promise<AgentHost>;
}

const ENGINE_OWNER = 'engine-extension';

export async function createAgentHost(parts: HostParts = {}, dir = mkdtempSync(join(tmpdir(), 'durar-agent-')), firstRun = 0): Promise<AgentHost> {
  let current = parts;
  let leases = 0;
  let runs = firstRun;
  const handlers: Array<{ hook: HookName; handler: HookHandler<HookName> }> = [];
  const logged: AgentHost['logged'] = [];
  const log = recordingLogger(logged);
  const store: SessionStore = createLocalStore({ stateDir: dir, log: silentLogger });
  const state = openState({ dir: join(dir, 'state') });
  let expiry = new AbortController();
  let expired: AbortController | undefined;
  let generation = make();

  function make(): Generation {
    const own = new AbortController();
    expiry = own;
    const content = current.config ?? {};
    const agents = (content.agents ?? {}) as { defaults?: Record<string, unknown> };
    const config = applyDefaults({
      ...content,
      agents: { ...agents, defaults: { workspace: join(dir, 'workspace'), model: 'offline/script', ...agents.defaults } },
    });
    const hooks = createHookTable({ log, timeoutMs: 2_000 });
    for (const { hook, handler } of handlers) hooks.tap({ owner: 'hook-extension', hook, priority: 0, handler: handler as never });
    const engine = current.engine ?? createLegacyEngine();
    const { shadow } = current;
    const all = contributionsOf(current);
    const extensions = new Map(
      Object.entries({ [ENGINE_OWNER]: {}, ...current.manifests }).map(([id, manifest]) => [
        id,
        { enabled: true, entry: { id, origin: 'installed', format: 'native', manifest } },
      ]),
    );
    for (const { owner } of all.filter((one) => (one.value as { bundled?: boolean }).bundled === true)) {
      extensions.set(owner, { enabled: true, entry: { id: owner, origin: 'bundled', format: 'native', manifest: {} } });
    }
    const of = (kind: ContributionKind) => all.filter((one) => one.kind === kind) as never;
    const made = {
      number: 1,
      config,
      resolvedConfig: config,
      plan: {
        extensions,
        slots: {
          contextEngine: { slot: 'contextEngine', key: engine.info.id, owner: ENGINE_OWNER },
          contextEngineShadow:
            shadow === undefined
              ? { slot: 'contextEngineShadow', key: 'none', none: true }
              : { slot: 'contextEngineShadow', key: shadow.info.id, owner: 'shadow-extension' },
        },
      },
      hooks,
      findings: [],
      settled: Promise.resolve(),
      contribution: async (kind: ContributionKind, key: string) => all.find((one) => one.kind === kind && one.key === key),
      contributions: async (kind: ContributionKind) => of(kind),
      loaded: (kind: ContributionKind) => of(kind),
      declared: (kind: ContributionKind) => of(kind),
      async slot(name: string) {
        if (name === 'sessionStore') return { slot: name, key: 'local', owner: 'local', instance: store };
        if (name === 'contextEngineShadow') {
          return shadow === undefined ? undefined : { slot: name, key: shadow.info.id, owner: 'shadow-extension', instance: shadow };
        }
        if (current.slotFailure !== undefined) throw current.slotFailure;
        return { slot: name, key: engine.info.id, owner: ENGINE_OWNER, instance: engine };
      },
      lease() {
        leases += 1;
        return { generation: made as unknown as Generation, expired: own.signal, release: () => (leases -= 1) };
      },
    };
    return made as unknown as Generation;
  }

  const source: GenerationSource = { current: () => generation, lease: () => generation.lease(), onSwap: () => () => undefined };
  const sessions = createSessionService({ source, log: silentLogger });
  const agent = createAgentService({
    source,
    sessions,
    cursors: state.cursors,
    shadowTurns: state.shadow,
    kv: state.kv,
    turns: state.turns,
    subagents: state.subagents,
    inbox: state.inbox,
    outbox: state.outbox,
    paths: { stateDir: dir },
    log,
    version: '2026.11.0',
    ...(parts.limits === undefined ? {} : { limits: parts.limits }),
    env: () => parts.env ?? {},
    ...(parts.now === undefined ? {} : { now: parts.now }),
    ...(parts.deliver === undefined ? {} : { deliver: parts.deliver }),
    ...(parts.replies === undefined ? {} : { replies: parts.replies }),
    ...(parts.credentials === undefined ? {} : { credentials: parts.credentials }),
  });
  const events: AgentEvent[] = [];
  const queued: string[] = [];
  agent.onEvent((event) => {
    if (event.data.phase === 'queued') queued.push(event.runId);
    else events.push(structuredClone(event));
  });
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await agent.drain(0);
    await store.close();
    state.close();
  };
  onTestFinished(async () => {
    await close();
    rmSync(dir, { recursive: true, force: true });
  });

  const host: AgentHost = {
    agent,
    sessions,
    source,
    state,
    dir,
    events,
    queued,
    logged,
    leases: () => leases,
    on(hook, handler) {
      handlers.push({ hook, handler: handler as unknown as HookHandler<HookName> });
      generation = make();
    },
    swap(next) {
      expired = expiry;
      current = { ...current, ...next };
      generation = make();
    },
    expire() {
      expired?.abort();
    },
    async start(message, more = {}) {
      runs += 1;
      const { runId } = await agent.accept({ runId: `run-${runs}`, message, sessionKey: 'main', ...more });
      return runId;
    },
    async run(message, more) {
      const result = await agent.wait(await host.start(message, more), 20_000);
      if (result === undefined) throw durarError('DUR_RUN_TIMEOUT', { seconds: 20 });
      await host.idle();
      return result;
    },
    async idle() {
      while (leases > 0) await new Promise((resolve) => setTimeout(resolve, 2));
    },
    async entries(key = 'agent:main:main') {
      const session = await sessions.get(key);
      return session === undefined ? [] : (await sessions.read(session)).entries;
    },
    async messages(key) {
      return (await host.entries(key)).flatMap((entry) => (entry.type === 'message' ? [entry.message] : []));
    },
    async restart(next = {}) {
      await close();
      // an id that was accepted is not accepted again
      return createAgentHost({ ...current, ...next }, dir, runs);
    },
  };
  return host;
}

function contributionsOf(parts: HostParts): Contribution[] {
  const all: unknown[] = [];
  for (const provider of parts.providers ?? [createOfflineProvider({})]) all.push({ kind: 'provider', key: provider.id, owner: provider.id, value: provider });
  for (const api of parts.modelApis ?? []) all.push({ kind: 'modelApi', key: api.id, owner: `${api.id}-extension`, value: api });
  for (const approver of parts.approvers ?? []) all.push({ kind: 'approver', key: approver.id, owner: approver.id, value: approver });
  for (const command of parts.commands ?? []) all.push({ kind: 'command', key: command.name, owner: 'command-extension', value: command });
  for (const section of parts.promptSections ?? []) all.push({ kind: 'promptSection', key: section.id, owner: section.id, value: section });
  for (const [index, one] of (parts.tools ?? []).entries()) {
    const { tool, owner = 'tool-extension', optional = false, bundled = false } = 'tool' in one ? one : { tool: one };
    all.push({ kind: 'tool', key: typeof tool === 'function' ? `factory-${index}` : tool.name, owner, value: { tool, optional, bundled } });
  }
  return all as Contribution[];
}

function recordingLogger(logged: AgentHost['logged']): Logger {
  const at = (level: string) => (message: string, fields?: Record<string, unknown>) => void logged.push({ level, message, fields });
  const logger: Logger = { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => logger };
  return logger;
}
