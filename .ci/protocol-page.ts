/** `docs/reference/protocol.md`, made from the published schema of the protocol. */
import { readFileSync } from 'node:fs';
import type { JsonSchema, ProtocolDocument } from '../sdk/protocol/json-schema.ts';
import { collectExtensionMethods, scopeOf } from './extension-methods.ts';

const LEAD = `Version 3: JSON text frames over a WebSocket, the first of which is a signed \`connect\`. \`sdk/client\` speaks it.

The TypeBox sources in \`sdk/protocol\` are the single source of what stands here: \`npm run protocol:gen\` makes from them the validators, the TypeScript types, [the JSON Schema of every method and event](../../sdk/protocol/generated/protocol.schema.json) and [Swift models](../../sdk/protocol/generated/GatewayModels.swift); \`npm run protocol:check\` fails when one of them is not up to date. Extensions register further methods and broadcast further events; \`hello-ok.features\` lists what a gateway offers.

In the tables \`?\` after a name means that it may be absent. Params with unknown keys are refused unless a table says *open*; results and payloads may gain keys.`;

const ofExtensions = await collectExtensionMethods();

const CLOSES = [
  ['1000', '', 'no handshake in time, or text before it that is not JSON'],
  ['1002', '`protocol mismatch`', 'the range of `connect` does not cover version 3; without a reason: a broken WebSocket frame'],
  ['1007', '', 'a text frame that is not UTF-8'],
  ['1008', 'the message of the refusal', 'a refused handshake; `invalid request frame` before it'],
  ['1008', '`slow consumer`', 'more than `policy.maxBufferedBytes` wait for the socket: of events that it may not miss, or of answers that it does not read'],
  ['1008', '`repeated unauthorized calls`', 'more than 10 calls in a row that the role may not make'],
  ['1009', '`preauth payload too large`', 'more than 64 KiB before the handshake; without a reason: a frame above `policy.maxPayload`'],
  ['1012', '`service restart`', 'the gateway stops, after a `shutdown` event'],
  ['4001', '`device removed`', 'the device or the token of the socket was removed, rotated or revoked'],
];

const RULES = `Events that go to all carry \`seq\`, one number for the whole gateway that also counts what a socket may not hear; events for chosen sockets carry none. Nothing is sent again: a client that sees a gap asks for \`health\` and \`system-presence\`. \`stateVersion\` rides on \`health\` and \`presence\`.

After the handshake, text that is not JSON is ignored, and a malformed frame is answered with \`INVALID_REQUEST\` under its own id, or \`invalid\`. Top-level error codes are \`INVALID_REQUEST\`, \`NOT_PAIRED\`, \`UNAVAILABLE\`, \`NOT_LINKED\`, \`AGENT_TIMEOUT\` and \`APPROVAL_NOT_FOUND\`; finer reasons stand in \`details\`.`;

type Page = (title: string, lead: string, body: string) => string;
type Table = (head: string[], rows: string[][]) => string;

export function protocolBody(page: Page, table: Table): string {
  const document = JSON.parse(readFileSync(new URL('../sdk/protocol/generated/protocol.schema.json', import.meta.url), 'utf8')) as ProtocolDocument;
  const { frames, methods, events, $defs } = document;
  const shape = (schema: JsonSchema) => printShape(schema, table);
  const methodRows = Object.entries(methods).map(([name, row]) => [
    `[\`${name}\`](#${anchor(name)})`,
    'role' in row && typeof row.role === 'string' ? row.role : row.scope === null ? 'any' : 'operator',
    row.scope === null ? '' : `\`${row.scope}\``,
    row.sideEffecting ? 'yes' : '',
    row.unlisted ? 'no' : 'yes',
  ]);
  const eventRows = Object.entries(events).map(([name, row]) => [
    `[\`${name}\`](#${anchor(`${name} event`)})`,
    row.scope === null ? 'everyone' : `\`${row.scope}\``,
    row.droppable ? 'yes' : '',
  ]);
  const extensionRows = ofExtensions.map((row) => [
    row.options.params === undefined ? `\`${row.method}\`` : `[\`${row.method}\`](#${anchor(row.method)})`,
    `[${row.extension}](../../${row.folder}/README.md)`,
    row.options.role ?? 'operator',
    scopeOf(row) === null ? '' : `\`${scopeOf(row)}\``,
    row.options.sideEffecting ? 'yes' : '',
    row.options.description ?? '',
  ]);
  const sections = [
    `## Methods\n\n${table(['method', 'role', 'scope', 'idempotency key', 'listed in hello-ok'], methodRows)}`,
    `## Methods of bundled extensions\n\n${table(['method', 'extension', 'role', 'scope', 'idempotency key', 'what it does'], extensionRows)}`,
    `## Events\n\n${table(['event', 'who gets it', 'a slow socket may miss it'], eventRows)}`,
    `## Answers, gaps and closes\n\n${RULES}\n\n${table(['close', 'reason', 'when'], CLOSES)}`,
    `## Frames\n\n${Object.entries(frames)
      .map(([name, schema]) => `### ${name}\n\n${shape(schema).trimStart()}`)
      .join('\n\n')}`,
    `## Params and results\n\n${Object.entries(methods)
      .map(([name, row]) => `### ${name}\n\nParams${isOpen(row.params, $defs) ? ' (open)' : ''}: ${shape(row.params)}\n\nResult: ${shape(row.result)}`)
      .join('\n\n')}`,
    `## Params of bundled extensions\n\n${ofExtensions
      .flatMap(({ method, options }) => {
        const params = options.params as JsonSchema | undefined;
        return params === undefined ? [] : [`### ${method}\n\nParams${isOpen(params, $defs) ? ' (open)' : ''}: ${shape(params)}`];
      })
      .join('\n\n')}`,
    `## Payloads\n\n${Object.entries(events)
      .map(([name, row]) => `### ${name} event\n\nPayload: ${shape(row.payload)}`)
      .join('\n\n')}`,
    `## Shapes\n\n${Object.entries($defs)
      .map(([name, schema]) => `### ${name}\n\n${shape(schema).trimStart()}`)
      .join('\n\n')}`,
  ];
  return page('Gateway protocol', LEAD, sections.join('\n\n'));
}

/** A table of an object's members, nested ones by their path; one line for anything else. */
function printShape(schema: JsonSchema, table: Table): string {
  if (!isRecord(schema)) return typeOf(schema);
  const rows: string[][] = [];
  walk(schema, '', rows);
  return `\n\n${table(['name', 'type'], rows)}`;
}

function walk(schema: JsonSchema, path: string, rows: string[][]): void {
  for (const [key, part] of Object.entries(schema.properties ?? {})) {
    const name = `${path}${key}${schema.required?.includes(key) ? '' : '?'}`;
    rows.push([`\`${name}\``, `${typeOf(part)}${limits(part)}`]);
    if (isRecord(part)) walk(part, `${name}.`, rows);
    if (part.items !== undefined && isRecord(part.items)) walk(part.items, `${name}[].`, rows);
  }
}

function typeOf(schema: JsonSchema): string {
  if (schema.$ref !== undefined) return named(schema.$ref);
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  // Extensions write their schemas by hand, in forms that TypeBox does not use.
  const { type, enum: values } = schema as { type?: string | string[]; enum?: unknown[] };
  if (values !== undefined) return values.map((value) => `\`${JSON.stringify(value)}\``).join(' or ');
  if (Array.isArray(type)) return type.join(' or ');
  if (schema.type !== 'object') return schema.type ?? 'anything';
  if (isRecord(schema)) return 'object';
  const value = Object.values(schema.patternProperties ?? {})[0];
  if (value !== undefined) return `object of ${typeOf(value)}`;
  return schema.additionalProperties === false ? 'empty object' : 'object';
}

function limits({ type, minLength, maxLength, minimum, maximum }: JsonSchema): string {
  const texts = [
    ...(type === 'string' && minLength === 1 ? ['not empty'] : []),
    ...(maxLength === undefined ? [] : [`at most ${maxLength} characters`]),
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(maximum === undefined ? [] : [`to ${maximum}`]),
  ];
  return texts.length === 0 ? '' : `, ${texts.join(', ')}`;
}

function isRecord(schema: JsonSchema): boolean {
  return schema.type === 'object' && Object.keys(schema.properties ?? {}).length > 0;
}

function isOpen(schema: JsonSchema, defs: Record<string, JsonSchema>): boolean {
  const target = schema.$ref === undefined ? schema : (defs[schema.$ref.replace('#/$defs/', '')] ?? {});
  return target.type === 'object' && target.additionalProperties !== false;
}

function named(ref: string): string {
  const name = ref.replace('#/$defs/', '');
  return `[${name}](#${anchor(name)})`;
}

/** As the renderers of Markdown make them from a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
