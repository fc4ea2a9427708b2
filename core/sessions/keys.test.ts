import { describe, expect, it } from 'vitest';
import { agentOfKey, canonicalKey } from './keys.ts';

/** Given key, agent, canonical key. */
const TABLE: Array<[string | undefined, string | undefined, string]> = [
  [undefined, undefined, 'agent:main:main'],
  ['', undefined, 'agent:main:main'],
  ['main', undefined, 'agent:main:main'],
  [' Main ', undefined, 'agent:main:main'],
  ['main', 'work', 'agent:work:main'],
  [undefined, 'Work', 'agent:work:main'],
  ['agent:main:main', 'work', 'agent:main:main'],
  ['AGENT:Main:MAIN', undefined, 'agent:main:main'],
  ['notes', undefined, 'agent:main:notes'],
  ['Project-X', 'work', 'agent:work:project-x'],
  ['subagent:1f0c', 'work', 'agent:work:subagent:1f0c'],
  ['whatsapp:direct:+1555', undefined, 'agent:main:whatsapp:direct:+1555'],
  ['agent:main:dm:bob', undefined, 'agent:main:direct:bob'],
  ['agent:main:whatsapp:dm:+1555', undefined, 'agent:main:whatsapp:direct:+1555'],
  ['agent:main:telegram:home:dm:42', undefined, 'agent:main:telegram:home:direct:42'],
  ['agent:main:telegram:main:dm:42', undefined, 'agent:main:telegram:main:direct:42'],
  ['agent:main:direct:dm', undefined, 'agent:main:direct:dm'],
  ['agent:main:irc:group:dm:thread:7', undefined, 'agent:main:irc:group:dm:thread:7'],
  ['agent:main:dm', undefined, 'agent:main:dm'],
  ['agent:main:telegram:group:-100:topic:9', undefined, 'agent:main:telegram:group:-100:topic:9'],
  ['agent:main:discord:slash:U1', undefined, 'agent:main:discord:slash:u1'],
  ['telegram:slash:7', undefined, 'telegram:slash:7'],
  ['cron:Nightly', 'work', 'cron:nightly'],
  ['hook:ingress', undefined, 'hook:ingress'],
  ['acp:2b', undefined, 'acp:2b'],
  ['global', 'work', 'global'],
  ['Unknown', undefined, 'unknown'],
];

const REFUSED: Array<[string, string | undefined]> = [
  ['agent', undefined],
  ['agent:', undefined],
  ['agent:main', undefined],
  ['agent:main:', undefined],
  ['agent::main', undefined],
  ['agent:main::x', undefined],
  ['agent:main:x:', undefined],
  ['agent:../../etc:main', undefined],
  ['agent:a/b:main', undefined],
  ['agent:.:main', undefined],
  ['agent:-x:main', undefined],
  [`agent:${'a'.repeat(65)}:main`, undefined],
  ['main', '../up'],
  ['main', ''],
  [':x', undefined],
  ['x:', undefined],
  ['cron:', undefined],
  ['hook:', undefined],
  ['agent:main:a\nb', undefined],
  ['a\u0000b', undefined],
  ['x'.repeat(513), undefined],
];

describe('canonicalKey', () => {
  it.each(TABLE)('%j of agent %j is %s (AMB-098)', (key, agentId, expected) => {
    const canonical = canonicalKey(key, agentId);
    expect(canonical).toBe(expected);
    expect(canonicalKey(canonical, 'another')).toBe(expected);
  });

  it.each(REFUSED)('%j of agent %j is refused', (key, agentId) => {
    expect(() => canonicalKey(key, agentId)).toThrow(expect.objectContaining({ code: 'DUR_SESSION_KEY' }));
  });

  it('knows the agent of a key', () => {
    expect(agentOfKey('agent:work:main')).toBe('work');
    expect(agentOfKey('cron:nightly')).toBeUndefined();
    expect(agentOfKey('global')).toBeUndefined();
  });
});
