/**
 * Two kinds of masking. Patterns guess what looks like a secret and serve tool summaries on the console. Exact values are the active secrets
 * themselves and serve every line that is written.
 */

export type Mask = (text: string) => string;

/** What `logging.redactPatterns` replaces. Where a pattern has groups, the last one that matched is masked and the rest stays readable. */
export const DEFAULT_PATTERNS: readonly string[] = [
  // KEY=value and KEY: value
  String.raw`\b[A-Z0-9_]*(?:API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)\b\s*[=:]\s*["']?([^\s"'\\]+)`,
  // --token value
  String.raw`--(?:[a-z0-9]+-)*(?:api-?key|token|secret|password|passwd)(?:\s+|=)["']?([^\s"']+)`,
  // "token": "value"
  String.raw`"[A-Za-z0-9_-]*(?:api_?key|token|secret|password|passwd)"\s*:\s*"([^"]+)"`,
  String.raw`\bAuthorization\s*[=:]\s*["']?(?:Bearer|Basic)\s+([A-Za-z0-9._~+/=-]+)`,
  String.raw`\bBearer\s+([A-Za-z0-9._~+/=-]{18,})`,
  String.raw`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----`,
  // prefixes of well-known issuers
  String.raw`\b(sk-[A-Za-z0-9_-]{8,})`,
  String.raw`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`,
  String.raw`\b(xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,})`,
  String.raw`\b(gsk_[A-Za-z0-9_-]{10,}|AIza[A-Za-z0-9_-]{20,}|pplx-[A-Za-z0-9_-]{10,}|npm_[A-Za-z0-9]{10,}|AKIA[A-Z0-9]{16})`,
  String.raw`\b(\d{6,}:[A-Za-z0-9_-]{20,})`,
];

/** First six and last four characters of a long value; nothing of a short one. */
export function maskValue(value: string): string {
  return value.length >= 18 ? `${value.slice(0, 6)}…${value.slice(-4)}` : '***';
}

/** Masks what the patterns find. A pattern is a bare regular expression (flags `gi`) or `/pattern/flags` (`g` is added). Throws on a bad one. */
export function createPatternMask(patterns: readonly string[] = DEFAULT_PATTERNS): Mask {
  const expressions = patterns.map(compile);
  return (text) => expressions.reduce((masked, expression) => masked.replace(expression, maskMatch), text);
}

/** Values shorter than this would mask ordinary words. */
const MIN_SECRET_LENGTH = 4;

/** Masks the given values wherever they stand, also escaped as JSON or in a URL. */
export function createValueMask(values: Iterable<string>): Mask {
  const forms = new Set<string>();
  for (const value of values) {
    if (value.length < MIN_SECRET_LENGTH) continue;
    for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value.toWellFormed())]) forms.add(form);
  }
  if (forms.size === 0) return (text) => text;
  // The longest first: one secret may begin with another.
  const sorted = [...forms].sort((left, right) => right.length - left.length);
  const expression = new RegExp(sorted.map(escapeExpression).join('|'), 'g');
  return (text) => text.replace(expression, '***');
}

function escapeExpression(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

function compile(pattern: string): RegExp {
  const custom = /^\/(.+)\/([a-z]*)$/s.exec(pattern);
  if (custom === null) return new RegExp(pattern, 'gi');
  const flags = custom[2] ?? '';
  return new RegExp(custom[1] ?? '', flags.includes('g') ? flags : `${flags}g`);
}

/** What an earlier pattern left. */
const MASKED = /^(?:.{6}….{4}|\*\*\*)$/su;

function maskMatch(match: string, ...rest: unknown[]): string {
  if (match.includes('PRIVATE KEY-----')) return maskBlock(match);
  const end = rest.findIndex((item) => typeof item === 'number');
  const group = rest.slice(0, end).findLast((item): item is string => typeof item === 'string' && item !== '');
  if (group === undefined) return maskValue(match);
  if (MASKED.test(group)) return match;
  const at = match.lastIndexOf(group);
  return match.slice(0, at) + maskValue(group) + match.slice(at + group.length);
}

/** Keeps the first and last line of a PEM block, so that a reader sees what it was. */
function maskBlock(block: string): string {
  const lines = block.split(/\r?\n/);
  return lines.length < 3 ? '***' : `${lines[0]}\n…redacted…\n${lines.at(-1)}`;
}
