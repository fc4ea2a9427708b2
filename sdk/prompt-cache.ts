/**
 * Providers whose prompt cache costs money to write and runs out after some minutes. Sessions on them are pruned unless the configuration says
 * otherwise, as a smaller prompt makes each new write cheaper.
 */
export const TIMED_CACHE_PROVIDERS: ReadonlySet<string> = new Set(['anthropic', 'claude-cli']);
