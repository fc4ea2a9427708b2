import { durarError } from '../../sdk/errors.ts';
import type { GatewayEvent, GatewayMethodContext, GatewayMethodOptions } from '../../sdk/index.ts';
import { validationText } from '../../sdk/protocol/errors.ts';
import { ADMIN_PREFIXES, ADMIN_SCOPE, type ProtocolRole, READ_SCOPE } from '../../sdk/protocol/scopes.ts';
import type { GenerationSource } from '../kernel/generation.ts';
import { compileIssues } from '../manifest/validator.ts';
import type { Call } from './call.ts';
import type { EventRule } from './events.ts';

/** A method as the dispatcher needs it. */
export interface MethodEntry {
  role: ProtocolRole;
  /** `null`: everybody of that role. */
  scope: string | null;
  /** What is wrong with the params, in the words of the protocol. */
  validate(params: unknown): string | undefined;
  run(params: unknown, call: Call): unknown;
}

export interface ExtensionMethods {
  /** A method of an extension, which is loaded when one of its methods is first called. */
  find(method: string): Promise<MethodEntry | undefined>;
  /** For the discovery list. */
  listed(): string[];
  /** Events of the extensions that are loaded. */
  events(): GatewayEvent[];
  event(name: string): EventRule | undefined;
}

type Check = (value: unknown) => string | undefined;

/** The gateway methods that extensions contribute. A schema is compiled once, when its method is first called. */
export function createExtensionMethods(source: GenerationSource): ExtensionMethods {
  const checks = new WeakMap<object, Check>();
  const check = (schema: Record<string, unknown>): Check => {
    let made = checks.get(schema);
    if (made === undefined) {
      const issues = compileIssues(schema);
      made = (value) => {
        const found = issues(value);
        return found === undefined ? undefined : validationText(found);
      };
      checks.set(schema, made);
    }
    return made;
  };
  const loaded = () => source.current().loaded('gatewayMethod');
  const events = (): GatewayEvent[] =>
    loaded()
      .flatMap(({ value }) => value.options.events ?? [])
      .map((event) => (typeof event === 'string' ? { name: event } : event));

  return {
    async find(method) {
      const found = await source.current().contribution('gatewayMethod', method);
      if (found === undefined) return undefined;
      const { handler, options } = found.value;
      const role = options.role ?? 'operator';
      return {
        role,
        scope: role === 'node' ? null : scopeOf(method, options),
        validate: (params) => {
          if (!isObject(params)) return 'must be object';
          if (options.sideEffecting === true && !isKey(params.idempotencyKey)) return "must have required property 'idempotencyKey'";
          if (options.params === undefined || (Object.keys(params).length === 0 && takesNothing(options.params))) return undefined;
          return check(options.params)(params);
        },
        async run(params, call) {
          const lease = source.lease();
          try {
            const result = await handler(params as Record<string, unknown>, contextOf(call));
            const reason = options.result === undefined ? undefined : check(options.result)(result);
            if (reason !== undefined) throw durarError('DUR_GATEWAY_RESULT', { method, reason, id: found.owner }, { owner: { extension: found.owner } });
            return result;
          } finally {
            lease.release();
          }
        },
      };
    },
    listed() {
      const unlisted = new Set(loaded().flatMap(({ key, value }) => (value.options.unlisted === true ? [key] : [])));
      return source
        .current()
        .declared('gatewayMethod')
        .flatMap(({ key }) => (unlisted.has(key) ? [] : [key]));
    },
    events,
    event(name) {
      const rows = events().filter((event) => event.name === name);
      const told = rows.find(({ scope }) => scope !== undefined) ?? rows[0];
      return told === undefined ? undefined : { scope: told.scope ?? READ_SCOPE, droppable: told.droppable === true };
    },
  };
}

function scopeOf(method: string, options: GatewayMethodOptions): string {
  const isReserved = ADMIN_PREFIXES.some((prefix) => method.startsWith(prefix));
  return isReserved ? ADMIN_SCOPE : (options.scope ?? ADMIN_SCOPE);
}

function contextOf({ client, connection, accepted }: Call): GatewayMethodContext {
  return {
    callerId: client.deviceId ?? client.connId,
    connId: client.connId,
    ...(client.deviceId === undefined ? {} : { deviceId: client.deviceId }),
    role: client.role,
    clientId: client.info.id,
    ...(client.info.displayName === undefined ? {} : { displayName: client.info.displayName }),
    scopes: client.scopes,
    signal: connection.signal,
    accepted,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keywords under which an empty object is valid, so that no compiler is loaded for methods that take no params. */
const PLAIN_KEYWORDS = new Set(['$schema', 'title', 'description', 'type', 'properties', 'additionalProperties']);

function takesNothing(schema: Record<string, unknown>): boolean {
  const isPlain = (key: string) => PLAIN_KEYWORDS.has(key) || (key === 'required' && Array.isArray(schema.required) && schema.required.length === 0);
  return schema.type === 'object' && Object.keys(schema).every(isPlain);
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
