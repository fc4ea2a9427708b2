import { errorCode, reportError, type ToolResult } from 'Durar/plugin-sdk/core';

export function answer(value: object | string): ToolResult {
  return { content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value, undefined, 1) }], details: value };
}

export function refusal(text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

/** The host's own refusals tell the model what to do; what is nobody's refusal is thrown. */
export async function refusable(work: () => Promise<ToolResult>): Promise<ToolResult> {
  try {
    return await work();
  } catch (error) {
    if (errorCode(error)?.startsWith('DUR_') !== true) throw error;
    const { message, hint } = reportError(error);
    return refusal([message, hint].filter(Boolean).join('. '));
  }
}
