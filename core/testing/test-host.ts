import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ContractReport, formatContract } from '../../sdk/contract/contract.ts';
import type { ContractContextOf, ContractKind } from '../../sdk/contract/index.ts';
import { CONTRIBUTION_ROWS, type ContributionKind } from '../../sdk/contributions.ts';
import type { AgentMessage } from '../../sdk/messages.ts';
import type { ContributionValues } from '../../sdk/plugin-api.ts';
import type { Approver } from '../../sdk/ports/approval.ts';
import type { Channel } from '../../sdk/ports/channel.ts';
import type { ContextEngine, RuntimeContext } from '../../sdk/ports/context-engine.ts';
import type { ModelApi, Provider } from '../../sdk/ports/provider.ts';
import type { SecretsProvider } from '../../sdk/ports/secrets-provider.ts';
import type { SessionStore } from '../../sdk/ports/session-store.ts';
import type { Tool, ToolContext } from '../../sdk/ports/tool.ts';
import { compactSession } from '../install/canary.ts';
import { productFile } from '../install/product.ts';
import { runContractOf } from '../install/suites.ts';
import { createTrial, type Trial, type TrialOptions } from '../install/trial.ts';
import { trialToolContext } from '../install/trial-runtime.ts';
import { readPackageEntries } from '../install/verify.ts';
import type { Logger } from '../logging/logger.ts';

export interface TestHostOptions {
  /** Folder of the extension, or the `import.meta.url` of a file in it. */
  root: string | URL;
  /** `plugins.entries.<id>.config`; checked against the manifest's schema, defaults filled in. */
  pluginConfig?: Record<string, unknown>;
  /** The rest of the configuration, as `api.config` shows it. */
  config?: Record<string, unknown>;
  /** Which extension, when the package holds several. */
  id?: string;
  /** A folder that stays; without it the host has one of its own that is removed at the end. */
  stateDir?: string;
  /** Answers `api.runtime.models.complete`. */
  complete?(messages: readonly AgentMessage[]): Promise<string> | string;
}

export interface LogLine {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  message: string;
  fields?: Record<string, unknown>;
}

/**
 * One extension, loaded from its manifest as the gateway loads it, in this process and with nothing around it. A key may be left out
 * where the extension contributes one of the kind.
 */
export interface TestHost extends AsyncDisposable {
  readonly id: string;
  readonly stateDir: string;
  readonly contributions: ReadonlyArray<{ kind: ContributionKind; key: string }>;
  /** The hooks it taps. */
  readonly hooks: readonly string[];
  readonly log: readonly LogLine[];
  /** Stands for the host's part of `compact` and `afterTurn`. */
  readonly runtimeContext: RuntimeContext;
  contextEngine(id?: string): Promise<ContextEngine>;
  sessionStore(id?: string): Promise<SessionStore>;
  channel(id?: string): Channel;
  provider(id?: string): Provider;
  modelApi(id?: string): ModelApi;
  secretsProvider(source?: string): SecretsProvider;
  approver(id?: string): Approver;
  /** A factory is asked with `context` laid over a plain run. */
  tool(name?: string, context?: Partial<ToolContext>): Tool;
  /**
   * Runs the contract suite of one contribution, each case on a new copy of the extension; throws the report when a case fails. `context`
   * tells the suite what only the author knows, such as a call that succeeds or a secret that resolves; without it those cases are skipped.
   */
  checkContract<Kind extends ContractKind>(kind: Kind, options?: { key?: string; context?: Partial<ContractContextOf<Kind>> }): Promise<ContractReport>;
  /** Ends the extension as the gateway would. Throws the first thing that went wrong. */
  dispose(): Promise<void>;
}

/** Loads an extension for a test. Throws the same coded errors as the gateway. */
export async function createTestHost(options: TestHostOptions): Promise<TestHost> {
  const entries = readPackageEntries(await folderOf(options.root));
  const entry = options.id === undefined ? entries[0] : entries.find(({ id }) => id === options.id);
  if (entry === undefined) throw new Error(`the package holds no extension '${options.id}', but ${entries.map(({ id }) => id).join(', ')}`);
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'durar-test-')));
  const log: LogLine[] = [];
  const { pluginConfig, config, complete } = options;
  const settings: TrialOptions = {
    entry,
    stateDir,
    hostVersion: await hostVersion(),
    log: recorder(log),
    ...(pluginConfig === undefined ? {} : { pluginConfig }),
    ...(config === undefined ? {} : { config }),
    ...(complete === undefined ? {} : { complete }),
  };
  const open = (dir: string) => createTrial({ ...settings, stateDir: dir });
  const trial = await open(stateDir);
  const { draft } = trial.instance;

  async function dispose(): Promise<void> {
    const [problem] = await trial.dispose();
    if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true });
    if (problem !== undefined) throw problem;
  }
  const find = <Kind extends ContributionKind>(kind: Kind, key?: string) => one(trial, kind, key);

  return {
    id: entry.id,
    stateDir,
    contributions: draft.contributions.map(({ kind, key }) => ({ kind, key })),
    hooks: draft.taps.map((tap) => tap.hook),
    log,
    runtimeContext: { compactSession },
    contextEngine: async (id) => (await trial.occupant('contextEngine', find('contextEngine', id).key)) as ContextEngine,
    sessionStore: async (id) => (await trial.occupant('sessionStore', find('sessionStore', id).key)) as SessionStore,
    channel: (id) => find('channel', id).value,
    provider: (id) => find('provider', id).value,
    modelApi: (id) => find('modelApi', id).value,
    secretsProvider: (source) => find('secretsProvider', source).value,
    approver: (id) => find('approver', id).value,
    tool(name, context = {}) {
      const { key, value } = find('tool', name);
      if (typeof value.tool !== 'function') return value.tool;
      const made = [value.tool({ ...trialToolContext(config ?? {}, stateDir), ...context }) ?? []].flat().find((tool) => tool.name === key);
      if (made === undefined) throw new Error(`the factory of '${key}' makes no such tool for this run`);
      return made;
    },
    async checkContract(kind, { key, context = {} } = {}) {
      const report = await runContractOf({ kind, key: find(kind, key).key }, { stateDir, open }, context);
      if (!report.ok) throw new Error(formatContract(report));
      return report;
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

/** The contribution of that key, or the only one of its kind. */
function one<Kind extends ContributionKind>(
  trial: Trial,
  kind: Kind,
  key?: string,
): { key: string; value: Kind extends keyof ContributionValues ? ContributionValues[Kind] : unknown } {
  const made = trial.contributions(kind);
  const found = key === undefined ? made[0] : made.find((each) => each.key === key);
  const { noun } = CONTRIBUTION_ROWS[kind];
  if (found === undefined) throw new Error(`'${trial.instance.id}' contributes no ${noun}${key === undefined ? '' : ` '${key}'`}`);
  if (key === undefined && made.length > 1)
    throw new Error(`'${trial.instance.id}' contributes several of the kind ${noun}; name one of ${made.map((each) => each.key).join(', ')}`);
  return found;
}

async function folderOf(root: string | URL): Promise<string> {
  const text = String(root);
  if (!text.startsWith('file:')) return realpath(text);
  const path = fileURLToPath(text);
  return realpath(text.endsWith('/') ? path : join(path, '..'));
}

async function hostVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(productFile('package.json'), 'utf8')) as { version: string };
  return version;
}

function recorder(lines: LogLine[]): Logger {
  const write = (level: LogLine['level']) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push({ level, message, ...(fields === undefined ? {} : { fields }) });
  const logger: Logger = { trace: write('trace'), debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'), child: () => logger };
  return logger;
}
