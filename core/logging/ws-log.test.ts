import { describe, expect, it } from 'vitest';
import type { Logger } from './logger.ts';
import { silentLogger } from './logger.ts';
import { createWsLog, type WsLogOptions } from './ws-log.ts';

const CONN = '76b42f52-0000-0000-0000-0000000029e5';

function record(options: Omit<WsLogOptions, 'log' | 'now'> = {}) {
  const lines: string[] = [];
  let time = 0;
  const log: Logger = { ...silentLogger, info: (message, fields) => lines.push([message, ...Object.values(fields ?? {})].join(' ')) };
  const wsLog = createWsLog({ ...options, log, now: () => time });
  const call = (id: string, ms: number, error?: { code: string; message: string }) => {
    wsLog.request(CONN, { id, method: 'health' }, 10);
    time += ms;
    wsLog.response(CONN, id, error, 20);
  };
  return { lines, wsLog, call };
}

describe('log of the sockets', () => {
  it('tells errors, slow calls and unreadable frames, and nothing else (LOG-040 to LOG-043, LOG-049)', () => {
    const { lines, wsLog, call } = record();
    call('quick', 49);
    wsLog.event(CONN, Buffer.from('{"type":"event","event":"tick"}'));
    expect(lines).toEqual([]);
    call('slow', 50);
    call('wrong', 1, { code: 'INVALID_REQUEST', message: 'unknown method: x' });
    wsLog.unreadable(CONN, 'not JSON', 7);
    expect(lines).toEqual([
      '⇄ res ✓ health 50ms 76b42f52…29e5 slow',
      '⇄ res ✗ health 1ms INVALID_REQUEST unknown method: x 76b42f52…29e5 wrong',
      '⇄ parse-error not JSON 76b42f52…29e5 7',
    ]);
  });

  it.each(['auto', 'compact', undefined] as const)('tells every call once in the style %s (LOG-044 to LOG-046, LOG-050)', (style) => {
    const { lines, wsLog, call } = record({ verbose: true, style });
    call('quick', 3);
    wsLog.event(CONN, Buffer.from('{"type":"event","event":"tick"}'));
    expect(lines).toEqual(['⇄ res ✓ health 3ms 76b42f52…29e5 quick']);
    expect(wsLog.wantsEvents).toBe(false);
  });

  it('tells every frame with its size in the full style (LOG-047, LOG-051)', () => {
    const { lines, wsLog, call } = record({ verbose: true, style: 'full' });
    call('a', 3);
    wsLog.event(CONN, Buffer.from('{"type":"event","event":"tick","payload":{"event":"no"}}'));
    expect(lines).toEqual(['← req health 76b42f52…29e5 a 10', '→ res ✓ health 3ms 76b42f52…29e5 a 20', '→ event tick 76b42f52…29e5 56']);
  });

  it('keeps to the optimised log without --verbose, whatever the style (LOG-045)', () => {
    const { lines, call } = record({ style: 'full' });
    call('quick', 1);
    expect(lines).toEqual([]);
  });

  it('takes the second answer of a call as an answer without a time, and forgets closed sockets', () => {
    const { lines, wsLog, call } = record({ verbose: true });
    call('a', 1);
    wsLog.response(CONN, 'a', undefined, 20);
    wsLog.request(CONN, { id: 'b', method: 'status' }, 1);
    wsLog.closed(CONN);
    wsLog.response(CONN, 'b', undefined, 1);
    expect(lines.slice(1)).toEqual(['⇄ res ✓ 76b42f52…29e5 a', '⇄ res ✓ 76b42f52…29e5 b']);
  });

  it('cuts what a client made long', () => {
    const { lines, wsLog } = record({ verbose: true, style: 'full' });
    const long = 'x'.repeat(1_000_000);
    wsLog.request(CONN, { id: long, method: long }, 1);
    wsLog.response(CONN, long, { code: 'INVALID_REQUEST', message: `unknown method: ${long}` }, 1);
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.length).toBeLessThan(1000);
  });
});
