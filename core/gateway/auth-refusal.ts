import { isControlUi, isTerminalUi, isWebchat } from '../../sdk/protocol/clients.ts';

interface Row {
  code: string;
  step: 'update_auth_configuration' | 'update_auth_credentials' | 'wait_then_retry' | 'review_auth_configuration';
  message: string;
}

const tailscale = (name: string, message: string): Row => ({
  code: `AUTH_TAILSCALE_${name}`,
  step: 'review_auth_configuration',
  message: `unauthorized: tailscale ${message}`,
});
const unauthorized: Row = { code: 'AUTH_UNAUTHORIZED', step: 'review_auth_configuration', message: 'unauthorized' };

const ROWS = {
  token_missing: { code: 'AUTH_TOKEN_MISSING', step: 'update_auth_configuration', message: 'unauthorized: gateway token missing' },
  token_mismatch: { code: 'AUTH_TOKEN_MISMATCH', step: 'update_auth_credentials', message: 'unauthorized: gateway token mismatch' },
  token_missing_config: {
    code: 'AUTH_TOKEN_NOT_CONFIGURED',
    step: 'update_auth_configuration',
    message: 'unauthorized: gateway token not configured on gateway (set gateway.auth.token)',
  },
  password_missing: { code: 'AUTH_PASSWORD_MISSING', step: 'update_auth_configuration', message: 'unauthorized: gateway password missing' },
  password_mismatch: { code: 'AUTH_PASSWORD_MISMATCH', step: 'update_auth_credentials', message: 'unauthorized: gateway password mismatch' },
  password_missing_config: {
    code: 'AUTH_PASSWORD_NOT_CONFIGURED',
    step: 'update_auth_configuration',
    message: 'unauthorized: gateway password not configured on gateway (set gateway.auth.password)',
  },
  bootstrap_token_invalid: {
    code: 'AUTH_BOOTSTRAP_TOKEN_INVALID',
    step: 'review_auth_configuration',
    message: 'unauthorized: bootstrap token invalid or expired (scan a fresh setup code)',
  },
  device_token_mismatch: {
    code: 'AUTH_DEVICE_TOKEN_MISMATCH',
    step: 'update_auth_credentials',
    message: 'unauthorized: device token mismatch (rotate/reissue device token)',
  },
  rate_limited: { code: 'AUTH_RATE_LIMITED', step: 'wait_then_retry', message: 'unauthorized: too many failed authentication attempts (retry later)' },
  tailscale_user_missing: tailscale('IDENTITY_MISSING', 'identity missing (use Tailscale Serve, or gateway token/password)'),
  tailscale_proxy_missing: tailscale('PROXY_MISSING', 'proxy headers missing (use Tailscale Serve, or gateway token/password)'),
  tailscale_whois_failed: tailscale('WHOIS_FAILED', 'identity check failed (use Tailscale Serve, or gateway token/password)'),
  tailscale_user_mismatch: tailscale('IDENTITY_MISMATCH', 'identity mismatch (use Tailscale Serve, or gateway token/password)'),
  trusted_proxy_config_missing: unauthorized,
  trusted_proxy_untrusted_source: unauthorized,
  trusted_proxy_header_missing: unauthorized,
  trusted_proxy_user_missing: unauthorized,
  trusted_proxy_user_not_allowed: unauthorized,
  unauthorized,
} as const satisfies Record<string, Row>;

/** Why a credential was not accepted, in the wire's words. */
export type AuthReason = keyof typeof ROWS;

/** These were sent and are wrong; a credential that is only missing is not counted. */
export function isMismatch(reason: AuthReason): boolean {
  return reason.endsWith('_mismatch') && !reason.startsWith('tailscale');
}

/** The wire's text and details of a refusal; the bracket tells this kind of client where its credential lives. */
export function describeRefusal(reason: AuthReason, client: { id: string; mode: string }, canRetryWithDeviceToken: boolean) {
  const row: Row = ROWS[reason];
  const needsAdvice = reason === 'token_missing' || reason === 'token_mismatch' || reason === 'password_missing' || reason === 'password_mismatch';
  return {
    message: needsAdvice ? `${row.message} (${advice(reason.startsWith('token') ? 'token' : 'password', client)})` : row.message,
    details: {
      code: row.code,
      authReason: reason,
      canRetryWithDeviceToken,
      recommendedNextStep: canRetryWithDeviceToken ? 'retry_with_device_token' : row.step,
    },
  };
}

function advice(kind: 'token' | 'password', client: { id: string; mode: string }): string {
  if (client.mode === 'cli') return `set gateway.remote.${kind} to match gateway.auth.${kind}`;
  if (isControlUi(client) || isTerminalUi(client) || isWebchat(client)) {
    return kind === 'token' ? 'open the dashboard URL and paste the token in Control UI settings' : 'enter the password in Control UI settings';
  }
  return `provide gateway auth ${kind}`;
}
