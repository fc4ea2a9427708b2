import { createContext, Script } from 'node:vm';
import { errorCode } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import { patternFault, repetitions } from './mention-pattern.ts';

/** Finds the agent's own mention patterns in messages. */
export interface Mentions {
  /** Whether there is anything to look for. */
  has(config: Config, agentId: string): boolean;
  isNamed(config: Config, agentId: string, text: string): boolean;
}

/** As much of a message as a pattern looks at, characters. */
const MAX_TEXT = 4_000;
const TIMEOUT_MS = 25;

/** `warn` is told once of each pattern that is not used. */
export function createMentions(warn: (pattern: string, reason: string) => void): Mentions {
  /** null: refused. */
  const compiled = new Map<string, RegExp | null>();
  const guarded = createGuard();

  function patternOf(source: string): RegExp | null {
    const known = compiled.get(source);
    if (known !== undefined) return known;
    const fault = patternFault(source);
    if (fault !== undefined) warn(source, fault);
    const pattern = fault === undefined ? new RegExp(source, 'i') : null;
    compiled.set(source, pattern);
    return pattern;
  }

  return {
    has: (config, agentId) => patternsOf(config, agentId).length > 0,
    isNamed(config, agentId, text) {
      const part = text.slice(0, MAX_TEXT);
      return patternsOf(config, agentId).some((source) => {
        const pattern = patternOf(source);
        if (pattern === null) return false;
        if (repetitions(source) < 2) return pattern.test(part);
        const found = guarded(pattern, part);
        if (found === undefined) {
          compiled.set(source, null);
          warn(source, `it took longer than ${TIMEOUT_MS} ms`);
        }
        return found === true;
      });
    },
  };
}

/** `agents.list[].groupChat.mentionPatterns`, else those of `messages.groupChat`. */
export function patternsOf(config: Config, agentId: string): readonly string[] {
  const agent = config.agents.list?.find(({ id }) => id.toLowerCase() === agentId) as { groupChat?: { mentionPatterns?: string[] } } | undefined;
  return agent?.groupChat?.mentionPatterns ?? config.messages.groupChat.mentionPatterns ?? [];
}

/** Tests a pattern that may be slow, with an end to it; undefined: it was reached. */
function createGuard(): (pattern: RegExp, text: string) => boolean | undefined {
  const script = new Script('pattern.test(text)');
  let sandbox: Record<string, unknown> | undefined;
  return (pattern, text) => {
    sandbox ??= createContext(Object.create(null) as Record<string, unknown>);
    Object.assign(sandbox, { pattern, text });
    try {
      return script.runInContext(sandbox, { timeout: TIMEOUT_MS }) === true;
    } catch (error) {
      if (errorCode(error) === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
      throw error;
    }
  };
}
