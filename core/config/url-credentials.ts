import { isRecord } from './config-path.ts';
import { REDACTED } from './redact.ts';

/** `https://name:password@host`, up to the password; behind it stands the rest. */
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/[^/?#\s:@]*:)[^/?#\s@]+(?=@)/i;

/** A copy with the password of every URL replaced by the marker, whatever key it stands under. What holds none is shared. */
export function maskUrlPasswords<T>(value: T): T {
  return mapTexts(value, mask) as T;
}

/** The inverse, for a value that comes back: an unchanged URL gets the password that `present` has at the same place. */
export function restoreUrlPasswords(value: unknown, present: unknown): unknown {
  if (typeof value === 'string') return typeof present === 'string' && value !== present && value === mask(present) ? present : value;
  if (Array.isArray(value)) return value.map((item, index) => restoreUrlPasswords(item, memberOf(present, index)));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, restoreUrlPasswords(child, memberOf(present, key))]));
}

/** Whether a URL in it holds the marker for a password, so that it is no URL to use. */
export function hasMaskedUrl(value: unknown): boolean {
  if (typeof value === 'string') return value.includes(`:${REDACTED}@`);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasMaskedUrl);
}

function mask(text: string): string {
  // `${NAME}` holds no password
  return text.replace(USER_INFO, (whole, head: string) => (whole.slice(head.length).startsWith('${') ? whole : head + REDACTED));
}

function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, child]): [string, unknown, unknown] => [key, child, mapTexts(child, change)]);
  if (entries.every(([, before, after]) => before === after)) return value;
  return Array.isArray(value) ? entries.map(([, , after]) => after) : Object.fromEntries(entries.map(([key, , after]) => [key, after]));
}

function memberOf(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined;
}
