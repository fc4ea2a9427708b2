import { isAbsolute } from 'node:path';

/** The block of an alias. */
export interface ExecSettings {
  command: string;
  args: string[];
  passEnv: string[];
  env: Record<string, string>;
  jsonOnly: boolean;
  timeoutMs: number;
  noOutputTimeoutMs: number;
  maxOutputBytes: number;
  allowSymlinkCommand: boolean;
  trustedDirs?: string[];
  allowInsecurePath: boolean;
}

/** The host has checked the block against the manifest; whoever calls without it gets an error, not a surprise. */
export function readSettings(config: Record<string, unknown>): ExecSettings {
  const { command, env = {} } = config;
  if (typeof command !== 'string' || !isAbsolute(command)) throw new Error('command is not an absolute path');
  if (typeof env !== 'object' || env === null || Object.values(env).some((value) => typeof value !== 'string')) throw new Error('env is not a map of texts');
  const timeoutMs = positive(config, 'timeoutMs', 5_000);
  return {
    command,
    args: texts(config, 'args'),
    passEnv: texts(config, 'passEnv'),
    env: env as Record<string, string>,
    jsonOnly: flag(config, 'jsonOnly', true),
    timeoutMs,
    noOutputTimeoutMs: positive(config, 'noOutputTimeoutMs', timeoutMs),
    maxOutputBytes: positive(config, 'maxOutputBytes', 1_048_576),
    allowSymlinkCommand: flag(config, 'allowSymlinkCommand', false),
    allowInsecurePath: flag(config, 'allowInsecurePath', false),
    ...(config.trustedDirs === undefined ? {} : { trustedDirs: texts(config, 'trustedDirs') }),
  };
}

function texts(config: Record<string, unknown>, key: string): string[] {
  const value = config[key] ?? [];
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) throw new Error(`${key} is not a list of texts`);
  return value;
}

function flag(config: Record<string, unknown>, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  if (typeof value !== 'boolean') throw new Error(`${key} is neither true nor false`);
  return value;
}

function positive(config: Record<string, unknown>, key: string, fallback: number): number {
  const value = config[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) throw new Error(`${key} is not a whole number above 0`);
  return value;
}
