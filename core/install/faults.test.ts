import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { writeFiles } from '../../test/fixtures/registry.ts';
import { createSkewedClock } from './skewed-clock.ts';
import { type VerifyReport, verifyFolder } from './verify.ts';
import { formatVerifyReport } from './verify-plugin.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'durar-faults-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** An engine that answers from its own files, one a session; `write` decides how an entry gets there. */
const engine = (id: string, write: string, more = '') => `
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
export default { id: '${id}', register(api) { api.registerContextEngine('${id}', () => {
  const dir = join(api.runtime.state.resolveStateDir(), 'store');
  mkdirSync(dir, { recursive: true });
  const file = (sessionId) => join(dir, sessionId + '.json');
  const read = (sessionId) => (existsSync(file(sessionId)) ? JSON.parse(readFileSync(file(sessionId), 'utf8')) : []);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
  const save = (path, text) => { writeFileSync(path + '.new', text); renameSync(path + '.new', path); };
  return {
    info: { id: '${id}', name: '${id}' },
    async ingest({ sessionId, entryId, message }) {
      const entries = read(sessionId);
      if (entries.some((entry) => entry.entryId === entryId)) return { ingested: false };
      const next = [...entries, { entryId, message }];
      ${write}
      return { ingested: true };
    },
    async assemble({ sessionId, messages }) {
      const own = read(sessionId).map((entry) => entry.message);
      return { messages: own.length === 0 ? messages : own, estimatedTokens: own.length };
    },
    async compact() { return { ok: true, compacted: false, reason: 'everything stays' }; },
    ${more}
  };
}); } };`;

const SAVE = 'save(file(sessionId), JSON.stringify(next));';

async function verify(id: string, source: string): Promise<VerifyReport> {
  const root = join(home, id);
  await writeFiles(root, {
    'Durar.plugin.json': { id, contextEngines: [id], configSchema: { type: 'object' } },
    'package.json': { type: 'module' },
    'index.js': source,
  });
  return verifyFolder({ root, hostVersion: '2026.11.0', env: process.env, suites: true });
}

const failedFaults = (report: VerifyReport) => report.checks.filter(({ status }) => status === 'fail').map(({ id }) => id);

describe.concurrent('verify injects faults into context engines', () => {
  it('one that writes whole files or none stands all of them', { timeout: 60_000 }, async ({ expect }) => {
    const report = await verify('sound', engine('sound', `await pause(); ${SAVE}`));
    expect(report.ok, formatVerifyReport(report)).toBe(true);
    const faults = report.checks.filter(({ id }) => id.startsWith('fault.'));
    expect(faults.map(({ id }) => id)).toEqual(
      ['duplicate', 'budget', 'hang', 'clock', 'swap', 'replay', 'restart', 'kill-ingest', 'kill-assemble'].map((fault) => `fault.${fault}/sound`),
    );
    expect(faults.every(({ status }) => status === 'pass')).toBe(true);
  });

  it('one that keeps its state in the home of the user, whoever it is asked by, stands them as well', { timeout: 60_000 }, async ({ expect }) => {
    const source = engine('homely', SAVE).replace("join(api.runtime.state.resolveStateDir(), 'store')", "join(process.env.HOME, 'store')");
    expect(source).toContain('HOME');
    const report = await verify('homely', source);
    expect(report.ok, formatVerifyReport(report)).toBe(true);
  });

  it('a kill between the halves of a write is found', { timeout: 60_000 }, async ({ expect }) => {
    const halves = `const text = JSON.stringify(next);
      writeFileSync(file(sessionId), text.slice(0, -9)); await pause(); writeFileSync(file(sessionId), text);`;
    const report = await verify('torn', engine('torn', halves));
    expect(failedFaults(report), formatVerifyReport(report)).toEqual(['fault.kill-ingest/torn']);
    const check = report.checks.find(({ status }) => status === 'fail');
    expect(check).toMatchObject({ code: 'DUR_VERIFY_FAULT', message: expect.stringMatching(/JSON/), hint: expect.stringMatching(/rename/) });
  });

  it('a kill between the note of an entry and the entry is found', { timeout: 60_000 }, async ({ expect }) => {
    const noteFirst = `const seen = join(dir, sessionId + '-' + entryId);
      if (existsSync(seen)) return { ingested: false };
      save(seen, ''); await pause(); ${SAVE}`;
    const report = await verify('early', engine('early', noteFirst));
    expect(failedFaults(report), formatVerifyReport(report)).toEqual(['fault.kill-ingest/early']);
  });

  it('a lock that a killed process leaves behind is found', { timeout: 60_000 }, async ({ expect }) => {
    const locking = `assemble: async ({ sessionId, messages }) => {
      const lock = join(dir, sessionId + '.lock');
      if (existsSync(lock)) throw new Error('somebody else is at work');
      writeFileSync(lock, '');
      await pause();
      renameSync(lock, lock + '.old');
      return { messages: read(sessionId).length === 0 ? messages : read(sessionId).map((entry) => entry.message), estimatedTokens: 1 };
    },`;
    const report = await verify('locked', engine('locked', SAVE, locking));
    expect(failedFaults(report), formatVerifyReport(report)).toEqual(['fault.kill-assemble/locked']);
  });

  it('a clock of the process that jumps is found to matter', { timeout: 60_000 }, async ({ expect }) => {
    const byClock = 'next.at(-1).at = Date.now(); next.sort((one, other) => (one.at ?? 0) - (other.at ?? 0));';
    const report = await verify('clocked', engine('clocked', `${byClock} ${SAVE}`));
    expect(failedFaults(report), formatVerifyReport(report)).toEqual(['fault.clock/clocked']);
  });

  it('an engine that breaks its contract is not tried further, and the report says so', { timeout: 60_000 }, async ({ expect }) => {
    const report = await verify('broken', engine('broken', SAVE).replace("info: { id: 'broken'", "info: { id: 'other'"));
    expect(report.ok).toBe(false);
    expect(report.checks.filter(({ id }) => id.startsWith('fault'))).toMatchObject([
      { id: 'fault/broken', status: 'skip', message: expect.stringContaining('contract') },
    ]);
  });
});

it('a skewed clock moves what asks for the time and nothing else, until it is set right', ({ expect }) => {
  const scope = { Date };
  const skew = createSkewedClock(scope);
  const day = 86_400_000;
  skew(-day);
  const skewed = scope.Date;
  expect(Math.abs(skewed.now() - (Date.now() - day))).toBeLessThan(60_000);
  expect(Math.abs(new skewed().getTime() - (Date.now() - day))).toBeLessThan(60_000);
  expect(new skewed(5).getTime()).toBe(5);
  expect(new skewed(2026, 0, 1)).toEqual(new Date(2026, 0, 1));
  expect(new skewed()).toBeInstanceOf(Date);
  expect(Date.parse(skewed())).toBeLessThan(Date.now() - day + 60_000);
  skew(0);
  expect(scope.Date).toBe(Date);
});
