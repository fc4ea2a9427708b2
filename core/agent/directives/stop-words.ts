/** Messages that, alone, stop what is running instead of starting something. */
const STOP_WORDS: ReadonlySet<string> = new Set([
  '/stop',
  'stop',
  'abort',
  'esc',
  'wait',
  'exit',
  'interrupt',
  'halt',
  'please stop',
  'stop please',
  'stop action',
  'stop run',
  'stop agent',
  'stop durar',
  'stop openclaw',
  'stopp',
  'anhalten',
  'aufhören',
  'para',
  'detente',
  'detén',
  'arrête',
  'arrete',
  'pare',
  'стоп',
  'остановись',
  'останови',
  '停止',
  'やめて',
  '止めて',
  'रुको',
  'توقف',
]);

export function isStopWord(message: string): boolean {
  const plain = message
    .trim()
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/[.!…。！]+$/, '');
  return STOP_WORDS.has(plain);
}
