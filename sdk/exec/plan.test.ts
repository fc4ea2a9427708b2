import { createHash } from 'node:crypto';
import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findOperand, isUnchanged } from './operand.ts';
import { commandLine, envHash, planMismatch, readPlan } from './plan.ts';

const plan = { argv: ['/bin/echo', 'hi'], cwd: null, commandText: '/bin/echo hi', agentId: 'main', sessionKey: 'agent:main:main' };

describe('a plan', () => {
  it.each([
    [null],
    [[]],
    [{ ...plan, argv: [] }],
    [{ ...plan, argv: 'ls' }],
    [{ ...plan, argv: ['ls', 1] }],
    [{ ...plan, cwd: 1 }],
    [{ ...plan, commandText: {} }],
    [{ ...plan, mutableFileOperand: { path: 'x' } }],
  ])('%j is none', (value) => {
    expect(readPlan(value)).toBeUndefined();
  });

  it('is read with the older name of its text, without what it does not have', () => {
    const { commandText, ...rest } = plan;
    expect(readPlan({ ...rest, rawCommand: commandText, zzz: 1 })).toEqual(plan);
    expect(readPlan({ argv: ['/bin/echo', "it's"] })).toEqual({
      ...plan,
      argv: ['/bin/echo', "it's"],
      commandText: commandLine(['/bin/echo', "it's"]),
      agentId: null,
      sessionKey: null,
    });
  });

  it.each([
    [{}, undefined],
    [
      { command: ['/bin/echo', 'hi'], rawCommand: '/bin/echo hi', cwd: null, agentId: 'main', sessionKey: 'agent:main:main', systemRunPlan: { ...plan } },
      undefined,
    ],
    [{ command: '/bin/echo hi' }, undefined],
    [{ command: ['/bin/echo', 'hi', ''] }, 'command'],
    [{ command: {} }, 'command'],
    [{ command: 'rm' }, 'command'],
    [{ rawCommand: 'rm' }, 'rawCommand'],
    [{ cwd: '/' }, 'cwd'],
    [{ agentId: null }, 'agentId'],
    [{ sessionKey: 7 }, 'sessionKey'],
    [{ systemRunPlan: { ...plan, cwd: '/' } }, 'systemRunPlan'],
    [{ systemRunPlan: {} }, 'systemRunPlan'],
  ])('beside it %j differs by %j (PROTO-311 to PROTO-315)', (said, field) => {
    expect(planMismatch(plan, said)).toBe(field);
  });

  it('its environment is hashed in the order of the names', () => {
    expect(envHash({ b: '2', a: '1' })).toBe(createHash('sha256').update('[["a","1"],["b","2"]]').digest('hex'));
  });
});

describe('the file that a command runs', () => {
  let dir: string;
  let script: string;

  beforeEach(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), 'durar-operand-')));
    script = join(dir, 'job.sh');
    await writeFile(script, '#!/bin/sh\necho hi\n');
    await chmod(script, 0o755);
  });

  afterEach(() => rm(dir, { recursive: true, force: true }));

  it.each([
    [() => ['/bin/sh', script], 1],
    [() => ['/bin/sh', '-e', 'job.sh'], 2],
    [() => ['/bin/sh', '-x', '-eu', script, '-c', 'x'], 3],
    [() => [process.execPath, script, '-r', 'x'], 1],
    [() => [script, 'now'], 0],
  ])('is pinned by its digest, and seen to change (case %#)', async (make, argvIndex) => {
    const argv = make();
    const operand = await findOperand(argv, dir);
    expect(operand).toEqual({ argvIndex, path: script, sha256: expect.stringMatching(/^[\da-f]{64}$/) });
    if (operand == null) return;
    expect(await isUnchanged(operand, argv, dir)).toBe(true);
    await writeFile(script, 'echo evil\n');
    expect(await isUnchanged(operand, argv, dir)).toBe(false);
  });

  it.each([[['/bin/sh', '-c', 'ls']], [['/bin/ls', '-l']], [[process.execPath, '-e', '1']], [[process.execPath, '--version']]])('%j has none', async (argv) => {
    expect(await findOperand(argv, dir)).toBeNull();
  });

  it.each([
    [['/bin/sh', 'missing.sh']],
    [[process.execPath, '--require', './x.js', 'job.sh']],
    [[process.execPath, '-e', '1', '-r', './x.js']],
    [['/bin/sh', '-x']],
    [['/usr/bin/env', '/bin/sh', 'job.sh']],
    [['/bin/sh', '-o', 'job.sh', 'other.sh']],
    [[process.execPath, '-C', 'job.sh']],
  ])('%j: it cannot be told which', async (argv) => {
    expect(await findOperand(argv, dir)).toBeUndefined();
  });
});
