import { CONTRIBUTION_ROWS, type ContributionKind, durarError, HOOK_MODES, type HookName } from '../../sdk/index.ts';
import type { CatalogEntry } from '../manifest/catalog.ts';
import type { Contribution } from './generation.ts';
import type { Tap } from './hooks.ts';

/** What one `register()` call contributed. Nobody else sees it before it is committed. */
export interface Draft {
  readonly owner: string;
  readonly contributions: readonly Contribution[];
  readonly taps: readonly Tap[];
  /** Throws `DUR_EXT_*` when the contribution may not be made; keys that belong to another extension by plan are refused, not thrown. */
  add(kind: ContributionKind, key: string, value: unknown): { ok: boolean; existingOwner?: string };
  tap(hook: string, handler: unknown, priority: number): void;
  /** From here on every register method throws. */
  close(): void;
}

export interface DraftOptions {
  entry: CatalogEntry;
  /** The extension that a key belongs to by plan, or that has it already. */
  ownerOf(kind: ContributionKind, key: string): string | undefined;
  /** A key was refused because another extension has it. */
  onRefused?(kind: ContributionKind, key: string, other: string): void;
}

export function createDraft({ entry, ownerOf, onRefused }: DraftOptions): Draft {
  const contributions: Contribution[] = [];
  const taps: Tap[] = [];
  const owner = { extension: entry.id, file: entry.entry ?? entry.manifestFile };
  const isStrict = entry.format === 'native';
  let isOpen = true;

  function assertOpen(method: string): void {
    if (!isOpen) throw durarError('DUR_EXT_REGISTER_CLOSED', { id: entry.id, method }, { owner });
  }

  function undeclared(kind: string, key: string, manifestKey: string, hook: string): Error {
    return durarError('DUR_EXT_UNDECLARED', { id: entry.id, kind, key, manifestKey }, { owner: { ...owner, hook, file: entry.manifestFile } });
  }

  return {
    owner: entry.id,
    contributions,
    taps,
    add(kind, key, value) {
      const row = CONTRIBUTION_ROWS[kind];
      assertOpen(row.method);
      const place = { ...owner, hook: row.method };
      if (row.reserved?.includes(key) && entry.origin !== 'bundled')
        throw durarError('DUR_EXT_RESERVED', { id: entry.id, kind: row.noun, key }, { owner: place });
      if (isStrict && !isDeclared(entry, kind, key)) throw undeclared(row.noun, row.form === 'single' ? row.method : key, row.manifestKey, row.method);
      if (contributions.some((made) => made.kind === kind && made.key === key)) {
        throw durarError('DUR_EXT_TWICE', { id: entry.id, kind: row.noun, key }, { owner: place });
      }
      const other = ownerOf(kind, key);
      if (other !== undefined && other !== entry.id) {
        onRefused?.(kind, key, other);
        return { ok: false, existingOwner: other };
      }
      contributions.push({ kind, key, owner: entry.id, value: value as Contribution['value'] });
      return { ok: true };
    },
    tap(hook, handler, priority) {
      assertOpen('on');
      const place = { ...owner, hook };
      if (!Object.hasOwn(HOOK_MODES, hook)) throw durarError('DUR_HOOK_UNKNOWN', { id: entry.id, hook }, { owner: place });
      if (typeof handler !== 'function')
        throw durarError('DUR_EXT_SHAPE', { id: entry.id, kind: 'hook', key: hook, reason: 'the handler is not a function' }, { owner: place });
      if (isStrict && !entry.taps.includes(hook)) throw undeclared('hook', hook, 'contracts.hooks', hook);
      taps.push({ owner: entry.id, hook: hook as HookName, priority, handler: handler as Tap['handler'] });
    },
    close() {
      isOpen = false;
    },
  };
}

/** An engine or store that a manifest only announces by its `kind` has the extension's own id. */
function isDeclared(entry: CatalogEntry, kind: ContributionKind, key: string): boolean {
  const declared = entry.declares[kind];
  return declared !== undefined && (declared.includes(key) || CONTRIBUTION_ROWS[kind].form === 'single');
}
