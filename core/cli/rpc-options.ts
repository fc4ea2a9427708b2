import type { OptionSpec } from './command.ts';

/** How a command finds and enters a running gateway. */
export const ENTER: readonly OptionSpec[] = [
  { flags: '--url <ws-url>', text: 'another gateway; needs --token or --password' },
  { flags: '--token <token>', text: 'its token' },
  { flags: '--password <password>', text: 'its password' },
  { flags: '--tls-fingerprint <sha256>', text: 'accept this certificate only (gateway.remote.tlsFingerprint)' },
];
/** The same with a limit of time. */
export const RPC: readonly OptionSpec[] = [...ENTER, { flags: '--timeout <ms>', text: 'how long to wait for it (10000)', number: true }];
