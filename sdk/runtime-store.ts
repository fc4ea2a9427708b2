/** Keeps the runtime that `register(api)` was given for code that runs later. One store per extension; the host keeps none. */
export interface PluginRuntimeStore<Runtime> {
  setRuntime(runtime: Runtime): void;
  /** Throws the store's message when nothing was set. */
  getRuntime(): Runtime;
  tryGetRuntime(): Runtime | null;
}

/** Makes a store; `message` is what `getRuntime` throws before `setRuntime`. */
export function createPluginRuntimeStore<Runtime>(message: string): PluginRuntimeStore<Runtime> {
  let current: Runtime | null = null;
  return {
    setRuntime(runtime) {
      current = runtime;
    },
    getRuntime() {
      if (current === null) throw new Error(message);
      return current;
    },
    tryGetRuntime: () => current,
  };
}
