/** What the client ids and modes of `connect.params.client` mean. The lists are open: an unknown id or mode is accepted. */

/** The surface that `chat.send` stands for when the caller names no other. */
export const INTERNAL_CHANNEL = 'webchat';

const CONTROL_UI = new Set(['Durar-control-ui', 'openclaw-control-ui']);
const TERMINAL_UI = new Set(['Durar-tui', 'openclaw-tui']);

interface ClientClaim {
  id: string;
  mode: string;
}

/** The browser control UI: it needs an allowed origin, and alone may be excused from sending a device. */
export function isControlUi(client: ClientClaim): boolean {
  return CONTROL_UI.has(client.id);
}

/** Terminal front ends; they are held to the control UI's device rule. */
export function isTerminalUi(client: ClientClaim): boolean {
  return TERMINAL_UI.has(client.id);
}

/** Chat widgets in a page. */
export function isWebchat(client: ClientClaim): boolean {
  return client.mode === 'webchat' || client.id === 'webchat-ui';
}

/** One-off commands; they leave no presence row. */
export function isCommandLine(client: ClientClaim): boolean {
  return client.mode === 'cli';
}

/** Health checks and probes: programs that connect for one look with the least scopes, often under the key of a device that needs more later. */
export function isBackendHelper(client: ClientClaim): boolean {
  return client.mode === 'probe' || (client.id === 'gateway-client' && client.mode === 'backend');
}
