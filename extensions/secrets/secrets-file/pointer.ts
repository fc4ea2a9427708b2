/** Where an RFC 6901 pointer leads in a JSON document, or why it leads nowhere. Only what the document itself holds is found. */
export function valueAt(document: unknown, pointer: string): { value: unknown } | { problem: string } {
  if (!pointer.startsWith('/')) return { problem: 'the id is not an absolute JSON pointer' };
  if (/~(?![01])/.test(pointer)) return { problem: 'the id has an invalid escape: ~ is written ~0, and / inside a name is ~1' };
  let value = document;
  for (const part of pointer.slice(1).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    // an index has one spelling, and `-` is behind the last item
    const isThere = Array.isArray(value) ? /^(?:0|[1-9]\d*)$/.test(name) : typeof value === 'object' && value !== null;
    if (!isThere || !Object.hasOwn(value as object, name)) return { problem: 'the file has nothing at this pointer' };
    value = (value as Record<string, unknown>)[name];
  }
  return { value };
}
