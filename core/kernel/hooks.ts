import { AsyncSeriesBailHook, AsyncSeriesHook, AsyncSeriesWaterfallHook, SyncWaterfallHook } from 'tapable';
import {
  durarError,
  errorText,
  HOOK_MODES,
  type HookContext,
  type HookEvent,
  type HookName,
  type HookResult,
  JOINED_KEYS,
  noteOrigin,
  TERMINAL_KEYS,
} from '../../sdk/index.ts';
import type { Logger } from '../logging/logger.ts';
import type { HookDispatcher } from './generation.ts';
import { within } from './scope.ts';

/** One handler as `api.on` recorded it; a generation taps it into its own table. */
export interface Tap {
  owner: string;
  hook: HookName;
  priority: number;
  handler: (event: unknown, context: HookContext) => unknown;
}

export interface HookTableOptions {
  log: Logger;
  /** milliseconds one handler may take; the approval hook has the request's own expiry instead */
  timeoutMs?: number;
  /** false: the extension may not touch the prompt (`plugins.entries.<id>.hooks.allowPromptInjection`). */
  mayPrompt?: (owner: string) => boolean;
  /** true: the extension is quarantined and its handlers are passed over. */
  isQuarantined?: (owner: string) => boolean;
}

const HANDLER_TIMEOUT_MS = 15_000;
const SLOW_HANDLER_MS = 1_000;

/** Where a failing handler ends the call: gates, which must not be passed because their keeper broke, and what the run cannot do without. */
const FAILURE_ENDS_CALL: ReadonlySet<HookName> = new Set([
  'context.assemble',
  'context.compact',
  'provider.request',
  'secrets.resolve',
  'approval.request',
  'before_tool_call',
  'before_install',
]);
/** A waterfall cannot stop by itself: once one of these is set, later handlers are passed over. */
const ENDING_KEYS: Partial<Record<HookName, string>> = { 'channel.inbound': 'handled', 'channel.outbound': 'cancel' };
const PROMPT_HOOKS: ReadonlySet<HookName> = new Set(['before_prompt_build', 'before_agent_start']);
const PROMPT_FIELDS = ['systemPrompt', 'prependContext', 'prependSystemContext', 'appendSystemContext'] as const;

type Merged = Record<string, unknown>;
type AsyncHook =
  | AsyncSeriesHook<[unknown, HookContext]>
  | AsyncSeriesWaterfallHook<[unknown, HookContext]>
  | AsyncSeriesBailHook<[unknown, HookContext, Merged], unknown>;

/** The hook points of one generation. tapable has no untap: a table dies with its generation. */
export interface HookTable extends HookDispatcher {
  tap(tap: Tap): void;
}

export function createHookTable(options: HookTableOptions): HookTable {
  const { log } = options;
  const timeoutMs = options.timeoutMs ?? HANDLER_TIMEOUT_MS;
  const asyncHooks = new Map<HookName, AsyncHook>();
  const syncHooks = new Map<HookName, SyncWaterfallHook<[Merged, HookContext]>>();

  /** Calls one handler: named, timed, under a timeout, its result checked. */
  async function invoke(tap: Tap, event: unknown, context: HookContext): Promise<Merged | undefined> {
    if (options.isQuarantined?.(tap.owner)) return undefined;
    const started = performance.now();
    const owner = { extension: tap.owner, hook: tap.hook };
    try {
      const limit = tap.hook === 'approval.request' ? Math.max(1, (event as { expiresAtMs: number }).expiresAtMs - Date.now()) : timeoutMs;
      const result = await within(
        limit,
        () => tap.handler(event, context),
        () => durarError('DUR_HOOK_TIMEOUT', { id: tap.owner, hook: tap.hook, ms: limit }, { owner }),
      );
      return checked(tap, result);
    } catch (error) {
      const coded =
        error instanceof Error && 'code' in error && 'hint' in error
          ? error
          : durarError('DUR_HOOK_FAILED', { id: tap.owner, hook: tap.hook, reason: errorText(error) }, { owner, cause: error });
      if (FAILURE_ENDS_CALL.has(tap.hook)) throw coded;
      log.error(coded.message, { ...owner, trace: error instanceof Error ? error.stack : undefined });
      return undefined;
    } finally {
      const ms = performance.now() - started;
      if (ms > SLOW_HANDLER_MS && tap.hook !== 'approval.request') log.warn(`'${tap.owner}' took ${Math.round(ms)} ms in ${tap.hook}`, owner);
    }
  }

  /** `undefined` abstains; anything but an object is the handler's mistake. */
  function checked(tap: Tap, result: unknown): Merged | undefined {
    if (result === undefined) return undefined;
    const mode = HOOK_MODES[tap.hook];
    if (mode === 'series' || mode === 'observe') return undefined;
    if (typeof result !== 'object' || result === null) {
      throw durarError(
        'DUR_HOOK_RESULT',
        { id: tap.owner, hook: tap.hook, reason: `expected an object or undefined, got ${result === null ? 'null' : typeof result}` },
        { owner: { extension: tap.owner, hook: tap.hook } },
      );
    }
    if (PROMPT_HOOKS.has(tap.hook) && options.mayPrompt?.(tap.owner) === false) {
      const allowed: Merged = { ...result };
      for (const field of PROMPT_FIELDS) delete allowed[field];
      return allowed;
    }
    return result as Merged;
  }

  function tapAsync(tap: Tap): void {
    const settings = { name: tap.owner, stage: -tap.priority };
    switch (HOOK_MODES[tap.hook]) {
      case 'series':
      case 'observe': {
        const hook = (asyncHooks.get(tap.hook) ?? new AsyncSeriesHook<[unknown, HookContext]>(['event', 'context'])) as AsyncSeriesHook<[unknown, HookContext]>;
        hook.tapPromise(settings, async (event, context) => void (await invoke(tap, event, context)));
        asyncHooks.set(tap.hook, hook);
        return;
      }
      case 'waterfall': {
        const hook = (asyncHooks.get(tap.hook) ?? new AsyncSeriesWaterfallHook<[unknown, HookContext]>(['value', 'context'])) as AsyncSeriesWaterfallHook<
          [unknown, HookContext]
        >;
        const ending = ENDING_KEYS[tap.hook];
        hook.tapPromise(settings, async (value, context) => {
          if (ending !== undefined && (value as Merged)[ending] === true) return value;
          return { ...(value as Merged), ...(await invoke(tap, value, context)) };
        });
        asyncHooks.set(tap.hook, hook);
        return;
      }
      case 'bail':
      case 'merge': {
        const hook = (asyncHooks.get(tap.hook) ??
          new AsyncSeriesBailHook<[unknown, HookContext, Merged], unknown>(['event', 'context', 'merged'])) as AsyncSeriesBailHook<
          [unknown, HookContext, Merged],
          unknown
        >;
        const isMerge = HOOK_MODES[tap.hook] === 'merge';
        hook.tapPromise(settings, async (event, context, merged) => {
          const result = await invoke(tap, event, context);
          if (!isMerge || result === undefined) return result;
          return mergeInto(merged, result, tap) ? true : undefined;
        });
        asyncHooks.set(tap.hook, hook);
        return;
      }
    }
  }

  /** Adds a result to what earlier handlers decided; true when it is terminal. */
  function mergeInto(merged: Merged, result: Merged, tap: Tap): boolean {
    const joined = JOINED_KEYS[tap.hook] ?? [];
    for (const [key, value] of Object.entries(result)) {
      if (value === undefined || value === false) continue;
      if (PROMPT_HOOKS.has(tap.hook)) noteOrigin(merged, { key, owner: tap.owner, chars: String(value).length });
      if (key === 'params') merged[key] = { ...(value as Merged), ...(merged[key] as Merged | undefined) };
      else if (joined.includes(key) && typeof merged[key] === 'string') merged[key] = `${merged[key]}\n\n${String(value)}`;
      else merged[key] ??= key === 'requireApproval' ? { ...(value as Merged), pluginId: tap.owner } : value;
    }
    return (TERMINAL_KEYS[tap.hook] ?? []).some((key) => merged[key] === true);
  }

  function tapSync(tap: Tap): void {
    const hook = syncHooks.get(tap.hook) ?? new SyncWaterfallHook<[Merged, HookContext]>(['value', 'context']);
    hook.tap({ name: tap.owner, stage: -tap.priority }, (value, context) => {
      if (options.isQuarantined?.(tap.owner) || value.block === true) return value;
      try {
        const result = tap.handler(value, context);
        if (result instanceof Promise) {
          result.catch((error: unknown) => log.error(`'${tap.owner}' failed in ${tap.hook}: ${errorText(error)}`, { extension: tap.owner }));
          log.warn(`'${tap.owner}' returned a promise from ${tap.hook}, which must answer at once; it was dropped`, { extension: tap.owner, hook: tap.hook });
          return value;
        }
        return { ...value, ...checked(tap, result) };
      } catch (error) {
        log.error(`'${tap.owner}' failed in ${tap.hook}: ${errorText(error)}`, { extension: tap.owner, hook: tap.hook });
        return value;
      }
    });
    syncHooks.set(tap.hook, hook);
  }

  return {
    tap(tap) {
      if (HOOK_MODES[tap.hook] === 'sync') tapSync(tap);
      else tapAsync(tap);
    },
    has: (name) => asyncHooks.has(name) || syncHooks.has(name),
    owners: (name) => [...new Set((asyncHooks.get(name) ?? syncHooks.get(name))?.taps.map((tap) => tap.name))],

    async call<Name extends HookName>(
      name: Name,
      event: HookEvent<Name>,
      context: HookContext,
      base?: (event: HookEvent<Name>) => Promise<HookResult<Name> | undefined>,
    ) {
      const hook = asyncHooks.get(name);
      switch (HOOK_MODES[name]) {
        case 'waterfall': {
          const made = base === undefined ? undefined : await base(event);
          if (hook === undefined) return (made ?? event) as HookResult<Name>;
          return (await (hook as AsyncSeriesWaterfallHook<[unknown, HookContext]>).promise(
            { ...(event as Merged), ...(made as Merged | undefined) },
            context,
          )) as HookResult<Name>;
        }
        case 'merge': {
          const merged: Merged = {};
          await (hook as AsyncSeriesBailHook<[unknown, HookContext, Merged], unknown> | undefined)?.promise(event, context, merged);
          return (Object.keys(merged).length === 0 ? await base?.(event) : merged) as HookResult<Name> | undefined;
        }
        case 'bail': {
          const decided = await (hook as AsyncSeriesBailHook<[unknown, HookContext, Merged], unknown> | undefined)?.promise(event, context, {});
          return (decided ?? (await base?.(event))) as HookResult<Name> | undefined;
        }
        default: {
          const made = await base?.(event);
          await (hook as AsyncSeriesHook<[unknown, HookContext]> | undefined)?.promise(event, context);
          return made;
        }
      }
    },

    callSync<Name extends HookName>(name: Name, event: HookEvent<Name>, context: HookContext) {
      return syncHooks.get(name)?.call({ ...(event as Merged) }, context) as HookResult<Name> | undefined;
    },

    emit(name, event, context) {
      void (asyncHooks.get(name) as AsyncSeriesHook<[unknown, HookContext]> | undefined)?.promise(event, context);
    },
  };
}
