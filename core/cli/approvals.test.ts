import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { answerApprovals } from './approvals.ts';
import { createOutput } from './output.ts';
import type { Rpc } from './rpc.ts';

/** What a person at the terminal is shown, and what is sent when they answer. */
async function approve(command: string, answer: string, allowedDecisions = ['allow-once', 'deny']) {
  const stdout = new PassThrough() as unknown as NodeJS.WriteStream;
  const output = createOutput({ json: false, colour: false, env: {}, stdout, stderr: stdout });
  let announce: (event: string, payload: unknown) => void = () => undefined;
  const sent = Promise.withResolvers<{ decision: string }>();
  const rpc = {
    onEvent: (listener: typeof announce) => {
      announce = listener;
    },
    call: async (_method: string, params: { decision: string }) => sent.resolve(params),
  } as unknown as Rpc;
  answerApprovals(rpc, { output, ask: async () => answer, concerns: () => true });
  announce('exec.approval.requested', { id: '1', request: { command, cwd: '/a\u001b[2Jb', sessionKey: 'agent:main:main', allowedDecisions } });
  const { decision } = await sent.promise;
  return { decision, shown: String(stdout.read()) };
}

it('shows the whole command: a harmless beginning or a comment must not hide the rest', async () => {
  const { shown } = await approve(`echo ${'a'.repeat(500)}; rm -rf ~`, 'n');
  expect(shown).toContain('; rm -rf ~');
  expect((await approve('echo hi # all is well\nrm -rf ~', 'n')).shown).toMatch(/# all is well\n +rm -rf ~/);
  const long = (await approve(`echo ${'a'.repeat(20_000)}; rm -rf ~`, 'n')).shown;
  expect(long).toContain('CHARACTERS ARE NOT SHOWN');
  expect(long).toContain('; rm -rf ~');
  expect(shown).not.toContain('\u001b');
});

it('takes nothing but a clear yes for one', async () => {
  for (const answer of ['', 'n', 'yeah', 'a', 'always', 'y; n']) expect((await approve('ls', answer)).decision).toBe('deny');
  for (const answer of ['y', ' YES ']) expect((await approve('ls', answer)).decision).toBe('allow-once');
  expect((await approve('ls', 'a', ['allow-once', 'allow-always', 'deny'])).decision).toBe('allow-always');
});
