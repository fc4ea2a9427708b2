import { CONTRACTS, type ContractKind } from '../../sdk/contract/index.ts';
import { type ContractCase, type ContractContext, type ContractSuite, runContractCase } from '../../sdk/contract/contract.ts';
import type { ContributionKind } from '../../sdk/contributions.ts';
import { DurarError } from '../../sdk/errors.ts';
import { contextFor } from './suite-contexts.ts';
import type { Trial } from './trial.ts';

export interface SuiteOptions {
  stateDir: string;
  /** Makes one check; a returned text is the reason why it was skipped. */
  attempt(name: string, title: string, run: () => Promise<string | undefined>): Promise<unknown>;
}

/** Runs the contract suite of everything that a trial contributed, one check a case. */
export async function runSuites(trial: Trial, { stateDir, attempt }: SuiteOptions): Promise<void> {
  for (const { kind, key, value } of trial.instance.draft.contributions) {
    if (!hasContract(kind)) continue;
    // The pairing of a kind with its context is checked where both are made.
    const suite = CONTRACTS[kind] as ContractSuite<ContractContext>;
    const context = contextFor(kind, key, value, { trial, stateDir });
    const name = `contract/${suite.port}/${key}`;
    if ('skip' in context) {
      await attempt(name, `'${key}' keeps the contract of its port`, async () => context.skip);
      continue;
    }
    for (const contractCase of suite.cases) await attempt(name, contractCase.name, () => runCase(contractCase, context.make));
  }
}

async function runCase(contractCase: ContractCase<ContractContext>, make: () => Promise<ContractContext> | ContractContext): Promise<string | undefined> {
  const { status, reason, code } = await runContractCase(contractCase, make);
  if (status === 'failed') throw code === undefined ? new Error(reason) : new DurarError(code, reason ?? contractCase.name);
  return status === 'skipped' ? (reason ?? 'it does not apply') : undefined;
}

function hasContract(kind: ContributionKind): kind is ContractKind {
  return Object.hasOwn(CONTRACTS, kind);
}
