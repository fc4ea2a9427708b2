import { AssertionError } from 'node:assert';
import { errorCode, errorText } from '../errors.ts';

/**
 * One promise of a port, as data. `run` throws (node:assert) when the promise is broken; it gets a context of its own and may leave
 * anything in it.
 */
export interface ContractCase<Ctx> {
  /** A sentence that says what must hold. */
  name: string;
  /** Checklist lines that it proves. */
  ids?: string[];
  /** The reason why this promise cannot be asked of this implementation; undefined: it can. */
  skip?(ctx: Ctx): Promise<string | undefined> | string | undefined;
  /** Milliseconds; default 10,000. */
  timeoutMs?: number;
  run(ctx: Ctx): Promise<void>;
}

/** All promises of one port. */
export interface ContractSuite<Ctx> {
  port: string;
  cases: ReadonlyArray<ContractCase<Ctx>>;
}

/** What a case works on. `dispose` runs after the case, whatever its result. */
export interface ContractContext {
  dispose?(): Promise<void> | void;
}

export interface ContractResult {
  name: string;
  ids: string[];
  status: 'passed' | 'failed' | 'skipped';
  ms: number;
  /** Why it was skipped or failed; one or a few lines. */
  reason?: string;
  /** The code of the error that failed it, when it carried one. */
  code?: string;
}

export interface ContractReport {
  port: string;
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
  results: ContractResult[];
}

const CASE_TIMEOUT_MS = 10_000;
const DISPOSE_TIMEOUT_MS = 5_000;

/** Runs every case, one after the other, each in a new context. Never rejects: what goes wrong is in the report. */
export async function runContract<Ctx extends ContractContext>(
  suite: ContractSuite<Ctx>,
  makeContext: () => Promise<NoInfer<Ctx>> | NoInfer<Ctx>,
): Promise<ContractReport> {
  const results: ContractResult[] = [];
  for (const contractCase of suite.cases) results.push(await runContractCase(contractCase, makeContext));
  const count = (status: ContractResult['status']) => results.filter((result) => result.status === status).length;
  const failed = count('failed');
  return { port: suite.port, ok: failed === 0, passed: count('passed'), failed, skipped: count('skipped'), results };
}

/** Runs one case. Never rejects. A case that does not end in time fails; what it left running is not waited for. */
export async function runContractCase<Ctx extends ContractContext>(
  contractCase: ContractCase<Ctx>,
  makeContext: () => Promise<NoInfer<Ctx>> | NoInfer<Ctx>,
): Promise<ContractResult> {
  const started = performance.now();
  const finish = (status: ContractResult['status'], more: { reason?: string; code?: string } = {}): ContractResult => ({
    name: contractCase.name,
    ids: contractCase.ids ?? [],
    status,
    ms: Math.round(performance.now() - started),
    ...more,
  });
  let context: Ctx | undefined;
  let result: ContractResult;
  try {
    const ms = contractCase.timeoutMs ?? CASE_TIMEOUT_MS;
    const made = await within(ms, 'the context', async () => makeContext());
    context = made;
    const skipped = await within(ms, 'the case', async () => contractCase.skip?.(made));
    if (skipped === undefined) await within(ms, 'the case', () => contractCase.run(made));
    result = skipped === undefined ? finish('passed') : finish('skipped', { reason: skipped });
  } catch (error) {
    result = finish('failed', failure(error));
  }
  try {
    await within(DISPOSE_TIMEOUT_MS, 'dispose', async () => context?.dispose?.());
  } catch (error) {
    if (result.status !== 'failed') result = finish('failed', failure(error));
  }
  return result;
}

/** The report as text, one line a case, reasons indented below. */
export function formatContract(report: ContractReport): string {
  const mark = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip' } as const;
  const lines = [`${report.port}: ${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped`];
  for (const result of report.results) {
    const ids = result.ids.length === 0 ? '' : ` (${result.ids.join(', ')})`;
    lines.push(`  ${mark[result.status]} ${result.name}${ids}`);
    if (result.reason === undefined) continue;
    const code = result.code === undefined ? '' : `${result.code}: `;
    for (const [index, line] of result.reason.split('\n').entries()) lines.push(`         ${index === 0 ? code : ''}${line}`);
  }
  return lines.join('\n');
}

/** An assertion's own code says nothing about the implementation, so it is left out. */
function failure(error: unknown): { reason: string; code?: string } {
  const code = error instanceof AssertionError ? undefined : errorCode(error);
  return { reason: errorText(error).trimEnd(), ...(code === undefined ? {} : { code }) };
}

async function within<Result>(ms: number, what: string, work: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
