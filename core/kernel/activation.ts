import { CONTRIBUTION_ROWS, type ContributionKind, DurarError, durarError, type HookName, SLOTS, type SlotName } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../logging/logger.ts';
import type { Finding, Plan, PlannedExtension } from '../manifest/catalog.ts';
import { carryOverKey, pluginEntry, resolvedPluginConfig } from './carry-over.ts';
import type { Contribution, Generation, Lease, SlotOccupant } from './generation.ts';
import { createHookTable } from './hooks.ts';
import { type Instance, type InstanceOptions, loadInstance, releaseInstance } from './instance.ts';
import { findingOf } from './quarantine.ts';
import { occupySlot, type SharedProducts, slotFailure } from './slots.ts';

/** A generation with the handles that only the host uses. */
export interface LiveGeneration extends Generation {
  /** Must be called before `activate`; until then `resolvedConfig` equals `config`. */
  useResolved(resolved: Config): void;
  /** Loads the extensions that declare to tap a hook, for hooks that are called before the generation is published. */
  loadTaps(hook: HookName): Promise<void>;
  /** Loads what must run before the generation is published and occupies the slots. Extension failures become findings. */
  activate(): Promise<void>;
  /** Starts to load the rest; `settled` tells when it is done. */
  settle(): void;
  instances(): Instance[];
  instance(id: string): Instance | undefined;
  /** Puts a loaded extension out of use until it is fixed and loaded anew. */
  quarantine(id: string, finding: Finding): void;
  /** No lease can be taken any more; its instances are let go when the last lease ends. Resolves then. */
  retire(): Promise<void>;
  readonly leases: number;
  /** Tells the holders of leases to end. */
  expire(): void;
}

export interface GenerationOptions {
  number: number;
  config: Config;
  plan: Plan;
  log: Logger;
  /** One for all generations of a host. */
  products: SharedProducts;
  codeDigest(extension: PlannedExtension): Promise<string>;
  createRuntime: InstanceOptions['createRuntime'];
  importEntry: (extension: PlannedExtension, digest: string) => Promise<unknown>;
  /** The configuration that extensions see through `api.config`. */
  visibleConfig(): Record<string, unknown>;
}

/** `running`: the generation to take instances from. It is let go once that is done, or each would keep all before it in memory. */
export function createGeneration(options: GenerationOptions, running?: LiveGeneration): LiveGeneration {
  const { plan, log, config } = options;
  let previous = running;
  const findings: Finding[] = [...plan.findings];
  const table = new Map<string, Contribution>();
  const loading = new Map<string, Promise<Instance>>();
  const live = new Map<string, Instance>();
  const slots = new Map<SlotName, Promise<SlotOccupant | undefined>>();
  const hooks = createHookTable({
    log,
    mayPrompt: (owner) => pluginEntry(config, owner)?.hooks?.allowPromptInjection !== false,
    isQuarantined: (owner) => live.get(owner)?.crashed !== undefined,
  });
  const settling = Promise.withResolvers<void>();
  const expiry = new AbortController();
  const retiring = Promise.withResolvers<void>();
  let resolvedConfig = config;
  let isRetired = false;
  let isGone = false;
  let leases = 0;
  let settleStarted = false;

  /** The extension that a key belongs to: the plan's first owner, else whoever has committed it. */
  function ownerOf(kind: ContributionKind, key: string): string | undefined {
    return plan.owners.get(`${kind}:${key}`)?.[0] ?? table.get(`${kind}:${key}`)?.owner;
  }

  function load(id: string): Promise<Instance> {
    let pending = loading.get(id);
    if (pending === undefined) {
      pending = isGone ? Promise.reject(durarError('DUR_HOST_STOPPED')) : loadNow(id);
      loading.set(id, pending);
      pending.catch((error: unknown) => report(findingOf(error, { extension: id })));
    }
    return pending;
  }

  /** What is known already is not said twice. */
  function report(finding: Finding): void {
    if (!findings.some((known) => known.code === finding.code && known.message === finding.message)) findings.push(finding);
  }

  async function loadNow(id: string): Promise<Instance> {
    const planned = plan.extensions.get(id);
    if (planned === undefined) throw durarError('DUR_INSTALL_NOT_INSTALLED', { id });
    if (planned.blocked !== undefined) throw errorOf(planned.blocked);
    const digest = await options.codeDigest(planned);
    const pluginConfig = resolvedPluginConfig(planned, config, resolvedConfig);
    const key = carryOverKey(planned, digest, pluginConfig, resolvedConfig, plan);
    const former = previous?.instance(id);
    const instance =
      former !== undefined && former.holders > 0 && former.key === key && former.crashed === undefined
        ? former
        : await loadInstance({
            entry: planned.entry,
            key,
            pluginConfig,
            config: options.visibleConfig,
            log,
            createRuntime: options.createRuntime,
            importEntry: () => options.importEntry(planned, digest),
            ownerOf,
            onRefused: (kind, keyOfOther, other) =>
              report(findingOf(durarError('DUR_EXT_DUPLICATE', { id, kind: CONTRIBUTION_ROWS[kind].noun, key: keyOfOther, other }), { extension: id }, 'warn')),
          });
    commit(instance);
    return instance;
  }

  function commit(instance: Instance): void {
    instance.holders += 1;
    live.set(instance.id, instance);
    for (const contribution of instance.draft.contributions) table.set(`${contribution.kind}:${contribution.key}`, contribution);
    for (const tap of instance.draft.taps) hooks.tap(tap);
  }

  /** Waits for what `settle` loads, once that has begun; before, only the manifests say who offers what. */
  async function settled(): Promise<void> {
    if (settleStarted) await settling.promise;
  }

  /** Loads, and turns a failure into its finding. */
  async function tryLoad(id: string): Promise<void> {
    await load(id).catch(() => undefined);
  }

  async function loadAll(ids: Iterable<string>): Promise<void> {
    await Promise.all(Array.from(ids, tryLoad));
  }

  function usable(contribution: Contribution | undefined): Contribution | undefined {
    const crashed = contribution === undefined ? undefined : live.get(contribution.owner)?.crashed;
    if (crashed !== undefined) throw errorOf(crashed);
    return contribution;
  }

  async function occupy(name: SlotName): Promise<SlotOccupant | undefined> {
    const choice = plan.slots[name];
    if ('none' in choice) return undefined;
    if ('failed' in choice) throw errorOf(choice.failed);
    const instance = await load(choice.owner).catch((error: unknown) => {
      throw slotFailure(name, choice.key, choice.owner, findingOf(error).message, error);
    });
    return occupySlot(name, choice.key, instance, options.products);
  }

  /** Failures become findings. */
  async function occupyAll(aside: boolean): Promise<void> {
    for (const name of Object.keys(SLOTS) as SlotName[]) {
      if (SLOTS[name].aside === aside) await generation.slot(name).catch((error: unknown) => report(findingOf(error)));
    }
  }

  const generation: LiveGeneration = {
    number: options.number,
    config,
    get resolvedConfig() {
      return resolvedConfig;
    },
    plan,
    hooks,
    findings,
    settled: settling.promise,
    get leases() {
      return leases;
    },
    useResolved(resolved) {
      resolvedConfig = resolved;
    },

    async loadTaps(hook) {
      await loadAll([...plan.extensions].filter(([, { enabled, entry }]) => enabled && entry.taps.includes(hook)).map(([id]) => id));
    },
    async activate() {
      // what ran on demand goes on, with all it holds
      const inUse = [...idsToLoad(plan, 'demand')].filter((id) => previous?.instance(id) !== undefined);
      await loadAll([...idsToLoad(plan, 'activation'), ...inUse]);
      await occupyAll(false);
    },
    settle() {
      if (settleStarted) return;
      settleStarted = true;
      void loadAll(idsToLoad(plan, 'settle')).then(() => {
        previous = undefined;
        settling.resolve();
        // turns wait for what is settled, and not for a factory of what works aside
        void occupyAll(true);
      });
    },
    async contribution<Kind extends ContributionKind>(kind: Kind, key: string) {
      const id = `${kind}:${key}`;
      let found = usable(table.get(id));
      if (found === undefined) {
        const owner = plan.owners.get(id)?.[0];
        if (owner === undefined) await settled();
        else await load(owner);
        found = usable(table.get(id));
      }
      return found as Contribution<Kind> | undefined;
    },
    async contributions<Kind extends ContributionKind>(kind: Kind) {
      const owners = new Set<string>();
      for (const { owner } of generation.declared(kind)) owners.add(owner);
      await loadAll(owners);
      await settled();
      return generation.loaded(kind);
    },
    loaded<Kind extends ContributionKind>(kind: Kind) {
      const found: Array<Contribution<Kind>> = [];
      for (const contribution of table.values()) {
        if (contribution.kind === kind && live.get(contribution.owner)?.crashed === undefined) found.push(contribution as Contribution<Kind>);
      }
      return found;
    },
    declared(kind) {
      const declared: Array<{ key: string; owner: string }> = [];
      for (const [id, [owner]] of plan.owners) {
        const [ownKind, key] = splitOnce(id);
        if (ownKind === kind && owner !== undefined) declared.push({ key, owner });
      }
      // In the ancestor's format what was registered counts as declared.
      for (const { key, owner } of generation.loaded(kind)) if (!plan.owners.has(`${kind}:${key}`)) declared.push({ key, owner });
      return declared;
    },
    async slot(name) {
      let occupant = slots.get(name);
      if (occupant === undefined) {
        occupant = occupy(name);
        slots.set(name, occupant);
        occupant.catch(() => undefined);
      }
      const result = await occupant;
      const crashed = result === undefined ? undefined : live.get(result.owner)?.crashed;
      if (result !== undefined && crashed !== undefined) {
        throw slotFailure(name, result.key, result.owner, crashed.message);
      }
      return result;
    },
    lease(): Lease {
      if (isRetired) throw durarError('DUR_HOST_STOPPED');
      leases += 1;
      let isHeld = true;
      return {
        generation,
        expired: expiry.signal,
        release() {
          if (!isHeld) return;
          isHeld = false;
          leases -= 1;
          if (isRetired && leases === 0) void letGo();
        },
      };
    },
    instances: () => [...live.values()],
    instance: (id) => live.get(id),
    quarantine(id, finding) {
      const instance = live.get(id);
      if (instance !== undefined) instance.crashed ??= finding;
      if (!findings.some((known) => known.code === finding.code && known.owner.extension === id)) report(finding);
    },
    expire: () => expiry.abort(),
    retire() {
      if (!isRetired && leases === 0) void letGo();
      isRetired = true;
      return retiring.promise;
    },
  };

  async function letGo(): Promise<void> {
    isGone = true;
    await Promise.allSettled(loading.values());
    previous = undefined;
    for (const instance of [...live.values()].reverse()) await releaseInstance(instance, log);
    retiring.resolve();
  }

  return generation;
}

/** The error of a finding, for the calls that meet it later. */
export function errorOf(finding: Finding): DurarError {
  return new DurarError(finding.code, finding.message, { hint: finding.hint, owner: finding.owner });
}

function* idsToLoad(plan: Plan, time: PlannedExtension['load']): Generator<string> {
  for (const [id, planned] of plan.extensions) if (planned.enabled && planned.load === time) yield id;
}

function splitOnce(id: string): [ContributionKind, string] {
  const at = id.indexOf(':');
  return [id.slice(0, at) as ContributionKind, id.slice(at + 1)];
}
