import { type ErrorCode, SLOTS, type SlotName } from '../../sdk/index.ts';
import { manifestKinds } from '../../sdk/manifest-fields.ts';
import { suggest } from '../../sdk/suggest.ts';
import type { Catalog, CatalogEntry, Finding, PlannedExtension, SlotChoice } from './catalog.ts';
import { finding } from './finding.ts';

/**
 * The extension that the slot's key belongs to, on or off. Declared ids come first, an extension of that very id before another; then one in the
 * ancestor's format, which does not say under which id it registers: it is taken at its word and compared after `register`.
 */
export function slotOwner(slot: SlotName, key: string, entries: Iterable<CatalogEntry>): CatalogEntry | undefined {
  const all = [...entries];
  const declaring = all.filter((entry) => engineIds(entry, slot).includes(key));
  const undeclared = all.filter((entry) => !entry.declared && servesKind(entry, slot));
  return (
    declaring.find((entry) => entry.id === key) ??
    declaring[0] ??
    undeclared.find((entry) => entry.id === key) ??
    (slot === 'memory' ? undefined : undeclared.find((entry) => servesKind(entry, slot, true)))
  );
}

/** Decides a slot from its owner's state. Whatever does not fit is a coded failure, never another occupant. */
export function chooseSlot(slot: SlotName, key: string, owner: PlannedExtension | undefined, catalog: Catalog, active: string): SlotChoice {
  const { none, fallback, aside } = SLOTS[slot];
  if (none && key === 'none') return { slot, key, none: true };
  const place = { extension: owner?.entry.id ?? key, pointer: `/plugins/slots/${slot}` };
  const fail = (code: ErrorCode, values: Record<string, unknown>, hint?: string, level: Finding['level'] = 'error'): SlotChoice => ({
    slot,
    key,
    failed: finding(level, code, { slot, key, fallback, ...values }, place, hint),
  });
  // no error: the shadow becomes the active engine by one change of the configuration
  if (aside && key === active) return fail('DUR_SLOT_SHADOW', {}, undefined, 'warn');
  if (owner !== undefined) {
    const { id } = owner.entry;
    if (!owner.enabled) return fail('DUR_SLOT_DISABLED', { id, reason: owner.reason });
    if (owner.blocked !== undefined) return fail('DUR_SLOT_FAILED', { reason: owner.blocked.message });
    return { slot, key, owner: id };
  }
  const broken = catalog.broken.get(key);
  if (broken !== undefined) return fail('DUR_SLOT_FAILED', { reason: broken.finding.message });
  const namesake = catalog.entries.get(key);
  const other = namesake === undefined ? undefined : engineIds(namesake, slot)[0];
  if (other !== undefined) return fail('DUR_SLOT_ENGINE_ID', { other });
  // The configuration is filled with defaults, so the default memory may be absent like any that nobody chose.
  if (none && key === fallback) return { slot, key, none: true };
  if (key === fallback) return fail('DUR_SLOT_EMPTY', {});
  const known = [...catalog.entries.values()].flatMap((entry) => engineIds(entry, slot));
  const similar = suggest(key, known);
  return fail('DUR_SLOT_UNKNOWN', {}, similar && `Did you mean '${similar}'? Run \`durar config set plugins.slots.${slot} ${similar}\`.`);
}

/** The ids under which an extension offers itself for a slot. Memory has no ids of its own: the extension's id is the key. */
function engineIds(entry: CatalogEntry, slot: SlotName): readonly string[] {
  if (slot === 'memory') return servesKind(entry, slot) ? [entry.id] : [];
  return entry.declares[SLOTS[slot].takes] ?? [];
}

/** In the ancestor's format `kind` is optional, so there every extension may serve; `surely` asks for those that say so. */
function servesKind({ manifest, format }: CatalogEntry, slot: SlotName, surely = false): boolean {
  return manifestKinds(manifest).includes(SLOTS[slot].kind) || (!surely && slot !== 'memory' && format === 'ancestor');
}
