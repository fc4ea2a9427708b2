import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dailyName } from './file.ts';
import { resolveLevels } from './level.ts';
import { createLogging, type Logging, type LoggingOptions } from './logging.ts';

let folder: string;
let open: Logging[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durar-log-'));
  open = [];
});

afterEach(async () => {
  vi.useRealTimers();
  for (const logging of open) await logging.close();
  await rm(folder, { recursive: true, force: true });
});

function start(options: LoggingOptions = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const logging = createLogging({
    folder,
    env: {},
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    ...options,
  });
  open.push(logging);
  return { logging, log: logging.child('gateway'), out, err };
}

async function lines(logging: Logging): Promise<Array<Record<string, unknown>>> {
  await logging.flush();
  const text = await readFile(logging.filePath() ?? '', 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the file', () => {
  it('gets one JSON object a line, whatever the message holds (LOG-001, LOG-003, LOG-010)', async () => {
    const { logging, log, out } = start();
    log.info('two\nlines', { a: { b: 1 } });
    log.child('ws').warn('next');
    expect(await lines(logging)).toEqual([
      { level: 'info', time: expect.any(String), subsystem: 'gateway', a: { b: 1 }, message: 'two\nlines' },
      { level: 'warn', time: expect.any(String), subsystem: 'gateway/ws', message: 'next' },
    ]);
    expect(out).toHaveLength(1);
  });

  it('keeps the subsystem, and fields do not replace the keys of the line (LOG-062)', async () => {
    const { logging, log } = start();
    log.info('m', { level: 9, message: 'x', subsystem: 'y' });
    expect(await lines(logging)).toEqual([
      { level: 'info', time: expect.any(String), subsystem: 'gateway', level_: 9, message_: 'x', subsystem_: 'y', message: 'm' },
    ]);
  });

  it('has the local date in its name (LOG-004, LOG-005, LOG-006)', () => {
    const evening = new Date(2026, 11, 31, 23, 59, 59);
    expect(dailyName(evening.getTime())).toBe('Durar-2026-12-31.log');
    const { logging } = start();
    expect(logging.filePath()).toBe(join(folder, dailyName(Date.now())));
  });

  it('is a new one after local midnight (LOG-007)', async () => {
    vi.useFakeTimers({ now: new Date(2026, 2, 3, 23, 59, 59, 500) });
    const { logging, log } = start();
    log.info('before');
    await logging.flush();
    vi.setSystemTime(new Date(2026, 2, 4, 0, 0, 0, 1));
    log.info('after');
    await logging.flush();
    expect(await readdir(folder)).toEqual(['Durar-2026-03-03.log', 'Durar-2026-03-04.log']);
    expect(await lines(logging)).toMatchObject([{ message: 'after' }]);
  });

  it('is logging.file when that is set, and only that (LOG-008)', async () => {
    const file = join(folder, 'own', 'my.log');
    const { logging, log } = start({ file });
    log.info('here');
    expect(await lines(logging)).toMatchObject([{ message: 'here' }]);
    expect(await readdir(folder)).toEqual(['own']);
  });

  it('follows logging.level alone (LOG-009, LOG-013, LOG-014, LOG-015, LOG-065)', async () => {
    const quiet = start({ level: 'warn', consoleLevel: 'trace' });
    quiet.log.info('no');
    quiet.log.warn('yes');
    expect(await lines(quiet.logging)).toMatchObject([{ message: 'yes' }]);
    expect(quiet.out).toHaveLength(1);

    const full = start({ file: join(folder, 'full.log'), level: 'trace', consoleLevel: 'error' });
    full.log.trace('deep');
    full.log.info('shallow');
    expect(await lines(full.logging)).toMatchObject([{ message: 'deep' }, { message: 'shallow' }]);
    expect(full.out).toEqual([]);
  });

  it('has the same keys whatever the console shows (LOG-067)', async () => {
    const keys = new Set<string>();
    for (const consoleStyle of ['pretty', 'compact', 'json'] as const) {
      const { logging, log } = start({ consoleStyle, file: join(folder, `${consoleStyle}.log`), env: { COLORTERM: 'truecolor' } });
      log.info('m', { a: 1 });
      keys.add(Object.keys((await lines(logging))[0] ?? {}).join());
    }
    expect([...keys]).toEqual(['level,time,subsystem,a,message']);
  });

  it('belongs to its user alone', async () => {
    const file = join(folder, 'loose.log');
    await writeFile(file, '', { mode: 0o644 });
    const { logging, log } = start({ file });
    log.info('x');
    await logging.flush();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('stops at its cap and says so once', async () => {
    const { logging, log, err } = start({ maxFileBytes: 300 });
    for (let index = 0; index < 20; index += 1) log.info(`line ${index}`);
    await logging.flush();
    expect((await stat(logging.filePath() ?? '')).size).toBeLessThanOrEqual(300);
    expect(err.filter((text) => text.includes('reached 300 bytes'))).toHaveLength(1);
  });

  it('that cannot be written does not stop the caller', async () => {
    await writeFile(join(folder, 'blocked'), '');
    const { logging, log, err } = start({ file: join(folder, 'blocked', 'a.log') });
    log.info('x');
    log.info('y');
    await logging.flush();
    expect(err.filter((text) => text.includes('cannot write the log file'))).toHaveLength(1);
  });

  it('never holds the exact value of an active secret, in text, fields or errors', async () => {
    const { logging, log, out } = start();
    logging.setSecretValues(['s3cr3t"value']);
    logging.setSecretValues(['other-secret']);
    log.info('got s3cr3t"value', { header: 's3cr3t"value', error: new Error('bad other-secret') });
    await logging.flush();
    const text = await readFile(logging.filePath() ?? '', 'utf8');
    expect(text).not.toMatch(/s3cr3t|other-secret/);
    expect(out.join('')).not.toMatch(/s3cr3t|other-secret/);
  });

  it('holds errors with code, stack and cause', async () => {
    const { logging, log } = start();
    log.error('failed', { error: Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'DUR_X' }) });
    expect(await lines(logging)).toMatchObject([
      { error: { message: 'outer', code: 'DUR_X', stack: expect.stringContaining('logging.test.ts'), cause: { message: 'inner' } } },
    ]);
  });

  it('can be left out', async () => {
    const { logging, log } = start({ file: false });
    log.info('x');
    expect(logging.filePath()).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('exit', () => {
  const script = (body: string) => `
    import { createLogging } from ${JSON.stringify(join(import.meta.dirname, 'logging.ts'))};
    const logging = createLogging({ folder: ${JSON.stringify(folder)}, consoleLevel: 'silent' });
    const log = logging.child('x');
    for (let index = 0; index < 500; index += 1) log.info('line ' + index);
    ${body}`;
  const run = (body: string) =>
    new Promise<number | null>((resolve) => {
      spawn(process.execPath, ['--input-type=module', '--eval', script(body)], { stdio: 'ignore' }).on('exit', resolve);
    });

  it.each([
    ['by itself', '', 0],
    ['process.exit', 'process.exit(3);', 3],
    ['an uncaught error', 'throw new Error("x");', 1],
    ['an uncaught error in a timer', 'setTimeout(() => { throw new Error("x"); }, 1);', 1],
  ])('%s: no line is lost and the order is kept', async (_name, body, code) => {
    expect(await run(body)).toBe(code);
    const [file] = await readdir(folder);
    const text = await readFile(join(folder, file ?? ''), 'utf8');
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { message: string }).message),
    ).toEqual(Array.from({ length: 500 }, (_, index) => `line ${index}`));
  });
});

describe('the console', () => {
  it('has its own level and its own streams (LOG-002, LOG-023)', () => {
    const { log, out, err } = start({ consoleLevel: 'error', file: false });
    log.info('no');
    log.error('yes');
    expect(out).toEqual([]);
    expect(err.join('')).toContain('error: yes');
  });

  it('takes new settings with the next line (LOG-024)', () => {
    const { logging, log, out } = start({ consoleStyle: 'compact', file: false });
    log.info('a');
    logging.set({ consoleStyle: 'json', consoleLevel: 'debug' });
    log.debug('b');
    expect(out[0]).toBe('[gateway] a\n');
    expect(JSON.parse(out[1] ?? '')).toMatchObject({ level: 'debug', message: 'b' });
  });

  it('prints raw text without a prefix (LOG-063)', () => {
    const { logging, out } = start({ file: false });
    logging.logRaw('█▀█');
    expect(out).toEqual(['█▀█\n']);
  });

  it('masks tool summaries and nothing else, and never in the file (LOG-026, LOG-027)', async () => {
    const { logging, log, out } = start({ level: 'debug', consoleLevel: 'debug', consoleStyle: 'compact' });
    const text = '🛠️ Exec: curl --token sk-1234567890abcdefgh';
    log.child('tools').debug(text);
    log.debug('by field', { tool: 'exec', command: '--token sk-1234567890abcdefgh' });
    log.debug(text);
    expect(out[0]).toBe('[tools] 🛠️ Exec: curl --token sk-123…efgh\n');
    expect(out[1]).not.toContain('sk-1234567890');
    expect(out[2]).toContain('sk-1234567890abcdefgh');
    expect(await lines(logging)).toMatchObject([{ message: text }, {}, { message: text }]);
  });

  it('shows them with redactSensitive off; own patterns replace the built-in ones (LOG-028, LOG-029)', () => {
    const { logging, log, out } = start({ redactSensitive: 'off', consoleStyle: 'compact', file: false });
    const tools = log.child('tools');
    tools.info('--token sk-1234567890abcdefgh');
    logging.set({ redactSensitive: 'tools', redactPatterns: ['zebra'] });
    tools.info('zebra --token sk-1234567890abcdefgh');
    expect(out).toEqual(['[tools] --token sk-1234567890abcdefgh\n', '[tools] *** --token sk-1234567890abcdefgh\n']);
  });
});

describe('captureConsole', () => {
  it.each([
    ['log', 'info', 'LOG-016'],
    ['info', 'info', 'LOG-017'],
    ['warn', 'warn', 'LOG-018'],
    ['error', 'error', 'LOG-019'],
    ['debug', 'debug', 'LOG-020'],
    ['trace', 'trace', 'LOG-021'],
  ] as const)('console.%s goes to the file at %s and is still printed (%s, LOG-022)', async (method, level, _id) => {
    const printed = vi.spyOn(console, method).mockImplementation(() => {});
    const { logging } = start({ level: 'trace' });
    const restore = logging.captureConsole();
    console[method]('n=%d', 5, { a: 1 });
    restore();
    console[method]('after');
    expect(printed.mock.calls).toEqual([['n=%d', 5, { a: 1 }], ['after']]);
    printed.mockRestore();
    expect(await lines(logging)).toMatchObject([{ level, subsystem: 'console', message: 'n=5 { a: 1 }' }]);
  });
});

describe('resolveLevels', () => {
  const base = { level: 'info', consoleLevel: 'warn' } as const;
  it.each([
    ['the configuration', {}, { level: 'info', consoleLevel: 'warn' }],
    ['the environment', { env: 'debug' }, { level: 'debug', consoleLevel: 'debug' }],
    ['an unknown level in the environment', { env: 'loud' }, { level: 'info', consoleLevel: 'warn' }],
    ['the flag before the environment', { env: 'debug', flag: 'error' as const }, { level: 'error', consoleLevel: 'error' }],
    ['--verbose, for the console only', { verbose: true }, { level: 'info', consoleLevel: 'debug' }],
    ['--verbose below trace', { verbose: true, env: 'trace' }, { level: 'trace', consoleLevel: 'trace' }],
  ])('follows %s (LOG-013, LOG-014)', (_name, sources, levels) => expect(resolveLevels({ ...base, ...sources })).toEqual(levels));
});

it('two loggings in one process do not share anything', async () => {
  await mkdir(join(folder, 'a'));
  const first = start({ file: join(folder, 'a', 'one.log') });
  const second = start({ file: join(folder, 'two.log'), level: 'error' });
  first.logging.setSecretValues(['hidden-value']);
  first.log.info('hidden-value');
  second.log.error('hidden-value');
  expect(await lines(first.logging)).toMatchObject([{ message: '***' }]);
  expect(await lines(second.logging)).toMatchObject([{ message: 'hidden-value' }]);
});
