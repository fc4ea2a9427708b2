import { approvalContract } from './approval.ts';
import { channelContract } from './channel.ts';
import { contextEngineContract } from './context-engine.ts';
import type { ContractSuite } from './contract.ts';
import { providerContract } from './provider.ts';
import { secretsProviderContract } from './secrets-provider.ts';
import { sessionStoreContract } from './session-store.ts';
import { toolContract } from './tool.ts';

/** The suite of each kind of contribution that has a contract; what `plugins verify` runs. */
export const CONTRACTS = {
  contextEngine: contextEngineContract,
  sessionStore: sessionStoreContract,
  provider: providerContract,
  modelApi: providerContract,
  approver: approvalContract,
  channel: channelContract,
  secretsProvider: secretsProviderContract,
  tool: toolContract,
} as const;

export type ContractKind = keyof typeof CONTRACTS;

/** What the suite of a kind works on. */
export type ContractContextOf<Kind extends ContractKind> = (typeof CONTRACTS)[Kind] extends ContractSuite<infer Context> ? Context : never;
