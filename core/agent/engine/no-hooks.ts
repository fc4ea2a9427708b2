import type { HookDispatcher } from '../../kernel/generation.ts';

/** Hook points that nobody taps: the engine alone. */
export const noHooks: HookDispatcher = {
  has: () => false,
  call: async (_hook, event, _context, base) => base?.(event),
  callSync: () => undefined,
  owners: () => [],
  emit() {},
};
