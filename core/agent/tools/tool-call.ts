import {
  durarError,
  errorText,
  type HookContext,
  type ToolCallBlock,
  type ToolCallDecision,
  type ToolResult,
  type ToolResultMessage,
} from '../../../sdk/index.ts';
import type { Generation } from '../../kernel/generation.ts';
import type { Logger } from '../../logging/logger.ts';
import { withDeadline } from '../deadline.ts';
import type { Run } from '../run.ts';
import { requestApproval } from './approval.ts';
import type { ToolSet } from './tools.ts';

export interface ToolCallInput {
  call: ToolCallBlock;
  tools: ToolSet;
  generation: Generation;
  run: Run;
  /** Ends the call: the run's own signal, or a new message. */
  signal: AbortSignal;
  context: HookContext;
  log: Logger;
}

/** Runs the tool calls of model replies. */
export interface ToolCalls {
  /** One call, from its start event to the message that the model gets. Never throws: every failure is a result with `isError`. */
  execute(input: ToolCallInput): Promise<ToolResultMessage>;
}

type ArgumentCheck = (value: unknown) => string | undefined;
type Parameters = Record<string, unknown>;

export function createToolCalls(options: { now: () => number; timeoutMs: number }): ToolCalls {
  const { now, timeoutMs } = options;
  const byIdentity = new WeakMap<object, ArgumentCheck>();
  const byText = new Map<string, ArgumentCheck>();

  /** A schema is compiled when its tool is first called; factories that write a new object each run meet the same check by its text. */
  async function argumentCheck(schema: Parameters): Promise<ArgumentCheck> {
    let check = byIdentity.get(schema);
    if (check !== undefined) return check;
    const text = JSON.stringify(schema);
    check = byText.get(text);
    if (check === undefined) {
      const { compileCheck } = await import('../../manifest/validator.ts');
      check = compileCheck(schema);
      byText.set(text, check);
    }
    byIdentity.set(schema, check);
    return check;
  }

  /** The arguments as the hooks leave them. Throws `DUR_TOOL_BLOCKED` when a hook, or the person it made us ask, says no. */
  async function decide(input: ToolCallInput, params: Parameters): Promise<Parameters> {
    const { generation, call, run, context, log } = input;
    if (!generation.hooks.has('before_tool_call')) return params;
    const event = { toolName: call.name, params, runId: run.accepted.runId, toolCallId: call.id };
    const decision = await generation.hooks.call('before_tool_call', event, context);
    if (decision?.block === true) throw durarError('DUR_TOOL_BLOCKED', { name: call.name, reason: decision.blockReason ?? 'an extension blocked it' });
    if (decision?.requireApproval !== undefined) await ask(input, decision.requireApproval, log);
    return decision?.params === undefined ? params : { ...params, ...decision.params };
  }

  async function ask(input: ToolCallInput, wanted: NonNullable<ToolCallDecision['requireApproval']>, log: Logger): Promise<void> {
    const { generation, call, context } = input;
    const answer = await requestApproval(
      generation,
      {
        kind: 'plugin',
        title: wanted.title,
        description: wanted.description,
        toolName: call.name,
        toolCallId: call.id,
        allowedDecisions: ['allow-once', 'allow-always', 'deny'],
        ...(wanted.severity === undefined ? {} : { severity: wanted.severity }),
        ...(wanted.pluginId === undefined ? {} : { pluginId: wanted.pluginId }),
        ...(wanted.timeoutMs === undefined ? {} : { timeoutMs: wanted.timeoutMs }),
      },
      context,
      now,
    );
    const resolution = answer.outcome === 'timeout' || answer.outcome === 'cancelled' ? answer.outcome : answer.decision;
    // nobody waits for the callback
    Promise.resolve()
      .then(() => wanted.onResolution?.(resolution))
      .catch((error: unknown) => log.error(`onResolution of '${wanted.pluginId ?? 'an extension'}' failed: ${errorText(error)}`));
    if (answer.decision !== 'deny') return;
    if (answer.outcome === 'timeout' && wanted.timeoutBehavior === 'allow') return;
    const reason = answer.outcome === 'nobody' ? wanted.description : (answer.reason ?? 'it was denied');
    throw durarError('DUR_TOOL_BLOCKED', { name: call.name, reason });
  }

  async function perform(input: ToolCallInput, params: Parameters): Promise<ToolResult> {
    const { call, tools, run, signal: ended } = input;
    const found = tools.get(call.name);
    if (found === undefined) throw durarError('DUR_TOOL_UNKNOWN', { name: call.name });
    const { tool, owner } = found;
    const at = { owner: { extension: owner, hook: 'execute' } };
    const check = await argumentCheck(tool.parameters);
    const reason = check(params);
    if (reason !== undefined) throw durarError('DUR_TOOL_PARAMS', { name: call.name, reason }, at);
    const expired = () => durarError('DUR_TOOL_FAILED', { name: call.name, reason: `it did not end within ${timeoutMs} ms` }, at);
    const onUpdate = (partialResult: ToolResult): void => {
      if (!ended.aborted) run.emit('tool', { phase: 'update', name: call.name, toolCallId: call.id, partialResult });
    };
    const result = await withDeadline({ ms: timeoutMs, signal: ended, expired }, (signal) => tool.execute(call.id, params, signal, onUpdate));
    const wrong = wrongResult(result);
    if (wrong !== undefined) throw durarError('DUR_TOOL_FAILED', { name: call.name, reason: wrong }, at);
    return result;
  }

  return {
    async execute(input) {
      const { call, generation, run, context } = input;
      const started = now();
      // the arguments in the transcript stay as the model wrote them
      let params: Parameters = structuredClone(call.arguments);
      run.emit('tool', { phase: 'start', name: call.name, toolCallId: call.id, args: call.arguments });
      let result: ToolResult;
      let failure: string | undefined;
      try {
        params = await decide(input, params);
        result = await perform(input, params);
      } catch (error) {
        failure = errorText(error);
        result = { content: [{ type: 'text', text: failure }], isError: true };
      }
      const message: ToolResultMessage = {
        role: 'toolResult',
        toolCallId: call.id,
        toolName: call.name,
        content: result.content,
        ...(result.details === undefined ? {} : { details: result.details }),
        isError: result.isError === true,
        timestamp: now(),
      };
      run.emit('tool', { phase: 'result', name: call.name, toolCallId: call.id, isError: message.isError, result });
      if (generation.hooks.has('after_tool_call')) {
        generation.hooks.emit(
          'after_tool_call',
          {
            toolName: call.name,
            params,
            runId: run.accepted.runId,
            toolCallId: call.id,
            result,
            ...(failure === undefined ? {} : { error: failure }),
            durationMs: now() - started,
          },
          context,
        );
      }
      return message;
    },
  };
}

/** The result of a call that the run's end left without one; no tool was run for it. */
export function unansweredResult(call: ToolCallBlock, reason: string, timestamp: number): ToolResultMessage {
  return { role: 'toolResult', toolCallId: call.id, toolName: call.name, content: [{ type: 'text', text: reason }], isError: true, timestamp };
}

function wrongResult(result: ToolResult | undefined): string | undefined {
  if (typeof result !== 'object' || result === null || !Array.isArray(result.content)) return 'its result has no content array';
  for (const block of result.content) {
    if (block?.type === 'text' ? typeof block.text !== 'string' : block?.type !== 'image' || typeof block.data !== 'string')
      return 'its content has an unknown block';
  }
  return undefined;
}
