import { describe, it } from 'vitest';
import { type ContractContext, type ContractSuite, runContractCase } from '../sdk/contract/contract.ts';

/** A contract suite as vitest tests: one test a case, each in a context of its own. */
export function describeContract<Ctx extends ContractContext>(suite: ContractSuite<Ctx>, makeContext: () => Promise<NoInfer<Ctx>> | NoInfer<Ctx>): void {
  describe(suite.port, () => {
    for (const contractCase of suite.cases) {
      const ids = contractCase.ids === undefined ? '' : ` (${contractCase.ids.join(', ')})`;
      // The case has its own time limit; vitest's must not cut in before that one names what hung.
      it(`${contractCase.name}${ids}`, { timeout: 120_000 }, async ({ skip }) => {
        const result = await runContractCase(contractCase, makeContext);
        if (result.status === 'skipped') skip(result.reason);
        if (result.status === 'failed') throw new Error([result.code, result.reason].filter((part) => part !== undefined).join(': '));
      });
    }
  });
}
