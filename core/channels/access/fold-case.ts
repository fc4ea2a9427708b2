/** Upper case does not count in A to Z alone: elsewhere it would make one id of two, as the Kelvin sign becomes the letter k. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
