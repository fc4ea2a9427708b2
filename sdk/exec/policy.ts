export type Security = 'deny' | 'allowlist' | 'full';
export type Ask = 'off' | 'on-miss' | 'always';

/** From strict to open. */
export const SECURITY = ['deny', 'allowlist', 'full'] as const satisfies readonly Security[];
export const ASK = ['always', 'on-miss', 'off'] as const satisfies readonly Ask[];

/** What holds for one command. */
export interface Policy {
  security: Security;
  ask: Ask;
  /** Counts when a prompt is needed and nobody can answer. */
  askFallback: Security;
}

/** The stricter of the configuration and the host's file, field by field. */
export function effectivePolicy(settings: Pick<Policy, 'security' | 'ask'>, host: Partial<Policy>): Policy {
  return {
    security: stricter(SECURITY, settings.security, host.security),
    ask: stricter(ASK, settings.ask, host.ask),
    askFallback: host.askFallback ?? 'deny',
  };
}

/** What is to be done before a command runs. */
export function verdict({ security, ask }: Pick<Policy, 'security' | 'ask'>, isAllowlisted: boolean): 'run' | 'ask' | 'deny' {
  if (security === 'deny') return 'deny';
  if (ask === 'always') return 'ask';
  if (security === 'full' || isAllowlisted) return 'run';
  return ask === 'on-miss' ? 'ask' : 'deny';
}

function stricter<Value>(fromStrict: readonly Value[], one: Value, other: Value | undefined): Value {
  if (other === undefined) return one;
  return fromStrict.indexOf(one) <= fromStrict.indexOf(other) ? one : other;
}
