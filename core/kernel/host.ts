import { ERRORS } from '../../sdk/errors.ts';
import { DurarError, durarError, reportError, type SecretsProvider } from '../../sdk/index.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../logging/logger.ts';
import type { Catalog, Finding, Plan } from '../manifest/catalog.ts';
import { createGeneration, errorOf, type GenerationOptions, type LiveGeneration } from './activation.ts';
import type { Generation, GenerationSource, HookDispatcher } from './generation.ts';
import { findingOf, findOwner } from './quarantine.ts';
import { createServiceRunner } from './services.ts';
import type { SharedProducts } from './slots.ts';

/** What the floors above lend the kernel, so that it knows nothing of them. */
export interface HostStages {
  loadConfig(): Promise<LoadedConfig>;
  discover(config: Config): Promise<Catalog>;
  plan(config: Config, catalog: Catalog): Promise<Plan>;
  resolveSecrets(
    config: Config,
    source: (name: string) => Promise<SecretsProvider | undefined>,
  ): Promise<{ resolved: Config; values: string[]; errors: DurarError[] }>;
  /** The configuration with secrets replaced by the marker. */
  redact(config: Config): Record<string, unknown>;
  codeDigest: GenerationOptions['codeDigest'];
  importEntry: GenerationOptions['importEntry'];
  createRuntime: GenerationOptions['createRuntime'];
  /** The values that logs must mask from now on. */
  onSecretValues?(values: string[]): void;
}

export interface HostOptions {
  stages: HostStages;
  log: Logger;
  stateDir: string;
  workspaceDir: string;
}

export interface ActivationReport {
  generation: number;
  reason: string;
  /** Extensions whose code runs in it, and those kept from the generation before. */
  loaded: string[];
  carriedOver: string[];
  findings: readonly Finding[];
}

/** All that stops a boot or a change, reported together. The running generation is untouched. */
export class HostFailure extends DurarError {
  readonly failures: readonly DurarError[];
  constructor(failures: readonly DurarError[]) {
    const [first] = failures;
    const hint = failures.length === 1 ? first?.hint : ERRORS.DUR_HOST_FAILED.hint;
    super('DUR_HOST_FAILED', failures.map((failure) => failure.message).join('\n'), { hint: hint ?? '', details: failures.map(reportError) });
    this.name = 'HostFailure';
    this.failures = failures;
  }
}

const DRAIN_LIMIT_MS = 300_000;

/** The only holder of the current generation. */
export interface Host extends GenerationSource {
  /** Builds a generation from what is on disk and swaps it in whole, or throws `HostFailure` and changes nothing. One at a time, in order. */
  activate(reason: string, options?: { strict?: boolean }): Promise<ActivationReport>;
  /** Loads the rest and starts services; called once the host listens, and by itself after every later swap. */
  start(): Promise<void>;
  /** Finds whose code threw outside any call and puts that extension out of use. undefined: nobody's. */
  blame(error: unknown): string | undefined;
  stop(reason: string, limitMs: number): Promise<void>;
}

export function createHost({ stages, log, stateDir, workspaceDir }: HostOptions): Host {
  const listeners = new Set<(next: Generation, previous: Generation | undefined) => void>();
  let current: LiveGeneration | undefined;
  let visible: Record<string, unknown> = {};
  let isStarted = false;
  let isStopped = false;
  let chain: Promise<unknown> = Promise.resolve();
  const products: SharedProducts = new WeakMap();
  const services = createServiceRunner({ log, stateDir, workspaceDir, config: () => visible });

  function running(): LiveGeneration {
    if (current === undefined || isStopped) throw durarError('DUR_HOST_STOPPED');
    return current;
  }

  async function build(): Promise<{ candidate: LiveGeneration; values: string[] }> {
    const loaded = await stages.loadConfig();
    if (loaded.errors.length > 0) throw new HostFailure(loaded.errors);
    const plan = await stages.plan(loaded.config, await stages.discover(loaded.config));
    const config: Config = { ...loaded.config, channels: plan.channels as Config['channels'] };
    const seen = stages.redact(config);
    const number = (current?.number ?? 0) + 1;
    const candidate = createGeneration(
      {
        number,
        config: seen as unknown as Config,
        plan,
        log,
        products,
        codeDigest: stages.codeDigest,
        importEntry: stages.importEntry,
        createRuntime: stages.createRuntime,
        // its own until it is published, from then on that of whichever is current
        visibleConfig: () => ((current?.number ?? 0) < number ? seen : visible),
      },
      current,
    );
    try {
      await candidate.loadTaps('secrets.resolve');
      const secrets = await stages.resolveSecrets(config, async (source) =>
        intercepted(candidate.hooks, (await candidate.contribution('secretsProvider', source))?.value),
      );
      if (secrets.errors.length > 0) throw new HostFailure(secrets.errors);
      candidate.useResolved(secrets.resolved);
      await candidate.activate();
      return { candidate, values: secrets.values };
    } catch (error) {
      await candidate.retire();
      throw error;
    }
  }

  /** Our own writes are stricter than a boot: a candidate that breaks what works today is refused. */
  function assertNoWorse(candidate: LiveGeneration): void {
    const known = new Set((current?.findings ?? []).map((finding) => `${finding.code} ${finding.message}`));
    const worse = candidate.findings.filter((finding) => finding.level === 'error' && !known.has(`${finding.code} ${finding.message}`));
    if (worse.length > 0) throw new HostFailure(worse.map(errorOf));
  }

  async function swap(reason: string, strict: boolean): Promise<ActivationReport> {
    if (isStopped) throw durarError('DUR_HOST_STOPPED');
    const { candidate, values } = await build();
    try {
      if (isStopped) throw durarError('DUR_HOST_STOPPED');
      if (strict) assertNoWorse(candidate);
    } catch (error) {
      await candidate.retire();
      throw error;
    }
    const previous = current;
    stages.onSecretValues?.(values);
    visible = candidate.config as unknown as Record<string, unknown>;
    current = candidate;
    if (isStarted) candidate.settle();
    for (const listener of listeners) listener(candidate, previous);
    if (isStarted) await start(candidate);
    if (previous !== undefined) drain(previous, candidate);
    const carriedOver = candidate.instances().filter((instance) => previous?.instance(instance.id) === instance);
    log.info(`generation ${candidate.number} is live (${reason})`, { generation: candidate.number, carriedOver: carriedOver.length });
    return {
      generation: candidate.number,
      reason,
      loaded: candidate.instances().map((instance) => instance.id),
      carriedOver: carriedOver.map((instance) => instance.id),
      findings: candidate.findings,
    };
  }

  async function start(generation: LiveGeneration): Promise<void> {
    generation.settle();
    await generation.settled;
    await services.reconcile(generation.instances(), (instance, error) =>
      generation.quarantine(instance.id, findingOf(error, { extension: instance.id, hook: 'service' })),
    );
  }

  function drain(previous: LiveGeneration, next: LiveGeneration): void {
    const limit = next.config.gateway?.reload?.deferralTimeoutMs ?? DRAIN_LIMIT_MS;
    const timer = setTimeout(() => previous.expire(), limit);
    timer.unref();
    void previous.retire().then(() => {
      clearTimeout(timer);
      log.debug(`generation ${previous.number} is gone`);
    });
  }

  /** One at a time, in the order in which they were asked for. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = chain.then(work);
    chain = next.catch(() => undefined);
    return next;
  }

  return {
    current: running,
    lease: () => running().lease(),
    onSwap(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    activate: (reason, { strict = false } = {}) => inTurn(() => swap(reason, strict)),
    start: () =>
      inTurn(async () => {
        isStarted = true;
        await start(running());
      }),
    blame(error) {
      if (current === undefined) return undefined;
      const suspect = findOwner(
        error,
        Array.from(current.plan.extensions, ([id, { entry }]) => ({ id, root: entry.root })),
      );
      if (suspect === undefined) return undefined;
      const reason = findingOf(error).message;
      current.quarantine(suspect.id, findingOf(durarError('DUR_EXT_CRASHED', { id: suspect.id, reason }, { owner: { extension: suspect.id }, cause: error })));
      return suspect.id;
    },
    async stop(reason, limitMs) {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, limitMs);
      await Promise.race([chain, limit.promise]);
      if (!isStopped) {
        isStopped = true;
        await Promise.race([services.stop(), limit.promise]);
        current?.hooks.emit('gateway_stop', { reason }, {});
        await Promise.race([current?.retire(), limit.promise]);
      }
      clearTimeout(timer);
    },
  };
}

/** Puts the taps of `secrets.resolve` before a provider: an id that one of them answers is not asked of it. */
function intercepted(hooks: HookDispatcher, provider: SecretsProvider | undefined): SecretsProvider | undefined {
  if (provider === undefined || !hooks.has('secrets.resolve')) return provider;
  const { source } = provider;
  return {
    source,
    async resolve(params) {
      const values: Record<string, unknown> = {};
      for (const id of params.ids) {
        const answer = await hooks.call('secrets.resolve', { source, provider: params.provider, id }, {});
        if (answer !== undefined) values[id] = answer.value;
      }
      const ids = params.ids.filter((id) => !Object.hasOwn(values, id));
      const rest = ids.length === 0 ? { values: {} } : await provider.resolve({ ...params, ids });
      return { ...rest, values: { ...rest.values, ...values } };
    },
  };
}
