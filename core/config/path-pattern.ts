import type { Segment } from './config-path.ts';

interface Node {
  /** A pattern ends here. */
  end: boolean;
  children: Map<string, Node>;
}

/** Which of a set of dotted patterns a path meets; `*` stands for one key or index. */
export interface PathPatterns {
  /** A pattern is exactly this path. */
  matches(path: readonly Segment[]): boolean;
  /** A pattern is this path or one of its parents. */
  covers(path: readonly Segment[]): boolean;
}

export function createPathPatterns(patterns: readonly string[]): PathPatterns {
  const root: Node = { end: false, children: new Map() };
  for (const pattern of patterns) {
    let node = root;
    for (const key of pattern.split('.')) {
      const next = node.children.get(key) ?? { end: false, children: new Map() };
      node.children.set(key, next);
      node = next;
    }
    node.end = true;
  }
  return {
    matches: (path) => walk(root, path, 0, false),
    covers: (path) => walk(root, path, 0, true),
  };
}

function walk(node: Node, path: readonly Segment[], at: number, orParent: boolean): boolean {
  if (at === path.length) return node.end;
  if (orParent && node.end) return true;
  const exact = node.children.get(String(path[at]));
  if (exact !== undefined && walk(exact, path, at + 1, orParent)) return true;
  const any = node.children.get('*');
  return any !== undefined && walk(any, path, at + 1, orParent);
}
