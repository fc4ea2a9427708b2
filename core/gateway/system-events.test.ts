import { describe, expect, it } from 'vitest';
import type { RunRequest } from '../agent/service.ts';
import type { GatewayAgent } from './options.ts';
import { createSystemEvents } from './system-events.ts';

function setup() {
  const requests: RunRequest[] = [];
  let failure: Error | undefined;
  const agent = {
    async accept(request: RunRequest) {
      if (failure !== undefined) throw failure;
      requests.push(request);
      return { runId: request.runId };
    },
    isCommand: ({ message }: RunRequest) => message.startsWith('/'),
  } as unknown as GatewayAgent;
  const events = createSystemEvents({ canonicalKey: (key = 'main') => `agent:main:${key}` }, () => 0);
  const attached = events.attach(agent);
  const run = (more: Partial<RunRequest> = {}) => attached.accept({ runId: 'r', message: 'hi', ...more } as RunRequest);
  return { events, run, requests, fail: (error?: Error) => (failure = error) };
}

describe('system events', () => {
  it('go to the next turn of their session, once (PROTO-093)', async () => {
    const { events, run, requests } = setup();
    events.add('agent:main:main', ' the battery is low ');
    events.add('agent:main:main', 'the battery is low');
    await run({ sessionKey: 'other', extraSystemPrompt: 'own' });
    await run({ extraSystemPrompt: 'own' });
    await run();
    expect(requests.map(({ extraSystemPrompt }) => extraSystemPrompt)).toEqual([
      'own',
      'own\n\nSince the last turn the system reported:\n- 1970-01-01T00:00:00.000Z the battery is low',
      undefined,
    ]);
    expect(events.list()).toEqual([]);
  });

  it('are not spent on a command, which no model sees', async () => {
    const { events, run, requests } = setup();
    events.add('agent:main:main', 'the battery is low');
    await run({ message: '/status' });
    await run();
    expect(requests.map(({ extraSystemPrompt = '' }) => extraSystemPrompt.includes('battery'))).toEqual([false, true]);
  });

  it('wait on when the run is refused, and are bounded', async () => {
    const { events, run, fail } = setup();
    for (let i = 0; i < 30; i += 1) events.add('agent:main:main', `event ${i}`);
    fail(new Error('no'));
    await expect(run()).rejects.toThrow('no');
    expect(events.list().map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, i) => `event ${i + 10}`));
  });
});
