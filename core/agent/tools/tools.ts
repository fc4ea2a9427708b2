import { errorText, type Tool, type ToolContext, type ToolSchema } from '../../../sdk/index.ts';
import type { Contribution, Generation } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import type { ToolPolicy } from './tool-policy.ts';

/** A tool of one run, with the extension it came from. */
export interface RunTool {
  tool: Tool;
  owner: string;
}

/** The tools that one run offers its model. */
export interface ToolSet {
  get(name: string): RunTool | undefined;
  /** As the provider gets them, in a stable order: the prompt's prefix must not change between turns. */
  schemas: ToolSchema[];
}

/**
 * Collects the tools of a run: all contributed ones, factories called with the run's context, then the policy. Of two tools of one name the
 * bundled one stays, else the first. A factory that throws costs the run its tools, not the run.
 */
export async function collectTools(params: { generation: Generation; context: ToolContext; policy: ToolPolicy; log: Logger }): Promise<ToolSet> {
  const found = new Map(permittedTools(await everyTool(params), params).map((offered) => [offered.tool.name, offered]));
  const schemas = [...found.values()]
    .map(({ tool }) => ({ name: tool.name, description: tool.description, parameters: tool.parameters }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { get: (name) => found.get(name), schemas };
}

/** A tool that an extension offers, whether the policy permits it or not. */
export interface OfferedTool extends RunTool {
  isBundled: boolean;
  optional: boolean;
}

/** Every tool that the extensions make in this context, those of bundled ones first. */
export async function everyTool({ generation, context, log }: { generation: Generation; context: ToolContext; log: Logger }): Promise<OfferedTool[]> {
  const offered = (await generation.contributions('tool')).flatMap((contribution) => {
    const { owner, value } = contribution;
    const isBundled = generation.plan.extensions.get(owner)?.entry.origin === 'bundled';
    return make(contribution, context, log).map((tool) => ({ tool, owner, isBundled, optional: value.optional }));
  });
  return offered.sort((a, b) => Number(b.isBundled) - Number(a.isBundled));
}

/** Those that the policy permits, one of each name. */
export function permittedTools(offered: readonly OfferedTool[], { policy, log }: { policy: ToolPolicy; log: Logger }): OfferedTool[] {
  const found = new Map<string, OfferedTool>();
  for (const one of offered) {
    const { tool, ...origin } = one;
    if (!policy.permits({ name: tool.name, ...origin })) continue;
    const other = found.get(tool.name);
    if (other === undefined) found.set(tool.name, one);
    else if (other.owner !== one.owner)
      log.warn(`the tool '${tool.name}' of '${one.owner}' is left out: '${other.owner}' offers one of that name`, { extension: one.owner });
  }
  return [...found.values()];
}

function make(contribution: Contribution<'tool'>, context: ToolContext, log: Logger): Tool[] {
  const { owner, value } = contribution;
  try {
    const made = typeof value.tool === 'function' ? value.tool(context) : value.tool;
    if (made === null || made === undefined) return [];
    return (Array.isArray(made) ? made : [made]).filter((tool) => {
      const isUsable = typeof tool?.name === 'string' && typeof tool.execute === 'function' && typeof tool.parameters === 'object' && tool.parameters !== null;
      if (!isUsable) log.error(`'${owner}' made a tool without name, parameters or execute; it is left out`, { extension: owner });
      return isUsable;
    });
  } catch (error) {
    log.error(`the tool factory '${contribution.key}' of '${owner}' failed: ${errorText(error)}`, { extension: owner });
    return [];
  }
}
