import { errorText, type Tool, type ToolContext, type ToolSchema } from '../../sdk/index.ts';
import type { Contribution, Generation } from '../kernel/generation.ts';
import type { Logger } from '../logging/logger.ts';
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
  const { generation, context, policy, log } = params;
  const contributions = await generation.contributions('tool');
  const isBundled = (owner: string): boolean => generation.plan.extensions.get(owner)?.entry.origin === 'bundled';
  const sorted = [...contributions].sort((a, b) => Number(isBundled(b.owner)) - Number(isBundled(a.owner)));
  const found = new Map<string, RunTool>();
  for (const contribution of sorted) {
    const { owner } = contribution;
    for (const tool of make(contribution, context, log)) {
      if (!policy.permits({ name: tool.name, owner, isBundled: isBundled(owner), optional: contribution.value.optional })) continue;
      const other = found.get(tool.name);
      if (other === undefined) found.set(tool.name, { tool, owner });
      else if (other.owner !== owner)
        log.warn(`the tool '${tool.name}' of '${owner}' is left out: '${other.owner}' offers one of that name`, { extension: owner });
    }
  }
  const schemas = [...found.values()]
    .map(({ tool }) => ({ name: tool.name, description: tool.description, parameters: tool.parameters }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { get: (name) => found.get(name), schemas };
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
