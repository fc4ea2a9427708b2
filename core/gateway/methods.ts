import { errorText, reportError } from '../../sdk/errors.ts';
import { isProtocolError, ProtocolError, validationText } from '../../sdk/protocol/errors.ts';
import { METHODS } from '../../sdk/protocol/generated/tables.ts';
import * as validators from '../../sdk/protocol/generated/validators.js';
import { ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { MethodFamily, MethodName } from './call.ts';
import type { ConnectedClient, Connection } from './connection.ts';
import type { GatewayContext } from './context.ts';
import type { ExtensionMethods, MethodEntry } from './extension-methods.ts';
import { agentMethods } from './methods/agent.ts';
import { agentsMethods } from './methods/agents.ts';
import { channelsMethods } from './methods/channels.ts';
import { chatMethods } from './methods/chat.ts';
import { configMethods } from './methods/config.ts';
import { devicesMethods } from './methods/devices.ts';
import { logsMethods } from './methods/logs.ts';
import { modelsMethods } from './methods/models.ts';
import { pairingMethods } from './methods/pairing.ts';
import { pluginsMethods } from './methods/plugins.ts';
import { queueMethods } from './methods/queue.ts';
import { secretsMethods } from './methods/secrets.ts';
import { sendMethods } from './methods/send.ts';
import { sessionChangeMethods } from './methods/session-changes.ts';
import { sessionRunMethods } from './methods/session-runs.ts';
import { sessionsMethods } from './methods/sessions.ts';
import { systemMethods } from './methods/system.ts';
import { toolsMethods } from './methods/tools.ts';

export interface Methods {
  /** Answers one request of a connected client. Never throws. */
  dispatch(connection: Connection, client: ConnectedClient, request: { id: string; method: string; params?: unknown }): void;
  /** For `hello-ok.features.methods`. */
  listed(): string[];
}

/** More refusals by role than this in a row close the socket. */
const MAX_ROLE_REFUSALS = 10;

export function createMethods(context: GatewayContext, extensions: ExtensionMethods): Methods {
  const core = coreEntries(context);

  const fail = (connection: Connection, id: string, method: string, error: unknown) => {
    if (isProtocolError(error)) {
      connection.fail(id, error.body(), error.payload);
      return;
    }
    const report = reportError(error);
    context.log.warn('method failed', { method, code: report.code, reason: report.message, extension: report.owner.extension });
    if (report.code === 'DUR_UNKNOWN') connection.fail(id, { code: 'UNAVAILABLE', message: String(error) });
    else connection.fail(id, wireError(report));
  };

  const refuseRole = (connection: Connection, client: ConnectedClient, id: string) => {
    connection.fail(id, { code: 'INVALID_REQUEST', message: `unauthorized role: ${client.role}` });
    client.roleRefusals += 1;
    if (client.roleRefusals > MAX_ROLE_REFUSALS) connection.close(1008, 'repeated unauthorized calls');
  };

  const run = (entry: MethodEntry, connection: Connection, client: ConnectedClient, id: string, method: string, params: unknown) => {
    client.roleRefusals = 0;
    try {
      if (entry.scope !== null && !client.can(entry.scope)) throw new ProtocolError('INVALID_REQUEST', `missing scope: ${entry.scope}`);
      const issues = entry.validate(params);
      if (issues !== undefined) throw new ProtocolError('INVALID_REQUEST', `invalid ${method} params: ${issues}`);
      const result = entry.run(params, { connection, client, accepted: (payload) => connection.respond(id, payload) });
      if (result instanceof Promise) result.then((value) => connection.respond(id, value)).catch((error) => fail(connection, id, method, error));
      else connection.respond(id, result);
    } catch (error) {
      fail(connection, id, method, error);
    }
  };

  return {
    dispatch(connection, client, { id, method, params = {} }) {
      const entry = core.get(method);
      if (entry !== undefined) {
        // What needs no scope is for nodes as well.
        if (client.role !== entry.role && entry.scope !== null) refuseRole(connection, client, id);
        else run(entry, connection, client, id, method, params);
        return;
      }
      extensions.find(method).then(
        (found) => {
          if (found === undefined ? client.role !== 'operator' : client.role !== found.role) refuseRole(connection, client, id);
          else if (found !== undefined) run(found, connection, client, id, method, params);
          else if (!client.can(ADMIN_SCOPE)) connection.fail(id, { code: 'INVALID_REQUEST', message: `missing scope: ${ADMIN_SCOPE}` });
          else connection.fail(id, { code: 'INVALID_REQUEST', message: `unknown method: ${method}` });
        },
        (error) => fail(connection, id, method, error),
      );
    },
    listed() {
      const own = Object.entries(METHODS).flatMap(([name, row]) => (row.listed ? [name] : []));
      return [...new Set([...own, ...extensions.listed().filter((name) => !core.has(name))])];
    },
  };
}

function coreEntries(context: GatewayContext): Map<string, MethodEntry> {
  const handlers: MethodFamily<MethodName> = {
    ...systemMethods(context),
    ...agentMethods(context),
    ...chatMethods(context),
    ...sessionsMethods(context),
    ...sessionRunMethods(context),
    ...sessionChangeMethods(context),
    ...pluginsMethods(context),
    ...modelsMethods(context),
    ...configMethods(context),
    ...secretsMethods(context),
    ...agentsMethods(context),
    ...toolsMethods(context),
    ...logsMethods(context),
    ...sendMethods(context),
    ...devicesMethods(context),
    ...queueMethods(context),
    ...channelsMethods(context),
    ...pairingMethods(context),
  };
  const entries = new Map<string, MethodEntry>();
  for (const [name, row] of Object.entries(METHODS)) {
    // biome-ignore lint/performance/noDynamicNamespaceImportAccess: the table names the validator; all of them are used
    const check = validators[row.params];
    entries.set(name, {
      role: 'operator',
      scope: row.scope,
      validate: (params) => (check(params) ? undefined : validationText(check.errors)),
      run: handlers[name as MethodName] as MethodEntry['run'],
    });
  }
  return entries;
}

/** Codes whose cause is the request itself. */
const CALLER_CODES = new Set([
  'DUR_SESSION_KEY',
  'DUR_SESSION_UNKNOWN',
  'DUR_AGENT_UNKNOWN',
  'DUR_MODEL_UNKNOWN',
  'DUR_MODEL_NOT_ALLOWED',
  'DUR_QUEUE_UNKNOWN',
  'DUR_QUEUE_NOT_DEAD',
]);

function wireError(report: ReturnType<typeof reportError>) {
  return {
    code: CALLER_CODES.has(report.code) ? 'INVALID_REQUEST' : 'UNAVAILABLE',
    message: errorText(report.message),
    details: { code: report.code, hint: report.hint, owner: report.owner },
    ...(report.retry ? { retryable: true } : {}),
  };
}
