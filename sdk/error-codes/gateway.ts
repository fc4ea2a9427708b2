/** Errors of the gateway process and of its clients. */
export const GATEWAY_ERRORS = {
  DUR_GATEWAY_MODE: {
    message: 'Gateway start blocked: set gateway.mode=local',
    hint: 'Run `durar config set gateway.mode local`, or start with --allow-unconfigured.',
  },
  DUR_GATEWAY_IN_USE: {
    message: 'another gateway instance is already listening on {scheme}://{host}:{port}',
    hint: 'Stop it with `durar gateway stop`, or choose another --port.',
  },
  DUR_GATEWAY_BIND: { message: 'failed to bind gateway socket on {host}:{port}: {reason}', hint: 'Choose another port or address.' },
  DUR_GATEWAY_NO_AUTH: { message: 'refusing to bind gateway to {host}:{port} without auth', hint: 'Set gateway.auth.token or gateway.auth.password.' },
  DUR_GATEWAY_PROXY_AUTH: {
    message: 'gateway.auth.mode is trusted-proxy, but {path} is not set',
    hint: 'Set it with `durar config set {path} <value>`, or choose another gateway.auth.mode.',
  },
  DUR_GATEWAY_TLS: {
    message: "the TLS file '{file}' cannot be used: {reason}",
    hint: 'Correct gateway.tls, or remove certPath and keyPath to let the gateway make a certificate of its own.',
  },
  DUR_GATEWAY_TLS_PIN: {
    message: 'the certificate of {url} is not the pinned one (it is sha256 {actual})',
    hint: 'Compare it with what the gateway prints at its start, then correct gateway.remote.tlsFingerprint or --tls-fingerprint.',
  },
  DUR_GATEWAY_AUTH_AMBIGUOUS: { message: 'gateway.auth has a token and a password but no mode', hint: 'Run `durar config set gateway.auth.mode token`.' },
  DUR_GATEWAY_UNREACHABLE: { message: 'no gateway answers at {url}', hint: 'Start one with `durar gateway run`.', retry: true },
  DUR_GATEWAY_REFUSED: { message: 'the gateway refused the connection: {reason}', hint: "Check the token, or run the command on the gateway's own machine." },
  DUR_GATEWAY_CLOSED: { message: 'the gateway closed the connection ({code} {reason})', hint: 'Try again.', retry: true },
  DUR_GATEWAY_TIMEOUT: { message: '{method} did not answer within {ms} ms', hint: 'Try again with a larger --timeout.', retry: true },
  DUR_GATEWAY_RPC: { message: '{reason}', hint: 'See {method} in docs/reference/protocol.md.' },
  DUR_GATEWAY_INSECURE_PAGE: { message: 'the page may not use keys, as it is not a secure context', hint: 'Open it over https:// or from localhost.' },
  DUR_GATEWAY_PLAINTEXT: {
    message: 'refusing to send credentials to {url} without TLS',
    hint: 'Use a wss:// address, or reach the gateway through a tunnel to 127.0.0.1.',
  },
  DUR_IDENTITY_FILE: {
    message: "the identity file '{file}' cannot be used",
    hint: 'Move it away; a new identity is made at the next start and has to be paired.',
  },
  DUR_GATEWAY_RESULT: { message: "'{id}' answered {method} with an unusable result: {reason}", hint: 'Compare it with the result schema of the method.' },
  DUR_EXEC_APPROVALS_BASE: {
    message: 'exec approvals base hash required; re-run exec.approvals.get and retry',
    hint: 'Send the hash that exec.approvals.get answered as baseHash.',
  },
  DUR_EXEC_APPROVALS_CHANGED: {
    message: 'exec approvals changed since last load; re-run exec.approvals.get and retry',
    hint: 'Read the file again and repeat the change on it.',
  },
  DUR_EXEC_APPROVALS_INVALID: { message: 'invalid exec approvals: {reason}', hint: 'Correct the file and send it again.' },
  DUR_GATEWAY_METHOD_TAKEN: { message: "the method '{method}' of '{id}' belongs to the host", hint: 'Choose another name.' },
} as const;
