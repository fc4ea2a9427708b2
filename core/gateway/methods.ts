import { errorText, reportError } from '../../sdk/errors.ts';
import type { GatewayMethodContext } from '../../sdk/index.ts';
import { isProtocolError, ProtocolError, validationText } from '../../sdk/protocol/errors.ts';
import { METHODS } from '../../sdk/protocol/generated/tables.ts';
import * as validators from '../../sdk/protocol/generated/validators.js';
import { ADMIN_PREFIXES, ADMIN_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { Generation } from '../kernel/generation.ts';
import type { Call, MethodFamily, MethodName } from './call.ts';
import type { ConnectedClient, Connection } from './connection.ts';
import type { GatewayContext } from './context.ts';
import { agentMethods } from './methods/agent.ts';
import { chatMethods } from './methods/chat.ts';
import { configMethods } from './methods/config.ts';
import { modelsMethods } from './methods/models.ts';
import { pluginsMethods } from './methods/plugins.ts';
import { sessionsMethods } from './methods/sessions.ts';
import { systemMethods } from './methods/system.ts';

interface Entry {
  scope: string | null;
  validate(params: unknown): string | undefined;
  run(params: unknown, call: Call): unknown;
}

export interface Methods {
  /** Answers one request of a connected client. Never throws. */
  dispatch(connection: Connection, client: ConnectedClient, request: { id: string; method: string; params?: unknown }): void;
  /** For `hello-ok.features.methods`. */
  listed(): string[];
}

/** More refusals by role than this in a row close the socket. */
const MAX_ROLE_REFUSALS = 10;

export function createMethods(context: GatewayContext): Methods {
  const core = coreEntries(context);
  let listedFor: Generation | undefined;
  let listed: string[] = [];

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

  const run = (entry: Entry, connection: Connection, client: ConnectedClient, id: string, method: string, params: unknown) => {
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
      if (client.role !== 'operator' && entry?.scope !== null) {
        connection.fail(id, { code: 'INVALID_REQUEST', message: `unauthorized role: ${client.role}` });
        client.roleRefusals += 1;
        if (client.roleRefusals > MAX_ROLE_REFUSALS) connection.close(1008, 'repeated unauthorized calls');
        return;
      }
      client.roleRefusals = 0;
      if (entry !== undefined) {
        run(entry, connection, client, id, method, params);
        return;
      }
      extensionEntry(context, method).then(
        (found) => {
          if (found !== undefined) run(found, connection, client, id, method, params);
          else if (!client.can(ADMIN_SCOPE)) connection.fail(id, { code: 'INVALID_REQUEST', message: `missing scope: ${ADMIN_SCOPE}` });
          else connection.fail(id, { code: 'INVALID_REQUEST', message: `unknown method: ${method}` });
        },
        (error) => fail(connection, id, method, error),
      );
    },
    listed() {
      const generation = context.source.current();
      if (generation !== listedFor) {
        const own = Object.entries(METHODS).flatMap(([name, row]) => (row.listed ? [name] : []));
        const foreign = generation.declared('gatewayMethod').flatMap(({ key }) => (core.has(key) ? [] : [key]));
        listed = [...new Set([...own, ...foreign])];
        listedFor = generation;
      }
      return listed;
    },
  };
}

function coreEntries(context: GatewayContext): Map<string, Entry> {
  const handlers: MethodFamily<MethodName> = {
    ...systemMethods(context),
    ...agentMethods(context),
    ...chatMethods(context),
    ...sessionsMethods(context),
    ...pluginsMethods(context),
    ...modelsMethods(context),
    ...configMethods(context),
  };
  const entries = new Map<string, Entry>();
  for (const [name, row] of Object.entries(METHODS)) {
    // biome-ignore lint/performance/noDynamicNamespaceImportAccess: the table names the validator; all of them are used
    const check = validators[row.params];
    entries.set(name, {
      scope: row.scope,
      validate: (params) => (check(params) ? undefined : validationText(check.errors)),
      run: handlers[name as MethodName] as Entry['run'],
    });
  }
  return entries;
}

/** A method of an extension, loaded when it is first called. Its name never hides one of the host's. */
async function extensionEntry(context: GatewayContext, method: string): Promise<Entry | undefined> {
  const generation = context.source.current();
  const found = await generation.contribution('gatewayMethod', method);
  if (found === undefined) return undefined;
  const { handler, options } = found.value;
  const isReserved = ADMIN_PREFIXES.some((prefix) => method.startsWith(prefix));
  return {
    scope: isReserved ? ADMIN_SCOPE : (options.scope ?? ADMIN_SCOPE),
    validate: (params) => (typeof params === 'object' && params !== null && !Array.isArray(params) ? undefined : 'must be object'),
    async run(params, call) {
      const lease = context.source.lease();
      try {
        return await handler(params as Record<string, unknown>, extensionContext(call));
      } finally {
        lease.release();
      }
    },
  };
}

function extensionContext({ client, connection, accepted }: Call): GatewayMethodContext {
  return {
    callerId: client.deviceId ?? client.connId,
    connId: client.connId,
    clientId: client.info.id,
    ...(client.info.displayName === undefined ? {} : { displayName: client.info.displayName }),
    scopes: client.scopes,
    signal: connection.signal,
    accepted,
  };
}

/** Codes whose cause is the request itself. */
const CALLER_CODES = new Set(['DUR_SESSION_KEY', 'DUR_AGENT_UNKNOWN', 'DUR_MODEL_UNKNOWN', 'DUR_MODEL_NOT_ALLOWED']);

function wireError(report: ReturnType<typeof reportError>) {
  return {
    code: CALLER_CODES.has(report.code) ? 'INVALID_REQUEST' : 'UNAVAILABLE',
    message: errorText(report.message),
    details: { code: report.code, hint: report.hint, owner: report.owner },
    ...(report.retry ? { retryable: true } : {}),
  };
}
