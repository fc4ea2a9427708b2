/** `Durar/plugin-sdk/core`: everything an author needs. */
export { delegateCompactionToRuntime } from './compaction.ts';
export * from './contributions.ts';
export * from './entry.ts';
export { DurarError, durarError, type ErrorCode, type ErrorOwner, type ErrorReport, errorCode, errorText, reportError } from './errors.ts';
export * from './hooks.ts';
export * from './manifest.ts';
export * from './messages.ts';
export * from './plugin-api.ts';
export * from './plugin-runtime.ts';
export * from './ports/approval.ts';
export * from './ports/channel.ts';
export * from './ports/context-engine.ts';
export * from './ports/memory.ts';
export * from './ports/provider.ts';
export * from './ports/secrets-provider.ts';
export * from './ports/session-store.ts';
export * from './ports/tool.ts';
export { createPluginRuntimeStore, type PluginRuntimeStore } from './runtime-store.ts';
