/** `Durar/plugin-sdk/testing`: what an author's tests need. Works under `node --test` and any other runner. */
export { channelFaults } from '../../sdk/contract/channel-faults.ts';
export type { ChannelFault, ChannelService, ChannelServiceContext } from '../../sdk/contract/channel-service.ts';
export { type ContractReport, formatContract, runContract } from '../../sdk/contract/contract.ts';
export { CONTRACTS, type ContractContextOf, type ContractKind } from '../../sdk/contract/index.ts';
export { type SecretsFault, type SecretsFaultContext, SPILLED, secretsProviderFaults } from '../../sdk/contract/secrets-provider-faults.ts';
export { assistantMessage, toolCallMessage, toolResultMessage, userMessage } from './messages.ts';
export { createTestHost, type LogLine, type TestHost, type TestHostOptions } from './test-host.ts';
