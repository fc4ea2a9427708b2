/** Prints Swift models of the published schema: one `Codable` struct per shape, open string enumerations, and the tables of names. */
import type { JsonSchema, ProtocolDocument } from './json-schema.ts';

const KEYWORDS = new Set(
  'as associatedtype break case catch class continue default defer deinit do else enum extension fallthrough false fileprivate for func guard if import in init inout internal is let nil open operator private protocol public repeat rethrows return self static struct subscript super switch throw throws true try typealias var where while'.split(
    ' ',
  ),
);

const CONSTANTS: Record<string, string> = { string: 'String', boolean: 'Bool', number: 'Double' };

const PRELUDE = `import Foundation

/// Any JSON value.
public enum JSONValue: Codable, Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    public init(from decoder: Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() { self = .null }
        else if let value = try? container.decode(Bool.self) { self = .bool(value) }
        else if let value = try? container.decode(Double.self) { self = .number(value) }
        else if let value = try? container.decode(String.self) { self = .string(value) }
        else if let value = try? container.decode([JSONValue].self) { self = .array(value) }
        else { self = .object(try container.decode([String: JSONValue].self)) }
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}
`;

const FRAME = `/// What travels over the socket, told apart by its \`type\`.
public enum GatewayFrame: Codable, Hashable, Sendable {
    case request(RequestFrame)
    case response(ResponseFrame)
    case event(EventFrame)

    private enum CodingKeys: String, CodingKey {
        case type
    }

    public init(from decoder: Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let type = try container.decode(String.self, forKey: .type)
        switch type {
        case "req": self = .request(try RequestFrame(from: decoder))
        case "res": self = .response(try ResponseFrame(from: decoder))
        case "event": self = .event(try EventFrame(from: decoder))
        default: throw DecodingError.dataCorruptedError(forKey: .type, in: container, debugDescription: "unknown frame type \\(type)")
        }
    }

    public func encode(to encoder: Encoder) throws {
        switch self {
        case .request(let frame): try frame.encode(to: encoder)
        case .response(let frame): try frame.encode(to: encoder)
        case .event(let frame): try frame.encode(to: encoder)
        }
    }
}
`;

/** `names` are the exported types of the document's anonymous roots: TypeScript and Swift call them alike. */
export function printSwift(document: ProtocolDocument, names: Record<string, JsonSchema>, banner: string): string {
  const taken = new Set([...Object.keys(document.$defs), ...Object.keys(names)]);
  const parts: string[] = [];

  /** A name for a part that has none of its own. */
  const free = (hint: string): string => {
    let name = hint;
    for (let next = 2; taken.has(name); next += 1) name = `${hint}${next}`;
    taken.add(name);
    return name;
  };

  const declare = (name: string, schema: JsonSchema) => {
    const at = parts.push('') - 1;
    parts[at] = isRecord(schema) ? printStruct(name, schema) : `public typealias ${name} = ${typeOf(schema, `${name}Value`)}\n`;
  };

  const typeOf = (schema: JsonSchema, hint: string): string => {
    if (schema.$ref !== undefined) return schema.$ref.replace('#/$defs/', '');
    if (schema.const !== undefined) return CONSTANTS[typeof schema.const] ?? 'JSONValue';
    if (schema.anyOf !== undefined) return unionOf(schema.anyOf, hint);
    switch (schema.type) {
      case 'string':
        return 'String';
      case 'boolean':
        return 'Bool';
      case 'integer':
        return 'Int';
      case 'number':
        return 'Double';
      case 'array':
        return `[${typeOf(schema.items ?? {}, `${hint}Item`)}]`;
      case 'object':
        return objectOf(schema, hint);
      default:
        return 'JSONValue';
    }
  };

  const objectOf = (schema: JsonSchema, hint: string): string => {
    const value = valuesOf(schema);
    if (value !== undefined) return `[String: ${typeOf(value, `${hint}Value`)}]`;
    if (!isRecord(schema)) return '[String: JSONValue]';
    const name = free(hint);
    declare(name, schema);
    return name;
  };

  const unionOf = (members: JsonSchema[], hint: string): string => {
    const real = members.filter(({ type }) => type !== 'null');
    if (real.length === 1 && real[0] !== undefined) return typeOf(real[0], hint);
    const words = real.map((member) => member.const);
    if (!words.every((word) => typeof word === 'string')) return 'JSONValue';
    const name = free(hint);
    parts.push(printWords(name, words));
    return name;
  };

  const printStruct = (name: string, schema: JsonSchema): string => {
    const fields = Object.entries(schema.properties ?? {}).map(([key, part]) => {
      const isOptional = schema.required?.includes(key) !== true || (part.anyOf ?? []).some(({ type }) => type === 'null');
      return { key, name: identifier(key), type: typeOf(part, `${name}${pascal(key)}`), isOptional };
    });
    const optional = (isOptional: boolean) => (isOptional ? '?' : '');
    const params = fields.map((field) => `        ${field.name}: ${field.type}${field.isOptional ? '? = nil' : ''}`);
    return [
      `public struct ${name}: Codable, Hashable, Sendable {`,
      ...fields.map((field) => `    public var ${field.name}: ${field.type}${optional(field.isOptional)}`),
      '',
      `    public init(${params.length === 0 ? '' : `\n${params.join(',\n')}\n    `}) {`,
      ...fields.map((field) => `        self.${field.name} = ${field.name}`),
      '    }',
      ...codingKeys(fields),
      '}\n',
    ].join('\n');
  };

  for (const [name, schema] of Object.entries(document.$defs)) declare(name, schema);
  for (const [name, schema] of Object.entries(names)) if (schema.$ref === undefined) declare(name, schema);
  const aliases = Object.entries(names).flatMap(([name, { $ref }]) => {
    const target = $ref?.replace('#/$defs/', '');
    return target === undefined || target === name ? [] : [`public typealias ${name} = ${target}\n`];
  });
  return [
    banner,
    PRELUDE,
    `public let gatewayProtocolVersion = ${document.version}\n`,
    FRAME,
    printNames('GatewayMethod', Object.keys(document.methods)),
    printNames('GatewayEvent', Object.keys(document.events)),
    ...parts,
    ...aliases,
  ].join('\n');
}

function printNames(name: string, values: readonly string[]): string {
  const cases = values.map((value) => `    case ${identifier(camel(value))} = "${value}"`);
  return `public enum ${name}: String, Codable, CaseIterable, Sendable {\n${cases.join('\n')}\n}\n`;
}

/** Not an enum: a later version may send a further word, and the model must still decode. */
function printWords(name: string, words: readonly string[]): string {
  return [
    `public struct ${name}: RawRepresentable, Codable, Hashable, Sendable, ExpressibleByStringLiteral {`,
    '    public var rawValue: String',
    '    public init(rawValue: String) { self.rawValue = rawValue }',
    '    public init(stringLiteral value: String) { rawValue = value }',
    ...words.map((word) => `    public static let ${identifier(camel(word))}: Self = "${word}"`),
    '}\n',
  ].join('\n');
}

function codingKeys(fields: ReadonlyArray<{ key: string; name: string }>): string[] {
  if (fields.every(({ key, name }) => name.replaceAll('`', '') === key)) return [];
  const cases = fields.map(({ key, name }) => `        case ${name}${name.replaceAll('`', '') === key ? '' : ` = "${key}"`}`);
  return ['', '    private enum CodingKeys: String, CodingKey {', ...cases, '    }'];
}

function isRecord(schema: JsonSchema): boolean {
  return schema.type === 'object' && Object.keys(schema.properties ?? {}).length > 0;
}

function valuesOf(schema: JsonSchema): JsonSchema | undefined {
  if (isRecord(schema)) return undefined;
  return Object.values(schema.patternProperties ?? {})[0] ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
}

function camel(text: string): string {
  const joined = text.replace(/[^A-Za-z0-9]+(.)?/g, (_match, letter: string | undefined) => letter?.toUpperCase() ?? '');
  const name = joined.replace(/^[A-Z](?![A-Z])/, (letter) => letter.toLowerCase());
  return /^[A-Za-z]/.test(name) ? name : `value${name}`;
}

function pascal(text: string): string {
  return camel(text).replace(/^\w/, (letter) => letter.toUpperCase());
}

function identifier(text: string): string {
  const name = /^[A-Za-z_]\w*$/.test(text) ? text : camel(text);
  return KEYWORDS.has(name) ? `\`${name}\`` : name;
}
