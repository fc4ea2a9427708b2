import { join } from 'node:path';
import { ANCESTOR } from '../../../sdk/ancestor.ts';
import { type DurarError, durarError } from '../../../sdk/index.ts';
import type { Credentials } from '../../auth/credentials.ts';
import { checkChannels } from '../../channels/access/access-check.ts';
import { updateTo } from '../../config/edit.ts';
import { hashFile, type LoadedConfig, loadConfig } from '../../config/load.ts';
import type { Environment, Paths } from '../../config/paths.ts';
import { redactConfig, type SecretTest } from '../../config/redact.ts';
import { writeConfig } from '../../config/write.ts';
import { readRecords, recordsFile } from '../../install/records.ts';
import { codeDigest } from '../../kernel/code-digest.ts';
import type { HostStages } from '../../kernel/host.ts';
import { importModule } from '../../kernel/import-module.ts';
import type { Logging } from '../../logging/logging.ts';
import type { Plan, PlannedExtension } from '../../manifest/catalog.ts';
import { type DiscoveredCatalog, discover } from '../../manifest/discover.ts';
import { createPlan } from '../../manifest/plan.ts';
import { createConfigValidator } from '../../manifest/validator.ts';
import { activateSecrets, createReloadSignal, createSecretFields, type SecretDiagnostic, type SecretFields } from '../../secrets/activate.ts';
import { PROFILE_FIELDS } from '../../secrets/profile-fields.ts';
import { checkProviderBlocks } from '../../secrets/provider-blocks.ts';
import { isServed } from '../served.ts';
import { bundledDir } from '../version.ts';
import { createPluginRuntime, type PluginRuntimeOptions } from './plugin-runtime.ts';

export interface StageOptions {
  paths: Paths;
  env: Environment;
  version: string;
  log: Logging;
  verbose: boolean;
  room: PluginRuntimeOptions['room'];
  /** The stored ones; their references are part of every activation. */
  credentials: Credentials;
  /** The configuration where the caller has just read it; the first activation takes it. */
  loaded?: LoadedConfig;
  /** Credentials of the command line, by the variables that they go before. */
  shown?: Environment;
  /** Whether a gateway may run under this `gateway.mode`. */
  mayStart(mode: string | undefined): boolean;
}

/** The stages of the kernel's host, filled with the rooms above it. */
export interface Stages extends HostStages {
  /** Everything a generation is made of, beside the extensions' own folders. */
  watchedFiles(): string[];
  isRecords(file: string): boolean;
  /** What was read last is live now. */
  confirm(): void;
  /** Whether the file still is what the live generation was made of. */
  isApplied(file: string): Promise<boolean>;
  /** The effective environment: the process, `.env` files, the `env` block. */
  env(): Environment;
  /** The extensions' own secret fields. */
  isSecret: SecretTest;
  /** The secret fields of the host and of what is installed. */
  secretFields(): SecretFields;
  /** What the last activation had to say about secrets. */
  secretDiagnostics(): readonly SecretDiagnostic[];
  /** The next activation takes this configuration, which is not in the file yet. Returns the way back, for one that is refused. */
  offer(candidate: LoadedConfig): () => void;
  /** The next activation is for a command that takes its edit back when it is refused: that says nothing of the secrets in use. */
  expectEdit(): void;
  /** Writes the manifest index, once the boot is over. */
  saveIndex(): Promise<void>;
}

export function createStages(options: StageOptions): Stages {
  const { paths, env, version, log, verbose, room, credentials, mayStart } = options;
  const validator = createConfigValidator();
  let fresh = options.loaded;
  let loaded: LoadedConfig | undefined;
  let catalog: DiscoveredCatalog | undefined;
  let recordsRead: string | undefined;
  let applied: { config?: string | undefined; records?: string | undefined } = {};
  const records = recordsFile(paths.stateDir);

  /** What is wrong with the sources' own settings; known with the plan, told with the secrets. */
  let blockErrors: DurarError[] = [];
  let fields = createSecretFields();
  let planned: Plan | undefined;
  let diagnostics: readonly SecretDiagnostic[] = [];
  let isEditExpected = false;
  /** What is activated now is a candidate: not on disk, or not to stay there. */
  let isCandidate = false;
  const secretsLog = log.child('secrets');
  const signal = createReloadSignal({ log: secretsLog, announce: (text) => room('gateway').announce(text) });
  const isPluginSecret: SecretTest = (path) => fields.isMarked(path);

  return {
    async loadConfig() {
      const next = fresh ?? (await loadConfig({ paths, env }));
      isCandidate = fresh !== undefined || (isEditExpected && next.hash !== applied.config);
      fresh = undefined;
      isEditExpected = false;
      if (next.errors.length > 0) return next;
      if (!mayStart(next.config.gateway.mode)) return { ...next, errors: [durarError('DUR_GATEWAY_MODE')] };
      loaded = next;
      for (const warning of next.warnings) log.child('config').warn(warning.message);
      return next;
    },
    async discover(config) {
      recordsRead = await hashFile(records);
      const installed = Object.entries((await readRecords(records)).plugins).map(([id, { root }]) => ({ id, root }));
      catalog = await discover({
        config,
        paths,
        bundledDir: bundledDir(),
        installed,
        workspaceDir: config.agents.defaults.workspace,
        log: log.child('manifest'),
        hostVersion: version,
        env,
      });
      fields = createSecretFields(catalog.entries);
      return catalog;
    },
    async plan(config, found) {
      const plan = createPlan({ config, catalog: found, hostVersion: version, validator });
      planned = { ...plan, findings: [...plan.findings, ...checkChannels(config)] };
      blockErrors = checkProviderBlocks(config, planned, loaded?.file);
      return planned;
    },
    async resolveSecrets(config, source) {
      const surfaces = { env: { ...env, ...options.shown }, isServed: isServed(planned) };
      const profiles = await credentials.prepare(config);
      const early = [...blockErrors, ...profiles.errors];
      const documents = profiles.documents.map((document) => ({ ...document, fields: PROFILE_FIELDS }));
      const activated =
        early.length > 0
          ? { resolved: config, documents: [], values: [], errors: early, diagnostics: [] }
          : await activateSecrets({ config, source, env: loaded?.env ?? env, fields, surfaces, documents });
      diagnostics = activated.diagnostics;
      for (const { level, message, ...more } of diagnostics) secretsLog[level](`${more.code}: ${message}`, more);
      if (activated.errors.length > 0) {
        if (!isCandidate) signal.failed(activated.errors);
        return activated;
      }
      // an object of its own: by it the stored credentials of this activation are found
      const resolved = { ...activated.resolved };
      return { ...activated, resolved, values: [...activated.values, ...profiles.bind(resolved, activated.documents)] };
    },
    redact: (config) => redactConfig(config, isPluginSecret) as Record<string, unknown>,
    codeDigest: async ({ entry }: PlannedExtension) => (entry.origin === 'bundled' ? version : codeDigest(entry.root)),
    importEntry({ entry }, digest) {
      // What such a plugin keeps lies with ours, not in an installation of the ancestor on the same machine.
      if (entry.format === 'ancestor') process.env[ANCESTOR.stateDirEnv] ??= paths.stateDir;
      return importModule({ file: entry.entry ?? '', root: entry.root, digest, id: entry.id, trusted: entry.origin === 'bundled' });
    },
    createRuntime: (owner) =>
      createPluginRuntime(
        {
          room,
          paths,
          version,
          verbose,
          visibleConfig: owner.config,
          async writeConfig(config) {
            await writeConfig({ paths, env, edit: (text, present) => updateTo(text, redactConfig(present.config, isPluginSecret), config) });
          },
        },
        owner,
      ),
    onSecretValues: (values) => log.setSecretValues(values),
    watchedFiles: () => [...(loaded?.files ?? [paths.configFile]), join(paths.stateDir, '.env'), records],
    isRecords: (file) => file === records,
    confirm() {
      signal.succeeded();
      applied = { config: loaded?.hash, records: recordsRead };
    },
    async isApplied(file) {
      // the way back from an edit whose secrets failed: to be told of it takes an activation
      if (file !== records && signal.isDegraded()) return false;
      const known = file === records ? applied.records : file === paths.configFile ? applied.config : undefined;
      return known !== undefined && known === (await hashFile(file));
    },
    env: () => loaded?.env ?? env,
    isSecret: isPluginSecret,
    expectEdit() {
      isEditExpected = true;
    },
    secretFields: () => fields,
    secretDiagnostics: () => diagnostics,
    offer(candidate) {
      const before = loaded;
      fresh = candidate;
      return () => {
        fresh = undefined;
        loaded = before;
      };
    },
    async saveIndex() {
      await catalog?.saveIndex();
    },
  };
}
