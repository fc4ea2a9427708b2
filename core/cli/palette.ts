import type { WriteStream } from 'node:tty';

/** The product's colours; the second number is the nearest of the sixteen basic ones. */
const COLOURS = {
  accent: [0xff5a2d, 91],
  info: [0xff8a5b, 33],
  success: [0x2fbf71, 32],
  warn: [0xffb020, 33],
  error: [0xe23d2d, 31],
  muted: [0x8b7f77, 90],
} as const;

export type Colour = keyof typeof COLOURS;
export type Palette = Readonly<Record<Colour | 'bold', (text: string) => string>>;

/** Painters for one stream; all of them return the text unchanged where colours are unwanted. */
export function createPalette(stream: Pick<WriteStream, 'isTTY' | 'getColorDepth'>, env: NodeJS.ProcessEnv, wanted: boolean): Palette {
  const depth = wanted ? colourDepth(stream, env) : 1;
  const painter = (open: string, close: string) => (depth === 1 ? (text: string) => text : (text: string) => `\u001b[${open}m${text}\u001b[${close}m`);
  const painters = Object.entries(COLOURS).map(([name, [rgb, basic]]) => [name, painter(colourCode(rgb, basic, depth), '39')]);
  return Object.freeze({ ...Object.fromEntries(painters), bold: painter('1', '22') });
}

function colourDepth(stream: Pick<WriteStream, 'isTTY' | 'getColorDepth'>, env: NodeJS.ProcessEnv): number {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return 1;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '0') return 24;
  return stream.isTTY ? stream.getColorDepth(env) : 1;
}

function colourCode(rgb: number, basic: number, depth: number): string {
  const channels = [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
  if (depth >= 24) return `38;2;${channels.join(';')}`;
  if (depth < 8) return String(basic);
  // The 6x6x6 cube of the 256-colour table starts at 16.
  const [r = 0, g = 0, b = 0] = channels.map((value) => Math.round(value / 51));
  return `38;5;${16 + 36 * r + 6 * g + b}`;
}
