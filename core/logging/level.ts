/** From the most to the least; `silent` lets nothing through. */
export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type Level = (typeof LEVELS)[number];

/** The levels that a line can have. */
export type LineLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export function isLevel(value: unknown): value is Level {
  return LEVELS.some((level) => level === value);
}

/** True when a threshold lets a line of that level through. */
export function passes(threshold: Level, level: LineLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(threshold);
}

export interface LevelSources {
  /** `logging.level` */
  level: Level;
  /** `logging.consoleLevel` */
  consoleLevel: Level;
  /** `Durar_LOG_LEVEL`; a value that is no level is ignored. */
  env?: string | undefined;
  /** `--log-level`; comes before the environment. */
  flag?: Level | undefined;
  /** Raises the console only, never the file. */
  verbose?: boolean | undefined;
}

export function resolveLevels(sources: LevelSources): { level: Level; consoleLevel: Level } {
  const override = sources.flag ?? (isLevel(sources.env) ? sources.env : undefined);
  const consoleLevel = override ?? sources.consoleLevel;
  return { level: override ?? sources.level, consoleLevel: sources.verbose && !passes(consoleLevel, 'debug') ? 'debug' : consoleLevel };
}
