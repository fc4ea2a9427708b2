/** Port: memory. Search and recall for the plugin in `plugins.slots.memory`; separate from the context engine. */
export interface MemoryRuntime {
  search?(params: {
    query: string;
    limit?: number;
    agentId?: string;
    signal?: AbortSignal;
  }): Promise<{ results: Array<{ text: string; path?: string; score?: number }> }>;
  get?(params: { path: string; agentId?: string }): Promise<{ text: string } | undefined>;
  [member: string]: unknown;
}
