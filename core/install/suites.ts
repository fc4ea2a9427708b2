import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContractCase, type ContractContext, type ContractSuite, runContractCase } from '../../sdk/contract/contract.ts';
import { CONTRACTS, type ContractKind } from '../../sdk/contract/index.ts';
import type { ContributionKind } from '../../sdk/contributions.ts';
import { DurarError } from '../../sdk/errors.ts';
import type { Contribution } from '../kernel/generation.ts';
import { makeContext, reasonToSkip } from './suite-contexts.ts';
import type { Trial } from './trial.ts';

export interface SuiteOptions {
  stateDir: string;
  /** Loads the extension once more, with a state folder of its own. */
  open(stateDir: string): Promise<Trial>;
  /** Makes one check; a returned text is the reason why it was skipped. */
  attempt(name: string, title: string, run: () => Promise<string | undefined>): Promise<unknown>;
}

/** Runs the contract suite of every contribution, one check a case, each case with a new copy of the extension's state. */
export async function runSuites(contributions: readonly Contribution[], { stateDir, open, attempt }: SuiteOptions): Promise<void> {
  for (const contribution of contributions) {
    const { kind, key } = contribution;
    if (!hasContract(kind)) continue;
    // The pairing of a kind with its context is checked where both are made.
    const suite = CONTRACTS[kind] as ContractSuite<ContractContext>;
    const name = `contract/${suite.port}/${key}`;
    const reason = await reasonToSkip(contribution);
    if (reason !== undefined) {
      await attempt(name, `'${key}' keeps the contract of its port`, async () => reason);
      continue;
    }
    const make = async () => {
      const trial = await open(await mkdtemp(join(stateDir, 'case-')));
      return makeContext(trial, kind, key);
    };
    for (const contractCase of suite.cases) await attempt(name, contractCase.name, () => runCase(contractCase, make));
  }
}

async function runCase(contractCase: ContractCase<ContractContext>, make: () => Promise<ContractContext>): Promise<string | undefined> {
  const { status, reason, code } = await runContractCase(contractCase, make);
  if (status === 'failed') throw code === undefined ? new Error(reason) : new DurarError(code, reason ?? contractCase.name);
  return status === 'skipped' ? (reason ?? 'it does not apply') : undefined;
}

function hasContract(kind: ContributionKind): kind is ContractKind {
  return Object.hasOwn(CONTRACTS, kind);
}
