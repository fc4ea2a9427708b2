import { describe, expect, it } from 'vitest';
import { execSettings } from './policy.ts';

describe('exec settings', () => {
  const config = { tools: { exec: { security: 'allowlist', ask: 'on-miss' } }, agents: { list: [{ id: 'ops', tools: { exec: { security: 'full' } } }] } };

  it('the agent stands above the common settings, the session above both', () => {
    expect(execSettings(config, 'main')).toMatchObject({ security: 'allowlist', ask: 'on-miss', host: 'auto' });
    expect(execSettings(config, 'ops')).toMatchObject({ security: 'full' });
    expect(execSettings(config, 'ops', { execSecurity: 'deny', execAsk: 'always', execHost: 'node' })).toMatchObject({
      security: 'deny',
      ask: 'always',
      host: 'node',
    });
  });

  it('a word that is not known counts as the strictest', () => {
    expect(execSettings(config, 'main', { execSecurity: 'open', execAsk: 'never' })).toMatchObject({ security: 'deny', ask: 'always' });
  });
});
