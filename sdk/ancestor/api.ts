import { homedir } from 'node:os';
import { join } from 'node:path';
import { errorCode, errorText } from '../errors.ts';
import type { CommandContext, GatewayMethodContext, PluginApi, RegisterResult } from '../plugin-api.ts';
import type { ContextEngine } from '../ports/context-engine.ts';
import type { Tool, ToolContext, ToolFactory } from '../ports/tool.ts';
import { adaptChannel } from './channel.ts';
import { adaptEngine } from './engine.ts';
import { OFFERED } from './members.ts';
import { type AncestorProvider, adaptProvider } from './provider.ts';
import { completeRuntime, refuse } from './runtime.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a plugin of that line hands over is checked where it is committed
type Any = any;
type Method = (...args: Any[]) => RegisterResult;

/** Mistakes that cost a plugin of that line one contribution and not all of them, as there. */
const PASSED_OVER: readonly unknown[] = ['DUR_EXT_TWICE', 'DUR_EXT_SHAPE', 'DUR_HOOK_UNKNOWN'];

/** `api` as a plugin of that line knows it. `note` is told of each member that it uses and Durar does not have. */
export function adaptApi(api: PluginApi, note: (member: string) => void): PluginApi {
  const adapted = Object.defineProperties({}, Object.getOwnPropertyDescriptors(api)) as Record<string, Any>;
  const own = api as unknown as Record<string, Method>;
  const runtime = completeRuntime(api.runtime, note);
  let anonymous = 0;

  /** What the plugin hands over, in our shape. */
  const translations: Record<string, (...args: Any[]) => unknown[]> = {
    on: (hook, handler, options) => [hook, typeof handler === 'function' ? (...args: unknown[]) => hookResult(handler(...args)) : handler, options],
    registerContextEngine: (id, factory) => [id, typeof factory === 'function' ? () => makeEngine(id, factory) : factory],
    registerTool(tool, options = {}) {
      if (typeof tool !== 'function') return [tool && adaptTool(tool), options];
      anonymous += 1;
      const names = options.names ?? [options.name ?? (tool.name || `${api.id}#${anonymous}`)];
      return [(context: ToolContext) => makeTools(tool, context), { ...options, names }];
    },
    registerProvider: (provider) => [typeof provider?.id === 'string' ? adaptProvider(provider as AncestorProvider, api, note) : provider],
    registerChannel: (registration) => [adaptChannel(registration?.plugin ?? registration, note)],
    registerCommand: (command) => [typeof command?.handler === 'function' ? adaptCommand(command, note) : command],
    registerGatewayMethod: (method, handler, options) => [method, typeof handler === 'function' ? adaptMethod(method, handler) : handler, options],
  };

  function makeEngine(id: string, factory: (context: object) => ContextEngine | Promise<ContextEngine>): ContextEngine | Promise<ContextEngine> {
    const { agent } = api.runtime;
    const context = { config: api.config, agentDir: agent.resolveAgentDir(api.config), workspaceDir: agent.resolveAgentWorkspaceDir(api.config) };
    const made = factory(context);
    return made instanceof Promise ? made.then((engine) => adaptEngine(engine, id)) : adaptEngine(made, id);
  }

  function makeTools(factory: ToolFactory, context: ToolContext): Tool[] {
    const { config } = api;
    const agentDir = api.runtime.agent.resolveAgentDir(config, context.agentId);
    return [factory({ ...context, config, runtimeConfig: config, agentDir }) ?? []].flat().map(adaptTool);
  }

  function call(name: string, args: unknown[]): RegisterResult {
    try {
      return own[name]?.(...(translations[name]?.(...args) ?? args)) ?? { ok: true };
    } catch (error) {
      if (!PASSED_OVER.includes(errorCode(error))) throw error;
      if (errorCode(error) === 'DUR_HOOK_UNKNOWN') note(`hook ${String(args[0])}`);
      api.logger.warn(errorText(error));
      return { ok: false, existingOwner: api.id };
    }
  }

  for (const name of Object.keys(own)) {
    if (name === 'on' || name.startsWith('register')) adapted[name] = (...args: unknown[]) => call(name, args);
  }
  adapted.runtime = runtime;
  adapted.resolvePath = (input: string) => (/^~(?=\/|$)/.test(input) ? join(homedir(), input.slice(1)) : api.resolvePath(input));
  // One call of the later versions of that line for what were three.
  adapted.registerMemoryCapability = ({ promptBuilder, flushPlanResolver, runtime: memory }: Any = {}) => {
    if (promptBuilder !== undefined) call('registerMemoryPromptSection', [promptBuilder]);
    if (flushPlanResolver !== undefined) call('registerMemoryFlushPlan', [flushPlanResolver]);
    if (memory !== undefined) call('registerMemoryRuntime', [memory]);
  };
  adapted.onConversationBindingResolved = refuse('api.onConversationBindingResolved', note);
  adapted.registerHttpHandler = refuse('api.registerHttpHandler', note, 'Use api.registerHttpRoute.');
  return adapted as unknown as PluginApi;
}

/** That line takes anything but an object for no opinion. */
function hookResult(result: unknown): unknown {
  if (result instanceof Promise) return result.then(hookResult);
  return typeof result === 'object' && result !== null ? result : undefined;
}

/** A result without `content` is shown to the model as JSON. */
function adaptTool(tool: Tool): Tool {
  if (typeof tool.execute !== 'function') return tool;
  const jsonResult = OFFERED.jsonResult as (details: unknown) => Awaited<ReturnType<Tool['execute']>>;
  return Object.create(tool, {
    name: { value: tool.name, enumerable: true },
    description: { value: tool.description ?? '', enumerable: true },
    execute: {
      async value(...args: Parameters<Tool['execute']>) {
        const result: Any = await tool.execute(...args);
        return Array.isArray(result?.content) ? result : jsonResult(result?.details ?? result ?? { status: 'ok' });
      },
    },
  }) as Tool;
}

function adaptCommand(command: Any, note: (member: string) => void): unknown {
  const bindings = Object.fromEntries(
    ['requestConversationBinding', 'detachConversationBinding', 'getCurrentConversationBinding'].map((name) => [name, refuse(`command ${name}`, note)]),
  );
  return { ...command, handler: (context: CommandContext) => command.handler({ ...context, ...bindings }) };
}

/** There a handler answers by `respond`, at once or later; here it returns. */
function adaptMethod(method: string, handler: (call: object) => unknown) {
  return (params: Record<string, unknown>, context: GatewayMethodContext): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const respond = (ok: boolean, payload?: unknown, error?: { message?: string }) => {
        if (ok) resolve(payload);
        else reject(new Error(error?.message ?? `${method} failed`));
      };
      const client = { connId: context.connId, connect: { client: { id: context.clientId }, scopes: [...context.scopes] } };
      Promise.resolve(handler({ req: { type: 'req', method, params }, params, client, isWebchatConnect: () => false, respond, context: {} })).catch(reject);
    });
}
