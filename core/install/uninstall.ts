import { SLOTS, type SlotName } from '../../sdk/contributions.ts';
import { readExtension } from '../manifest/read.ts';
import type { InstallRecord } from './records.ts';

/** One edit of the operator's configuration, for whoever may write it. An edit that matches nothing is left out by the writer. */
export type ConfigEdit =
  /** Remove the key. */
  | { action: 'unset'; path: string[] }
  /** Remove the key when its value is one of these. */
  | { action: 'unset-if'; path: string[]; values: string[] }
  /** Remove this item from the list. */
  | { action: 'remove-item'; path: string[]; item: string };

export interface UninstallReport {
  id: string;
  record: InstallRecord;
  /** Folders that are gone (in a dry run: would be). */
  removed: string[];
  kept: string[];
  /** What the configuration still says about it. Nothing of this was written. */
  configEdits: ConfigEdit[];
}

/** What a configuration may say of an extension that is going away. The slots are given back to their defaults. */
export function configEditsFor(id: string, root: string): ConfigEdit[] {
  const entries = readExtension({ path: root, origin: 'installed', id })?.entries ?? [];
  const ids = [...new Set([id, ...entries.map((entry) => entry.id)])];
  const edits: ConfigEdit[] = [];
  for (const each of ids) {
    edits.push({ action: 'unset', path: ['plugins', 'entries', each] });
    edits.push({ action: 'remove-item', path: ['plugins', 'allow'], item: each });
    edits.push({ action: 'remove-item', path: ['plugins', 'deny'], item: each });
  }
  for (const slot of Object.keys(SLOTS) as SlotName[]) {
    const values = [...new Set([...ids, ...entries.flatMap((entry) => entry.declares[SLOTS[slot].takes] ?? [])])];
    edits.push({ action: 'unset-if', path: ['plugins', 'slots', slot], values });
  }
  return edits;
}
