import { durarError, errorText, SLOTS, type SlotName } from '../../sdk/index.ts';
import type { Contribution, SlotOccupant } from './generation.ts';
import type { Instance } from './instance.ts';
import { within } from './scope.ts';

const FACTORY_TIMEOUT_MS = 15_000;

/** Which contribution serves a slot, and what its product must have. */
const SLOT_PORTS = {
  contextEngine: { kind: 'contextEngine', noun: 'context engine', methods: ['ingest', 'assemble', 'compact'] },
  sessionStore: { kind: 'sessionStore', noun: 'session store', methods: ['open', 'get', 'list', 'patch', 'append', 'read', 'reset', 'delete', 'close'] },
  memory: { kind: 'memoryRuntime', noun: 'memory runtime', methods: [] },
} as const;

/** How many instances were given one product: a factory may return the same object twice, and the last of them closes it. */
export type SharedProducts = WeakMap<object, number>;

/** Runs the factory of a slot's contribution, once per instance, and checks what it made. Throws `DUR_SLOT_*`; there is no fallback. */
export async function occupySlot(slot: SlotName, key: string, instance: Instance, shared: SharedProducts = new WeakMap()): Promise<SlotOccupant> {
  const port = SLOT_PORTS[slot];
  const owner = { extension: instance.id, hook: `plugins.slots.${slot}` };
  const contribution = instance.draft.contributions.find((made) => made.kind === port.kind && (made.key === key || slot === 'memory'));
  if (contribution === undefined) {
    const other = instance.draft.contributions.find((made) => made.kind === port.kind);
    if (other !== undefined) throw durarError('DUR_SLOT_ENGINE_ID', { slot, key, other: other.key }, { owner });
    // In the ancestor's format a memory may consist of tools and hooks alone.
    if (slot === 'memory' && instance.entry.format === 'ancestor') return { slot, key, owner: instance.id, instance: {} };
    throw durarError(
      'DUR_SLOT_FAILED',
      { slot, key, reason: `'${instance.id}' registers no ${port.noun} of that name`, fallback: SLOTS[slot].fallback },
      { owner },
    );
  }
  const id = `${port.kind}:${contribution.key}`;
  let product = instance.made.get(id);
  if (product === undefined) {
    product = make(contribution, port, instance, shared);
    instance.made.set(id, product);
  }
  try {
    return { slot, key, owner: instance.id, instance: await product };
  } catch (error) {
    throw durarError('DUR_SLOT_FAILED', { slot, key, reason: errorText(error), fallback: SLOTS[slot].fallback }, { owner, cause: error });
  }
}

async function make(contribution: Contribution, port: (typeof SLOT_PORTS)[SlotName], instance: Instance, shared: SharedProducts): Promise<unknown> {
  const { key, value } = contribution;
  const owner = { extension: instance.id, hook: 'factory' };
  if (port.kind === 'memoryRuntime') return value;
  let product: unknown;
  try {
    product = await within(FACTORY_TIMEOUT_MS, value as () => unknown, () => new Error(`it did not end within ${FACTORY_TIMEOUT_MS} ms`));
  } catch (error) {
    throw durarError('DUR_EXT_FACTORY_FAILED', { kind: port.noun, key, reason: errorText(error) }, { owner, cause: error });
  }
  const members = (typeof product === 'object' && product !== null ? product : {}) as Record<string, unknown>;
  const reason = wrongShape(port.kind, port.methods, members);
  if (reason !== undefined) throw durarError('DUR_EXT_SHAPE', { kind: port.noun, key, id: instance.id, reason }, { owner });
  const dispose = members.dispose ?? members.close;
  shared.set(members, (shared.get(members) ?? 0) + 1);
  instance.scope.defer(() => {
    const users = (shared.get(members) ?? 1) - 1;
    shared.set(members, users);
    return users === 0 && typeof dispose === 'function' ? dispose.call(product) : undefined;
  });
  return product;
}

function wrongShape(kind: string, methods: readonly string[], members: Record<string, unknown>): string | undefined {
  if (kind === 'contextEngine') {
    const info = members.info as { id?: unknown; name?: unknown } | undefined;
    if (typeof info !== 'object' || info === null || typeof info.id !== 'string' || typeof info.name !== 'string') return "'info' needs an id and a name";
  }
  const absent = methods.find((method) => typeof members[method] !== 'function');
  return absent === undefined ? undefined : `'${absent}' must be a function`;
}
