import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContractContext, type ContractReport, type ContractSuite, runContract, runContractCase } from '../../sdk/contract/contract.ts';
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
}

/** Makes one check; a returned text is the reason why it was skipped. Gives undefined when it failed. */
export type Attempt = (name: string, title: string, run: () => Promise<string | undefined>) => Promise<unknown>;

/**
 * Runs the contract suite of every contribution, one check a case, each case with a new copy of the extension and its state. Returns those
 * that keep the whole of it.
 */
export async function runSuites(contributions: readonly Contribution[], options: SuiteOptions, attempt: Attempt): Promise<Contribution[]> {
  const kept: Contribution[] = [];
  for (const contribution of contributions) {
    if (!hasContract(contribution.kind)) continue;
    const suite = suiteOf(contribution.kind);
    const name = `contract/${suite.port.replaceAll(' ', '-')}/${contribution.key}`;
    const skipped = await reasonToSkip(contribution);
    if (skipped !== undefined) await attempt(name, `'${contribution.key}' keeps the contract of its port`, async () => skipped);
    else {
      let failed = 0;
      for (const contractCase of suite.cases) {
        const made = await attempt(name, contractCase.name, () => runCase(contractCase, contextMaker(contribution, options)));
        if (made === undefined) failed += 1;
      }
      if (failed === 0) kept.push(contribution);
    }
  }
  return kept;
}

/** Runs the suite of one contribution; `known` is what only its author can tell the suite. */
export function runContractOf(contribution: { key: string; kind: ContractKind }, options: SuiteOptions, known: ContractContext = {}): Promise<ContractReport> {
  const make = contextMaker(contribution, options);
  return runContract(suiteOf(contribution.kind), async () => ({ ...(await make()), ...known }));
}

function contextMaker({ kind, key }: { kind: ContributionKind; key: string }, { stateDir, open }: SuiteOptions): () => Promise<ContractContext> {
  return async () => makeContext(await open(await mkdtemp(join(stateDir, 'case-'))), kind as ContractKind, key);
}

async function runCase(contractCase: ContractSuite<ContractContext>['cases'][number], make: () => Promise<ContractContext>): Promise<string | undefined> {
  const { status, reason, code } = await runContractCase(contractCase, make);
  if (status === 'failed') throw code === undefined ? new Error(reason) : new DurarError(code, reason ?? contractCase.name);
  return status === 'skipped' ? (reason ?? 'it does not apply') : undefined;
}

/** The pairing of a kind with its context is checked where the contexts are made. */
function suiteOf(kind: ContractKind): ContractSuite<ContractContext> {
  return CONTRACTS[kind] as ContractSuite<ContractContext>;
}

function hasContract(kind: ContributionKind): kind is ContractKind {
  return Object.hasOwn(CONTRACTS, kind);
}
