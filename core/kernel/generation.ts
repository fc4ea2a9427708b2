import type { ContributionKind, ContributionValues, HookContext, HookEvent, HookName, HookResult, SlotName } from '../../sdk/index.ts';
import type { Config } from '../config/schema.ts';
import type { Finding, Plan } from '../manifest/catalog.ts';

/** One committed contribution. */
export interface Contribution<Kind extends ContributionKind = ContributionKind> {
  kind: Kind;
  key: string;
  /** id of the extension */
  owner: string;
  value: Kind extends keyof ContributionValues ? ContributionValues[Kind] : unknown;
}

/** Calls hook points. One per generation. */
export interface HookDispatcher {
  /** True when somebody taps it; lets hot paths skip building the event. */
  has(hook: HookName): boolean;
  /** Extensions that tap it, in the order in which they are called. */
  owners(hook: HookName): string[];
  /** series, waterfall, bail and merge. `base` is the selected port's part; where it stands is the hook point's own rule. */
  call<Name extends HookName>(
    hook: Name,
    event: HookEvent<Name>,
    context: HookContext,
    base?: (event: HookEvent<Name>) => Promise<HookResult<Name> | undefined>,
  ): Promise<HookResult<Name> | undefined>;
  /** sync hooks: returns the merged result. */
  callSync<Name extends HookName>(hook: Name, event: HookEvent<Name>, context: HookContext): HookResult<Name> | undefined;
  /** observe hooks: never awaited, never throws. */
  emit<Name extends HookName>(hook: Name, event: HookEvent<Name>, context: HookContext): void;
}

/** What serves a slot in this generation. `instance` is made once per activation by the contribution's factory. */
export interface SlotOccupant<Instance = unknown> {
  slot: SlotName;
  key: string;
  owner: string;
  instance: Instance;
}

/** The frozen result of one activation. A run takes a lease and keeps to it until it ends. */
export interface Generation {
  readonly number: number;
  /** Secrets are references or the redaction marker. */
  readonly config: Config;
  /** Secrets resolved. For core only; never handed to an extension, a payload or a log. */
  readonly resolvedConfig: Config;
  readonly plan: Plan;
  readonly hooks: HookDispatcher;
  /** Findings of this activation and of everything loaded since. */
  readonly findings: readonly Finding[];
  /** Resolves when all that `settle` loads is loaded. Never rejects; failures are findings. */
  readonly settled: Promise<void>;
  /** One contribution; loads its owner when that is needed. undefined: nobody enabled offers it. Throws the owner's coded failure. */
  contribution<Kind extends ContributionKind>(kind: Kind, key: string): Promise<Contribution<Kind> | undefined>;
  /** All contributions of a kind; loads every enabled owner that declares one. Owners that fail are left out and become findings. */
  contributions<Kind extends ContributionKind>(kind: Kind): Promise<Array<Contribution<Kind>>>;
  /** Those already loaded, without loading anything. */
  loaded<Kind extends ContributionKind>(kind: Kind): Array<Contribution<Kind>>;
  /** Declared and enabled keys of a kind, loaded or not. */
  declared(kind: ContributionKind): Array<{ key: string; owner: string }>;
  /** The occupant of a slot; undefined for `none`. Throws `DUR_SLOT_*` when it failed: there is no fallback. */
  slot(name: SlotName): Promise<SlotOccupant | undefined>;
  /** Keeps this generation alive until `release` was called. */
  lease(): Lease;
}

export interface Lease {
  readonly generation: Generation;
  /** Aborted when the generation was replaced and its drain limit has passed: end what you do. */
  readonly expired: AbortSignal;
  release(): void;
}

/** What rooms above the kernel hold: the way to the generation that is current when they ask. */
export interface GenerationSource {
  current(): Generation;
  /** A lease on the current generation. */
  lease(): Lease;
  /** Called after each swap; returns its own remover. */
  onSwap(listener: (next: Generation, previous: Generation | undefined) => void): () => void;
}
