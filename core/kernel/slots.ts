import { CONTRIBUTIONS, type DurarError, durarError, errorText, SLOTS, type SlotName } from '../../sdk/index.ts';
import type { Contribution, SlotOccupant } from './generation.ts';
import type { Instance } from './instance.ts';
import { within } from './scope.ts';

const FACTORY_TIMEOUT_MS = 15_000;

/** What the product of a slot's contribution must have. */
const METHODS = {
  contextEngine: ['ingest', 'assemble', 'compact'],
  sessionStore: ['open', 'get', 'list', 'patch', 'append', 'read', 'reset', 'delete', 'close'],
  memoryRuntime: [],
} as const;

type SlotKind = keyof typeof METHODS;

/** How many instances were given one product: a factory may return the same object twice, and the last of them closes it. */
export type SharedProducts = WeakMap<object, number>;

/** Runs the factory of a slot's contribution, once per instance, and checks what it made. Throws `DUR_SLOT_*`; there is no fallback. */
export async function occupySlot(slot: SlotName, key: string, instance: Instance, shared: SharedProducts = new WeakMap()): Promise<SlotOccupant> {
  const kind = SLOTS[slot].takes;
  const offers = instance.draft.contributions.filter((made) => made.kind === kind);
  const contribution = offers.find((made) => made.key === key || slot === 'memory');
  if (contribution === undefined) {
    const owner = { extension: instance.id, hook: `plugins.slots.${slot}` };
    if (offers[0] !== undefined) throw durarError('DUR_SLOT_ENGINE_ID', { slot, key, other: offers[0].key }, { owner });
    // In the ancestor's format a memory may consist of tools and hooks alone.
    if (slot === 'memory' && instance.entry.format === 'ancestor') return { slot, key, owner: instance.id, instance: {} };
    throw slotFailure(slot, key, instance.id, `'${instance.id}' registers no ${CONTRIBUTIONS[kind].noun} of that name`);
  }
  const id = `${kind}:${contribution.key}`;
  let product = instance.made.get(id);
  if (product === undefined) {
    product = make(contribution, kind, instance, shared);
    instance.made.set(id, product);
  }
  try {
    return { slot, key, owner: instance.id, instance: await product };
  } catch (error) {
    throw slotFailure(slot, key, instance.id, errorText(error), error);
  }
}

/** What the calls get that need the slot. */
export function slotFailure(slot: SlotName, key: string, extension: string, reason: string, cause?: unknown): DurarError {
  return durarError('DUR_SLOT_FAILED', { slot, key, reason, fallback: SLOTS[slot].fallback }, { owner: { extension, hook: `plugins.slots.${slot}` }, cause });
}

async function make(contribution: Contribution, kind: SlotKind, instance: Instance, shared: SharedProducts): Promise<unknown> {
  const { key, value } = contribution;
  const owner = { extension: instance.id, hook: 'factory' };
  const { noun } = CONTRIBUTIONS[kind];
  if (kind === 'memoryRuntime') return value;
  let product: unknown;
  try {
    product = await within(FACTORY_TIMEOUT_MS, value as () => unknown, () => new Error(`it did not end within ${FACTORY_TIMEOUT_MS} ms`));
  } catch (error) {
    throw durarError('DUR_EXT_FACTORY_FAILED', { kind: noun, key, reason: errorText(error) }, { owner, cause: error });
  }
  const members = (typeof product === 'object' && product !== null ? product : {}) as Record<string, unknown>;
  const reason = wrongShape(kind, members);
  if (reason !== undefined) throw durarError('DUR_EXT_SHAPE', { kind: noun, key, id: instance.id, reason }, { owner });
  const dispose = members.dispose ?? members.close;
  shared.set(members, (shared.get(members) ?? 0) + 1);
  instance.scope.defer(() => {
    const users = (shared.get(members) ?? 1) - 1;
    shared.set(members, users);
    return users === 0 && typeof dispose === 'function' ? dispose.call(product) : undefined;
  });
  return product;
}

function wrongShape(kind: SlotKind, members: Record<string, unknown>): string | undefined {
  if (kind === 'contextEngine') {
    const info = members.info as { id?: unknown; name?: unknown } | undefined;
    if (typeof info !== 'object' || info === null || typeof info.id !== 'string' || typeof info.name !== 'string') return "'info' needs an id and a name";
  }
  const absent = METHODS[kind].find((method) => typeof members[method] !== 'function');
  return absent === undefined ? undefined : `'${absent}' must be a function`;
}
