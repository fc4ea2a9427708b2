import { describe, expect, it } from 'vitest';
import { compileCheck } from '../manifest/validator.ts';
import { lookupSchema } from './schema-lookup.ts';
import { type Node, viewSchema } from './schema-view.ts';

const view = viewSchema({
  plugins: [
    {
      id: 'fixture',
      label: 'Fixture',
      description: 'an extension',
      schema: {
        type: 'object',
        additionalProperties: false,
        required: ['size'],
        properties: {
          size: { type: 'number', minimum: 1, exclusiveMaximum: 9, multipleOf: 2, description: 'how many', deprecated: true },
          name: { type: 'string', maxLength: 4, format: 'hostname', readOnly: true },
          list: { type: 'array', minItems: 1, uniqueItems: true, items: { $ref: '#/definitions/item' } },
          map: { type: 'object', minProperties: 1, additionalProperties: { type: 'string', description: 'one of them', writeOnly: true } },
          choice: { const: 'only' },
        },
        definitions: { item: { type: 'object', properties: { self: { $ref: '#/definitions/item' }, key: { type: 'string' } } } },
      },
      hints: { size: { label: 'Size', help: 'how many', advanced: true } },
    },
  ],
  channels: [{ id: 'fixchat', label: 'Fix chat', schema: { type: 'object', properties: { room: { type: 'string' } } } }],
});
const at = (path: string) => lookupSchema(view, path);
const schemaAt = (path: string, of = view) => path.split('.').reduce((node: Node, key) => (node.properties as Record<string, Node>)[key] ?? {}, of.schema);

describe('the schema as interfaces get it', () => {
  it('has the texts of the hints on its fields: nested, below maps, in lists and in branches (PROTO-137 to PROTO-141)', () => {
    for (const path of ['gateway.port', 'plugins.slots.memory']) {
      expect(schemaAt(path)).toMatchObject({ title: view.hints[path]?.label, description: view.hints[path]?.help });
      expect(view.hints[path]?.help).toBeTruthy();
    }
    const provider = (schemaAt('models.providers').additionalProperties as Node).properties as Record<string, Node>;
    expect(provider.baseUrl).toMatchObject({ title: 'Base url', description: view.hints['models.providers.*.baseUrl']?.help });
    const model = ((provider.models as Node).items as Node).properties as Record<string, Node>;
    const limit = 'models.providers.*.models.*.contextWindow';
    expect(model.contextWindow).toMatchObject({ title: view.hints[limit]?.label, description: view.hints[limit]?.help });
    const token = schemaAt('gateway.auth.token');
    expect(token.anyOf).toMatchObject([{ title: 'Token' }, { title: 'Token', type: 'object' }]);
    expect(view.hints['gateway.auth.token']).toMatchObject({ sensitive: true, tags: ['security', 'gateway'] });
    expect(JSON.stringify(view.schema)).not.toContain('$ref');
  });

  it('holds the blocks of extensions and channels, with their hints (PROTO-136)', () => {
    expect(schemaAt('plugins.entries.fixture')).toMatchObject({ title: 'Fixture', description: 'an extension' });
    expect(schemaAt('plugins.entries.fixture.config.size')).toMatchObject({ minimum: 1, description: 'how many' });
    expect(view.hints['plugins.entries.fixture.config.size']).toMatchObject({ label: 'Size', advanced: true });
    expect(schemaAt('channels.fixchat.room')).toMatchObject({ type: 'string', title: 'Room' });
  });
});

describe('the lookup of one place', () => {
  it.each([
    ['gateway.auth', 'gateway.auth'],
    ['gateway["auth"]', 'gateway.auth'],
    ["gateway['auth']", 'gateway.auth'],
    ['gateway/auth', 'gateway.auth'],
    ['agents.list[]', 'agents.list.*'],
    ['agents.list[3].id', 'agents.list.*.id'],
    ['agents.list.0.id', 'agents.list.*.id'],
    ['models.providers.mine.baseUrl', 'models.providers.mine.baseUrl'],
    ['gateway.auth.token.source', 'gateway.auth.token.source'],
  ])('%s is %s (PROTO-142, PROTO-143)', (path, normal) => {
    expect(at(path)?.path).toBe(normal);
  });

  it.each(['nope', 'nope.x', 'gateway.port.x', 'gateway.__proto__', 'constructor', '...'])('%s is no place (PROTO-151)', (path) => {
    expect(at(path)).toBeUndefined();
  });

  it('is shallow, with summaries of what is directly below (PROTO-144, PROTO-146, PROTO-150)', () => {
    const gateway = at('gateway');
    expect(gateway?.schema).not.toHaveProperty('properties');
    expect(gateway?.children.every(({ path }) => path.split('.').length === 2)).toBe(true);
    expect(gateway?.children.find(({ key }) => key === 'auth')).toEqual({
      key: 'auth',
      path: 'gateway.auth',
      type: 'object',
      required: false,
      hasChildren: true,
      hint: { label: 'Authentication', tags: ['gateway'] },
      hintPath: 'gateway.auth',
    });
    expect(at('agents.list.*')?.children.find(({ key }) => key === 'id')).toMatchObject({ required: true, hasChildren: false, type: 'string' });
    expect(at('agents.list')?.children).toMatchObject([{ key: '*', path: 'agents.list.*', hasChildren: true }]);
  });

  it('names the pattern that its hint stands under (PROTO-145)', () => {
    expect(at('models.providers.mine.baseUrl')).toMatchObject({ hintPath: 'models.providers.*.baseUrl', hint: { label: 'Base url' } });
  });

  it('keeps everything that is said about the value itself (PROTO-147 to PROTO-149)', () => {
    const block = 'plugins.entries.fixture.config';
    expect(at(block)).toMatchObject({ schema: { additionalProperties: false }, children: [{ key: 'size', required: true }, {}, {}, {}, {}] });
    expect(at(`${block}.size`)?.schema).toMatchObject({ minimum: 1, exclusiveMaximum: 9, multipleOf: 2, deprecated: true, description: 'how many' });
    expect(at(`${block}.name`)?.schema).toMatchObject({ maxLength: 4, format: 'hostname', readOnly: true });
    expect(at(`${block}.list`)?.schema).toMatchObject({ minItems: 1, uniqueItems: true });
    expect(at(`${block}.map`)?.schema).toMatchObject({ minProperties: 1 });
    expect(at(`${block}.map.any`)?.schema).toMatchObject({ writeOnly: true });
    expect(at(`${block}.choice`)?.schema).toMatchObject({ const: 'only' });
    expect(at('gateway.bind')?.schema).toMatchObject({ enum: expect.arrayContaining(['loopback']), default: 'loopback' });
    expect(at('agents.list[].id')?.schema).toMatchObject({ pattern: expect.stringContaining('A-Z') });
    expect(at(`${block}.list.0.self.self.key`)?.schema).toMatchObject({ type: 'string' });
  });
});

describe('the blocks of secret sources', () => {
  const path = { type: 'string', minLength: 1, description: 'where it lies' };
  const sources = [
    { id: 'file', label: 'File', schema: { type: 'object', additionalProperties: false, required: ['path'], properties: { path } } },
    { id: 'exec', label: 'Command', schema: { type: 'object', additionalProperties: false, properties: { env: { type: 'object', sensitive: true } } } },
  ];
  const withSources = viewSchema({ plugins: [], channels: [], sources });

  it('are told apart by their source; what no manifest describes may hold anything (SEC-062, SEC-065)', () => {
    const isValid = compileCheck(schemaAt('secrets.providers', withSources));
    const good = [
      { source: 'file', path: '/x', timeoutMs: 5 },
      { source: 'exec', env: {} },
      { source: 'vault', anything: 1 },
    ];
    for (const block of good) expect(isValid({ alias: block }), JSON.stringify(block)).toBeUndefined();
    for (const block of [
      { source: 'file' },
      { source: 'file', path: '' },
      { source: 'exec', path: '/x' },
      { path: '/x' },
      { source: 'file', path: '/x', timeoutMs: 'x' },
    ])
      expect(isValid({ alias: block }), JSON.stringify(block)).toBeDefined();
  });

  it('are found with their texts by the alias', () => {
    const place = lookupSchema(withSources, 'secrets.providers.keys');
    expect(place?.children.map(({ key }) => key).sort()).toEqual(['env', 'path', 'source', 'timeoutMs']);
    expect(lookupSchema(withSources, 'secrets.providers.keys.path')?.hint).toMatchObject({ label: 'Path', help: 'where it lies' });
    expect(lookupSchema(withSources, 'secrets.providers.keys.env')?.hint).toMatchObject({ sensitive: true });
  });
});
