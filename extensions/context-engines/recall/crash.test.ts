import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLedger } from './ledger.ts';
import { openStore } from './store.ts';

const here = import.meta.dirname;
const sdk = new URL('../../../sdk/', import.meta.url);

/** The host resolves the SDK's specifiers; a bare child needs the same. */
const RESOLVE = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  const resolve = (specifier, context, next) => {
    const name = /^Durar\\/plugin-sdk\\/(.+)$/.exec(specifier)?.[1];
    return next(name === undefined ? specifier : ${JSON.stringify(sdk.href)} + (name === 'core' ? 'index' : name) + '.ts', context);
  };
  registerHooks({ resolve });`)}`;

/** Goes on behind what its parent knows to be acknowledged, which may be less than what is stored: a replay. */
const BODY = `
  import { createRecallEngine } from ${JSON.stringify(join(here, 'engine.ts'))};
  import { createLedger } from ${JSON.stringify(join(here, 'ledger.ts'))};
  import { openStore } from ${JSON.stringify(join(here, 'store.ts'))};
  import { createSessionMaker } from ${JSON.stringify(join(here, 'session-maker.ts'))};
  import { writeSync } from 'node:fs';
  const ledger = createLedger();
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const store = openStore({ file: process.env.TEST_FILE, log, ledger });
  const engine = createRecallEngine({ store, ledger, settings: { recentTurns: 5, recallShare: 0.25, maxPassages: 6 } });
  const maker = createSessionMaker(11);
  const messages = [];
  while (messages.length < 20_000) messages.push(...maker.turn());
  for (let seq = Number(process.env.TEST_FROM); ; seq++) {
    const message = messages[seq - 1];
    await engine.ingest({ sessionId: 's', message, entryId: 'e' + seq, seq, replay: true });
    if (message.role === 'user') {
      await engine.assemble({ sessionId: 's', messages: messages.slice(0, seq), tokenBudget: 8_000, prompt: 'why does the billing job depend on spring?' });
    }
    writeSync(1, seq + '\\n');
    if (seq % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }`;

it('kill -9 at any point: no entry is missing and none is there twice (ENGINE-019)', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'durar-recall-crash-'));
  const file = join(dir, 'recall.db');
  try {
    let acknowledged = 0;
    for (let round = 0; round < 8; round += 1) {
      // the cursor of the host may be behind
      const from = Math.max(1, acknowledged + 1 - (round % 3) * 7);
      const env = { ...process.env, TEST_FILE: file, TEST_FROM: String(from) };
      const child = spawn(process.execPath, ['--import', RESOLVE, '--input-type=module', '-e', BODY], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      const closed = once(child, 'close');
      await Promise.race([once(child.stdout, 'data'), closed]);
      expect(child.exitCode).toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 15 + Math.random() * 150));
      child.kill('SIGKILL');
      await closed;
      // what stands behind the last newline may be half a number
      const seen = output.split('\n').slice(0, -1).map(Number);
      acknowledged = Math.max(acknowledged, ...seen);

      const store = openStore({ file, log: { debug() {}, info() {}, warn() {}, error() {} }, ledger: createLedger() });
      const session = store.session('s');
      const stored = store.neighbours(session, 0, false, 100_000);
      expect(stored.length).toBeGreaterThanOrEqual(acknowledged);
      expect(stored.map(({ place, entryId }) => `${place} ${entryId}`)).toEqual(stored.map((_message, index) => `${index + 1} e${index + 1}`));
      // the index has each text once as well
      const everyRef = stored.filter(({ text }) => /\bquestions\b/.test(text)).map(({ ref }) => ref);
      const found = store.search(session, ['questions'], Number.MAX_SAFE_INTEGER, 100_000).map(({ ref }) => ref);
      expect(found.sort((a, b) => a - b)).toEqual(expect.arrayContaining(everyRef));
      expect(new Set(found).size).toBe(found.length);
      store.close();
    }
    expect(acknowledged).toBeGreaterThan(50);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}, 120_000);
