import { isForbiddenKey, isRecord } from './config-path.ts';

/** RFC 7396: objects merge, `null` deletes, everything else replaces. Neither argument is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (!isForbiddenKey(key)) result[key] = mergePatch(result[key], value);
  }
  return result;
}
