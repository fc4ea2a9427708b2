import { approvalContract } from './approval.ts';
import { contextEngineContract } from './context-engine.ts';
import { providerContract } from './provider.ts';
import { sessionStoreContract } from './session-store.ts';
import { toolContract } from './tool.ts';

/** The suite of each kind of contribution that has a contract; what `plugins verify` runs. */
export const CONTRACTS = {
  contextEngine: contextEngineContract,
  sessionStore: sessionStoreContract,
  provider: providerContract,
  modelApi: providerContract,
  approver: approvalContract,
  tool: toolContract,
} as const;

export type ContractKind = keyof typeof CONTRACTS;
