/** How long text is cut. */
export interface ChunkLimits {
  /** characters (UTF-16 units) in one chunk; the fences that a cut adds are counted */
  chars: number;
  /** lines in one chunk */
  lines?: number;
  /** `newline`: a new chunk at each blank line, however short. */
  mode?: 'length' | 'newline';
}

interface Fence {
  /** What opens it again: its mark and its language. */
  open: string;
  /** What closes it. */
  mark: string;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]{0,24}[ \t]*$)?/;
/** From the best place to cut to the worst; the cut comes behind the match. */
const BREAKS: readonly RegExp[] = [/\n[ \t]*\n/g, /\n/g, /[.!?…]["')\]]*\s/g, /\s/g];
/** No fence is reopened in a chunk that has room for less than this. */
const LEAST = 16;

/**
 * Cuts Markdown into messages: at the end of a paragraph, else of a line, a sentence, a word, else between two characters that a reader
 * sees. A code block that is cut is closed and opened again. Nothing is lost but blank space at the cuts; a chunk is never empty.
 */
export function chunkMarkdown(text: string, limits: ChunkLimits): string[] {
  const chars = Math.max(1, Math.floor(limits.chars));
  const lines = limits.lines ?? Number.POSITIVE_INFINITY;
  const pieces = limits.mode === 'newline' ? paragraphs(text) : [text];
  return pieces.flatMap((piece) => cutPiece(piece, chars, lines));
}

function cutPiece(text: string, chars: number, lines: number): string[] {
  const chunks: string[] = [];
  let rest = text;
  let prefix = '';

  while (rest.trim() !== '') {
    if (prefix.length + rest.length <= chars && countLines(prefix + rest) <= lines) {
      chunks.push(prefix + rest.trimEnd());
      break;
    }
    const fenceLines = prefix === '' ? 0 : 1;
    let end = cutAt(rest, chars - prefix.length, lines - fenceLines);
    let fence = openFence(prefix + rest.slice(0, end));
    if (fence !== undefined) {
      // room for the line that closes it
      const room = chars - prefix.length - fence.mark.length - 1;
      if (room >= LEAST) end = cutAt(rest, room, Math.max(1, lines - fenceLines - 1));
      fence = openFence(prefix + rest.slice(0, end));
    }
    const head = (prefix + rest.slice(0, end)).trimEnd();
    const isOnlyFence = fence !== undefined && head.trim() === fence.open;
    if (head !== '' && !isOnlyFence) chunks.push(fence === undefined ? head : `${head}\n${fence.mark}`);
    rest = rest.slice(end);
    rest = fence === undefined ? rest.replace(/^\s+/, '') : rest.replace(/^\n/, '');
    prefix = fence === undefined || fence.open.length + LEAST > chars ? '' : `${fence.open}\n`;
    if (fence !== undefined && new RegExp(`^ {0,3}${fence.mark}[ \\t]*(?:\\n|$)`).test(rest)) {
      // the cut came just before the fence's own end, which is written already
      rest = rest.slice(rest.indexOf('\n') < 0 ? rest.length : rest.indexOf('\n') + 1).replace(/^\s+/, '');
      prefix = '';
    }
  }
  return chunks;
}

/** Where to cut so that the head keeps the limits: the last good break in its second half, else anywhere in it, else at the limit. At least 1. */
function cutAt(text: string, chars: number, lines: number): number {
  const limit = Math.max(1, Math.min(chars, endOfLine(text, lines)));
  if (limit >= text.length) return text.length;
  // a break just behind the limit is as good as one before it: blank space at a cut goes away
  const head = text.slice(0, limit + 1);
  for (const least of [Math.ceil(limit / 2), 1]) {
    for (const pattern of BREAKS) {
      const at = Math.min(lastBreak(head, pattern), limit);
      if (at >= least) return at;
    }
  }
  return characterEnd(text, limit);
}

function lastBreak(head: string, pattern: RegExp): number {
  let last = 0;
  for (const match of head.matchAll(pattern)) last = match.index + match[0].length;
  return last;
}

/** The last place at or before `limit` that does not tear a visible character apart; such a character longer than the limit is cut. */
function characterEnd(text: string, limit: number): number {
  const from = Math.max(0, limit - 64);
  let end = 0;
  for (const { index, segment } of new Intl.Segmenter().segment(text.slice(from, limit + 64))) {
    const at = from + index + segment.length;
    if (at > limit) break;
    end = at;
  }
  if (end > 0) return end;
  const code = text.charCodeAt(limit - 1);
  return limit > 1 && code >= 0xd800 && code <= 0xdbff ? limit - 1 : limit;
}

/** The fence that is open at the end of the text. */
function openFence(text: string): Fence | undefined {
  let fence: Fence | undefined;
  for (const line of text.split('\n')) fence = fenceAfter(line, fence);
  return fence;
}

function fenceAfter(line: string, fence: Fence | undefined): Fence | undefined {
  const [, mark, language = ''] = FENCE.exec(line) ?? [];
  if (mark === undefined) return fence;
  if (fence === undefined) return { open: mark + language.trim(), mark };
  return mark[0] === fence.mark[0] && mark.length >= fence.mark.length && line.trim() === mark ? undefined : fence;
}

/** Split at blank lines outside of code blocks. */
function paragraphs(text: string): string[] {
  const found: string[][] = [[]];
  let fence: Fence | undefined;
  for (const line of text.split('\n')) {
    fence = fenceAfter(line, fence);
    if (line.trim() === '' && fence === undefined) found.push([]);
    else found.at(-1)?.push(line);
  }
  return found.map((lines) => lines.join('\n')).filter((piece) => piece.trim() !== '');
}

function countLines(text: string): number {
  return text.trimEnd().split('\n').length;
}

/** Length of the first `lines` lines, the last line break left out. */
function endOfLine(text: string, lines: number): number {
  if (!Number.isFinite(lines)) return text.length;
  let at = -1;
  for (let line = 0; line < Math.max(1, lines); line += 1) {
    at = text.indexOf('\n', at + 1);
    if (at < 0) return text.length;
  }
  return at;
}
