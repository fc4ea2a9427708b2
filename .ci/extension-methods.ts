/** The gateway methods of the bundled extensions, for the protocol page. Each is registered into a host that only takes notes. */
import { globSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { dirname, join } from 'node:path';
import { createSdkSpecifiers } from '../core/kernel/sdk-specifiers.ts';
import type { GatewayMethodOptions } from '../sdk/plugin-api.ts';
import { ADMIN_PREFIXES, ADMIN_SCOPE } from '../sdk/protocol/scopes.ts';

export interface ExtensionMethod {
  method: string;
  /** id */
  extension: string;
  /** relative to the repository */
  folder: string;
  options: GatewayMethodOptions;
}

const root = join(import.meta.dirname, '..');

/** Takes every call and property, and answers with itself; as a text it is empty. */
const anything: object = new Proxy(() => undefined, {
  get: (_target, key) => (key === 'then' ? undefined : key === Symbol.toPrimitive ? () => '' : anything),
  apply: () => anything,
});

export async function collectExtensionMethods(): Promise<ExtensionMethod[]> {
  const specifiers = createSdkSpecifiers();
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const url = specifiers.resolve(specifier, context.parentURL ?? '');
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
    },
  });
  const found: ExtensionMethod[] = [];
  for (const file of globSync('extensions/*/*/Durar.plugin.json', { cwd: root }).sort()) {
    const { id, contracts } = JSON.parse(readFileSync(join(root, file), 'utf8')) as { id: string; contracts?: { gatewayMethods?: string[] } };
    if (contracts?.gatewayMethods === undefined) continue;
    const entry = (await import(join(root, dirname(file), 'index.ts'))) as { default: { register(api: unknown): Promise<void> | void } };
    const registerGatewayMethod = (method: string, _handler: unknown, options: GatewayMethodOptions = {}) =>
      found.push({ method, extension: id, folder: dirname(file), options });
    await entry.default.register(
      new Proxy({ id, rootDir: join(root, dirname(file)), registerGatewayMethod }, { get: (target, key) => Reflect.get(target, key) ?? anything }),
    );
  }
  hooks.deregister();
  return found;
}

export function scopeOf({ method, options }: ExtensionMethod): string | null {
  if (options.role === 'node') return null;
  return ADMIN_PREFIXES.some((prefix) => method.startsWith(prefix)) ? ADMIN_SCOPE : (options.scope ?? ADMIN_SCOPE);
}
